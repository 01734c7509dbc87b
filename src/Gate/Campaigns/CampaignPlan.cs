using System.Text.Json.Serialization;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Campaigns;

/// <summary>What a campaign declares and writes down before anything runs: <c>campaign.json</c>.</summary>
/// <param name="Scope">What is to run.</param>
/// <param name="Phases">Derived from the scope by <see cref="Declaration"/>; whoever verifies derives it again.</param>
public sealed record CampaignPlan(string CampaignId, DateTimeOffset StartedAt, CampaignScope Scope, BuildFacts Build, MachineFacts Machine, IReadOnlyList<PhasePlan> Phases)
{
    /// <summary>Assertions of canaries are not the campaign's own.</summary>
    public IReadOnlyList<CanaryPlan> Canaries { get; init; } = [];
}

/// <summary>What a campaign is to run: all that the declared assertions hang on.</summary>
/// <param name="Mode">One of <see cref="CampaignModes"/>.</param>
/// <param name="Nodes">Which host: <c>peers</c>, <c>silo</c>, or <c>given</c>, nodes that run elsewhere.</param>
/// <param name="Names">The names of the nodes.</param>
/// <param name="Phases">Numbers of the phases.</param>
/// <param name="Faults">Fault classes of phase 4.</param>
/// <param name="LeftOut">Fault classes that cannot be injected here, each with the reason.</param>
/// <param name="Cycles">Cycles of each fault class.</param>
/// <param name="Writes">Writes of a cycle that are sent at once, and that must be acknowledged at least.</param>
public sealed record CampaignScope(
    string Mode,
    string Nodes,
    IReadOnlyList<string> Names,
    IReadOnlyList<int> Phases,
    IReadOnlyList<string> Faults,
    IReadOnlyDictionary<string, string> LeftOut,
    int Cycles,
    int Writes)
{
    /// <summary>Canaries that are to run.</summary>
    public IReadOnlyList<string> Canaries { get; init; } = [];

    /// <summary>Where silos keep who is a member; null: there are none, or nothing is known of it.</summary>
    public string? Members { get; init; }

    /// <summary>What it lacks for a release to be cut by it, a text each: everything at full count lacks nothing.</summary>
    internal IEnumerable<string> Shortfalls()
    {
        if (Mode != CampaignModes.Full)
        {
            yield return $"its mode is {Mode}, not {CampaignModes.Full}";
        }

        foreach (var phase in Declaration.AllPhases.Except(Phases))
        {
            yield return $"phase {phase} is not part of it";
        }

        if (Cycles < Declaration.FullCycles || Writes < Declaration.FullWrites)
        {
            yield return $"{Cycles} cycles of {Writes} writes for each fault class, at least {Declaration.FullCycles} of {Declaration.FullWrites} are wanted";
        }

        if (Faults.Count < Declaration.LeastFullFaults || Faults.Count + LeftOut.Count < Declaration.LeastFaultClasses)
        {
            yield return $"{Faults.Count} fault classes and {LeftOut.Count} left out with a reason, at least {Declaration.LeastFullFaults} and {Declaration.LeastFaultClasses} together are wanted";
        }

        if (Canaries.Count == 0)
        {
            yield return "it has no canaries";
        }

        if (Members is not null and not MembersPlace.Postgres)
        {
            yield return $"its silos kept their members in {Members}";
        }
    }
}

public static class CampaignModes
{
    public const string Full = "full";
    public const string Quick = "quick";

    /// <summary>Chosen by options: a part, or another count.</summary>
    public const string Partial = "partial";

    /// <summary>Against a node that is broken on purpose.</summary>
    public const string Canary = "canary";
}

/// <param name="Title">For a page.</param>
/// <param name="Purpose">What it sets out to test, in a sentence.</param>
public sealed record PhasePlan(int Phase, string Title, string Purpose, IReadOnlyList<AssertionSpec> Assertions);

/// <summary>A run against something broken on purpose, which must come out red for its own reason.</summary>
/// <param name="Broken">What is broken, in a sentence.</param>
/// <param name="Assertion">The assertion that must be red.</param>
/// <param name="Verdict">The verdict that it must have.</param>
/// <param name="NotRun">Why it cannot run here; null: it runs.</param>
public sealed record CanaryPlan(
    string Name, string Broken, string Assertion, [property: JsonConverter(typeof(JsonStringEnumConverter<Verdict>))] Verdict Verdict, string? NotRun = null);

/// <summary>Which build was tested.</summary>
/// <param name="Commit">Of the source tree; null outside of one.</param>
/// <param name="Dirty">The tree had changes that no commit holds.</param>
/// <param name="Binaries">SHA-256 of the programs and their libraries, by name.</param>
public sealed record BuildFacts(string Version, string? Commit, bool? Dirty, IReadOnlyDictionary<string, string> Binaries);

public sealed record MachineFacts(string System, string Runtime, int Processors, long MemoryBytes);
