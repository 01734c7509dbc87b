using System.Collections.Concurrent;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Clients;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Ledgers;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Phases;

/// <summary>Phase 4: cycles of faults, each put in while writes are on their way, on fresh nodes for each class; some classes at a time.</summary>
/// <param name="context">What to run.</param>
/// <param name="nodes">The plan of the nodes, without what a fault needs of it; its folder is that of all classes.</param>
internal sealed class ChaosPhase(PhaseContext context, NodesPlan nodes)
{
    /// <summary>Clients that write for as long as a cycle lasts; half of them send tokens.</summary>
    private const int Steady = 4;

    /// <summary>A cycle whose fault met no write on its way is run again, so often at most.</summary>
    private const int Repetitions = 5;

    /// <summary>Faults strike at other moments of the burst in each cycle: up to so many milliseconds after its begin, in steps without a pattern.</summary>
    private const int Spread = 25;
    private const int Step = 7;

    /// <summary>Classes that are run side by side: their nodes wait far longer than they compute.</summary>
    private static readonly int Lanes = Math.Clamp(Environment.ProcessorCount, 2, 6);

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan TrafficDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromSeconds(60);

    /// <summary>Two probes a second apart are missed, a second for each to be missed in; and as much again for a machine that is busy.</summary>
    private static readonly TimeSpan DeathOfSilo = TimeSpan.FromSeconds(6);

