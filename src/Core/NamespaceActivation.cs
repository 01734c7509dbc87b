using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// One activation of a namespace in a cluster: takes an epoch before its first write, once for all that wait.
/// </summary>
/// <param name="take">Takes an epoch on the node that is to decide.</param>
public sealed class NamespaceActivation(Func<Task<NamespaceEpoch>> take)
{
    private readonly Lock _gate = new();
    private Task<NamespaceEpoch>? _epoch;

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
}
