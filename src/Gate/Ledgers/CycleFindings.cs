namespace OrleansMemory.Gate.Ledgers;

/// <summary>What a cycle's ledger says. Each list names its cases, one text each; all but the figures are empty when all is well.</summary>
public sealed record CycleFindings
{
    public required int Cycle { get; init; }

    /// <summary>Writes of all kinds that were acknowledged.</summary>
    public required long Acked { get; init; }

    /// <summary>Creates that were acknowledged and whose memory nobody asked to delete: those that must be everywhere.</summary>
    public required long Kept { get; init; }

    /// <summary>The least over all nodes of (kept memories there) / (kept memories); 0 when there are none.</summary>
    public required decimal Bound { get; init; }

    /// <summary>Acknowledged, and not on a node.</summary>
    public required IReadOnlyList<string> Lost { get; init; }

    /// <summary>On a node with a content or tier that no write explains, or otherwise than on another node.</summary>
    public required IReadOnlyList<string> Different { get; init; }

    /// <summary>On a node, and nobody wrote it.</summary>
    public required IReadOnlyList<string> Foreign { get; init; }

    /// <summary>Listed twice by a node.</summary>
    public required IReadOnlyList<string> Duplicates { get; init; }

    /// <summary>Answered as not stored, and on a node.</summary>
    public required IReadOnlyList<string> Refused { get; init; }

    /// <summary>Unanswered, or stored on one node as it was answered, and on some nodes only.</summary>
    public required IReadOnlyList<string> Split { get; init; }

    /// <summary>Deleted, acknowledged, and on a node.</summary>
    public required IReadOnlyList<string> Resurrected { get; init; }

    /// <summary>Answers to a client that know less than its own acknowledged writes: reads with a token, and changes of a memory that is said not to be there.</summary>
    public required IReadOnlyList<string> Stale { get; init; }

    /// <summary>Reads with a token that were answered.</summary>
    public required long TokenReads { get; init; }

    /// <summary>Answers that are none of the documented ones.</summary>
    public required IReadOnlyList<string> Unexpected { get; init; }

    /// <summary>Nodes whose list to the end has another length than they state.</summary>
    public required IReadOnlyList<string> Pages { get; init; }

    /// <summary>Nodes that show otherwise, after the last cycle of all, what they showed after this one.</summary>
    public required IReadOnlyList<string> Changed { get; init; }

    /// <summary>Nodes that were read after the last cycle of all.</summary>
    public required int LaterReadings { get; init; }

    /// <summary>Deletes that were acknowledged.</summary>
    public required long Deletes { get; init; }

    /// <summary>Writes that were on their way while the fault was being put in, by kind.</summary>
    public required IReadOnlyDictionary<string, int> InFlight { get; init; }

    /// <summary>Nodes that were read.</summary>
    public required int Nodes { get; init; }

    public required int Digests { get; init; }

    /// <summary>Null without a fault.</summary>
    public required Injection? Injection { get; init; }
}
