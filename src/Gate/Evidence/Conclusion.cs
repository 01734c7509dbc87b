using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Canaries;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Evidence;

/// <summary>What follows from the evidence of a campaign: its documents, by name.</summary>
/// <param name="Phases">By number.</param>
internal sealed record Conclusion(Verdict Verdict, IReadOnlyList<PhaseResult> Phases, IReadOnlyDictionary<string, JsonObject> Documents)
{
    /// <exception cref="InvalidDataException">The plan cannot be read.</exception>
    public static Conclusion Of(EvidenceFolder evidence)
    {
        var plan = evidence.Read<CampaignPlan>(EvidenceFolder.PlanName);
        var phases = plan.Phases.Select(phase => Evaluator.Evaluate(plan, phase, evidence)).ToList();
        var own = Evaluator.Worst(phases.Select(static phase => phase.Verdict));
        var canaries = plan.Canaries.Select(canary => Judge(canary, evidence)).ToList();

        // A canary that cannot run here says nothing against the product, and nothing for a release.
        var verdict = Evaluator.Worst([own, .. plan.Canaries.Zip(canaries).Where(static pair => pair.First.NotRun is null).Select(static pair => pair.Second.Verdict)]);
        var documents = phases.SelectMany(static phase => phase.Documents).ToDictionary();
        var obstacles = Obstacles(plan, verdict, canaries.Select(static canary => canary.Verdict), evidence).ToList();
        documents[EvidenceFolder.SummaryName] = new()
        {
            ["campaign_id"] = plan.CampaignId,
            ["mode"] = plan.Scope.Mode,
            ["nodes"] = plan.Scope.Nodes,
            ["ai_memory_git_ref"] = plan.Build.Commit,
            ["version"] = plan.Build.Version,
            ["started_at"] = JsonValue.Create(plan.StartedAt),
            ["completed_at"] = phases.Select(static phase => phase.Documents[$"{Declaration.PhaseName(phase.Plan.Phase)}.json"]["ended_at"]).LastOrDefault(static end => end is not null)?.DeepClone(),
            ["overall_pass"] = verdict == Verdict.Pass,
            ["verdict"] = verdict.ToString(),

            ["certifies"] = obstacles.Count == 0,
            ["not_certified_because"] = new JsonArray([.. obstacles.Select(static obstacle => JsonValue.Create(obstacle))]),
            ["acked"] = phases.SelectMany(static phase => phase.Assertions).Where(static assertion => assertion.Id.EndsWith(".acked", StringComparison.Ordinal)).Sum(static assertion => assertion.Actual?.Number ?? 0),
            ["lost"] = phases.SelectMany(static phase => phase.Assertions).Where(static assertion => assertion.Id.EndsWith(".lost", StringComparison.Ordinal)).Sum(static assertion => assertion.Actual?.Number ?? 0),
            ["canaries"] = new JsonArray([.. canaries.Select(static canary => canary.Document)]),
            ["phases"] = new JsonArray([.. documents.OrderBy(static pair => pair.Key, StringComparer.Ordinal).Select(static pair => pair.Value.DeepClone())]),
        };
        return new(verdict, phases, documents);
    }

    public void Write(EvidenceFolder evidence)
    {
        foreach (var (name, document) in Documents)
        {
            evidence.Write(name, document);
        }
    }

    /// <summary>Why no release can be cut by it, a text each. None: it is whole and green, on a build that a commit names.</summary>
    private static IEnumerable<string> Obstacles(CampaignPlan plan, Verdict verdict, IEnumerable<Verdict> canaries, EvidenceFolder evidence)
    {
        if (verdict != Verdict.Pass)
        {
            yield return $"its verdict is {verdict}";
        }

        foreach (var shortfall in plan.Scope.Shortfalls())
        {
            yield return shortfall;
        }

        foreach (var (canary, _) in plan.Canaries.Zip(canaries).Where(static pair => pair.Second == Verdict.NotRun))
        {
            yield return $"canary {canary.Name} did not run";
        }

        foreach (var canary in Canary.All.Where(canary => plan.Scope.Canaries.Contains(canary.Plan.Name) && !IsAsDeclared(canary, plan, evidence)))
        {
            yield return $"canary {canary.Plan.Name} is not what this gate declares";
        }

        if (plan.Build is not { Commit: not null, Dirty: false })
        {
            yield return plan.Build.Commit is null ? "no commit names what was tested" : "the source tree had changes that its commit does not hold";
        }
    }

    private static bool IsAsDeclared(Canary canary, CampaignPlan plan, EvidenceFolder evidence)
    {
        var own = evidence.Canary(canary.Plan.Name);
        try
        {
            return plan.Canaries.Any(stated => stated with { NotRun = null } == canary.Plan)
                && (!own.Exists(EvidenceFolder.PlanName) || Text(own.Read<CampaignPlan>(EvidenceFolder.PlanName).Scope) == Text(canary.Scope));
        }
        catch (InvalidDataException)
        {
            // Its own verdict tells why.
            return false;
        }

        static string Text(CampaignScope scope) => JsonSerializer.Serialize(scope, GateJson.Lines);
    }

    /// <summary>A canary must come out at its own assertion in its own way; one that does not shows that the gate does not see.</summary>
    private static (Verdict Verdict, JsonObject Document) Judge(CanaryPlan canary, EvidenceFolder evidence)
    {
        var (verdict, reason, assertion) = Look();
        return (verdict, new()
        {
            ["name"] = canary.Name,
            ["broken"] = canary.Broken,
            ["assertion"] = canary.Assertion,
            ["expected"] = canary.Verdict.ToString(),
            ["seen"] = assertion is null ? null : JsonSerializer.SerializeToNode(assertion, GateJson.Documents),
            ["verdict"] = verdict.ToString(),
            ["reason"] = reason,
        });

        (Verdict Verdict, string? Reason, Assertion? Seen) Look()
        {
            if (canary.NotRun is { } why)
            {
                return (Verdict.NotRun, why, null);
            }

            var folder = evidence.Canary(canary.Name);
            if (!folder.Exists(EvidenceFolder.PlanName))
            {
                return (Verdict.NotRun, "the campaign ended before it", null);
            }

            try
            {
                var conclusion = Of(folder);
                var seen = conclusion.Phases.SelectMany(static phase => phase.Assertions).FirstOrDefault(each => each.Id == canary.Assertion);
                return seen is null ? (Verdict.HarnessError, $"it declares no {canary.Assertion}", null)
                    : seen.Verdict != canary.Verdict
                        ? (Verdict.HarnessError, $"{canary.Assertion} came out {seen.Verdict}, {canary.Verdict} is wanted: the gate does not see what is broken, or breaks what it looks at", seen)
                    : canary.Actual is { } actual && seen.Actual != actual ? (Verdict.HarnessError, $"{canary.Assertion} observed {seen.Actual}, {actual} is wanted: it came out {seen.Verdict} for another reason", seen)
                    : (Verdict.Pass, null, seen);
            }
            catch (InvalidDataException exception)
            {
                return (Verdict.HarnessError, exception.Message, null);
            }
        }
    }
}
