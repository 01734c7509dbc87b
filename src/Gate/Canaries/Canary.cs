using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Clients;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Ledgers;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Phases;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Canaries;

/// <summary>A small campaign against something that is broken on purpose. The same code runs and judges it as the real one.</summary>
/// <param name="Plan">What must come out, and where.</param>
/// <param name="IsQuick">It runs in quick campaigns too.</param>
/// <param name="Scope">Of the small campaign.</param>
/// <param name="RunAsync">Fills the evidence.</param>
internal sealed record Canary(CanaryPlan Plan, bool IsQuick, CampaignScope Scope, Func<PhaseContext, CancellationToken, Task> RunAsync)
{
    /// <summary>In the place of a fault class, where nothing is injected.</summary>
    private const string None = "none";

    private const int Writes = 60;
    private const int Burst = 1;

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);
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
        new(new("zero_acks", "no write can be acknowledged", $"phase4.{None}.acked", Verdict.Fail), true, ScopeOf(4), static (context, cancellation) =>
            BurstAsync(context, cancellation, breakAsync: static async nodes =>
            {
                await nodes.KillAsync(1);
                await nodes.KillAsync(2);
            })),
        new(new("page_of_twenty", "lists end after 20 rows", $"phase4.{None}.pages", Verdict.Fail), true, ScopeOf(4), static (context, cancellation) =>
            BurstAsync(context, cancellation, throughPages: true)),
        new(new("fan_out_dropped", "nothing reaches one peer", $"phase4.{None}.lost", Verdict.Fail), true, ScopeOf(4), static (context, cancellation) =>
            BurstAsync(context, cancellation, withLinks: true, breakAsync: static nodes =>
            {
                foreach (var other in (int[])[0, 1])
                {
                    nodes.Link(other, 2)!.RequestsCut = true;
                    nodes.Link(2, other)!.RequestsCut = true;
                }

                return Task.CompletedTask;
            })),
    ];

    /// <summary>Why it cannot run here; null when it can.</summary>
    public static CanaryPlan PlanFor(string name, Programs programs)
    {
        var canary = All.First(each => each.Plan.Name == name);
        return canary.NeedsFaults && programs.Faulty is null ? canary.Plan with { NotRun = "there is no build with faults (see docs/gate.md)" } : canary.Plan;
    }

    /// <summary>It is about a build with faults.</summary>
    public bool NeedsFaults { get; init; }

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

                var writes = Enumerable.Range(0, Writes).Select(client => new Agent(traffic, Burst, $"b{client}", "canary", withToken: false).CreateAsync(0)).ToArray();
                var inFlight = traffic.InFlight;
                await Task.WhenAll(writes);
                var ended = traffic.Now;
                var digest = await Convergence.WaitAsync(traffic, cluster.IsReadyAsync, Patience, late);
                var equal = traffic.Now;
                await Convergence.RecordAsync(traffic, Burst, "canary");
                traffic.Record(new Injection { Cycle = Burst, Fault = None, Victim = "", InFlight = inFlight, Injected = ended, Healed = ended, Converged = digest is null ? null : equal });
                return new RawChaos(new Dictionary<string, int>(), new Dictionary<string, string>());
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
