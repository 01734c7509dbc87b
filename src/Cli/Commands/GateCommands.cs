using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using OrleansMemory.Cli.Options;
using OrleansMemory.Gate;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Pages;
using OrleansMemory.Gate.Soaks;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Cli.Commands;

/// <summary>The release gate: it proves this build on real processes, from outside, and leaves evidence.</summary>
internal static class GateCommands
{
    private const string DefaultFolder = "gate-runs";
    private const int MostCycles = 10_000;

    /// <summary>Digits that name one commit, as git shortens them.</summary>
    private const int LeastCommit = 7;

    /// <summary>Two weeks of one each four hours.</summary>
    private const int DefaultRuns = 84;

    private static readonly JsonSerializerOptions SnakeCase = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static CliCommand Create() => CliCommand.Group("gate", "Prove this build on real processes and leave evidence that can be checked", [Run(), Verify(), ReportOf(), List(), SoakOf()]);

    private static CliCommand Run()
    {
        var output = OptionKinds.Text($"Folder of the evidence, empty or not there yet [default: a new one in {DefaultFolder}]", "--out");
        var choice = new CampaignChoice();
        var command = new Command("run", "Run a campaign; ends with 0 when every assertion holds") { output };
        choice.AddTo(command);
        return new(command, session => UntilStoppedAsync(async stop =>
        {
            var folder = Path.GetFullPath(session.Value(output) ?? Path.Combine(DefaultFolder, string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyyMMdd-HHmmss}")));
            var outcome = await GateRun.RunAsync(choice.Read(command, session, folder), stop);
            foreach (var line in session.Json ? [] : outcome.Lines)
            {
                session.Text.WriteLine(line);
            }

            session.Text.WriteLine(session.Json ? await File.ReadAllTextAsync(outcome.SummaryPath, CancellationToken.None) : $"evidence: {folder}");
            return outcome.Verdict == Verdict.Pass ? 0 : 1;
        }));
    }

    private static CliCommand SoakOf()
    {
        var every = OptionKinds.Text("From one run to the next: 30m, 4h or 1d [default: 4h]", "--every");
        var runs = OptionKinds.Number("How many runs [default: 84]", 1, MostCycles, "--runs");
        var output = OptionKinds.Text($"Folder of the runs, and of the page of them all [default: {DefaultFolder}/soak]; started again over the same folder the soak goes on", "--out");
        var keepGoing = OptionKinds.Flag("Go on after a red run", "--keep-going");
        var choice = new CampaignChoice();
        var command = new Command("soak", "Run campaigns at planned times; a run that is missing, empty or does not verify is red") { every, runs, output, keepGoing };
        choice.AddTo(command);
        return new(command, session => UntilStoppedAsync(async stop =>
        {
            var folder = Path.GetFullPath(session.Value(output) ?? Path.Combine(DefaultFolder, "soak"));
            var soak = new Soak(
                folder,
                Interval(command, session.Value(every) ?? "4h"),
                session.Value(runs) ?? DefaultRuns,
                session.Value(keepGoing),
                async (run, cancellation) => (await GateRun.RunAsync(choice.Read(command, session, run), cancellation)).Verdict,
                TimeProvider.System);
            var verdict = await soak.RunAsync(stop);
            session.Text.WriteLine($"verdict={verdict}; see {Path.Combine(folder, "index.html")}");
            return verdict == Verdict.Pass ? 0 : 1;
        }));
    }

    private static CliCommand ReportOf()
    {
        var folder = new Argument<string>("DIR") { Description = "Evidence of a campaign" };
        var command = new Command("report", "Write the page of a campaign, and the table of those beside it") { folder };
        return new(command, session =>
        {
            foreach (var page in Report.Write(Path.GetFullPath(session.Required(folder))))
            {
                session.Text.WriteLine(page);
            }

            return Task.FromResult(0);
        });
    }

    private static TimeSpan Interval(Command command, string text)
    {
        var unit = text.Length == 0 ? '?' : text[^1];
        return int.TryParse(text.AsSpan(0, Math.Max(0, text.Length - 1)), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 && unit is 'm' or 'h' or 'd'
            ? unit switch { 'm' => TimeSpan.FromMinutes(number), 'h' => TimeSpan.FromHours(number), _ => TimeSpan.FromDays(number) }
            : throw new UsageException(command, $"invalid value '{text}' for '--every': use 30m, 4h or 1d");
    }

    /// <summary>Until it ends, or a signal asks it to: then it puts away what it started.</summary>
    private static async Task<int> UntilStoppedAsync(Func<CancellationToken, Task<int>> run)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        try
        {
            return await run(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 1;
        }

        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }

    private static CliCommand Verify()
    {
        var folder = new Argument<string>("DIR") { Description = "Evidence of a campaign" };
        var release = OptionKinds.Flag("And that it certifies a release: a full campaign, green, canaries included, on a committed build", "--release");
        var commit = OptionKinds.Text("And that it tested the build of this commit", "--commit");
        var command = new Command("verify", "Recompute a campaign from its evidence; ends with 0 when all of it holds together and is green") { folder, release, commit };
        return new(command, session =>
        {
            if (session.Value(commit) is { Length: < LeastCommit })
            {
                throw new UsageException(command, $"'--commit' takes at least {LeastCommit} digits of a commit's name");
            }

            var verified = Verifier.Verify(Path.GetFullPath(session.Required(folder)));
            var problems = verified.Problems.ToList();
            if (session.Value(release) && !verified.Certifies)
            {
                problems.Add("it certifies no release: that takes a full campaign, green with all canaries, on a committed build");
            }

            if (session.Value(commit) is { } wanted && (verified.Commit is null || !verified.Commit.StartsWith(wanted, StringComparison.OrdinalIgnoreCase)))
            {
                problems.Add($"it tested commit {verified.Commit ?? "unknown"}, not {wanted}");
            }

            if (session.Json)
            {
                session.Text.WriteLine(JsonSerializer.Serialize(new { verified.CampaignId, verdict = verified.Verdict.ToString(), verified.Certifies, verified.Commit, problems }, SnakeCase));
            }
            else
            {
                problems.ForEach(problem => session.Text.WriteLine($"problem: {problem}"));
                session.Text.WriteLine(problems.Count == 0 ? $"{verified.CampaignId}: the evidence holds together; verdict {verified.Verdict}" : $"{verified.CampaignId}: {problems.Count} problems");
            }

            return Task.FromResult(problems.Count == 0 && verified.Verdict == Verdict.Pass ? 0 : 1);
        });
    }

    private static CliCommand List()
    {
        var folder = new Argument<string?>("DIR") { Description = $"Folder of runs [default: {DefaultFolder}]", Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("list", "List campaigns, newest first, each verified") { folder };
        return new(command, session =>
        {
            var runs = Path.GetFullPath(session.Value(folder) ?? DefaultFolder);
            if (!Directory.Exists(runs))
            {
                throw new GateException($"there is no folder {runs}");
            }

            foreach (var run in Directory.GetDirectories(runs).OrderDescending(StringComparer.Ordinal))
            {
                // An empty folder is a run that left nothing, not no run.
                string told;
                try
                {
                    var verified = Verifier.Verify(run);
                    told = verified.Problems.Count == 0 ? $"{verified.Verdict}  {verified.CampaignId}  {verified.Commit}" : $"{Verdict.HarnessError}  {verified.Problems[0]}";
                }
                catch (GateException exception)
                {
                    told = $"{Verdict.HarnessError}  {exception.Message}";
                }

                session.Text.WriteLine($"{Path.GetFileName(run)}  {told}");
            }

            return Task.FromResult(0);
        });
    }
}
