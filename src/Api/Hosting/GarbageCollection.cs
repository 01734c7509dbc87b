using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OrleansMemory.Core;

namespace OrleansMemory.Api.Hosting;

/// <summary>Archives expired memories at a fixed interval for as long as the node runs. A failed sweep is logged; the next one comes.</summary>
internal sealed partial class GarbageCollection(IMemoryService service, TimeSpan interval, TimeProvider time, ILogger<GarbageCollection> logger) : BackgroundService
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
        }
        catch (Exception exception)
        {
            LogFailed(exception);
        }
    }
}
