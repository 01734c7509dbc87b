using System.Diagnostics;
using System.Net;

namespace OrleansMemory.Cli.Bench;

/// <summary>Where the requests of a load come from. Called by one thread for each connection, at the same time.</summary>
internal interface IRequestSource
{
    /// <summary>Names of the classes that latencies are told apart by.</summary>
    IReadOnlyList<string> Classes { get; }

    /// <summary>The bytes of a request, in <paramref name="scratch"/> or elsewhere, valid until the connection's next call.</summary>
    /// <param name="ticket">Different for each request of all connections.</param>
    ReadOnlySpan<byte> Next(long ticket, Span<byte> scratch, out int @class);
}

/// <summary>What a load measured: latencies of successful requests in microseconds, failures by status (0: connection broke).</summary>
internal sealed record LoadResult(TimeSpan Elapsed, IReadOnlyList<string> Classes, IReadOnlyList<Latencies> ByClass, IReadOnlyDictionary<int, long> Failures)
{
    public Latencies All { get; } = Latencies.Merge(ByClass);
}

/// <summary>
/// Sends requests over a fixed number of connections, a blocking thread for each. Closed loop: the next request follows the answer.
/// Open loop: requests have their times, the latency counts from the intended time, and a late answer makes the next ones late and
/// not fewer.
/// </summary>
/// <param name="nodes">Connections are spread over them in turn.</param>
/// <param name="receipts">Told of each write that was answered; null to save the trouble.</param>
/// <param name="earlier">A load whose tickets this one's follow.</param>
internal sealed class Load(
    IReadOnlyList<IPEndPoint> nodes, IRequestSource source, int connections, double? rate, ReceiptLog? receipts = null, Load? earlier = null)
{
    private const int ScratchBytes = 16 * 1024;
    private const int StackBytes = 256 * 1024;

    private long _tickets = earlier?._tickets ?? 0;

    /// <summary>Runs for a time or a number of requests, whichever ends first; the tickets go on from those of the run before.</summary>
    public LoadResult Run(TimeSpan duration, long requests = long.MaxValue)
    {
        var firstTicket = Interlocked.Read(ref _tickets);
        var workers = new Worker[connections];
        using var ready = new CountdownEvent(connections);
        using var go = new ManualResetEventSlim();
        var clock = new Stopwatch();
        for (var index = 0; index < connections; index++)
        {
            var worker = workers[index] = new(source.Classes.Count, nodes[index % nodes.Count]);
            worker.Thread = new(() =>
            {
                ready.Signal();
                go.Wait();
                Work(worker, clock, firstTicket, duration, requests);
            }, StackBytes)
            { IsBackground = true };
            worker.Thread.Start();
        }

        ready.Wait();
        clock.Start();
        go.Set();
        foreach (var worker in workers)
        {
            worker.Thread!.Join();
        }

        var elapsed = clock.Elapsed;
        var failures = new SortedDictionary<int, long>();
        foreach (var (status, count) in workers.SelectMany(worker => worker.Failures))
        {
            failures[status] = failures.GetValueOrDefault(status) + count;
        }

        var byClass = source.Classes.Select((_, index) => Latencies.Merge(workers.Select(worker => worker.Latencies[index]))).ToList();
        return new(elapsed, source.Classes, byClass, failures);
    }

    private void Work(Worker worker, Stopwatch clock, long firstTicket, TimeSpan duration, long requests)
    {
        using var connection = new HttpConnection(worker.Node);
        var scratch = new byte[ScratchBytes];
        while (true)
        {
            var ticket = Interlocked.Increment(ref _tickets) - 1;
            if (ticket - firstTicket >= requests)
            {
                return;
            }

            var begun = clock.Elapsed;
            if (rate is { } perSecond)
            {
                var intended = TimeSpan.FromSeconds((ticket - firstTicket) / perSecond);
                if (intended >= duration)
                {
                    return;
                }

                if (intended > begun)
                {
                    Pause.For(intended - begun);
                }

                begun = intended;
            }
            else if (begun >= duration)
            {
                return;
            }

            var status = connection.Exchange(source.Next(ticket, scratch, out var @class));
            if (status is >= 200 and < 300)
            {
                worker.Latencies[@class].Add(clock.Elapsed - begun);
                receipts?.Add(connection.Token);
            }
            else
            {
                worker.Failures[status] = worker.Failures.GetValueOrDefault(status) + 1;
            }
        }
    }

    private sealed class Worker(int classes, IPEndPoint node)
    {
        public IPEndPoint Node => node;

        public Thread? Thread { get; set; }

        public Latencies[] Latencies { get; } = Enumerable.Range(0, classes).Select(_ => new Latencies()).ToArray();

        public Dictionary<int, long> Failures { get; } = [];
    }
}
