using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Output;

/// <summary>One line that is written over again while backfills run; only on a terminal.</summary>
internal static class BackfillProgress
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    /// <summary>Ends with the backfills, or with the token.</summary>
    public static async Task ShowAsync(BackfillRunner runner, TextWriter terminal, CancellationToken stop)
    {
        var width = 0;
        try
        {
            while (!runner.Settled.IsCompleted)
            {
                await Task.WhenAny(runner.Settled, Task.Delay(Interval, stop));
                stop.ThrowIfCancellationRequested();
                var running = (await runner.ReadAsync(stop)).Steps.FirstOrDefault(static status => status.Record.State == BackfillState.Running);
                var line = running is null ? "" : BackfillLine.Of(running);
                if (width > 0 || line.Length > 0)
                {
                    await terminal.WriteAsync("\r" + line.PadRight(width));
                    await terminal.FlushAsync(stop);
                    width = line.Length;
                }
            }

            if (width > 0)
            {
                await terminal.WriteAsync("\r" + new string(' ', width) + "\r");
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or MemoryException or IOException or ObjectDisposedException)
        {
            // The node stops, or its store is away: the log tells.
        }
    }
}
