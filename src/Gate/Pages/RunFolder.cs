using System.Text.Json;
using System.Text.Json.Serialization;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Pages;

/// <summary>How a phase of a run is shown.</summary>
internal enum PhaseStatus
{
    Passed,
    Failed,
    HarnessError,

    /// <summary>It was declared, and the campaign ended before it.</summary>
    NotReached,

    /// <summary>It is no part of this campaign.</summary>
    NotRun,
}

/// <summary>A run as its folder gives it: what follows from the evidence, and where what is stated does not. All that a page shows comes from here.</summary>
/// <param name="Plan">Null: there is none that can be read, and then nothing follows.</param>
internal sealed record RunFolder(string Path, IReadOnlyList<string> Problems, CampaignPlan? Plan, Conclusion? Conclusion)
{
    private static readonly JsonSerializerOptions Lenient = new(GateJson.Documents) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip };

    public string Name { get; } = System.IO.Path.GetFileName(System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(Path)));

    public RunSummary? Summary { get; } = Conclusion?.Documents[EvidenceFolder.SummaryName].Deserialize<RunSummary>(Lenient);

    /// <summary>Of phase 4, in the order of the plan; only those whose ledger is there.</summary>
    public IReadOnlyList<FaultFigures> Faults { get; } =
        Conclusion?.Documents.GetValueOrDefault($"{Declaration.PhaseName(4)}.json")?["faults"].Deserialize<List<FaultFigures>>(Lenient) ?? [];

    public string CampaignId => Plan?.CampaignId ?? Name;

    /// <summary>Evidence that does not hold together says nothing.</summary>
    public Verdict Verdict => Problems.Count > 0 || Conclusion is null ? Verdict.HarnessError : Conclusion.Verdict;

    public bool Certifies => Problems.Count == 0 && Summary is { Certifies: true };

    public IReadOnlyList<string> NotCertifiedBecause => Problems.Count > 0 ? ["its evidence does not verify", .. Summary?.NotCertifiedBecause ?? []] : Summary?.NotCertifiedBecause ?? [];

    public TimeSpan? Duration => Summary?.CompletedAt - Plan?.StartedAt;

    public IEnumerable<Assertion> Assertions => Conclusion?.Phases.SelectMany(static phase => phase.Assertions) ?? [];

    /// <summary>Looks at a folder; whatever is wrong with it is told by <see cref="Problems"/>.</summary>
    public static RunFolder Read(string path)
    {
        try
        {
            var (verification, plan, conclusion) = Verifier.Examine(path);
            return new(path, [.. verification.Problems.Select(Local)], plan, conclusion);
        }
        catch (GateException exception)
        {
            return new(path, [Local(exception.Message)], null, null);
        }
        catch (Exception exception)
        {
            // Whatever a damaged folder can bring about, a table of runs shows it as a red row.
            return new(path, [Local($"it cannot be examined: {exception.Message}")], null, null);
        }

        // A page is read elsewhere: where the folder lies here is nobody's concern.
        string Local(string problem) => problem.Replace(System.IO.Path.TrimEndingDirectorySeparator(path) + System.IO.Path.DirectorySeparatorChar, "", StringComparison.Ordinal)
            .Replace($"{path} holds", "it holds", StringComparison.Ordinal);
    }

    public PhaseResult? Phase(int number) => Conclusion?.Phases.FirstOrDefault(phase => phase.Plan.Phase == number);

    public PhaseStatus Status(int number) => Phase(number)?.Verdict switch
    {
        null => Plan is null ? PhaseStatus.HarnessError : PhaseStatus.NotRun,
        Verdict.NotRun => PhaseStatus.NotReached,
        Verdict.Fail => PhaseStatus.Failed,
        Verdict.Pass when !HasProblems(number) => PhaseStatus.Passed,
        _ => PhaseStatus.HarnessError,
    };

    /// <summary>One of its files is missing, was changed, or states what does not follow.</summary>
    private bool HasProblems(int number)
    {
        var name = Declaration.PhaseName(number);
        return Problems.Any(problem => ((string[])["", "raw/", "ledgers/"]).Any(folder => problem.StartsWith(folder + name, StringComparison.Ordinal)));
    }
}

/// <summary>What a page needs of <c>campaign-summary.json</c>.</summary>
internal sealed record RunSummary(
    DateTimeOffset? CompletedAt, bool Certifies, IReadOnlyList<string> NotCertifiedBecause, long Acked, long Lost, IReadOnlyList<CanaryOutcome> Canaries);

/// <param name="Expected">The verdict that the assertion had to have.</param>
/// <param name="Verdict">Pass: what is broken was seen.</param>
internal sealed record CanaryOutcome(
    string Name,
    string Broken,
    string Assertion,
    [property: JsonConverter(typeof(JsonStringEnumConverter<Verdict>))] Verdict Expected,
    Assertion? Seen,
    [property: JsonConverter(typeof(JsonStringEnumConverter<Verdict>))] Verdict Verdict,
    string? Reason);

/// <summary>What a page needs of a fault class in <c>phase4.json</c>.</summary>
/// <param name="ConvergeMs">Null: no cycle converged.</param>
internal sealed record FaultFigures(
    string Fault,
    int Cycles,
    long Acked,
    Percentiles? ConvergeMs,
    IReadOnlyList<decimal> ConvergeMsByCycle,
    decimal AckedPerSecond,
    int? RepeatedCycles,
    IReadOnlyDictionary<string, long> Outcomes);
