namespace OrleansMemory.Core.Replication;

/// <summary>
/// The one seam between a node and another node's replica: in-process, HTTP, or grain. A call ends with an answer or with
/// <see cref="LinkException"/>; it never takes the token of a client's request.
/// </summary>
public interface IReplicaLink
{
    /// <summary>Where it leads, for people.</summary>
    string Address { get; }

    /// <summary>Tells who calls and hears who answers.</summary>
    /// <exception cref="LinkException">No answer.</exception>
    Task<PeerHello> GreetAsync(PeerHello mine, CancellationToken cancellation);

    /// <summary>Hands over mutations; the answer has an outcome for each, in order, all durable there.</summary>
    /// <exception cref="LinkException">No answer: what was applied is not known.</exception>
    Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch, CancellationToken cancellation);

    /// <summary>The digests and the vector of one instant; tombstones stamped below the floor are left out.</summary>
    /// <exception cref="LinkException">No answer.</exception>
    Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation);

    /// <summary>Keys and hashes of replicated rows in the given buckets, in the store's order, after the given place.</summary>
    /// <exception cref="LinkException">No answer.</exception>
    Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation);

    /// <summary>The present state of rows; those that are not there are left out.</summary>
    /// <exception cref="LinkException">No answer.</exception>
    Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation);
}

/// <summary>A peer did not answer.</summary>
/// <param name="isDown">Nothing listens there; else it may only be slow.</param>
public sealed class LinkException(string message, bool isDown, Exception? inner = null) : Exception(message, inner)
{
    public bool IsDown { get; } = isDown;
}

/// <summary>What nodes tell each other at each connect and as a heartbeat.</summary>
/// <param name="Log">The log that the node writes; its node id is the node's.</param>
/// <param name="HeadSequence">The last number of that log.</param>
/// <param name="Clock">A hybrid clock reading: every later mutation of the log is stamped above it.</param>
/// <param name="UnixMilliseconds">The node's wall clock.</param>
/// <param name="Nodes">How many nodes it counts, itself included.</param>
/// <param name="QuorumWrites">How many must hold a write.</param>
/// <param name="Members">The node ids that it knows, ascending, itself included.</param>
/// <param name="Recovering">It has not synchronised yet and counts for no read quorum.</param>
/// <param name="Readable">False until it has compared floors: it may be an old copy that still holds what was deleted.</param>
/// <param name="Floor">The clock below which it holds every log of the set without a gap.</param>
/// <param name="CommonFloor">The lowest floor of all nodes, as it knows it: below it deletes may be forgotten.</param>
/// <param name="Refused">Of each log, the highest number of a row that it refused and keeps to try again: the number is used, though the vector does not cover it.</param>
/// <param name="LogStart">The first number that the log still brings; what is below it comes by digest exchange.</param>
public sealed record PeerHello(
    LogId Log,
    long HeadSequence,
    long Clock,
    long UnixMilliseconds,
    int Nodes,
    int QuorumWrites,
    IReadOnlyList<string> Members,
    bool Recovering,
    bool Readable,
    long Floor,
    long CommonFloor,
    IReadOnlyDictionary<LogId, AppliedSet> Vector,
    IReadOnlyDictionary<LogId, long> Refused,
    long LogStart = 1)
{
    /// <summary>The highest number of a log by which the node knows a row; 0 when it knows none.</summary>
    public long HighestOf(LogId log)
    {
        var held = Vector.GetValueOrDefault(log) ?? AppliedSet.None;
        var refused = Refused.GetValueOrDefault(log);
        Faults.Replace(Fault.RefusedNumberReused, ref refused, 0);
        return Math.Max(held.Above.Count > 0 ? held.Above[^1].Last : held.Through, refused);
    }
}

/// <param name="Digests">Over the live rows of every bucket, and over the tombstones.</param>
public sealed record DigestSnapshot(IReadOnlyDictionary<DigestKey, Digest> Digests, IReadOnlyDictionary<LogId, AppliedSet> Vector);

/// <summary>Names one replicated row: the id of a memory or tombstone, or the key of an entry.</summary>
public readonly record struct RowKey(MutationKind Kind, string Key);

/// <param name="Next">Where the next page starts; null after the last.</param>
public sealed record RowHashPage(IReadOnlyList<(RowKey Key, UInt128 Hash)> Rows, string? Next);

/// <param name="Body">Canonical bytes.</param>
public sealed record ReplicatedRow(RowKey Key, ReadOnlyMemory<byte> Body);
