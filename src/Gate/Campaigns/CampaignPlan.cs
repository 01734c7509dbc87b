using System.Text.Json.Serialization;
using OrleansMemory.Gate.Canaries;
using OrleansMemory.Gate.Faults;
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
    private const int FullNodes = 3;

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

        if (Nodes is not ("peers" or "silo") || Names.Distinct().Count() < FullNodes)
        {
            yield return $"{Names.Distinct().Count()} nodes of kind {Nodes}, at least {FullNodes} peers or silos are wanted";
        }

        if (Faults.Count < Declaration.LeastFullFaults)
        {
            yield return $"{Faults.Count} fault classes, at least {Declaration.LeastFullFaults} are wanted";
        }

        foreach (var fault in FaultInjector.All.Select(static fault => fault.Name).Except([.. Faults, .. LeftOut.Keys]))
        {
            yield return $"{fault} is neither part of it nor left out with a reason";
        }

        foreach (var canary in Canary.All.Select(static canary => canary.Plan.Name).Except(Canaries))
        {
            yield return $"canary {canary} is not part of it";
        }

        if (Nodes == "silo" && Members != MembersPlace.Postgres)
        {
            yield return $"its silos kept their members in {Members ?? "a place that it does not tell"}";
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
/// <param name="Assertion">The assertion that tells.</param>
/// <param name="Verdict">The verdict that it must have.</param>
/// <param name="Actual">What it must have observed; null: that cannot be foreseen.</param>
/// <param name="NotRun">Why it cannot run here; null: it runs.</param>
public sealed record CanaryPlan(
    string Name, string Broken, string Assertion, [property: JsonConverter(typeof(JsonStringEnumConverter<Verdict>))] Verdict Verdict, Scalar? Actual = null, string? NotRun = null);

/// <summary>Which build was tested.</summary>
/// <param name="Commit">Of the source tree; null outside of one.</param>
/// <param name="Dirty">The tree had changes that no commit holds.</param>
/// <param name="Binaries">SHA-256 of the programs and their libraries, by name.</param>
public sealed record BuildFacts(string Version, string? Commit, bool? Dirty, IReadOnlyDictionary<string, string> Binaries);

public sealed record MachineFacts(string System, string Runtime, int Processors, long MemoryBytes);
