using System.Collections.Concurrent;
using System.Diagnostics;
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

    /// <summary>A cycle whose fault met no write on its way is followed by another in its place, so often at most.</summary>
    private const int Repetitions = 5;

    /// <summary>Of ten writes that are sent at once three are changes of memories made before: an update, a promotion and a delete.</summary>
    private const int Tens = 10;

    /// <summary>Writes that are sent at once when the fault is in force.</summary>
    private const int SecondBurst = 10;

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
        var crashes = new ConcurrentDictionary<string, IReadOnlyList<string>>();
        var errors = new ConcurrentDictionary<string, string>();
        await Parallel.ForEachAsync(context.Scope.Faults, new ParallelOptions { MaxDegreeOfParallelism = Lanes, CancellationToken = cancellation }, async (fault, stop) =>
        {
            var injector = FaultInjector.All.First(each => each.Name == fault);
            injector.Duration = Duration ?? injector.Duration;
            try
            {
                await RunAsync(injector, crashes, stop);
            }
            catch (Exception exception) when (exception is GateException or IOException or TimeoutException)
            {
                // The other classes are run all the same.
                errors[fault] = exception.Message;
                context.Say($"{fault}: {exception.Message}");
            }
        });
        return new(crashes, errors);
    }

    private async Task RunAsync(FaultInjector injector, ConcurrentDictionary<string, IReadOnlyList<string>> crashes, CancellationToken cancellation)
    {
        var folder = Path.Combine(nodes.Folder, injector.Name);
        var ledger = new List<LedgerLine>();
        try
        {
            await using var cluster = await Cluster.StartAsync(injector.Require(nodes with { Folder = folder }), cancellation);
            using var traffic = cluster.NewTraffic();
            try
            {
                var (met, repeated) = (0, 0);
                for (var cycle = 1; met < context.Scope.Cycles && repeated <= Repetitions; cycle++)
                {
                    var converged = await CycleAsync(cluster, traffic, injector, cycle, cancellation);
                    var lines = traffic.Take();
                    ledger.AddRange(lines);
                    var found = CycleChecker.Check(lines).Single();
                    (met, repeated) = found.InFlight.Count > 0 ? (met + 1, 0) : (met, repeated + 1);
                    context.Say($"{injector.Name} {met}/{context.Scope.Cycles}: {found.Acked} acknowledged, {(converged is { } time ? $"equal after {time.TotalMilliseconds:F0} ms" : "not equal")}{(repeated > 0 ? ", and the fault met no write: once more" : "")}");
                    if (converged is null)
                    {
                        // Red already; the cycles after it would only say the same.
                        break;
                    }
                }

                await Convergence.RecordLaterAsync(traffic, [.. ledger.Select(static line => line.Cycle).Distinct().Select(cycle => (cycle, NamespaceOf(injector, cycle)))]);
            }
            finally
            {
                ledger.AddRange(traffic.Take());
                crashes[injector.Name] = cluster.Nodes!.Crashes;
            }
        }
        finally
        {
            await context.Evidence.WriteLedgerAsync($"phase4-{injector.Name}", ledger);
            context.Evidence.KeepLogs(folder, $"phase4-{injector.Name}");
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private static string NamespaceOf(FaultInjector injector, int cycle) => $"chaos-{injector.Name}-{cycle}";

    /// <summary>By turns too short for the others to declare a silo dead, and long enough.</summary>
    private TimeSpan DurationOf(FaultInjector injector, NodesKind kind, int cycle) =>
        Duration is null && injector.Silences && kind == NodesKind.Silo && cycle % 2 == 0 ? DeathOfSilo : injector.Duration;

    /// <returns>How long the nodes took to become equal; null when they did not.</returns>
    private async Task<TimeSpan?> CycleAsync(Cluster cluster, Traffic traffic, FaultInjector injector, int cycle, CancellationToken cancellation)
    {
        var set = cluster.Nodes!;
        var @namespace = NamespaceOf(injector, cycle);
        var primary = cycle % set.Count;
        var victim = injector.Victim == FaultVictim.Follower ? (primary + 1) % set.Count : primary;
        await injector.PrepareAsync(set, victim, cancellation);
        await set.WaitReadyAsync(ReadyDeadline, cancellation);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var (before, deletedBefore, readsBefore) = (traffic.Acked, traffic.Deleted, traffic.TokenReads);
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

            var clients = Enumerable.Range(0, context.Scope.Writes).Select(client => (Agent: new Agent(traffic, cycle, $"b{client}", @namespace, withToken: false), Number: client)).ToList();
            int NodeOf(int client) => client % 2 == 0 ? primary : client % set.Count;
            await Task.WhenAll(clients.Where(static client => ChangeOf(client.Number) is not null).Select(client => client.Agent.CreateAsync(NodeOf(client.Number))));
            var burst = clients.ConvertAll(client => WriteOnceAsync(client.Agent, ChangeOf(client.Number), NodeOf(client.Number)));
            await Task.Delay(TimeSpan.FromMilliseconds(cycle * Step % Spread), cancellation);
            var injected = traffic.Now;
            long inForce;
            try
            {
                await injector.InjectAsync(set, victim, cancellation);
                inForce = traffic.Now;
                burst.AddRange(Enumerable.Range(0, SecondBurst).Select(client => new Agent(traffic, cycle, $"f{client}", @namespace, withToken: false).CreateAsync(NodeOf(client))));
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

            // They need rows that other nodes took. When those do not come, the assertions say that nothing was looked at.
            await HoldsWithinAsync(ConvergeDeadline, () => traffic.Deleted > deletedBefore && traffic.TokenReads > readsBefore, cancellation);
            injection = new()
            {
                Cycle = cycle,
                Fault = injector.Name,
                Victim = NodeSet.NameOf(victim),
                Injected = injected,
                InForce = inForce,
                Healed = 0,
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

    /// <summary>What a client of the burst does to a memory that it made before; null: it makes one.</summary>
    private static string? ChangeOf(int client) => (client % Tens) switch
    {
        2 => Operations.Update,
        5 => Operations.Promote,
        8 => Operations.Delete,
        _ => null,
    };

    private static Task<Operation> WriteOnceAsync(Agent agent, string? change, int node) => (change, agent.Owns) switch
    {
        (Operations.Update, [var memory]) => agent.UpdateAsync(memory, memory.Node, turn: 1),
        (Operations.Promote, [var memory]) => agent.PromoteAsync(memory, memory.Node),
        (Operations.Delete, [var memory]) => agent.DeleteAsync(memory, memory.Node),
        _ => agent.CreateAsync(node),
    };

    private static async Task<List<long>> HeadsAsync(Traffic traffic) => [.. await Task.WhenAll(Enumerable.Range(0, traffic.Nodes.Count).Select(async node =>
        (await traffic.AskAsync(node, HttpMethod.Get, "/api/v1/cluster")) is { Status: 200, Body: { } body } ? body.GetProperty("head").GetInt64() : 0))];

    private static async Task UntilAsync(string what, Func<bool> holds, CancellationToken cancellation)
    {
        if (!await HoldsWithinAsync(TrafficDeadline, holds, cancellation))
        {
            throw new TimeoutException($"within {TrafficDeadline.TotalSeconds} s it did not come to this: {what}");
        }
    }

    private static async Task<bool> HoldsWithinAsync(TimeSpan time, Func<bool> holds, CancellationToken cancellation)
    {
        for (var waited = Stopwatch.StartNew(); !holds();)
        {
            if (waited.Elapsed > time)
            {
                return false;
            }

            await Task.Delay(PollInterval, cancellation);
        }

        return true;
    }
}
