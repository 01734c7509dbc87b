using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Pages;

/// <summary>The table of all runs in a folder: a row for each folder in it, whatever it holds.</summary>
internal static class RunsTable
{
    private const int ShownCommit = 10;

    /// <param name="runs">Also those that are empty or damaged: they are red rows.</param>
    public static string Write(string title, IReadOnlyList<RunFolder> runs)
    {
        var certified = runs.Count(static run => run.Certifies);
        var red = runs.Count(static run => run.Verdict != Verdict.Pass);
        return Layout.Document($"Runs of the release gate: {title}", Html.Of($"{title}"), Html.Of($"""
            <h1>Runs of the release gate</h1>
            <p class="lead">{Layout.Plural(runs.Count, "run")}: {runs.Count - red} green, {red} red. {(certified == 0 ? "None certifies a release." : $"{Layout.Plural(certified, "run")} can certify a release.")}</p>
            {Layout.Table(
                "Runs", ["Run", "Outcome", "Phase 1", "Phase 2", "Phase 3", "Phase 4", "Canaries", "Acked\t", "Lost\t", "Completed (UTC)", "Duration", "Commit", "Nodes", "Mode"], Html.Each(InOrder(runs), Row))}
            """), isWide: true);
    }

    /// <summary>Those that nothing is known of come first, then the newest.</summary>
    private static IEnumerable<RunFolder> InOrder(IEnumerable<RunFolder> runs) =>
        runs.OrderByDescending(static run => run.Plan?.StartedAt ?? DateTimeOffset.MaxValue).ThenBy(static run => run.Name, StringComparer.Ordinal);

    private static Html Row(RunFolder run)
    {
        var link = File.Exists(Path.Combine(run.Path, EvidenceFolder.PageName)) ? $"{Layout.Href(run.Name)}/{EvidenceFolder.PageName}" : $"{Layout.Href(run.Name)}/";
        var heading = Html.Of($"""<th scope="row" class="once"><a href="{link}">{run.Name}</a></th>""");
        if (run is not { Plan: { } plan, Summary: { } summary })
        {
            return Html.Of($"""
                <tr class="red">{heading}<td>{Layout.Badge(run.Verdict)}</td><td colspan="12"><strong>{string.Join("; ", run.Problems)}</strong></td></tr>

                """);
        }

        var canaries = summary.Canaries.Where(static canary => canary.Verdict != Verdict.NotRun).ToList();
        return Html.Of($"""
            <tr{Layout.Redden(run.Verdict != Verdict.Pass)}>{heading}<td class="what">{Layout.Badge(run.Verdict)}{(run.Certifies ? Html.Of($"<br/>certifies") : Html.Empty)}{(run.Problems.Count == 0 ? Html.Empty : Html.Of($"<br/><strong>evidence does not verify: {Layout.Cut(run.Problems[0])}</strong>"))}</td>{Html.Each(Declaration.AllPhases, phase => Html.Of($"<td>{Layout.Mark(run.Status(phase))}</td>"))}<td class="once">{(summary.Canaries.Count == 0 ? "none" : $"{canaries.Count(static canary => canary.Verdict == Verdict.Pass)} of {summary.Canaries.Count} seen")}</td><td class="number">{summary.Acked:N0}</td><td class="number">{RunPage.LostOf(run)}</td><td class="once">{Layout.Minute(summary.CompletedAt)}</td><td class="once">{Layout.Duration(run.Duration)}</td><td class="once"><code>{(plan.Build.Commit is { } commit ? $"{commit[..Math.Min(ShownCommit, commit.Length)]}{(plan.Build.Dirty is false ? "" : " with changes")}" : "unknown")}</code></td><td class="once">{Narrative.NodesOf(plan.Scope)}</td><td>{plan.Scope.Mode}</td></tr>

            """);
    }
}
