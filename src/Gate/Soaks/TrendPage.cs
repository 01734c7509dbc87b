using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Pages;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Soaks;

/// <summary>The page of a soak: its runs over time, and what changed.</summary>
internal static class TrendPage
{
    /// <summary>A duration further than this from the median of the runs before is called out.</summary>
    private const decimal Tolerance = 0.25m;

    private const int ShownCommit = 10;

    public static string Write(string folder, SoakState state, IReadOnlyList<SoakRow> rows)
    {
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        var judged = rows.Where(static row => row.Verdict is not null).ToList();
        var red = judged.Count(static row => row.IsRed);
        var verdict = judged.Count == 0 ? Verdict.NotRun : Evaluator.Worst(judged.Select(static row => row.Verdict!.Value));
        var changes = Changes(rows).ToList();
        var charted = rows.Where(static row => row.Verdict is not null).ToList();
        new EvidenceFolder(folder).WriteText(EvidenceFolder.PageName, Layout.Document($"{Layout.Word(verdict)}: soak {name}", Html.Of($"{name}"), Html.Of($"""
            <h1>Soak {name} {Layout.Badge(verdict)}</h1>
            <p class="lead">{judged.Count} of {Layout.Plural(rows.Count, "run")}: {judged.Count - red} green, {red} red.</p>
            <p>A run every {Layout.Duration(state.Every)} since {Layout.Instant(state.StartedAt)}. {(rows.FirstOrDefault(static row => row.Verdict is null) is { } next ? Html.Of($"The next is run {next.Planned.Ordinal}, planned for {Layout.Instant(next.Planned.PlannedAt)}.") : Html.Of($"None is to come."))} A run that was missed, or whose evidence is missing, empty or does not verify, is red.</p>
            <h2>Verdicts</h2>
            <ol class="strip" aria-label="Verdict of each run">{Html.Each(rows, Cell)}</ol>
            <h2>What changed</h2>
            {(changes.Count == 0 ? Html.Of($"<p>Nothing is to be called out.</p>") : Html.Of($"""<ul class="cases">{Html.Each(changes, static change => Html.Of($"<li>{change}</li>"))}</ul>"""))}
            <h2>Over time</h2>
            {Chart("Duration", ", in minutes", charted, static row => (decimal?)row.Duration?.TotalMinutes, static value => $"{value:0.#} min")}
            {Chart("Acknowledged writes", "", charted, static row => row.Acked, static value => $"{value:N0}")}
            {Chart("Time to converge", ", p99 of all cycles", charted, static row => row.ConvergeP99, Layout.Milliseconds)}
            {Chart("Throughput", ", acknowledged writes for each second of traffic", charted, static row => row.AckedPerSecond, static value => $"{value:N1} /s")}
            <h2>Runs</h2>
            {Layout.Table("Runs", ["Run", "Verdict", "Planned (UTC)", "Started (UTC)", "Duration\t", "Against median\t", "Acked\t", "Lost\t", "Converge p99\t", "Acked/s\t", "Commit"], Html.Each(rows.Select((row, index) => (Row: row, Index: index)).Reverse(), each => Row(each.Row, MedianBefore(rows, each.Index))))}
            """)));
        return Path.Combine(folder, EvidenceFolder.PageName);
    }

    /// <summary>What whoever watches should look at, a sentence each, oldest first.</summary>
    public static IEnumerable<string> Changes(IReadOnlyList<SoakRow> rows)
    {
        for (var index = 0; index < rows.Count; index++)
        {
            var row = rows[index];
            var before = rows.Take(index).LastOrDefault(static earlier => earlier.Verdict is not null);
            if (row.IsRed && before is not { IsRed: true })
            {
                yield return before is null
                    ? $"Run {row.Planned.Ordinal} came out {Layout.Word(row.Verdict!.Value)}: {row.Reason}."
                    : $"Run {row.Planned.Ordinal} came out {Layout.Word(row.Verdict!.Value)} after run {before.Planned.Ordinal} passed: {row.Reason}.";
            }
            else if (row.Verdict == Verdict.Pass && before is { IsRed: true })
            {
                yield return $"Run {row.Planned.Ordinal} passed again after run {before.Planned.Ordinal} was red.";
            }

            if (Deviation(row, MedianBefore(rows, index)) is { } deviation && Math.Abs(deviation) > Tolerance)
            {
                yield return $"Run {row.Planned.Ordinal} took {Layout.Duration(row.Duration)}, {Signed(deviation)} against the median of the green runs before.";
            }
        }
    }

