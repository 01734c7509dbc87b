using Orleans.Concurrency;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="IReplicaGrain"/>
[Reentrant, NodePlacement, CollectionAgeLimit(AlwaysActive = true), GrainType("replica")]
public sealed class ReplicaGrain(MemoryNode node) : NodeGrain(node), IReplicaGrain
{
    public Task<LinkMessage> GreetAsync(LinkMessage greeting) =>
        AnswerAsync(async () => LinkCodec.Encode(await Node.Endpoint.GreetAsync(LinkCodec.DecodeHello(greeting.Bytes))));

    public Task<LinkMessage> ApplyAsync(LinkMessage batch) =>
        AnswerAsync(async () => LinkCodec.Encode(await Node.Endpoint.ApplyAsync(LinkCodec.DecodeBatch(batch.Bytes))));

    public Task<LinkMessage> ReadDigestsAsync(LinkMessage floor) =>
        AnswerAsync(async () => LinkCodec.Encode(await Node.Endpoint.ReadDigestsAsync(LinkCodec.DecodeFloor(floor.Bytes), CancellationToken.None)));

    public Task<LinkMessage> ReadHashesAsync(LinkMessage question) => AnswerAsync(async () =>
    {
        var (buckets, after) = LinkCodec.DecodeHashesQuestion(question.Bytes);
        return LinkCodec.Encode(await Node.Endpoint.ReadHashesAsync(buckets, after, CancellationToken.None));
    });

    public Task<LinkMessage> ReadRowsAsync(LinkMessage keys) => AnswerAsync(async () =>
    {
        var (rows, answered) = await Node.Endpoint.ReadSomeRowsAsync(LinkCodec.DecodeKeys(keys.Bytes), CancellationToken.None);
        return LinkCodec.Encode(rows, answered);
    });

    /// <summary>A replica that says no has answered: its caller must not take it for one that is gone.</summary>
    private static async Task<LinkMessage> AnswerAsync(Func<Task<PooledBytes>> answer)
    {
        try
        {
            return Messages.Of(await answer());
        }
        catch (MemoryException exception)
        {
            return new([], exception.Message);
        }
    }
}
