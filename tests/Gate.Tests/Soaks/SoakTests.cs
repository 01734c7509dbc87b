using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Pages;
using OrleansMemory.Gate.Soaks;
using OrleansMemory.Gate.Tests.Pages;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Tests.Soaks;

public sealed class SoakTests : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromHours(4);

    private readonly string _folder = Directory.CreateTempSubdirectory("om-soak-").FullName;
    private readonly SoakTime _time = new();
    private readonly List<(string Folder, TimeSpan At)> _started = [];
    private readonly DateTimeOffset _start;

    public SoakTests() => _start = _time.Now;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Every_run_starts_at_its_planned_instant()
    {
        Assert.Equal(Verdict.Pass, await SoakOf(3).RunAsync(CancellationToken.None));
        Assert.Equal([("run-001", TimeSpan.Zero), ("run-002", Every), ("run-003", Every * 2)], _started);
        var page = new ParsedPage(Path.Combine(_folder, "index.html"));
        Assert.EndsWith("PASS", page.Heading("Soak"), StringComparison.Ordinal);
        Assert.Equal(["run-003", "run-002", "run-001"], page.FirstColumn());
        Assert.Contains("3 of 3 runs: 3 green, 0 red.", page.Text, StringComparison.Ordinal);
        Assert.Contains("Nothing is to be called out.", page.Text, StringComparison.Ordinal);
        Assert.Equal(4, page.Elements("figure").Count());
        Assert.Equal("36", page.Rows("run-001")[0][6]);
    }

    [Fact]
    public async Task Started_again_it_goes_on_with_the_next_run_that_is_due()
    {
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => SoakOf(4, run: async (folder, ordinal) =>
        {
            var verdict = await GreenAsync(folder, ordinal);
            if (ordinal == 2)
            {
                await stop.CancelAsync();
            }

            return verdict;
        }).RunAsync(stop.Token));
        _time.Now = _start + (Every * 2) + TimeSpan.FromHours(1);

        Assert.Equal(Verdict.Pass, await SoakOf(4).RunAsync(CancellationToken.None));
        Assert.Equal([("run-001", TimeSpan.Zero), ("run-002", Every), ("run-003", (Every * 2) + TimeSpan.FromHours(1)), ("run-004", Every * 3)], _started);
    }

    [Fact]
    public async Task A_run_whose_time_passed_is_red_and_is_not_made_up_for()
    {
        Assert.Equal(Verdict.HarnessError, await SoakOf(4, keepGoing: true, run: async (folder, ordinal) =>
        {
            var verdict = await GreenAsync(folder, ordinal);
            _time.Now += ordinal == 1 ? (Every * 2) + TimeSpan.FromMinutes(1) : TimeSpan.Zero;
            return verdict;
        }).RunAsync(CancellationToken.None));
        Assert.Equal(["run-001", "run-003", "run-004"], _started.Select(static run => run.Folder));
        Assert.Contains("its time passed without a run", PageRow("run-002"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_that_was_on_its_way_when_the_soak_ended_is_red()
    {
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => SoakOf(2, run: async (folder, ordinal) =>
        {
            await GreenAsync(folder, ordinal);
            await stop.CancelAsync();
            stop.Token.ThrowIfCancellationRequested();
            return Verdict.Pass;
        }).RunAsync(stop.Token));
        Assert.Contains("it was interrupted", PageRow("run-001"), StringComparison.Ordinal);
        Assert.Equal(Verdict.HarnessError, await SoakOf(2).RunAsync(CancellationToken.None));
        Assert.Single(_started);
        Assert.Equal(Verdict.HarnessError, await SoakOf(2, keepGoing: true).RunAsync(CancellationToken.None));
        Assert.Equal(2, _started.Count);
    }

    [Fact]
    public async Task A_run_that_was_on_its_way_when_the_machine_stopped_is_red_and_is_not_run_again()
    {
        var state = SoakState.Plan(Every, _start, 2);
        state.With(state.Runs[0] with { StartedAt = _start }).Write(_folder);
        await GreenAsync(Path.Combine(_folder, "run-001"), 1);
        Assert.Equal(Verdict.HarnessError, await SoakOf(2, keepGoing: true).RunAsync(CancellationToken.None));
        Assert.Equal(["run-002"], _started.Select(static run => run.Folder));
        Assert.Contains("it was interrupted", PageRow("run-001"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_ends_at_the_first_red_run()
    {
        Assert.Equal(Verdict.Fail, await SoakOf(3, run: RedAtTwoAsync).RunAsync(CancellationToken.None));
        Assert.Equal(2, _started.Count);
        var page = new ParsedPage(Path.Combine(_folder, "index.html"));
        Assert.Contains("Run 2 came out FAIL after run 1 passed: phase4.pause.", page.Text, StringComparison.Ordinal);
        Assert.Contains("planned", PageRow("run-003"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Told_to_keep_going_it_goes_on_and_comes_out_red()
    {
        Assert.Equal(Verdict.Fail, await SoakOf(3, keepGoing: true, run: RedAtTwoAsync).RunAsync(CancellationToken.None));
        Assert.Equal(3, _started.Count);
        Assert.Contains("Run 3 passed again after run 2 was red.", new ParsedPage(Path.Combine(_folder, "index.html")).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("missing", "its folder is missing")]
    [InlineData("empty", "its folder is empty")]
    [InlineData("no plan", "holds no campaign")]
    [InlineData("changed", "does not verify: logs/a.log was changed")]
    public async Task A_run_without_evidence_is_red_whatever_it_said_of_itself(string damage, string reason)
    {
        Assert.Equal(Verdict.HarnessError, await SoakOf(1, run: async (folder, ordinal) =>
        {
            switch (damage)
            {
                case "missing":
                    break;
                case "empty":
                    Directory.CreateDirectory(folder);
                    break;
                case "no plan":
                    await GreenAsync(folder, ordinal);
                    File.Delete(Path.Combine(folder, EvidenceFolder.PlanName));
                    break;
                default:
                    await GreenAsync(folder, ordinal);
                    await File.AppendAllTextAsync(Path.Combine(folder, "logs", "a.log"), "more\n");
                    break;
            }

            return Verdict.Pass;
        }).RunAsync(CancellationToken.None));
        Assert.Contains(reason, PageRow("run-001"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Evidence_that_goes_away_later_turns_the_page_red()
    {
        Assert.Equal(Verdict.Pass, await SoakOf(2).RunAsync(CancellationToken.None));
        Directory.Delete(Path.Combine(_folder, "run-001"), recursive: true);
        Assert.Equal([Path.Combine(_folder, "index.html")], Report.Write(_folder));
        Assert.Contains("its folder is missing", PageRow("run-001"), StringComparison.Ordinal);
        Assert.Equal(Verdict.HarnessError, await SoakOf(2).RunAsync(CancellationToken.None));
    }

    [Fact]
    public async Task What_a_run_throws_is_its_reason()
    {
        Assert.Equal(Verdict.HarnessError, await SoakOf(2, run: static (_, _) => throw new GateException("port 9077 is taken")).RunAsync(CancellationToken.None));
        Assert.Contains("port 9077 is taken", PageRow("run-001"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_duration_far_from_the_median_is_called_out()
    {
        int[] minutes = [10, 12, 11, 15, 8];
        Assert.Equal(Verdict.Pass, await SoakOf(minutes.Length, run: (folder, ordinal) => WriteAsync(folder, ordinal, new() { Lasts = TimeSpan.FromMinutes(minutes[ordinal - 1]) })).RunAsync(CancellationToken.None));
        var text = new ParsedPage(Path.Combine(_folder, "index.html")).Text;
        Assert.Contains("Run 4 took 15 min 0 s, +36 %", text, StringComparison.Ordinal);
        Assert.Contains("Run 5 took 8 min 0 s, -27 %", text, StringComparison.Ordinal);
        Assert.Equal(2, text.Split("against the median of").Length - 1);
    }

    [Fact]
    public async Task The_page_of_a_run_keeps_that_of_its_soak()
    {
        await SoakOf(1).RunAsync(CancellationToken.None);
        Assert.Equal(2, Report.Write(Path.Combine(_folder, "run-001")).Count);
        Assert.StartsWith("Soak", new ParsedPage(Path.Combine(_folder, "index.html")).Heading("Soak"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_of_something_else_is_refused()
    {
        await Assert.ThrowsAsync<GateException>(() => SoakOf(0).RunAsync(CancellationToken.None));
        await File.WriteAllTextAsync(Path.Combine(_folder, "notes.txt"), "mine");
        await Assert.ThrowsAsync<GateException>(() => SoakOf(1).RunAsync(CancellationToken.None));
        File.Delete(Path.Combine(_folder, "notes.txt"));
        await SoakOf(2).RunAsync(CancellationToken.None);
        await Assert.ThrowsAsync<GateException>(() => SoakOf(3).RunAsync(CancellationToken.None));
        var state = Path.Combine(_folder, SoakState.Name);
        await File.WriteAllTextAsync(state, (await File.ReadAllTextAsync(state)).Replace("run-002", "../run-002", StringComparison.Ordinal));
        await Assert.ThrowsAsync<GateException>(() => SoakOf(2).RunAsync(CancellationToken.None));
        await File.WriteAllTextAsync(state, "{}");
        await Assert.ThrowsAsync<GateException>(() => SoakOf(2).RunAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Two_soaks_do_not_share_a_folder() => await SoakOf(1, run: async (folder, ordinal) =>
    {
        await Assert.ThrowsAsync<GateException>(() => SoakOf(1).RunAsync(CancellationToken.None));
        return await GreenAsync(folder, ordinal);
    }).RunAsync(CancellationToken.None);

    private Soak SoakOf(int runs, bool keepGoing = false, Func<string, int, Task<Verdict>>? run = null) => new(
        _folder,
        Every,
        runs,
        keepGoing,
        (folder, _) =>
        {
            _started.Add((Path.GetFileName(folder), _time.Now - _start));
            return (run ?? GreenAsync)(folder, int.Parse(folder[^3..], System.Globalization.CultureInfo.InvariantCulture));
        },
        _time);

    private Task<Verdict> GreenAsync(string folder, int ordinal) => WriteAsync(folder, ordinal, new());

    private Task<Verdict> RedAtTwoAsync(string folder, int ordinal) => WriteAsync(folder, ordinal, ordinal == 2 ? new SampleRun().Losing("pause", "c") : new());

    private async Task<Verdict> WriteAsync(string folder, int ordinal, SampleRun run)
    {
        // A soak repeats a short campaign: phases 1 and 4 are enough to see it by.
        var evidence = await (run with { Id = $"soak-{ordinal}", StartedAt = _time.Now, Scope = run.Scope with { Phases = [1, 4] } }).WriteAsync(folder);
        return Conclusion.Of(evidence).Verdict;
    }

    private string PageRow(string folder) => string.Join(" | ", Assert.Single(new ParsedPage(Path.Combine(_folder, "index.html")).Rows(folder)));
}
