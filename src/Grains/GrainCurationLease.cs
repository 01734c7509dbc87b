using OrleansMemory.Core.Curation;

namespace OrleansMemory.Grains;

/// <summary>The cluster's lease on curation, as one node takes it. While the cluster cannot be asked nobody has it.</summary>
public sealed class GrainCurationLease(ClusterConnection cluster, string node) : ICurationLease
{
    private CuratorLease? _held;

    public async Task<bool> TakeAsync(TimeSpan duration)
    {
        try
        {
            _held = cluster.Grains is { } grains ? await grains.GetGrain<ICuratorGrain>(ICuratorGrain.Key).TakeAsync(node, duration) : null;
        }
        catch (Exception exception) when (exception is OrleansException or TimeoutException)
        {
            _held = null;
        }

        return _held is not null;
    }

    public async Task ReleaseAsync()
    {
        if (_held is { } held && cluster.Grains is { } grains)
        {
            _held = null;
            try
            {
                await grains.GetGrain<ICuratorGrain>(ICuratorGrain.Key).ReleaseAsync(held);
            }
            catch (Exception exception) when (exception is OrleansException or TimeoutException)
            {
                // It ends by itself.
            }
        }
    }
}
