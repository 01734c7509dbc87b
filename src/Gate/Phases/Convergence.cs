using OrleansMemory.Gate.Clients;

namespace OrleansMemory.Gate.Phases;

/// <summary>Waits until nodes agree.</summary>
internal static class Convergence
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// Asks all nodes for their digests until they are equal and every node is ready. A silo that was declared dead may end now, and is
    /// started again.
    /// </summary>
    /// <returns>The digest; null when they were not equal within the deadline.</returns>
    public static async Task<string?> WaitAsync(Traffic traffic, Cluster cluster, TimeSpan atMost, CancellationToken cancellation)
    {
        var until = traffic.Now + (atMost.Ticks / TimeSpan.TicksPerMicrosecond);
        do
        {
            await cluster.ReviveAsync();
            var ready = await Task.WhenAll(Enumerable.Range(0, traffic.Nodes.Count).Select(cluster.IsReadyAsync));
            if (Array.TrueForAll(ready, static each => each) && await DigestsAsync(traffic) is [{ } digest])
            {
                return digest;
            }

            await Task.Delay(PollInterval, cancellation);
        }
        while (traffic.Now < until);
        return null;
    }

    /// <summary>Writes down what every node that answers holds of a namespace.</summary>
    public static async Task RecordAsync(Traffic traffic, int cycle, string @namespace)
    {
        for (var node = 0; node < traffic.Nodes.Count; node++)
        {
            try
            {
                if (await traffic.DigestAsync(node) is { } digest)
                {
                    await traffic.RecordHoldingsAsync(cycle, node, @namespace, digest);
                }
            }
            catch (InvalidDataException)
            {
                // A node that was not read to its end is missing from the ledger, and the evaluator counts it as missing.
            }
        }
    }

    /// <summary>Writes down what every node that answers holds now of what earlier cycles wrote.</summary>
    public static async Task RecordLaterAsync(Traffic traffic, IReadOnlyCollection<(int Cycle, string Namespace)> written)
    {
        for (var node = 0; node < traffic.Nodes.Count; node++)
        {
            try
            {
                foreach (var (cycle, @namespace) in written)
                {
                    await traffic.RecordLaterAsync(cycle, node, @namespace);
                }
            }
            catch (InvalidDataException)
            {
                // The evaluator counts what is missing.
            }
        }
    }

    private static async Task<List<string?>> DigestsAsync(Traffic traffic) =>
        [.. (await Task.WhenAll(Enumerable.Range(0, traffic.Nodes.Count).Select(traffic.DigestAsync))).Distinct()];
}
