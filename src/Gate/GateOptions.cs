using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Phases;

namespace OrleansMemory.Gate;

/// <summary>What a campaign is to prove, of which build.</summary>
/// <param name="Out">Folder of the evidence; empty or not there yet.</param>
/// <param name="Say">Told of the progress, a line each.</param>
public sealed record GateOptions(string Out, Programs Programs, BuildFacts Build, Action<string> Say)
{
    /// <summary>Under three minutes: fewer cycles, faults and canaries, with the same assertions.</summary>
    public bool Quick { get; init; }

    public NodesKind Kind { get; init; } = NodesKind.Peers;

    /// <summary>Nodes that run elsewhere; empty: the campaign starts its own.</summary>
    public IReadOnlyList<Uri> Given { get; init; } = [];

    /// <summary>Null: all that can run.</summary>
    public IReadOnlyList<int>? Phases { get; init; }

    /// <summary>Null: all that can be injected here.</summary>
    public IReadOnlyList<string>? Faults { get; init; }

    /// <summary>Of each fault class; null: 50, or 2 of a quick campaign.</summary>
    public int? Cycles { get; init; }

    /// <summary>Of a cycle, at least; null: 100.</summary>
    public int? Writes { get; init; }

    public bool WithCanaries { get; init; } = true;
}

/// <param name="Folder">Of the evidence.</param>
/// <param name="Lines">What the campaign came to, for a terminal.</param>
public sealed record GateOutcome(Verdicts.Verdict Verdict, string Folder, IReadOnlyList<string> Lines)
{
    /// <summary>The same in JSON.</summary>
    public string SummaryPath => Path.Combine(Folder, Evidence.EvidenceFolder.SummaryName);
}