    /// <summary>Of the durations of green runs: a red one may have ended at once.</summary>
    private static TimeSpan? MedianBefore(IReadOnlyList<SoakRow> rows, int index) =>
        Percentiles.Of(rows.Take(index).Where(static row => row.Verdict == Verdict.Pass && row.Duration is not null).Select(static row => (decimal)row.Duration!.Value.Ticks)) is { } durations
            ? TimeSpan.FromTicks((long)durations.P50)
            : null;

    private static decimal? Deviation(SoakRow row, TimeSpan? median) => row.Duration is { } duration && median is { Ticks: > 0 } usual ? ((decimal)duration.Ticks / usual.Ticks) - 1 : null;

    private static string Signed(decimal share) => $"{share * 100:+0;-0;0} %";

    private static Html Chart(string title, string unit, List<SoakRow> rows, Func<SoakRow, decimal?> figure, Func<decimal, string> show) =>
        Charts.Trend(title, unit, [.. rows.Select(row => ($"run {row.Planned.Ordinal}", figure(row), row.IsRed))], show);

    private static Html Cell(SoakRow row)
    {
        var told = row.Verdict is { } verdict ? Layout.Word(verdict) : row.Reason!;
        var content = Html.Of($"""{row.Planned.Ordinal} <span aria-hidden="true">{(row.Verdict is { } known ? Layout.Sign(known) : "\u2026")}</span>""");
        var look = row.Verdict is { } shown ? Layout.Look(shown) : "none";
        return row.Evidence is null
            ? Html.Of($"""<li><span class="{look}" title="run {row.Planned.Ordinal}: {told}" role="img" aria-label="run {row.Planned.Ordinal}: {told}">{content}</span></li>""")
            : Html.Of($"""<li><a class="{look}" href="{Layout.Href(row.Planned.Folder)}/" title="run {row.Planned.Ordinal}: {told}" aria-label="run {row.Planned.Ordinal}: {told}">{content}</a></li>""");
    }

    private static Html Row(SoakRow row, TimeSpan? median)
    {
        var page = $"{Layout.Href(row.Planned.Folder)}/{EvidenceFolder.PageName}";
        var plan = row.Evidence?.Plan;
        return Html.Of($"""
            <tr{Layout.Redden(row.IsRed)}><th scope="row" class="once">{(row.Evidence is null ? Html.Of($"{row.Planned.Folder}") : Html.Of($"""<a href="{page}">{row.Planned.Folder}</a>"""))}</th><td class="what">{(row.Verdict is { } verdict ? Layout.Badge(verdict) : Layout.Badge(Verdict.NotRun, row.Reason!))}{(row.IsRed ? Html.Of($"<br/><strong>{row.Reason}</strong>") : Html.Empty)}</td><td class="once">{Layout.Minute(row.Planned.PlannedAt)}</td><td class="once">{Layout.Minute(row.Planned.StartedAt)}</td><td class="number">{Layout.Duration(row.Duration)}</td><td class="number">{(Deviation(row, median) is { } deviation ? Signed(deviation) : "\u2013")}</td><td class="number">{(row.Acked is { } acked ? $"{acked:N0}" : "\u2013")}</td><td class="number">{(row.Evidence is { } run ? RunPage.LostOf(run) : "\u2013")}</td><td class="number">{(row.ConvergeP99 is { } p99 ? Layout.Milliseconds(p99) : "\u2013")}</td><td class="number">{(row.AckedPerSecond is { } rate ? $"{rate:N1}" : "\u2013")}</td><td class="once"><code>{(plan?.Build.Commit is { } commit ? commit[..Math.Min(ShownCommit, commit.Length)] : "\u2013")}</code></td></tr>

            """);
    }
}
