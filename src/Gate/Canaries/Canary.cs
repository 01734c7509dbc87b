using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Clients;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Ledgers;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Phases;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Canaries;

/// <summary>
/// A small campaign against something that is broken on purpose, on named peers. The same code runs and judges it as the real one. Two are
/// against nothing that is broken: were those red, the others would be red for nothing.
/// </summary>
/// <param name="Plan">What must come out, and where.</param>
/// <param name="IsQuick">It runs in quick campaigns too.</param>
/// <param name="Scope">Of the small campaign.</param>
/// <param name="RunAsync">Fills the evidence.</param>
internal sealed record Canary(CanaryPlan Plan, bool IsQuick, CampaignScope Scope, Func<PhaseContext, CancellationToken, Task> RunAsync)
{
    /// <summary>In the place of a fault class, where nothing is injected.</summary>
    private const string None = "none";

    private const int Writes = 60;
    private const int Nodes = 3;
    private const int Burst = 1;

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(4);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <summary>Sooner than nodes compare all that they hold: that would mend what a bug broke.</summary>
    private static readonly TimeSpan FaultyPatience = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ShortDeadline = TimeSpan.FromSeconds(1);

    public static IReadOnlyList<Canary> All { get; } =
    [
        new(new("empty_evidence", "a phase leaves empty files", $"phase4.{None}.lost", Verdict.HarnessError), true, ScopeOf(4), static (context, _) =>
        {
            context.Evidence.WriteText(EvidenceFolder.RawPath(4), "");
            return context.Evidence.WriteLedgerAsync($"phase4-{None}", []);
        }),
        new(new("hanging_phase", "a phase does not end", "phase3.errors", Verdict.HarnessError), true, ScopeOf(3), static (context, cancellation) =>
            PhaseRunner.RunAsync(context.Evidence, 3, ShortDeadline, ShortDeadline, static _ => new TaskCompletionSource<RawMigration>().Task, cancellation)),
        new(new("zero_acks", "no write can be acknowledged", $"phase4.{None}.acked", Verdict.Fail, 0), true, ScopeOf(4), static (context, cancellation) =>
            BurstAsync(context, cancellation, breakAsync: static async nodes =>
            {
                await nodes.KillAsync(1);
                await nodes.KillAsync(2);
            })),
        new(new("page_of_twenty", "lists end after 20 rows", $"phase4.{None}.pages", Verdict.Fail, Nodes), true, ScopeOf(4), static (context, cancellation) =>
            BurstAsync(context, cancellation, throughPages: true)),
        new(new("whole", "nothing: the same burst of writes", $"phase4.{None}.lost", Verdict.Pass, 0), true, ScopeOf(4), static (context, cancellation) => BurstAsync(context, cancellation)),
        new(new("fan_out_dropped", "nothing reaches one peer", $"phase4.{None}.lost", Verdict.Fail, Writes), true, ScopeOf(4), static (context, cancellation) =>
            BurstAsync(context, cancellation, withLinks: true, breakAsync: static nodes =>
            {
                foreach (var other in (int[])[0, 1])
                {
                    nodes.Link(other, 2)!.RequestsCut = true;
                    nodes.Link(2, other)!.RequestsCut = true;
                }

                return Task.CompletedTask;
            })),
        Faulty(new("no_fault_set", "nothing: the build with faults, none of them set", "phase4.partition_minority.lost", Verdict.Pass, 0), null, "partition_minority", 2, isQuick: true),
        Faulty(new("fan_out_ends_at_quorum", "a row that a quorum holds is sent to nobody any more", "phase4.partition_minority.lost", Verdict.Fail), "FanOutEndsAtQuorum", "partition_minority", 2, isQuick: true),
        Faulty(new("ack_before_commit", "callers are answered before their transaction is committed", "phase4.disk_full.lost", Verdict.Fail), "AckBeforeCommit", "disk_full", 2, quorumWrites: 1),
        Faulty(new("sequence_reused", "a node that was set back goes on with numbers that were used", "phase4.restored_copy.lost", Verdict.Fail), "SequenceReused", "restored_copy", 6),
        Faulty(new("tombstone_dropped_early", "a delete is forgotten before every node has it", "phase4.away.resurrected", Verdict.Fail), "TombstoneCollectedEarly", "away", 8, shortMemory: true),
        new(new("vector_past_refused_row", "a node says that it holds a row which it refused", $"phase4.{None}.stale", Verdict.Fail), false, ScopeOf(4), RefusedRowAsync) { NeedsFaults = true, Needs = "clock_jump" },
    ];

    /// <summary>What it must come to, or why it cannot run here.</summary>
    public static CanaryPlan PlanFor(string name, Programs programs)
    {
        var canary = All.First(each => each.Plan.Name == name);
        var why = canary.NeedsFaults && programs.Faulty is null ? "there is no build with faults: see docs/gate.md"
            : FaultInjector.All.FirstOrDefault(fault => fault.Name == canary.Needs)?.WhyNot(new("", NodesKind.Peers, programs.Om));
        return canary.Plan with { NotRun = why };
    }

    /// <summary>It is about a build with faults.</summary>
    public bool NeedsFaults { get; init; }

    /// <summary>A fault class that it injects; null: none.</summary>
    public string? Needs { get; init; }

