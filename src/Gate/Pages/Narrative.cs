using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Pages;

/// <summary>What a run set out to test and what it showed, in sentences for one kind of reader. Every word follows from the run's evidence.</summary>
internal sealed record Narrative(string Reader, string SetOut, string Showed)
{
    /// <summary>So many red assertions are named in a sentence.</summary>
    private const int NamedAssertions = 4;

    public static IReadOnlyList<Narrative> Of(RunFolder run)
    {
        if (run is not { Plan: { } plan, Summary: { } summary })
        {
            return [];
        }

        return
        [
            new("For people who use it", ForUsersSetOut(plan), ForUsersShowed(run, plan, summary)),
            new("For people who decide", ForDecidersSetOut(plan), ForDecidersShowed(run, plan, summary)),
            new("For engineers", ForEngineersSetOut(plan), ForEngineersShowed(run)),
        ];
    }

    public static string NodesOf(CampaignScope scope) => scope.Nodes switch
    {
        "peers" => $"{Layout.Plural(scope.Names.Count, "named peer")}",
        "silo" => $"{Layout.Plural(scope.Names.Count, "Orleans silo")}",
        _ => $"{Layout.Plural(scope.Names.Count, "node")} that {(scope.Names.Count == 1 ? "runs" : "run")} elsewhere",
    };

    private static string ForUsersSetOut(CampaignPlan plan) =>
        $"Whether everything that the service says it has stored is still there, and the same on all {Layout.Plural(plan.Scope.Names.Count, "node")}"
        + (plan.Scope.Phases.Contains(4) ? ", also when a node crashes, stalls or is cut off in the middle of the work." : ".");

    private static string ForUsersShowed(RunFolder run, CampaignPlan plan, RunSummary summary)
    {
        var kept = run.Assertions.Where(static assertion => assertion.Id.EndsWith(".lost", StringComparison.Ordinal)).ToList();
        var unknown = kept.Count(static assertion => assertion.Verdict is Verdict.NotRun or Verdict.HarnessError);
        var told = kept.Count == 0 ? "It wrote nothing whose fate was followed, so it says nothing about lost memories."
            : summary.Lost > 0 ? $"Memories were lost: of {Layout.Plural(summary.Acked, "acknowledged write")}, {(summary.Lost == 1 ? "one was" : $"{summary.Lost:N0} were")} missing on a node in the end."
            : unknown == kept.Count ? "It is not known whether anything was lost: the run did not get as far as a result."
            : unknown > 0 ? $"None of {Layout.Plural(summary.Acked, "acknowledged write")} was found lost, but {unknown} of {kept.Count} parts of the run gave no result."
            : $"Of {Layout.Plural(summary.Acked, "acknowledged write")} none was lost on any node.";
        var advice = run.Problems.Count > 0 ? "The evidence of this run does not hold together, so do not rely on it. What is there says this:"
            : run.Verdict != Verdict.Pass ? $"Do not rely on this build: {RedPhases(run, plan)}."
            : plan.Scope.Mode == CampaignModes.Full ? "This build kept every promise that was tested."
            : "This build kept every promise that was tested here; a release needs the full campaign.";
        return run.Problems.Count > 0 ? $"{advice} {told}" : $"{told} {advice}";
    }

    private static string ForDecidersSetOut(CampaignPlan plan)
    {
        var scope = plan.Scope;
        var extent = scope.Mode switch
        {
            CampaignModes.Full => "the full campaign, which can certify a release",
            CampaignModes.Quick => "the quick campaign, which guards a change and cannot certify a release",
            CampaignModes.Canary => "a run against something that is broken on purpose",
            _ => "a part of the campaign, which cannot certify a release",
        };
        return $"Whether version {plan.Build.Version} may be released: {extent}. It declared {Layout.Plural(plan.Phases.Sum(static phase => phase.Assertions.Count), "assertion")} before it began.";
    }

