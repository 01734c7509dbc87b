using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Campaigns;

namespace OrleansMemory.Gate.Evidence;

/// <param name="Problems">Where the evidence does not hold together, a text each.</param>
public sealed record Verification(string CampaignId, Verdicts.Verdict Verdict, bool Certifies, string? Commit, IReadOnlyList<string> Problems);

/// <summary>
/// Recomputes a campaign from its evidence alone: the list of files, the declared assertions, and every document with its counts and verdicts.
/// </summary>
public static class Verifier
{
    /// <exception cref="GateException">There is no campaign in the folder.</exception>
    public static Verification Verify(string folder)
    {
        var evidence = EvidenceFolder.Open(folder);
        var problems = new List<string>();
        try
        {
            problems.AddRange(evidence.Read<EvidenceManifest>(EvidenceFolder.ManifestName).DifferencesFrom(EvidenceManifest.Of(evidence)));
        }
        catch (InvalidDataException exception)
        {
            problems.Add(exception.Message);
        }

        CampaignPlan plan;
        Conclusion conclusion;
        try
        {
            plan = evidence.Read<CampaignPlan>(EvidenceFolder.PlanName);
            conclusion = Conclusion.Of(evidence);
        }
        catch (InvalidDataException exception)
        {
            return new("", Verdicts.Verdict.HarnessError, false, null, [.. problems, exception.Message]);
        }

        problems.AddRange(PlanProblems(plan, ""));
        foreach (var canary in plan.Canaries.Where(canary => canary.NotRun is null && evidence.Canary(canary.Name).Exists(EvidenceFolder.PlanName)))
        {
            Compare(evidence.Canary(canary.Name), $"{EvidenceFolder.CanariesFolder}/{canary.Name}/", problems);
        }

        Compare(evidence, conclusion, "", problems);
        var summary = conclusion.Documents[EvidenceFolder.SummaryName];
        return new(plan.CampaignId, conclusion.Verdict, (bool)summary["certifies"]! && problems.Count == 0, plan.Build.Commit, problems);
    }

    private static void Compare(EvidenceFolder evidence, string prefix, List<string> problems)
    {
        try
        {
            problems.AddRange(PlanProblems(evidence.Read<CampaignPlan>(EvidenceFolder.PlanName), prefix));
            Compare(evidence, Conclusion.Of(evidence), prefix, problems);
        }
        catch (InvalidDataException exception)
        {
            problems.Add($"{prefix}{exception.Message}");
        }
    }

    /// <summary>Whoever declares less finds less.</summary>
    private static IEnumerable<string> PlanProblems(CampaignPlan plan, string prefix)
    {
        IReadOnlyList<PhasePlan> declared;
        try
        {
            declared = Declaration.Of(plan.Scope);
        }
        catch (GateException exception)
        {
            return [$"{prefix}{EvidenceFolder.PlanName}: {exception.Message}"];
        }

        return Differences(JsonSerializer.SerializeToNode(declared, GateJson.Documents), JsonSerializer.SerializeToNode(plan.Phases, GateJson.Documents), "phases")
            .Select(problem => $"{prefix}{EvidenceFolder.PlanName}: {problem}");
    }

    private static void Compare(EvidenceFolder evidence, Conclusion conclusion, string prefix, List<string> problems)
    {
        foreach (var (name, document) in conclusion.Documents)
        {
            try
            {
                // Written and read once more, so that both sides have gone the same way.
                var expected = JsonNode.Parse(document.ToJsonString(GateJson.Documents));
                problems.AddRange(Differences(expected, evidence.Read<JsonNode>(name), "").Select(problem => $"{prefix}{name}: {problem}"));
            }
            catch (InvalidDataException exception)
            {
                problems.Add($"{prefix}{exception.Message}");
            }
        }
    }

    /// <summary>Where two documents differ: the place, what is stated and what follows from the evidence.</summary>
    private static IEnumerable<string> Differences(JsonNode? expected, JsonNode? stated, string place)
    {
        switch (expected, stated)
        {
            case (JsonObject left, JsonObject right):
                return left.Select(static pair => pair.Key).Union(right.Select(static pair => pair.Key))
                    .SelectMany(key => Differences(left[key], right[key], place.Length == 0 ? key : $"{place}.{key}"));
            case (JsonArray left, JsonArray right) when left.Count == right.Count:
                return Enumerable.Range(0, left.Count).SelectMany(index => Differences(left[index], right[index], $"{place}[{index}]"));
            default:
                return JsonNode.DeepEquals(expected, stated) ? [] : [$"{place} is stated as {Shown(stated)}, and the evidence gives {Shown(expected)}"];
        }

        static string Shown(JsonNode? node) => node?.ToJsonString(GateJson.Lines) is { } text ? text.Length > 80 ? $"{text[..80]}..." : text : "nothing";
    }
}
