namespace OrleansMemory.Core.Replication;

/// <summary>The answering side of <see cref="IReplicaLink"/>: what HTTP routes, grains and the in-process link call.</summary>
public sealed class ReplicaEndpoint(IMemoryStore store, Replica replica, PeerSession session)
{
    private const int HashRows = 5_000;

    public Task<PeerHello> GreetAsync(PeerHello greeting) => session.AnswerAsync(greeting);

    public Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch) => replica.ApplyAsync(batch);

    public async Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation) => await store.ReadDigestSnapshotAsync(floor, cancellation);

    public async Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation) =>
        await store.ReadHashesAsync(buckets, after, HashRows, cancellation);

    public async Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation) =>
        await store.ReadRowsAsync(keys, cancellation);
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
