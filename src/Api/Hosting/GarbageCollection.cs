using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OrleansMemory.Core;

namespace OrleansMemory.Api.Hosting;

/// <summary>Archives expired memories at a fixed interval for as long as the node runs, and purges what was archived long ago. A failed sweep is logged; the next one comes.</summary>
/// <param name="archiveDays">How long archived memories are kept; null: without end.</param>
internal sealed partial class GarbageCollection(IMemoryService service, TimeSpan interval, long? archiveDays, TimeProvider time, ILogger<GarbageCollection> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await SweepAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    private async Task SweepAsync()
    {
        try
        {
            var expired = await service.CollectGarbageAsync();
            if (expired > 0)
            {
                LogCollected(expired);
            }

            if (archiveDays is not null && service is IDomainService domain && await domain.PurgeAsync(archiveDays, new(Quorum: "1")) is > 0 and var purged)
            {
                LogPurged(purged);
            }
        }
        catch (Exception exception)
        {
            LogFailed(exception);
        }
    }
}
