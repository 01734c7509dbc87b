using Orleans.Concurrency;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="IQuorumWriteGrain"/>
[Reentrant, NodePlacement, CollectionAgeLimit(AlwaysActive = true), GrainType("quorum-write")]
public sealed class QuorumWriteGrain(MemoryNode node) : NodeGrain(node), IQuorumWriteGrain
{
    public Task<EpochAnswer> TakeEpochAsync(string @namespace) => TakeEpochAsync(Node, @namespace);

    public Task<AnswerMessage> WriteAsync(WriteMessage write) => DecideAsync(Node, Messages.Epoch(write.Namespace, write.Epoch), write.Command);

    /// <summary>What is behind the door, for those who stand there already.</summary>
    internal static async Task<AnswerMessage> DecideAsync(MemoryNode node, NamespaceEpoch epoch, byte[] bytes)
    {
        WriteAnswer answer;
        try
        {
            var command = WireJson.DecodeCommand(bytes);
            foreach (var seen in command.Seen ?? [])
            {
                await node.WaitForAsync(seen);
            }

            answer = await command.RunAsync(node.Engine(epoch));
        }
        catch (MemoryException exception)
        {
            answer = WriteAnswer.Of(exception);
        }

        return answer.ToMessage();
    }

    internal static async Task<EpochAnswer> TakeEpochAsync(MemoryNode node, string @namespace)
    {
        try
        {
            return new(Messages.Of(await node.TakeEpochAsync(@namespace)), null);
        }
        catch (MemoryException exception)
        {
            return new(null, WriteAnswer.Of(exception).ToMessage());
        }
    }
}
