using Microsoft.Extensions.Logging;
using Orleans.Concurrency;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="INamespaceGrain"/>
[Reentrant, GrainType("namespace")]
public sealed partial class NamespaceGrain : Grain, INamespaceGrain
{
    private readonly MemoryNode _node;
    private readonly ILogger<NamespaceGrain> _logger;
    private readonly NamespaceActivation _activation;
    private IQuorumWriteGrain _door = null!;

    public NamespaceGrain(MemoryNode node, ILogger<NamespaceGrain> logger)
    {
        _node = node;
        _logger = logger;
        _activation = new(TakeEpochAsync);
    }

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _door = GrainFactory.GetGrain<IQuorumWriteGrain>(_node.Store.Log.Node);
        return Task.CompletedTask;
    }

    public async Task<AnswerMessage> WriteAsync(WriteMessage write)
    {
        NamespaceEpoch epoch;
        try
        {
            epoch = await _activation.EpochAsync();
        }
        catch (MemoryException exception)
        {
            return WriteAnswer.Of(exception).ToMessage();
        }

        var answer = await _door.WriteAsync(write with { Epoch = Messages.Of(epoch) });
        if (answer.IsFenced)
        {
            LogFenced(write.Namespace, epoch.Number);
            _activation.Fence();
            DeactivateOnIdle();
        }

        return answer;
    }

    private async Task<NamespaceEpoch> TakeEpochAsync()
    {
        var @namespace = this.GetPrimaryKeyString();
        var answer = await _door.TakeEpochAsync(@namespace);
        if (answer.Epoch is null)
        {
            throw WireJson.DecodeAnswer(answer.Problem!.Answer).ToException();
        }

        var epoch = Messages.Epoch(@namespace, answer.Epoch);
        LogActivated(@namespace, epoch.Number, epoch.IsComplete);
        return epoch;
    }
}
