using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Hosting;

/// <summary>Lets the curator run at a fixed interval for as long as the node does. A run that fails, or that another node is at, is logged; the next one comes.</summary>
/// <param name="first">Before the first run, so that a node that starts often curates at all.</param>
internal sealed partial class CuratorLoop(MemoryNode node, CuratorOrder order, TimeSpan first, TimeSpan interval, TimeProvider time, ILogger<CuratorLoop> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            for (var pause = first; ; pause = interval)
            {
                await Task.Delay(pause, time, stoppingToken);
                await RunAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    private async Task RunAsync(CancellationToken stopping)
    {
        try
        {
            var report = await node.Curator.RunAsync(order, new(), stopping);
            LogDone(report.Consolidated, report.Forgotten, report.PrioritiesAdjusted, report.SkippedByCap, report.Errors.Count);
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.AlreadyRunning)
        {
            LogElsewhere();
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogFailed(exception);
        }
    }
}
