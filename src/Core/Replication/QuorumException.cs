using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>A write that too few replicas hold.</summary>
/// <param name="outcome">One of the constants: what became of the write.</param>
public sealed class QuorumException(QuorumOutcome quorum, string outcome, string message) : MemoryException(ErrorKind.QuorumNotMet, message)
{
    /// <summary>It will reach every node if this store survives.</summary>
    public const string StoredLocally = "stored_locally";

    public const string NotStored = "not_stored";
    public const string Unknown = "unknown";

    public QuorumOutcome Quorum { get; } = quorum;

    public string Outcome { get; } = outcome;

    /// <summary>What the decision gave; null when nothing was stored.</summary>
    public object? Written { get; init; }
}
