using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Pages;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Soaks;

/// <summary>A planned run as it stands: by its evidence, and not by what the soak noted of it alone.</summary>
/// <param name="Verdict">Null: it is still to come, or on its way.</param>
/// <param name="Reason">Why it is red, or what is awaited.</param>
/// <param name="Evidence">Null: there is none.</param>
internal sealed record SoakRow(SoakRun Planned, Verdict? Verdict, string? Reason, RunFolder? Evidence)
{
    public bool IsRed => Verdict is not (null or Verdicts.Verdict.Pass);

    public TimeSpan? Duration => Evidence?.Duration;

    public long? Acked => Evidence?.Summary?.Acked;

    /// <summary>Of the cycles of all fault classes, in milliseconds.</summary>
    public decimal? ConvergeP99 => Percentiles.Of(Evidence?.Faults.SelectMany(static fault => fault.ConvergeMsByCycle) ?? [])?.P99;

    /// <summary>Acknowledged writes for each second of traffic, over all fault classes.</summary>
    public decimal? AckedPerSecond
    {
        get
        {
            var timed = Evidence?.Faults.Where(static fault => fault.AckedPerSecond > 0).ToList() ?? [];
            var seconds = timed.Sum(static fault => fault.Acked / fault.AckedPerSecond);
            return seconds == 0 ? null : timed.Sum(static fault => fault.Acked) / seconds;
        }
    }

    /// <summary>Looks at each planned run.</summary>
    public static IReadOnlyList<SoakRow> Of(string folder, SoakState state, DateTimeOffset now) =>
        [.. state.Runs.AsParallel().AsOrdered().Select(run => Of(Path.Combine(folder, run.Folder), state, run, now))];

    private static SoakRow Of(string path, SoakState state, SoakRun run, DateTimeOffset now)
    {
        if (run.Outcome is not { } outcome)
        {
            return (run.StartedAt, state.IsOver(run, now)) switch
            {
                (null, true) => new(run, Verdicts.Verdict.HarnessError, "its time passed without a run", null),
                (null, false) => new(run, null, now < run.PlannedAt ? "planned" : "due", null),
                (_, true) => new(run, Verdicts.Verdict.HarnessError, "it was started and did not end in its time", null),
                (_, false) => new(run, null, "on its way", null),
            };
        }

        if (!Directory.Exists(path) || !Directory.EnumerateFileSystemEntries(path).Any())
        {
            return new(run, Verdicts.Verdict.HarnessError, run.Error ?? (Directory.Exists(path) ? "its folder is empty" : "its folder is missing"), null);
        }

        var evidence = RunFolder.Read(path);
        var verdict = Evaluator.Worst([outcome, evidence.Verdict]);
        return new(run, verdict, verdict == Verdicts.Verdict.Pass ? null : run.Error ?? ReasonOf(outcome, evidence), evidence);
    }

    private static string ReasonOf(Verdict outcome, RunFolder evidence) => evidence switch
    {
        { Problems: [var first, ..] } => $"its evidence does not verify: {first}",
        { Verdict: Verdicts.Verdict.Pass } => $"it came out {outcome}, and its evidence is green",
        _ when evidence.Assertions.Where(static assertion => assertion.Verdict != Verdicts.Verdict.Pass).ToList() is [var worst, ..] red =>
            red.MaxBy(static assertion => assertion.Verdict) is { } named ? $"{named.Id}: {named.Reason}{(red.Count > 1 ? $", and {red.Count - 1} more" : "")}" : worst.Id,
        _ => "a canary was not seen",
    };
}
