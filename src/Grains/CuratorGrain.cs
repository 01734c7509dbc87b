using Orleans.Storage;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="ICuratorGrain"/>
[CollectionAgeLimit(AlwaysActive = true), GrainType("curator")]
public sealed class CuratorGrain([PersistentState("lease")] IPersistentState<CuratorRecord> record, TimeProvider time) : Grain, ICuratorGrain
{
    public async Task<CuratorLease?> TakeAsync(string node, TimeSpan duration)
    {
        var now = time.GetUtcNow();
        var held = record.State.Lease is { } lease && lease.ExpiresAt > now.ToUnixTimeMilliseconds() ? lease : null;
        if (held is not null && held.Node != node)
        {
            return null;
        }

        // An expired lease is never extended, only taken again, under the next epoch.
        var granted = new CuratorLease(node, held?.Epoch ?? record.State.Epoch + 1, (now + duration).ToUnixTimeMilliseconds());
        return await WriteAsync(granted, granted.Epoch) ? granted : null;
    }

    public async Task ReleaseAsync(CuratorLease lease)
    {
        if (record.State.Lease?.Epoch == lease.Epoch)
        {
            await WriteAsync(null, lease.Epoch);
        }
    }

    private async Task<bool> WriteAsync(CuratorLease? lease, long epoch)
    {
        record.State.Lease = lease;
        record.State.Epoch = epoch;
        try
        {
            await record.WriteStateAsync();
            return true;
        }
        catch (InconsistentStateException)
        {
            // Another activation granted one meanwhile: that one counts.
            await record.ReadStateAsync();
            return false;
        }
    }
}
