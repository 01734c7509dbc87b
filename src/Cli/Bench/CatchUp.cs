using System.Diagnostics;
using System.Globalization;
using System.Net;
using OrleansMemory.Cli.Cluster;

namespace OrleansMemory.Cli.Bench;

/// <param name="Rows">What the node missed.</param>
/// <param name="Start">From the start of its process until it listened.</param>
/// <param name="Elapsed">From then until it held all that the others do.</param>
/// <param name="Cpu">What the returning node took for it.</param>
internal sealed record CatchUpResult(long Rows, TimeSpan Start, TimeSpan Elapsed, TimeSpan Cpu)
{
    public double RowsPerSecond => Rows / Elapsed.TotalSeconds;
}

/// <summary>Measures how fast a node that was away gets what it missed.</summary>
internal static class CatchUp
{
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    /// <param name="first">The number of the first row that is written.</param>
    /// <exception cref="InvalidDataException">The node did not catch up, or differs from the others after it did.</exception>
    public static async Task<CatchUpResult> MeasureAsync(ClusterProcess cluster, IReadOnlyList<IPEndPoint> endpoints, BenchText text, long rows, long first)
    {
        var away = cluster.Count - 1;
        await cluster[away].StopAsync(StopDeadline);
        await RowLoader.LoadAsync([.. endpoints.Take(away)], cluster.Addresses[0].Authority, null, text, rows, first);
        using var health = new ClusterHealth(cluster.Addresses, apiKey: null);
        var heads = new List<NodeView>();
        for (var node = 0; node < away; node++)
        {
            heads.Add(await health.ReadAsync(node, withDigest: true, CancellationToken.None));
        }

        var began = Stopwatch.GetTimestamp();
        await cluster.StartAsync(away);
        var listening = Stopwatch.GetTimestamp();
        var before = cluster[away].Usage().Cpu;
        while (true)
        {
            var view = await health.ReadAsync(away, withDigest: false, CancellationToken.None);
            var elapsed = Stopwatch.GetElapsedTime(listening);
            if (heads.All(head => view.Vector.GetValueOrDefault(head.Log) >= head.Head))
            {
                var cpu = cluster[away].Usage().Cpu - before;
                var digest = (await health.ReadAsync(away, withDigest: true, CancellationToken.None)).Digest;
                return digest == heads[0].Digest
                    ? new(rows, Stopwatch.GetElapsedTime(began, listening), elapsed, cpu)
                    : throw new InvalidDataException($"{ClusterProcess.NameOf(away)} has caught up, but its digest is {digest} and not {heads[0].Digest}");
            }

            if (elapsed > Deadline)
            {
                throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture, $"{ClusterProcess.NameOf(away)} did not catch up within {Deadline.TotalMinutes} minutes"));
            }

            await Task.Delay(Interval);
        }
    }
}
