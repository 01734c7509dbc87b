using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Concurrency;
using Orleans.Configuration;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="INamespaceGrain"/>
[Reentrant, CollectionAgeLimit(AlwaysActive = true), GrainType("namespace")]
public sealed partial class NamespaceGrain : Grain, INamespaceGrain
{
    private readonly MemoryNode _node;
    private readonly IClusterMembershipService _membership;
    private readonly TimeSpan _idleLimit;
    private readonly TimeProvider _time;
    private readonly ILogger<NamespaceGrain> _logger;
    private Decider _decider;
    private long _usedAt;

    /// <param name="collection">Its age is how long an activation lasts that nobody writes through; one ends at most twice that late.</param>
    public NamespaceGrain(
        MemoryNode node, IClusterMembershipService membership, IOptions<GrainCollectionOptions> collection, TimeProvider time, ILogger<NamespaceGrain> logger)
    {
        _node = node;
        _membership = membership;
        _idleLimit = collection.Value.CollectionAge;
        _time = time;
        _logger = logger;
        _decider = DeciderOn(Own);
    }

    private string Own => _node.Store.Log.Node;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        // Not left to Orleans' collector, which goes by the wall clock: after a clock was ahead for a moment it refuses new activations.
        _usedAt = _time.GetTimestamp();
        this.RegisterGrainTimer(EndWhenIdleAsync, new GrainTimerCreationOptions(_idleLimit, _idleLimit) { Interleave = true });
        return Task.CompletedTask;
    }

    public async Task<AnswerBatch> WriteAsync(WriteBatch writes)
    {
        _usedAt = _time.GetTimestamp();
        return new(await Task.WhenAll(writes.Commands.Select(WriteAsync)));
    }

    private Task EndWhenIdleAsync(CancellationToken cancellation)
    {
        if (_time.GetElapsedTime(_usedAt) >= _idleLimit)
        {
            DeactivateOnIdle();
        }

        return Task.CompletedTask;
    }

    private async Task<AnswerMessage> WriteAsync(byte[] command)
    {
        var decider = _decider;
        var answer = await WriteAsync(command, decider);
        if (answer.CannotWrite && MoveFrom(decider))
        {
            // Nothing was stored.
            decider = _decider;
            answer = await WriteAsync(command, decider);
        }

        return answer;
    }

    private async Task<AnswerMessage> WriteAsync(byte[] command, Decider decider)
    {
        try
        {
            var epoch = await decider.Activation.EpochAsync();
            var answer = decider.Node == Own
                ? await QuorumWriteGrain.DecideAsync(_node, epoch, command)
                : await Door(decider.Node).WriteAsync(new(epoch.Namespace, command, Messages.Of(epoch)));
            if (answer.IsFenced && decider == _decider)
            {
                LogFenced(epoch.Namespace, epoch.Number);
                DeactivateOnIdle();
            }

            return answer;
        }
        catch (MemoryException exception)
        {
            // No epoch was taken.
            return WriteAnswer.Of(exception).ToMessage();
        }
        catch (OrleansException exception)
        {
            // The other node is gone; what it stored the next decider finds.
            _decider = decider == _decider ? DeciderOn(Own) : _decider;
            var unknown = new QuorumOutcome(0, _node.Replication.QuorumWrites, QuorumReasons.Unreachable);
            return WriteAnswer.Of(new QuorumException(unknown, QuorumException.Unknown, $"the node {decider.Node} cannot be reached: {exception.Message}", exception)).ToMessage();
        }
    }

    /// <summary>
    /// The node that decides cannot write now: another one decides from here on, in an epoch of its own. False when there is none.
    /// </summary>
    private bool MoveFrom(Decider decider)
    {
        if (decider != _decider)
        {
            return true;
        }

        var others = Members.Active(_membership).Where(node => node != decider.Node).Order(StringComparer.Ordinal).ToList();
        if (others.Count == 0)
        {
            return false;
        }

        var next = others.Find(node => string.CompareOrdinal(node, decider.Node) > 0) ?? others[0];
        LogMoved(this.GetPrimaryKeyString(), decider.Node, next);
        _decider = DeciderOn(next);
        return true;
    }

    private Decider DeciderOn(string node) => new(node, new(() => TakeEpochAsync(node)));

    private IQuorumWriteGrain Door(string node) => GrainFactory.GetGrain<IQuorumWriteGrain>(node);

    private async Task<NamespaceEpoch> TakeEpochAsync(string node)
    {
        var @namespace = this.GetPrimaryKeyString();
        var answer = node == Own ? await QuorumWriteGrain.TakeEpochAsync(_node, @namespace) : await Door(node).TakeEpochAsync(@namespace);
        if (answer.Epoch is null)
        {
            throw WireJson.DecodeAnswer(answer.Problem!.Answer).ToException();
        }

        var epoch = Messages.Epoch(@namespace, answer.Epoch);
        LogActivated(@namespace, epoch.Number, epoch.IsComplete);
        return epoch;
    }

    /// <param name="Node">Whose writer the writes go to: this silo's own, unless that cannot write.</param>
    private sealed record Decider(string Node, NamespaceActivation Activation);
}
