namespace OrleansMemory.Core.Replication;

/// <summary>
/// One change in a log, as links carry it. The body is the replicated state of the row at the time of sending: the change itself
/// joined with whatever came after it, so a log needs no copy of every text, and a row that changed often is sent once.
/// </summary>
/// <param name="Epoch">The number of the epoch in which it was decided; 0 for none.</param>
/// <param name="Key">The id of a memory, or the key of an entry.</param>
/// <param name="Body">Canonical bytes: of a <see cref="MemoryState"/>, a <see cref="Tombstone"/> or an <see cref="EntryState"/>.</param>
public sealed record Mutation(
    LogPosition Position,
    Stamp Stamp,
    long Epoch,
    MutationKind Kind,
    string Key,
    ReadOnlyMemory<byte> Body,
    string? IdempotencyKey = null);

/// <summary>What a replica did with one row of a batch.</summary>
public enum ApplyOutcome
{
    /// <summary>Durable here now.</summary>
    Applied,

    /// <summary>The same (log, sequence, stamp) was durable here before.</summary>
    Already,

    /// <summary>Applied, but from an activation that a newer one has replaced: counts toward no quorum.</summary>
    Fenced,

    /// <summary>The id is deleted here for good.</summary>
    RefusedDeleted,

    /// <summary>Stamped too far ahead of this node's clock; try again later.</summary>
    RefusedFutureStamp,

    /// <summary>Not a body that this code can read.</summary>
    RefusedMalformed,
}