    /// <summary>Cycles of one fault class on nodes of a build that has a bug.</summary>
    private static Canary Faulty(CanaryPlan plan, string? bug, string fault, int cycles, bool isQuick = false, int quorumWrites = 2, bool shortMemory = false) =>
        new(plan, isQuick, ScopeOf(4, fault, cycles), (context, cancellation) => PhaseRunner.RunAsync(context.Evidence, 4, Deadline, null, late =>
        {
            var nodes = new NodesPlan(Path.Combine(context.Scratch, "nodes"), NodesKind.Peers, context.Programs.Faulty!) { FaultName = bug, QuorumWrites = quorumWrites, WithShortMemory = shortMemory };
            return new ChaosPhase(context, nodes) { ConvergeDeadline = FaultyPatience }.RunAsync(late);
        }, cancellation))
        {
            NeedsFaults = true,
            Needs = fault,
        };

    /// <summary>A node whose clock is ahead writes alone; the others refuse the row for that, and one of them is asked for it by its token.</summary>
    private static Task RefusedRowAsync(PhaseContext context, CancellationToken cancellation) => PhaseRunner.RunAsync(context.Evidence, 4, Deadline, null, async late =>
    {
        const int Ahead = 2;
        var plan = new NodesPlan(Path.Combine(context.Scratch, "nodes"), NodesKind.Peers, context.Programs.Faulty!) { FaultName = "VectorPastRefusedRow", WithLinks = true, WithClocks = true };
        await using var cluster = await Cluster.StartAsync(plan, late);
        using var traffic = cluster.NewTraffic();
        try
        {
            var nodes = cluster.Nodes!;
            await nodes.StopNodeAsync(Ahead);
            Cut(nodes, true);
            nodes.ClockOf(Ahead)!.Set(TimeSpan.FromHours(1));
            await nodes.StartNodeAsync(Ahead);
            var agent = new Agent(traffic, Burst, "ahead", "canary", withToken: true, quorum: "1");
            while (agent.Owns.Count == 0)
            {
                await agent.CreateAsync(Ahead);
                await Task.Delay(RetryInterval, late);
            }

            Cut(nodes, false);
            nodes.ClockOf(Ahead)!.Set(TimeSpan.Zero);
            var healed = traffic.Now;
            for (Operation read; traffic.Now - healed < FaultyPatience.Ticks / TimeSpan.TicksPerMicrosecond;)
            {
                read = await agent.ReadAsync(agent.Owns[0], 0);
                if (read.Status == 404)
                {
                    break;
                }

                await Task.Delay(RetryInterval, late);
            }

            await Convergence.RecordAsync(traffic, Burst, "canary");
            traffic.Record(new Injection { Cycle = Burst, Fault = None, Victim = NodeSet.NameOf(Ahead), Injected = healed, InForce = healed, Healed = healed });
            return new RawChaos(new Dictionary<string, IReadOnlyList<string>>(), new Dictionary<string, string>());
        }
        finally
        {
            await context.Evidence.WriteLedgerAsync($"phase4-{None}", traffic.Take());
        }

        static void Cut(NodeSet nodes, bool isCut)
        {
            foreach (var other in (int[])[0, 1])
            {
                foreach (var link in (LinkProxy[])[nodes.Link(other, Ahead)!, nodes.Link(Ahead, other)!])
                {
                    (link.RequestsCut, link.AnswersCut) = (isCut, isCut);
                }
            }
        }
    }, cancellation);

    private static CampaignScope ScopeOf(int phase, string fault = None, int cycles = 1) =>
        new(CampaignModes.Canary, "peers", ["n1", "n2", "n3"], [phase], phase == 4 ? [fault] : [], new Dictionary<string, string>(), cycles, Writes);

    /// <summary>A burst of writes and a comparison of all nodes, without a fault but for what is broken.</summary>
    private static Task BurstAsync(PhaseContext context, CancellationToken cancellation, Func<NodeSet, Task>? breakAsync = null, bool withLinks = false, bool throughPages = false) =>
        PhaseRunner.RunAsync(context.Evidence, 4, Deadline, null, async late =>
        {
            var plan = new NodesPlan(Path.Combine(context.Scratch, "nodes"), NodesKind.Peers, context.Programs.Om) { WithLinks = withLinks };
            await using var cluster = await Cluster.StartAsync(plan, late);
            var proxies = throughPages ? cluster.Addresses.Select(static node => new PageProxy(node.Address)).ToList() : [];
            using var traffic = throughPages ? new Traffic([.. cluster.Addresses.Zip(proxies, static (node, proxy) => node with { Address = proxy.Address })]) : cluster.NewTraffic();
            try
            {
                if (breakAsync is not null)
                {
                    await breakAsync(cluster.Nodes!);
                }

                await Task.WhenAll(Enumerable.Range(0, Writes).Select(client => new Agent(traffic, Burst, $"b{client}", "canary", withToken: false).CreateAsync(0)));
                var ended = traffic.Now;
                var digest = await Convergence.WaitAsync(traffic, cluster, Patience, late);
                var equal = traffic.Now;
                await Convergence.RecordAsync(traffic, Burst, "canary");
                traffic.Record(new Injection { Cycle = Burst, Fault = None, Victim = "", Injected = ended, InForce = ended, Healed = ended, Converged = digest is null ? null : equal });
                return new RawChaos(new Dictionary<string, IReadOnlyList<string>>(), new Dictionary<string, string>());
            }
            finally
            {
                await context.Evidence.WriteLedgerAsync($"phase4-{None}", traffic.Take());
                foreach (var proxy in proxies)
                {
                    await proxy.DisposeAsync();
                }
            }
        }, cancellation);
}
