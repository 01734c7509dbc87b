using Orleans.Concurrency;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="IQuorumWriteGrain"/>
[Reentrant, NodePlacement, GrainType("quorum-write")]
public sealed class QuorumWriteGrain(MemoryNode node) : NodeGrain(node), IQuorumWriteGrain
{
    public async Task<EpochAnswer> TakeEpochAsync(string @namespace)
    {
        try
        {
            return new(Messages.Of(await Node.TakeEpochAsync(@namespace)), null);
        }
        catch (MemoryException exception)
        {
            return new(null, WriteAnswer.Of(exception).ToMessage());
        }
    }

    public async Task<AnswerMessage> WriteAsync(WriteMessage write)
    {
        WriteAnswer answer;
        try
        {
            var epoch = Messages.Epoch(write.Namespace, write.Epoch ?? throw new ArgumentException("a write is decided for an activation", nameof(write)));
            answer = await WireJson.DecodeCommand(write.Command).RunAsync(Node.Engine(epoch));
        }
        catch (MemoryException exception)
        {
            answer = WriteAnswer.Of(exception);
        }

        return answer.ToMessage();
    }
}
