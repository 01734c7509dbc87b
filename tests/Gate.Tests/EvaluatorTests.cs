using System.IO.Compression;
using System.Text;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Canaries;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Ledgers;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Tests;

/// <summary>Every way in which a gate can call a campaign green that proves nothing, each red here.</summary>
public sealed class EvaluatorTests : IDisposable
{
    private const string Lost = "phase4.kill.lost";

    private readonly string _folder = Directory.CreateTempSubdirectory("om-evidence-").FullName;
    private readonly SampleRun _run = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task The_sample_is_green()
    {
        var conclusion = Conclusion.Of(await WriteAsync(_run));
        Assert.All(conclusion.Phases.SelectMany(static phase => phase.Assertions), static assertion => Assert.True(assertion.Verdict == Verdict.Pass, $"{assertion.Id}: {assertion.Reason}"));
        Assert.Equal(Verdict.Pass, conclusion.Verdict);
        Assert.Equal(conclusion.Phases.Sum(static phase => phase.Plan.Assertions.Count), conclusion.Phases.Sum(static phase => phase.Assertions.Count));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"phase\":4}")]
    public async Task A_result_that_cannot_be_read_is_red(string text)
    {
        var evidence = await WriteAsync(_run);
        evidence.WriteText(EvidenceFolder.RawPath(4), text);
        AssertRed(evidence, Lost, Verdict.HarnessError);
    }

    [Theory]
    [InlineData("")]
    [InlineData("no ledger")]
    public async Task A_ledger_that_is_empty_or_damaged_is_red(string text)
    {
        var evidence = await WriteAsync(_run);
        evidence.WriteText(EvidenceFolder.LedgerPath("phase4-kill"), text);
        AssertRed(evidence, Lost, Verdict.HarnessError);
    }

    [Fact]
    public async Task A_ledger_with_a_line_that_nobody_knows_is_red()
    {
        var evidence = await WriteAsync(_run);
        await WriteRawLedgerAsync(evidence, """{"line":"rumour","cycle":1}""");
        AssertRed(evidence, Lost, Verdict.HarnessError);
    }

    [Fact]
    public async Task A_ledger_without_a_line_is_red()
    {
        var evidence = await WriteAsync(_run);
        await evidence.WriteLedgerAsync("phase4-kill", []);
        AssertRed(evidence, Lost, Verdict.HarnessError);
    }

    [Fact]
    public async Task A_ledger_that_is_missing_is_red()
    {
        var evidence = await WriteAsync(_run);
        File.Delete(evidence.Combine(EvidenceFolder.LedgerPath("phase4-kill")));
        AssertRed(evidence, Lost, Verdict.HarnessError);
    }

    [Fact]
    public async Task A_phase_that_was_not_reached_is_red_and_says_so() => AssertRed(await WriteAsync(_run with { Reached = [1, 2, 3] }), Lost, Verdict.NotRun);

    [Fact]
    public async Task Of_no_phase_at_all_nothing_is_green() =>
        Assert.NotEqual(Verdict.Pass, Conclusion.Of(await WriteAsync(_run with { Scope = SampleRun.Quick with { Phases = [] } })).Verdict);

    [Theory]
    [InlineData(PhaseEnds.TimedOut)]
    [InlineData(PhaseEnds.Failed)]
    [InlineData(PhaseEnds.Interrupted)]
    [InlineData("something")]
    public async Task A_phase_that_did_not_end_proves_nothing_by_what_it_saw(string end) => AssertRed(await WriteAsync(_run with { ChaosEnd = (end, "because") }), Lost, Verdict.HarnessError);

    [Fact]
    public async Task No_acknowledged_write_is_red()
    {
        var evidence = await WriteAsync(_run with
        {
            Altered = static (_, lines) => lines.Where(static line => line is not Holding)
                .Select(static line => line is Operation operation ? operation with { Outcome = Outcome.Rejected } : line is NodeState state ? state with { Stated = 0 } : line),
        });
        AssertRed(evidence, "phase4.kill.acked", Verdict.Fail);
        AssertRed(evidence, "phase4.kill.bound", Verdict.Fail);
        AssertRed(evidence, Lost, Verdict.HarnessError);
        AssertRed(evidence, "phase2.acked", Verdict.Fail);
        AssertRed(evidence, "phase2.a.present", Verdict.HarnessError);
    }

    [Fact]
    public async Task Fewer_cycles_than_declared_are_red() =>
        AssertRed(await WriteAsync(_run with { Altered = static (name, lines) => name == "kill" ? lines.Where(static line => line.Cycle != 3) : lines }), "phase4.kill.cycles", Verdict.Fail);

    [Fact]
    public async Task A_fault_that_met_no_write_is_red()
    {
        var evidence = await WriteAsync(_run with { Altered = static (_, lines) => lines.Select(static line => line is Injection { Cycle: 2 } injection ? injection with { Injected = 0, InForce = 0 } : line) });
        AssertRed(evidence, "phase4.kill.cycles", Verdict.Fail);
    }

    [Theory]
    [InlineData(Operations.Update)]
    [InlineData(Operations.Promote)]
    [InlineData(Operations.Delete)]
    public async Task A_fault_that_never_met_a_kind_of_write_is_red(string kind)
    {
        var evidence = await WriteAsync(_run with
        {
            Altered = (name, lines) => name != "kill" ? lines : lines.Select(line => line is Operation operation && operation.Op == kind ? operation with { Start = operation.Start + 600, End = operation.End + 600 } : line),
        });
        AssertRed(evidence, "phase4.kill.kinds", Verdict.Fail);
    }

    [Fact]
    public async Task Deletes_that_were_all_refused_prove_nothing_about_what_comes_back()
    {
        var evidence = await WriteAsync(_run with
        {
            Altered = static (name, lines) => name != "kill" ? lines : lines.Select(static line => line is Operation { Op: Operations.Delete } delete ? delete with { Outcome = Outcome.Rejected, Status = 503 } : line),
        });
        AssertRed(evidence, "phase4.kill.resurrected", Verdict.HarnessError);
    }

    [Fact]
    public async Task A_memory_of_an_earlier_cycle_that_is_gone_in_the_end_is_red()
    {
        var evidence = await WriteAsync(_run with
        {
            Altered = static (name, lines) => name != "kill" ? lines : lines.Select(static line => line is LaterReading { Cycle: 1, Node: "b" } later ? later with { Count = later.Count - 1, Fingerprint = "another" } : line),
        });
        AssertRed(evidence, "phase4.kill.changed", Verdict.Fail);
    }

    [Fact]
    public async Task Earlier_cycles_that_nobody_read_again_are_red()
    {
        var evidence = await WriteAsync(_run with { Altered = static (name, lines) => name != "kill" ? lines : lines.Where(static line => line is not LaterReading { Cycle: 1 }) });
        AssertRed(evidence, "phase4.kill.changed", Verdict.HarnessError);
    }

    [Fact]
    public async Task A_cycle_without_a_read_that_carried_a_token_is_red()
    {
        var evidence = await WriteAsync(_run with { Altered = static (name, lines) => name != "kill" ? lines : lines.Where(static line => line is not Operation { Cycle: 2, Op: Operations.Read }) });
        AssertRed(evidence, "phase4.kill.stale", Verdict.HarnessError);
    }

    [Fact]
    public async Task A_node_that_ended_by_itself_is_red()
    {
        var evidence = await WriteAsync(_run);
        var raw = evidence.Read<RawPhase>(EvidenceFolder.RawPath(4));
        raw.Observed!["crashes"]!["kill"] = new System.Text.Json.Nodes.JsonArray("n2, by itself: exit status 134");
        evidence.Write(EvidenceFolder.RawPath(4), raw);
        AssertRed(evidence, "phase4.kill.crashes", Verdict.Fail);
    }

    [Fact]
    public async Task A_cycle_that_was_run_again_is_judged_all_the_same()
    {
        // A fifth cycle, whose fault met no write, and that lost one.
        var evidence = await WriteAsync(_run with
        {
            Altered = static (name, lines) => name != "kill" ? lines : [.. lines, .. lines.Where(static line => line.Cycle == 1 && line is not LaterReading).ToList().Select(static line => line switch
            {
                Injection injection => injection with { Cycle = 5, Injected = 0, InForce = 0 },
                _ => line with { Cycle = 5 },
            }).Where(static line => line is not Holding { Node: "c" }).Select(static line => line is NodeState { Node: "c" } state ? state with { Stated = 0 } : line)],
        });
        AssertRed(evidence, Lost, Verdict.Fail);
        var cycles = Conclusion.Of(evidence).Phases.SelectMany(static phase => phase.Assertions).Single(static assertion => assertion.Id == "phase4.kill.cycles");
        Assert.Equal(Verdict.Pass, cycles.Verdict);
    }

    [Fact]
    public async Task Too_few_of_four_agents_writes_are_red()
    {
        // Nineteen in twenty were enough elsewhere.
        var evidence = await WriteAsync(_run with { Altered = static (_, lines) => lines.Select(static line => line is Operation { Cycle: 1, Title: "phase2-1-199" } operation ? operation with { Outcome = Outcome.Indeterminate } : line) });
        AssertRed(evidence, "phase2.acked", Verdict.Fail);
    }

    [Fact]
    public async Task A_write_that_one_node_lost_is_red_though_another_cycle_has_more()
    {
        var evidence = await WriteAsync(_run.Losing("kill", "b"));
        AssertRed(evidence, Lost, Verdict.Fail);
        AssertRed(evidence, "phase4.kill.bound", Verdict.Fail);
    }

    [Fact]
    public async Task A_page_that_ends_early_is_red()
    {
        var evidence = await WriteAsync(_run with { Altered = static (_, lines) => lines.Where(static line => line is not Holding { Cycle: 2, Node: "b" }) });
        AssertRed(evidence, "phase4.kill.pages", Verdict.Fail);
    }

    [Fact]
    public async Task Nodes_that_never_became_equal_are_red()
    {
        var evidence = await WriteAsync(_run with { Altered = static (_, lines) => lines.Select(static line => line is Injection { Cycle: 1 } injection ? injection with { Converged = null } : line) });
        AssertRed(evidence, "phase4.kill.converged", Verdict.Fail);
    }

    [Fact]
    public async Task A_canary_that_comes_out_green_is_red()
    {
        var canary = new CanaryPlan("lost_write", "a write is lost", Lost, Verdict.Fail);
        var scope = SampleRun.Quick with { Mode = CampaignModes.Canary, Phases = [4], Faults = ["kill"] };
        var sees = await WriteAsync(_run with { Canaries = [canary], CanaryRuns = new Dictionary<string, SampleRun> { [canary.Name] = new SampleRun { Scope = scope }.Losing("kill", "b") } }, "sees");
        Assert.Equal(Verdict.Pass, Conclusion.Of(sees).Verdict);
        var blind = await WriteAsync(_run with { Canaries = [canary], CanaryRuns = new Dictionary<string, SampleRun> { [canary.Name] = new() { Scope = scope } } }, "blind");
        Assert.Equal(Verdict.HarnessError, Conclusion.Of(blind).Verdict);
        var missing = await WriteAsync(_run with { Canaries = [canary] }, "missing");
        Assert.Equal(Verdict.NotRun, Conclusion.Of(missing).Verdict);

        // The same red for another reason is none of its own.
        var other = Conclusion.Of(await WriteAsync(
            _run with { Canaries = [canary with { Actual = 2 }], CanaryRuns = new Dictionary<string, SampleRun> { [canary.Name] = new SampleRun { Scope = scope }.Losing("kill", "b") } }, "other"));
        Assert.Equal(Verdict.HarnessError, other.Verdict);

        // Without the build that it needs a canary says nothing against the product, and nothing for a release.
        var elsewhere = Conclusion.Of(await WriteAsync(_run with { Canaries = [canary with { NotRun = "no such build" }] }, "elsewhere"));
        Assert.Equal(Verdict.Pass, elsewhere.Verdict);
        Assert.False((bool)elsewhere.Documents[EvidenceFolder.SummaryName]["certifies"]!);
    }

    [Fact]
    public void Only_a_whole_campaign_certifies()
    {
        var full = SampleRun.Quick with
        {
            Mode = CampaignModes.Full,
            Cycles = Declaration.FullCycles,
            Writes = Declaration.FullWrites,
            Faults = [.. FaultInjector.All.Select(static fault => fault.Name).Where(static name => name != "disk_full")],
            Canaries = [.. Canary.All.Select(static canary => canary.Plan.Name)],
        };
        Assert.Empty(full.Shortfalls());
        Assert.Single((full with { Mode = CampaignModes.Partial }).Shortfalls());
        Assert.Single((full with { Cycles = 49 }).Shortfalls());
        Assert.Single((full with { Writes = 99 }).Shortfalls());
        Assert.Single((full with { Phases = [1, 2, 4] }).Shortfalls());
        Assert.Single((full with { Canaries = [.. full.Canaries.Skip(1)] }).Shortfalls());
        Assert.Single((full with { Faults = [.. full.Faults.Skip(1)] }).Shortfalls());
        Assert.Single((full with { LeftOut = new Dictionary<string, string>() }).Shortfalls());
        Assert.Single((full with { Nodes = "given" }).Shortfalls());
        Assert.Single((full with { Names = ["a", "a", "b"] }).Shortfalls());
        Assert.Empty((full with { Nodes = "silo", Members = "PostgreSQL" }).Shortfalls());
        Assert.Single((full with { Nodes = "silo" }).Shortfalls());
        Assert.Contains("a file: none is installed", Assert.Single((full with { Nodes = "silo", Members = "a file: none is installed" }).Shortfalls()), StringComparison.Ordinal);
    }

    private static void AssertRed(EvidenceFolder evidence, string id, Verdict verdict)
    {
        var conclusion = Conclusion.Of(evidence);
        Assert.NotEqual(Verdict.Pass, conclusion.Verdict);
        Assert.False((bool)conclusion.Documents[EvidenceFolder.SummaryName]["overall_pass"]!);
        var assertion = conclusion.Phases.SelectMany(static phase => phase.Assertions).Single(assertion => assertion.Id == id);
        Assert.Equal(verdict, assertion.Verdict);
        Assert.NotNull(assertion.Reason);
    }

    private static async Task WriteRawLedgerAsync(EvidenceFolder evidence, string line)
    {
        await using var compressed = new BrotliStream(File.Create(evidence.Combine(EvidenceFolder.LedgerPath("phase4-kill"))), CompressionLevel.Fastest);
        await compressed.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"));
    }

    private Task<EvidenceFolder> WriteAsync(SampleRun run, string name = "run") => run.WriteAsync(Path.Combine(_folder, name));
}
