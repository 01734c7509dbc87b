using System.Text.Json.Nodes;
using OrleansMemory.Gate.Canaries;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Ledgers;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Tests;

/// <summary>Evidence that was edited after the fact, with and without the list of files made anew.</summary>
public sealed class VerifierTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-verify-").FullName;
    private EvidenceFolder _evidence = null!;

    public async ValueTask InitializeAsync() => _evidence = await new SampleRun().WriteAsync(Path.Combine(_folder, "run"));

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return default;
    }

    [Fact]
    public void Evidence_as_it_was_written_holds_together()
    {
        var verified = Verifier.Verify(_evidence.Path);
        Assert.Empty(verified.Problems);
        Assert.Equal(Verdict.Pass, verified.Verdict);
        Assert.False(verified.Certifies);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_id_in_a_ledger(bool listedAnew)
    {
        var lines = _evidence.ReadLedger("phase4-kill").Select(static line => line is Holding { Cycle: 2, Node: "b", Id: "id-kill-2-0" } holding ? holding with { Id = "another" } : line).ToList();
        await _evidence.WriteLedgerAsync("phase4-kill", lines);
        AssertFound(listedAnew, "ledgers/phase4-kill.jsonl.br was changed", "phase4.json: assertions");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void One_count_in_a_document(bool listedAnew)
    {
        Edit("phase4.json", static document => document["acked"] = 1_000_000);
        AssertFound(listedAnew, "phase4.json was changed", "phase4.json: acked is stated as 1000000");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void One_verdict(bool listedAnew)
    {
        Edit(EvidenceFolder.SummaryName, static document => document["verdict"] = "Fail");
        AssertFound(listedAnew, "campaign-summary.json was changed", "campaign-summary.json: verdict is stated as \"Fail\"");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_assertion_that_was_declared_away(bool listedAnew)
    {
        Edit(EvidenceFolder.PlanName, static plan => plan["phases"]![3]!["assertions"]!.AsArray().RemoveAt(0));
        AssertFound(listedAnew, "campaign.json was changed", "campaign.json: phases[3].assertions");
    }

    [Theory]
    [InlineData("ledgers/phase4-pause.jsonl.br")]
    [InlineData("raw/phase2.json")]
    [InlineData("phase3.json")]
    [InlineData("logs/a.log")]
    [InlineData(EvidenceFolder.ManifestName)]
    public void One_file_that_is_missing(string name)
    {
        File.Delete(_evidence.Combine(name));
        var problems = Verifier.Verify(_evidence.Path).Problems;
        Assert.Contains(problems, problem => problem.Contains(name, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_damaged_plan_of_a_canary_hides_nothing_else()
    {
        var canary = Canary.All.First(static canary => canary.Plan.Name == "zero_acks");
        _evidence = await new SampleRun { Scope = SampleRun.Quick with { Canaries = [canary.Plan.Name] }, Canaries = [canary.Plan] }.WriteAsync(Path.Combine(_folder, "with-canary"));
        _evidence.Canary(canary.Plan.Name).WriteText(EvidenceFolder.PlanName, "{");
        Edit("phase4.json", static document => document["acked"] = 1_000_000);
        var problems = Verifier.Verify(_evidence.Path).Problems;
        Assert.Contains(problems, static problem => problem.StartsWith("canaries/zero_acks/campaign.json cannot be read", StringComparison.Ordinal));
        Assert.Contains(problems, static problem => problem.StartsWith("phase4.json: acked is stated as 1000000", StringComparison.Ordinal));
    }

    [Fact]
    public void One_file_more()
    {
        _evidence.WriteText("ledgers/more.jsonl.br", "x");
        AssertFound(false, "ledgers/more.jsonl.br is not listed");
    }

    [Fact]
    public void A_folder_without_a_campaign_is_refused() => Assert.Throws<GateException>(() => Verifier.Verify(_folder));

    private void Edit(string name, Action<JsonNode> change)
    {
        var document = _evidence.Read<JsonNode>(name);
        change(document);
        _evidence.Write(name, document);
    }

    private void AssertFound(bool listedAnew, string changed, string? differs = null)
    {
        if (listedAnew)
        {
            _evidence.Write(EvidenceFolder.ManifestName, EvidenceManifest.Of(_evidence));
        }

        var problems = Verifier.Verify(_evidence.Path).Problems;
        Assert.Contains(problems, problem => problem.StartsWith(listedAnew ? differs! : changed, StringComparison.Ordinal));
    }
}
