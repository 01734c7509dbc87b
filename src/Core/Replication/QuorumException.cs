using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>A write that too few replicas hold.</summary>
/// <param name="outcome">One of the constants: what became of the write.</param>
public sealed class QuorumException(QuorumOutcome quorum, string outcome, string message, Exception? inner = null) : MemoryException(ErrorKind.QuorumNotMet, message, inner)
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

/// <summary>The store failed in the middle of a write: whether the write is on disk shows only after it was read anew.</summary>
public sealed class UncertainWriteException(Exception inner)
    : MemoryException(ErrorKind.StoreFailed, "the store failed; whether the write was stored is not known", inner);