    private static string ForDecidersShowed(RunFolder run, CampaignPlan plan, RunSummary summary)
    {
        var verdicts = run.Assertions.CountBy(static assertion => assertion.Verdict).ToDictionary();
        var all = verdicts.Values.Sum();
        var parts = new[]
        {
            (Verdict.Fail, "failed"), (Verdict.HarnessError, "could not be judged"), (Verdict.NotRun, "were not reached"),
        }.Where(part => verdicts.ContainsKey(part.Item1)).Select(part => $"{verdicts[part.Item1]:N0} {part.Item2}").ToList();
        var passed = verdicts.GetValueOrDefault(Verdict.Pass);
        var result = parts.Count == 0 ? $"All {all:N0} passed." : $"{passed:N0} of {all:N0} passed, {Layout.Listed(parts)}.";
        var ran = summary.Canaries.Where(static canary => canary.Verdict != Verdict.NotRun).ToList();
        var missed = ran.Where(static canary => canary.Verdict != Verdict.Pass).Select(static canary => canary.Name).ToList();
        var canaries = ran.Count == 0 ? "No canary ran, so nothing shows here that the gate would have seen a fault."
            : missed.Count > 0 ? $"The gate did not see what is broken, or saw what is not, in {Layout.Listed(missed)}, so a green result of it is worth nothing."
            : $"{(ran.Count == 1 ? "The one canary" : $"Each of the {ran.Count} canaries")} that ran came out as it had to.";
        var release = run.Certifies ? "A release can be cut from it." : "No release can be cut from it.";
        return $"{result} {canaries} {release}";
    }

    private static string ForEngineersSetOut(CampaignPlan plan)
    {
        var scope = plan.Scope;
        var chaos = scope.Phases.Contains(4)
            ? $" Chaos: {Layout.Plural(scope.Cycles, "cycle")} of {Layout.Plural(scope.Writes, "concurrent write")} for each of {scope.Faults.Count} fault classes, {Layout.Listed([.. scope.Faults])}."
                + (scope.LeftOut.Count > 0 ? $" Left out: {Layout.Listed([.. scope.LeftOut.Keys])}." : "")
            : "";
        return $"{(scope.Phases.Count == 1 ? "Phase" : "Phases")} {Layout.Listed([.. scope.Phases.Select(static phase => $"{phase}")])} against {NodesOf(scope)} ({string.Join(", ", scope.Names)}){(scope.Members is { } members ? $", whose members are in {members.TrimEnd('.')}" : "")}.{chaos}";
    }

    private static string ForEngineersShowed(RunFolder run)
    {
        var red = run.Assertions.Where(static assertion => assertion.Verdict is Verdict.Fail or Verdict.HarnessError).OrderBy(static assertion => assertion.Verdict).ToList();
        var told = red.Count == 0 ? "No assertion is red."
            : $"Red: {string.Join("; ", red.Take(NamedAssertions).Select(static assertion => $"{assertion.Id} ({assertion.Reason})"))}{(red.Count > NamedAssertions ? $"; and {red.Count - NamedAssertions} more" : "")}.";
        var slowest = run.Faults.Where(static fault => fault.ConvergeMs is not null).MaxBy(static fault => fault.ConvergeMs!.P99);
        var converged = slowest is null ? "No time to converge was measured."
            : $"The slowest fault class to converge is {slowest.Fault}: p50 {Layout.Milliseconds(slowest.ConvergeMs!.P50)}, p99 {Layout.Milliseconds(slowest.ConvergeMs.P99)}, max {Layout.Milliseconds(slowest.ConvergeMs.Max)} over {Layout.Plural(slowest.ConvergeMs.Count, "cycle")}.";
        return $"{told} {converged}";
    }

    /// <summary>Which phases and canaries are red, in words.</summary>
    private static string RedPhases(RunFolder run, CampaignPlan plan)
    {
        var red = plan.Phases.Select(phase => (Phase: phase, Status: run.Status(phase.Phase))).Where(static pair => pair.Status != PhaseStatus.Passed)
            .Select(static pair => $"phase {pair.Phase.Phase} ({pair.Phase.Title}) {pair.Status switch
            {
                PhaseStatus.Failed => "failed",
                PhaseStatus.NotReached => "was not reached",
                _ => "gave no valid result",
            }}").ToList();
        return red.Count > 0 ? Layout.Listed(red) : "its canaries show that the gate does not see every fault";
    }
}
