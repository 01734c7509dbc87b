using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// One activation of a namespace in a cluster: takes an epoch before its first write, once for all that wait, and is over when a
/// later activation has fenced it.
/// </summary>
/// <param name="take">Takes an epoch on the node that is to decide.</param>
public sealed class NamespaceActivation(Func<Task<NamespaceEpoch>> take)
{
    private readonly Lock _gate = new();
    private Task<NamespaceEpoch>? _epoch;
    private bool _isFenced;

    /// <summary>It decides nothing any more; the next one must take its place.</summary>
    public bool IsFenced => Volatile.Read(ref _isFenced);

    /// <exception cref="QuorumException">The epoch could not be taken: the next call tries again.</exception>
    public async Task<NamespaceEpoch> EpochAsync()
    {
        Task<NamespaceEpoch> epoch;
        lock (_gate)
        {
            epoch = _epoch is null or { IsFaulted: true } or { IsCanceled: true } ? _epoch = take() : _epoch;
        }

        return await epoch;
    }

    /// <summary>A write was answered fenced.</summary>
    public void Fence() => Volatile.Write(ref _isFenced, true);
}
