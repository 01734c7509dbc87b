using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Pages;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Tests.Pages;

public sealed class RunPageTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-pages-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_green_run_shows_every_declared_assertion_with_what_was_observed()
    {
        var page = await PageOf(new());
        var run = RunFolder.Read(Path.Combine(_folder, "run"));
        Assert.Equal(Declaration.Of(SampleRun.Quick).Sum(static phase => phase.Assertions.Count), run.Assertions.Count());
        foreach (var assertion in run.Assertions)
        {
            var cells = Assert.Single(page.Rows(assertion.Id));
            Assert.Equal(assertion.Description, cells[1]);
            Assert.Equal($"{assertion.Op} {assertion.Expected}", cells[2].Replace(",", "", StringComparison.Ordinal));
            Assert.Equal($"{assertion.Actual}", cells[3].Replace(",", "", StringComparison.Ordinal));
            Assert.Equal($"{assertion.SampleSize} of {assertion.MinSample}", cells[4].Replace(",", "", StringComparison.Ordinal));
            Assert.EndsWith("PASS", cells[5], StringComparison.Ordinal);
        }

        Assert.EndsWith("PASS", page.Heading("Campaign quick-1"), StringComparison.Ordinal);
        Assert.All(Declaration.AllPhases, phase => Assert.EndsWith("PASS", page.Heading($"Phase {phase}"), StringComparison.Ordinal));
        Assert.Equal("", page.Alarm);
        Assert.Equal("236", page.Fact("Acknowledged writes"));
        Assert.Equal("0", page.Fact("Lost"));
        Assert.Equal("2 min 20 s", page.Fact("Duration"));
        Assert.Equal("0123456789abcdef0123456789abcdef01234567", page.Fact("Commit"));
        Assert.Contains("needs root", page.Rows("disk_full")[0][1], StringComparison.Ordinal);
        Assert.Contains("Of 236 acknowledged writes none was lost", page.Text, StringComparison.Ordinal);
        Assert.Contains("Certifies a release: no, because its mode is quick, not full", page.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_page_needs_nothing_but_itself_and_the_evidence_beside_it()
    {
        var page = await PageOf(new());
        var ids = page.Elements("h2").Concat(page.Elements("details")).Select(static each => (string?)each.Attribute("id")).ToHashSet();
        Assert.All(page.Elements("a").Select(static link => (string)link.Attribute("href")!), link => Assert.True(
            link.StartsWith('#') ? ids.Contains(link[1..]) : File.Exists(Path.Combine(page.Folder, Uri.UnescapeDataString(link))), link));
        Assert.Empty(page.Elements("script"));
        Assert.Empty(page.Elements("img"));
        Assert.All(page.Elements("svg"), static svg => Assert.True(svg.Attribute("aria-hidden") is not null || svg.Element("title") is not null));
        Assert.Equal(2, page.Elements("figure").Count());
    }

    [Fact]
    public async Task A_lost_write_is_named_and_the_run_is_red()
    {
        var page = await PageOf(new SampleRun().Losing("pause", "c"));
        Assert.EndsWith("FAIL", page.Heading("Campaign"), StringComparison.Ordinal);
        Assert.StartsWith("FAIL", page.Title, StringComparison.Ordinal);
        Assert.EndsWith("FAIL", page.Heading("Phase 4"), StringComparison.Ordinal);
        Assert.EndsWith("PASS", page.Heading("Phase 3"), StringComparison.Ordinal);
        Assert.Contains("one was missing on a node", page.Text, StringComparison.Ordinal);
        Assert.Contains("phase 4 (Chaos) failed", page.Text, StringComparison.Ordinal);
        Assert.Contains("cycle 2: pause-2-0 on c", page.Text, StringComparison.Ordinal);
        Assert.Contains("FAIL", page.Rows("phase4.pause.lost")[0][5], StringComparison.Ordinal);
        Assert.Contains("0.5", page.Rows("pause")[0][5], StringComparison.Ordinal);
        Assert.Contains("PASS", page.Rows("kill")[0][1], StringComparison.Ordinal);
        Assert.Contains("because its verdict is Fail", page.Text, StringComparison.Ordinal);
        Assert.Equal("1", page.Fact("Lost"));
    }

    [Fact]
    public async Task What_was_not_reached_and_what_was_not_declared_are_told_apart()
    {
        var page = await PageOf(new() { Scope = SampleRun.Quick with { Mode = CampaignModes.Partial, Phases = [1, 2, 4] }, Reached = [1] });
        Assert.EndsWith("PASS", page.Heading("Phase 1"), StringComparison.Ordinal);
        Assert.EndsWith("NOT REACHED", page.Heading("Phase 2"), StringComparison.Ordinal);
        Assert.EndsWith("NOT RUN", page.Heading("Phase 3"), StringComparison.Ordinal);
        Assert.EndsWith("NOT REACHED", page.Heading("Phase 4"), StringComparison.Ordinal);
        Assert.EndsWith("NOT RUN", page.Heading("Campaign"), StringComparison.Ordinal);
        Assert.Equal("unknown", page.Fact("Lost"));
        Assert.DoesNotContain("none was lost", page.Text, StringComparison.OrdinalIgnoreCase);
        Assert.All(Declaration.Of(SampleRun.Quick)[3].Assertions, assertion => Assert.EndsWith("NOT RUN", page.Rows(assertion.Id)[0][5], StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_phase_that_did_not_end_says_why()
    {
        var page = await PageOf(new() { ChaosEnd = (PhaseEnds.TimedOut, "after 30 minutes") });
        Assert.EndsWith("HARNESS ERROR", page.Heading("Phase 4"), StringComparison.Ordinal);
        Assert.Contains("It timed out: after 30 minutes", page.Text, StringComparison.Ordinal);
        Assert.Contains("2 of 3 parts of the run gave no result", page.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Evidence_that_was_changed_is_told_before_all_else()
    {
        var evidence = await new SampleRun().Losing("pause", "c").WriteAsync(Path.Combine(_folder, "run"));
        var name = evidence.Combine("phase4.json");
        await File.WriteAllTextAsync(name, (await File.ReadAllTextAsync(name)).Replace("\"Fail\"", "\"Pass\"", StringComparison.Ordinal));
        var page = new ParsedPage(Report.Write(evidence.Path)[0]);
        Assert.Contains("does not verify", page.Alarm, StringComparison.Ordinal);
        Assert.Contains("phase4.json was changed", page.Alarm, StringComparison.Ordinal);
        Assert.Contains("verdict is stated as \"Pass\", and the evidence gives \"Fail\"", page.Alarm, StringComparison.Ordinal);
        Assert.EndsWith("HARNESS ERROR", page.Heading("Campaign"), StringComparison.Ordinal);
        Assert.EndsWith("FAIL", page.Heading("Phase 4"), StringComparison.Ordinal);
        Assert.EndsWith("FAIL", page.Rows("phase4.pause.lost")[0][5], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_green_phase_whose_evidence_is_incomplete_is_not_shown_green()
    {
        var evidence = await new SampleRun().WriteAsync(Path.Combine(_folder, "run"));
        File.Delete(evidence.Combine("phase1-node-b.json"));
        var page = new ParsedPage(Report.Write(evidence.Path)[0]);
        Assert.Contains("phase1-node-b.json is missing", page.Alarm, StringComparison.Ordinal);
        Assert.EndsWith("HARNESS ERROR", page.Heading("Phase 1"), StringComparison.Ordinal);
        Assert.EndsWith("PASS", page.Heading("Phase 2"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_plan_that_cannot_be_read_still_gives_a_page()
    {
        var evidence = await new SampleRun().WriteAsync(Path.Combine(_folder, "run"));
        await File.WriteAllTextAsync(evidence.Combine(EvidenceFolder.PlanName), "{}");
        var page = new ParsedPage(Report.Write(evidence.Path)[0]);
        Assert.Contains("campaign.json cannot be read", page.Alarm, StringComparison.Ordinal);
        Assert.EndsWith("HARNESS ERROR", page.Heading("Campaign run"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Canaries_are_told_apart_from_the_run()
    {
        CanaryPlan seen = new("drops", "a write does not reach c", "phase4.pause.lost", Verdict.Fail);
        var broken = new SampleRun { Id = "drops", Scope = SampleRun.Quick with { Mode = CampaignModes.Canary, Phases = [4] } };
        var page = await PageOf(new()
        {
            Canaries = [seen, seen with { Name = "slow", NotRun = "needs the SDK" }, seen with { Name = "unseen" }],
            CanaryRuns = new Dictionary<string, SampleRun> { ["drops"] = broken.Losing("pause", "c"), ["unseen"] = broken },
        });
        Assert.EndsWith("PASS", page.Rows("drops")[0][4], StringComparison.Ordinal);
        Assert.StartsWith("FAIL: 1, == 0 is wanted", page.Rows("drops")[0][3], StringComparison.Ordinal);
        Assert.EndsWith("NOT RUN", page.Rows("slow")[0][4], StringComparison.Ordinal);
        Assert.Contains("needs the SDK", page.Rows("slow")[0][3], StringComparison.Ordinal);
        Assert.EndsWith("HARNESS ERROR", page.Rows("unseen")[0][4], StringComparison.Ordinal);
        Assert.Contains("did not see what is broken, or saw what is not, in unseen", page.Text, StringComparison.Ordinal);
        Assert.Contains("canaries show that the gate does not see every fault", page.Text, StringComparison.Ordinal);
        Assert.EndsWith("HARNESS ERROR", page.Heading("Campaign"), StringComparison.Ordinal);
        Assert.All(Declaration.AllPhases, phase => Assert.EndsWith("PASS", page.Heading($"Phase {phase}"), StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_put_in_is_text_and_never_markup_or_a_password()
    {
        const string Markup = "<script>alert('x')</script> & \"y\" \u0001\ud800";
        var page = await PageOf(new()
        {
            Id = Markup,
            Machine = new(Markup, Markup, 1, 1),
            MigratedTo = "postgres://om:s3cr@t@db/memory?Password=hidden;x",
            Scope = SampleRun.Quick with { LeftOut = new Dictionary<string, string> { [Markup] = Markup } },
            ChaosEnd = (PhaseEnds.Failed, Markup),
        });
        Assert.Empty(page.Elements("script"));
        Assert.StartsWith("Campaign <script>alert('x')</script> & \"y\" \ufffd\ufffd", page.Heading("Campaign"), StringComparison.Ordinal);
        Assert.Contains("postgres://om:***@db/memory?Password=***;x", page.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", page.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cr", page.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Insights_stand_beside_the_verdicts()
    {
        var evidence = await new SampleRun().WriteAsync(Path.Combine(_folder, "run"));
        evidence.WriteText(EvidenceFolder.InsightsName, """
            {
              "headline": "The first <green> one", "what_changed": "More writes.",
              "bugs": [{ "title": "Lost at a pause", "impact": "A memory was gone.", "root_cause": "The fan-out was cancelled.", "status": "reproduced",
                         "fixed_in": [{ "label": "the fix", "url": "https://example.org/1" }] }],
              "notes": { "users": "Nothing to do.", "deciders": "Go.", "engineers": "See the ledger." }
            }
            """);
        var page = new ParsedPage(Report.Write(evidence.Path)[0]);
        Assert.All(
            (string[])["The first <green> one", "More writes.", "Lost at a pause", "Root cause (reproduced): The fan-out was cancelled.", "Nothing to do.", "Go.", "See the ledger."],
            text => Assert.Contains(text, page.Text, StringComparison.Ordinal));
        Assert.Contains(page.Elements("a"), static link => (string?)link.Attribute("href") == "https://example.org/1");
        Assert.Equal("", page.Alarm);
    }

    [Theory]
    [InlineData("""{ "headlines": "x" }""", "headlines")]
    [InlineData("""{ "bugs": [{ "title": "x" }] }""", "impact")]
    [InlineData("""{ "bugs": [null] }""", "null")]
    [InlineData("""{ "bugs": [{ "title": "x", "impact": "x", "root_cause": "x", "status": "sure" }] }""", "status")]
    [InlineData("""{ "bugs": [{ "title": "x", "impact": "x", "root_cause": "x", "status": "hypothesis", "fixed_in": [{ "label": "x", "url": "javascript:alert(1)" }] }] }""", "https://")]
    [InlineData("[", "insights.json cannot be read")]
    public async Task Insights_that_are_not_what_they_should_be_are_refused(string insights, string says)
    {
        var evidence = EvidenceFolder.Create(Path.Combine(_folder, "run"));
        evidence.WriteText(EvidenceFolder.PlanName, "{}");
        evidence.WriteText(EvidenceFolder.InsightsName, insights);
        var exception = await Assert.ThrowsAsync<GateException>(() => Task.FromResult(Report.Write(evidence.Path)));
        Assert.Contains(evidence.Combine(EvidenceFolder.InsightsName), exception.Message, StringComparison.Ordinal);
        Assert.Contains(says, exception.Message, StringComparison.Ordinal);
    }

    private async Task<ParsedPage> PageOf(SampleRun run) => new(Report.Write((await run.WriteAsync(Path.Combine(_folder, "run"))).Path)[0]);
}
