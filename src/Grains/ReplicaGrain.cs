using Orleans.Concurrency;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="IReplicaGrain"/>
[Reentrant, NodePlacement, GrainType("replica")]
public sealed class ReplicaGrain(MemoryNode node) : NodeGrain(node), IReplicaGrain
{
    public async Task<LinkMessage> GreetAsync(LinkMessage greeting) => Messages.Of(LinkCodec.Encode(await Node.Endpoint.GreetAsync(LinkCodec.DecodeHello(greeting.Bytes))));

    public async Task<LinkMessage> ApplyAsync(LinkMessage batch) => Messages.Of(LinkCodec.Encode(await Node.Endpoint.ApplyAsync(LinkCodec.DecodeBatch(batch.Bytes))));

    public async Task<LinkMessage> ReadDigestsAsync(LinkMessage floor) =>
        Messages.Of(LinkCodec.Encode(await Node.Endpoint.ReadDigestsAsync(LinkCodec.DecodeFloor(floor.Bytes), CancellationToken.None)));

    public async Task<LinkMessage> ReadHashesAsync(LinkMessage question)
    {
        var (buckets, after) = LinkCodec.DecodeHashesQuestion(question.Bytes);
        return Messages.Of(LinkCodec.Encode(await Node.Endpoint.ReadHashesAsync(buckets, after, CancellationToken.None)));
    }

    public async Task<LinkMessage> ReadRowsAsync(LinkMessage keys)
    {
        var (rows, answered) = await Node.Endpoint.ReadSomeRowsAsync(LinkCodec.DecodeKeys(keys.Bytes), CancellationToken.None);
        return Messages.Of(LinkCodec.Encode(rows, answered));
    }
}