    /// <summary>A node that comes back empty or from an old copy fetches all that it lacks within this.</summary>
    public TimeSpan ConvergeDeadline { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>How long a fault lasts; null: as long as it needs to show.</summary>
    public TimeSpan? Duration { get; init; }

    public async Task<RawChaos> RunAsync(CancellationToken cancellation)
    {
        var repeated = new ConcurrentDictionary<string, int>();
        var errors = new ConcurrentDictionary<string, string>();
        await Parallel.ForEachAsync(context.Scope.Faults, new ParallelOptions { MaxDegreeOfParallelism = Lanes, CancellationToken = cancellation }, async (fault, stop) =>
        {
            var injector = FaultInjector.All.First(each => each.Name == fault);
            injector.Duration = Duration ?? injector.Duration;
            try
            {
                repeated[fault] = await RunAsync(injector, stop);
            }
            catch (Exception exception) when (exception is GateException or IOException or TimeoutException)
            {
                // The other classes are run all the same.
                errors[fault] = exception.Message;
                context.Say($"{fault}: {exception.Message}");
            }
        });
        return new(repeated, errors);
    }

    /// <returns>Cycles that were run again.</returns>
    private async Task<int> RunAsync(FaultInjector injector, CancellationToken cancellation)
    {
        var folder = Path.Combine(nodes.Folder, injector.Name);
        var ledger = new List<LedgerLine>();
        var repeated = 0;
        try
        {
            await using var cluster = await Cluster.StartAsync(injector.Require(nodes with { Folder = folder }), cancellation);
            using var traffic = cluster.NewTraffic();
            try
            {
                for (var cycle = 1; cycle <= context.Scope.Cycles; cycle++)
                {
                    var converged = await CycleAsync(cluster, traffic, injector, cycle, repeated, cancellation);
                    var lines = traffic.Take();
                    if (lines.OfType<Injection>().Single().InFlight == 0 && repeated < Repetitions)
                    {
                        repeated++;
                        cycle--;
                        continue;
                    }

                    ledger.AddRange(lines);
                    context.Say($"{injector.Name} {cycle}/{context.Scope.Cycles}: {lines.OfType<Operation>().Count(static operation => operation is { Outcome: Outcome.Acked, Op: not Operations.Read })} acknowledged, {(converged is { } time ? $"equal after {time.TotalMilliseconds:F0} ms" : "not equal")}");
                    if (converged is null)
                    {
                        // Red already; the cycles after it would only say the same.
                        break;
                    }
                }
            }
            finally
            {
                ledger.AddRange(traffic.Take());
            }
        }
        finally
        {
            await context.Evidence.WriteLedgerAsync($"phase4-{injector.Name}", ledger);
            Keep(folder, injector.Name);
        }

        return repeated;
    }

    /// <summary>By turns too short for the others to declare a silo dead, and long enough.</summary>
    private TimeSpan DurationOf(FaultInjector injector, NodesKind kind, int cycle) =>
        Duration is null && injector.Silences && kind == NodesKind.Silo && cycle % 2 == 0 ? DeathOfSilo : injector.Duration;

    /// <returns>How long the nodes took to become equal; null when they did not.</returns>
    private async Task<TimeSpan?> CycleAsync(Cluster cluster, Traffic traffic, FaultInjector injector, int cycle, int attempt, CancellationToken cancellation)
    {
        var set = cluster.Nodes!;
        var @namespace = attempt == 0 ? $"chaos-{injector.Name}-{cycle}" : $"chaos-{injector.Name}-{cycle}-{attempt}";
        var primary = cycle % set.Count;
        var victim = injector.Victim == FaultVictim.Follower ? (primary + 1) % set.Count : primary;
        await injector.PrepareAsync(set, victim, cancellation);
        await set.WaitReadyAsync(ReadyDeadline, cancellation);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var before = traffic.Acked;
        var heads = await HeadsAsync(traffic);
        var stock = injector.WantsDeletes ? Agent.Stock : 1;
        var steady = Enumerable.Range(0, Steady).Select(client => WriteAsync(traffic, cycle, client, @namespace, primary, injector.WantsDeletes, stop.Token)).ToArray();
        Injection injection;
        try
        {
            await UntilAsync("writes are acknowledged", () => traffic.Acked >= before + (Steady * stock), cancellation);
            if (set.Kind == NodesKind.Silo && injector.Victim != FaultVictim.Any)
            {
                // One silo decides for the namespace, whichever is asked: the one whose log grows.
                var grown = (await HeadsAsync(traffic)).Zip(heads, static (now, then) => now - then).ToList();
                primary = grown.IndexOf(grown.Max());
                victim = injector.Victim == FaultVictim.Follower ? (primary + 1) % set.Count : primary;
            }

            var burst = Enumerable.Range(0, context.Scope.Writes).Select(client => CreateAsync(traffic, cycle, client, @namespace, client % 2 == 0 ? primary : client % set.Count)).ToArray();
            await Task.Delay(TimeSpan.FromMilliseconds(cycle * Step % Spread), cancellation);
            var (inFlight, injected) = (traffic.InFlight, traffic.Now);
            try
            {
                await injector.InjectAsync(set, victim, cancellation);
                await Task.Delay(DurationOf(injector, set.Kind, cycle), cancellation);
            }
            finally
            {
                await injector.HealAsync(set, victim, CancellationToken.None);
            }

            await Task.WhenAll(burst);
            await set.WaitReadyAsync(ReadyDeadline, cancellation);

            // Until enough were acknowledged, and some of them after the fault.
            var healed = traffic.Acked;
            await UntilAsync("enough writes are acknowledged", () => traffic.Acked >= Math.Max(before + context.Scope.Writes, healed + Steady), cancellation);
            injection = new()
            {
                Cycle = cycle,
                Fault = injector.Name,
                Victim = NodeSet.NameOf(victim),
                InFlight = inFlight,
                Injected = injected,
                Healed = 0,
                DestroysDisk = injector.DestroysDisk,
            };
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(steady);
        }

        var ended = traffic.Now;
        var digest = await Convergence.WaitAsync(traffic, cluster, ConvergeDeadline, cancellation);
        var equal = traffic.Now;
        await Convergence.RecordAsync(traffic, cycle, @namespace);
        traffic.Record(injection with { Healed = ended, Converged = digest is null ? null : equal });
        return digest is null ? null : TimeSpan.FromMicroseconds(equal - ended);
    }

    private static async Task WriteAsync(Traffic traffic, int cycle, int client, string @namespace, int primary, bool deletes, CancellationToken stop)
    {
        var agent = new Agent(traffic, cycle, $"s{client}", @namespace, withToken: client % 2 == 0);
        for (var turn = 0; !stop.IsCancellationRequested; turn++)
        {
            // Each second request to the node that takes the most.
            var node = turn % 2 == 0 ? primary : (client + turn) % traffic.Nodes.Count;
            await (deletes ? agent.NextDeleteAsync(turn, node) : agent.NextAsync(turn, node));
            if (!deletes || turn >= Agent.Stock)
            {
                await Task.WhenAny(Task.Delay(Pace, stop));
            }
        }
    }

    private static Task<Operation> CreateAsync(Traffic traffic, int cycle, int client, string @namespace, int node) =>
        new Agent(traffic, cycle, $"b{client}", @namespace, withToken: false).CreateAsync(node);

    private static async Task<List<long>> HeadsAsync(Traffic traffic) => [.. await Task.WhenAll(Enumerable.Range(0, traffic.Nodes.Count).Select(async node =>
        (await traffic.AskAsync(node, HttpMethod.Get, "/api/v1/cluster")) is { Status: 200, Body: { } body } ? body.GetProperty("head").GetInt64() : 0))];

    private static async Task UntilAsync(string what, Func<bool> holds, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(TrafficDeadline);
        try
        {
            while (!holds())
            {
                await Task.Delay(PollInterval, deadline.Token);
            }
        }
        catch (OperationCanceledException exception) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"within {TrafficDeadline.TotalSeconds} s it did not come to this: {what}", exception);
        }
    }

    /// <summary>Keeps the nodes' logs and nothing else of a class.</summary>
    private void Keep(string folder, string name)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        foreach (var log in Directory.GetFiles(folder, "*.log"))
        {
            context.Evidence.KeepLog(log, $"phase4-{name}-{Path.GetFileName(log)}");
        }

        Directory.Delete(folder, recursive: true);
    }
}
