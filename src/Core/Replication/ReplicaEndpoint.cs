using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>The answering side of <see cref="IReplicaLink"/>: what HTTP routes, grains and the in-process link call.</summary>
public sealed class ReplicaEndpoint(IMemoryStore store, Replica replica, PeerSession session, ReplicaCondition condition)
{
    private const int HashRows = 5_000;

    /// <summary>The largest of them fit an answer.</summary>
    private const int RowsAtOnce = 32;

    public Task<PeerHello> GreetAsync(PeerHello greeting) => session.AnswerAsync(greeting);

    public Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch)
    {
        var isStale = condition.IsStale;
        Faults.Replace(Fault.StaleNodeAcknowledges, ref isStale, false);
        if (isStale)
        {
            throw new MemoryException(ErrorKind.NotYet, "this node is an old copy that rejoins; what it applied now would not stay");
        }

        if (!condition.Arriving(batch))
        {
            throw new MemoryException(ErrorKind.NotYet, "the node that ships is an old copy, as this one knows; it has to rejoin first");
        }

        return replica.ApplyAsync(batch);
    }

    public async Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation)
    {
        RequireReadable();
        if (floor > condition.Floors.Own)
        {
            throw new MemoryException(ErrorKind.NotYet, "this node is behind what every node held once, as the one that asks knows; nothing is read from it");
        }

        return await store.ReadDigestSnapshotAsync(floor, cancellation);
    }

    public async Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation)
    {
        RequireReadable();
        return await store.ReadHashesAsync(buckets, after, HashRows, cancellation);
    }

    public async Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation)
    {
        RequireReadable();
        return await store.ReadRowsAsync(keys, cancellation);
    }

    /// <summary>As <see cref="ReadRowsAsync"/>, for as many of the keys as give about <see cref="LinkCodec.BatchBytes"/>.</summary>
    /// <returns>The rows, and how many of the keys they answer.</returns>
    public async Task<(IReadOnlyList<ReplicatedRow> Rows, int Answered)> ReadSomeRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation)
    {
        var rows = new List<ReplicatedRow>();
        var answered = 0;
        long size = 0;
        foreach (var chunk in keys.Chunk(RowsAtOnce))
        {
            var read = await ReadRowsAsync(chunk, cancellation);
            rows.AddRange(read);
            answered += chunk.Length;
            size += read.Sum(static row => (long)row.Body.Length);
            if (size > LinkCodec.BatchBytes)
            {
                break;
            }
        }

        return (rows, answered);
    }

    /// <summary>Whoever asks may go by a greeting from before this node was replaced by an old copy of itself.</summary>
    private void RequireReadable()
    {
        if (!condition.IsReadable)
        {
            throw new MemoryException(ErrorKind.NotYet, "this node has not compared floors with a peer yet; nothing is read from it");
        }
    }
}

/// <summary>A link to a node in the same process.</summary>
public sealed class InProcessLink(string address, Func<ReplicaEndpoint?> endpoint) : IReplicaLink
{
    public string Address => address;

    public Task<PeerHello> GreetAsync(PeerHello mine, CancellationToken cancellation) => Endpoint().GreetAsync(mine);

    public Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch, CancellationToken cancellation) => Endpoint().ApplyAsync(batch);

    public Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation) => Endpoint().ReadDigestsAsync(floor, cancellation);

    public Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation) =>
        Endpoint().ReadHashesAsync(buckets, after, cancellation);

    public Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation) =>
        Endpoint().ReadRowsAsync(keys, cancellation);

    private ReplicaEndpoint Endpoint() => endpoint() ?? throw new LinkException($"{address} is not there", isDown: true);
}
