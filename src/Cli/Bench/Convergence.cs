using System.Diagnostics;
using System.Text;
using OrleansMemory.Cli.Cluster;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Cli.Bench;

/// <param name="Delays">From the receipt of each write until the slowest node holds it; 0 when all held it before the receipt came.</param>
/// <param name="Missing">Writes that a node did not hold within the deadline.</param>
internal sealed record ConvergenceResult(Latencies Delays, long Missing);

/// <summary>When writes were answered, and where they stand in their logs.</summary>
internal sealed class ReceiptLog
{
    private readonly Lock _gate = new();
    private readonly List<(LogPosition Position, long At)> _receipts = [];

    public IReadOnlyList<(LogPosition Position, long At)> Receipts => _receipts;

    /// <summary>A write was answered now.</summary>
    public void Add(ReadOnlySpan<byte> token)
    {
        var at = Stopwatch.GetTimestamp();
        if (LogPosition.TryParse(Encoding.ASCII.GetString(token), out var position))
        {
            lock (_gate)
            {
                _receipts.Add((position, at));
            }
        }
    }
}

/// <summary>
/// Asks every node, a hundred times a second, how much of each log it holds, and later reads from the answers when a write was
/// on all nodes. The load is not slowed by a request for each write; a delay is over-stated by up to one interval.
/// </summary>
internal sealed class ConvergenceProbe : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    private readonly ClusterHealth _health;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task<List<(long At, NodeView View)>>[] _watching;

    public ConvergenceProbe(ClusterProcess cluster)
    {
        _health = new(cluster.Addresses, apiKey: null);
        _watching = [.. Enumerable.Range(0, cluster.Count).Select(node => Task.Run(() => WatchAsync(node)))];
    }

    /// <summary>Call once, when the load is over.</summary>
    public async Task<ConvergenceResult> ResultAsync(ReceiptLog receipts)
    {
        var last = receipts.Receipts.GroupBy(static receipt => receipt.Position.Log).ToDictionary(static log => log.Key, static log => log.Max(static receipt => receipt.Position.Sequence));
        await WaitForAsync(last);
        await _stop.CancelAsync();
        var delays = new Latencies();
        long missing = 0;
        var timelines = await Task.WhenAll(_watching);
        foreach (var (position, at) in receipts.Receipts)
        {
            var held = timelines.Select(timeline => HeldAt(timeline, position)).ToList();
            if (held.Contains(null))
            {
                missing++;
            }
            else
            {
                delays.Add(held.Max() > at ? Stopwatch.GetElapsedTime(at, held.Max()!.Value) : TimeSpan.Zero);
            }
        }

        return new(delays, missing);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_watching);
        _health.Dispose();
        _stop.Dispose();
    }

    private static long? HeldAt(List<(long At, NodeView View)> timeline, LogPosition position)
    {
        // What a node holds only grows.
        var (first, end) = (0, timeline.Count);
        while (first < end)
        {
            var middle = (first + end) / 2;
            if (timeline[middle].View.Vector.GetValueOrDefault(position.Log) >= position.Sequence)
            {
                end = middle;
            }
            else
            {
                first = middle + 1;
            }
        }

        return first < timeline.Count ? timeline[first].At : null;
    }

    private async Task WaitForAsync(Dictionary<LogId, long> last)
    {
        var began = Stopwatch.GetTimestamp();
        for (var node = 0; node < _watching.Length && Stopwatch.GetElapsedTime(began) < Deadline;)
        {
            var view = await _health.ReadAsync(node, withDigest: false, CancellationToken.None);
            if (last.All(log => view.Vector.GetValueOrDefault(log.Key) >= log.Value))
            {
                node++;
            }
            else
            {
                await Task.Delay(Interval);
            }
        }

        // The watchers see what was seen here.
        await Task.Delay(Interval * 5);
    }

    private async Task<List<(long At, NodeView View)>> WatchAsync(int node)
    {
        var timeline = new List<(long At, NodeView View)>();
        try
        {
            while (true)
            {
                var view = await _health.ReadAsync(node, withDigest: false, _stop.Token);
                timeline.Add((Stopwatch.GetTimestamp(), view));
                await Task.Delay(Interval, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            return timeline;
        }
        catch (MemoryException)
        {
            // A node that answers no more holds no more that could be known.
            return timeline;
        }
    }
}
