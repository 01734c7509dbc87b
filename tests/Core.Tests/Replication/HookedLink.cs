using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>Answers from a node, does something before it tells of digests or which rows there are, and keeps what it was asked for.</summary>
internal sealed class HookedLink(Node node) : IReplicaLink
{
    public Node Node { get; set; } = node;

    public Action BeforeDigests { get; set; } = static () => { };

    public Func<Task> BeforeHashes { get; set; } = static () => Task.CompletedTask;

    /// <summary>What it answers to a greeting.</summary>
    public Func<CancellationToken, Task<PeerHello>> Greet { get; set; } = static _ => throw new NotSupportedException();

    /// <summary>What it does with rows.</summary>
    public Func<IReadOnlyList<Mutation>, CancellationToken, Task<IReadOnlyList<ApplyOutcome>>> Apply { get; set; } = static (_, _) => throw new NotSupportedException();

    /// <summary>The keys of rows that were asked for, in their order.</summary>
    public List<string> Fetched { get; } = [];

    public string Address => "there";

    public Task<PeerHello> GreetAsync(PeerHello mine, CancellationToken cancellation) => Greet(cancellation);

    public Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch, CancellationToken cancellation) => Apply(batch, cancellation);

    public async Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation)
    {
        BeforeDigests();
        return await Node.Store.ReadDigestSnapshotAsync(floor, cancellation);
    }

    public async Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation)
    {
        await BeforeHashes();
        return await Node.Store.ReadHashesAsync(buckets, after, 100, cancellation);
    }

    public async Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation)
    {
        Fetched.AddRange(keys.Select(static key => key.Key));
        return await Node.Store.ReadRowsAsync(keys, cancellation);
    }
}
