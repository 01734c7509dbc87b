using System.Text.Json.Nodes;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Clients;
using OrleansMemory.Gate.Ledgers;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Phases;

/// <summary>Phase 2: four agents write at once; memories are changed and linked through every node; one peer goes down, then both.</summary>
internal static class AgentsPhase
{
    private const string Namespace = "ship-gate-phase2";
    private const string Changed = $"{Namespace}-changes";
    private const string Probed = $"{Namespace}-probes";
    private const int Burst = 1;
    private const int Changes = 2;
    private const int Probes = 3;
    private const int MemoriesOfNode = 4;

    private static readonly string[] Names = ["ai:agent-alice", "ai:agent-bob", "ai:agent-charlie", "ai:agent-dana"];
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ProbeDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(200);

    public static async Task<RawAgents> RunAsync(PhaseContext context, Cluster cluster, CancellationToken cancellation)
    {
        using var traffic = cluster.NewTraffic();
        var ledger = new List<LedgerLine>();
        try
        {
            context.Say($"{Declaration.Agents} agents, {Declaration.WritesOfAgent} writes each");
            await Task.WhenAll(Names.Select(async (name, number) =>
            {
                var agent = new Agent(traffic, Burst, name, Namespace, withToken: number % 2 == 0);
                for (var write = 0; write < Declaration.WritesOfAgent; write++)
                {
                    await agent.CreateAsync(number % traffic.Nodes.Count);
                }
            }));
            await SettleAsync(context, cluster, traffic, Burst, Namespace, cancellation);

            context.Say("changes through every node");
            var links = await ChangeAsync(traffic, Changed);
            await SettleAsync(context, cluster, traffic, Changes, Changed, cancellation);
            var missing = await MissingAsync(traffic, links);
            var (oneDown, bothDown, code) = cluster.Nodes is { } nodes ? await ProbeAsync(context, cluster, nodes, traffic, cancellation) : default;
            await Convergence.RecordLaterAsync(traffic, [(Burst, Namespace), (Changes, Changed), .. cluster.Nodes is null ? [] : ((int, string)[])[(Probes, Probed)]]);
            var digests = new Dictionary<string, string>();
            for (var node = 0; node < traffic.Nodes.Count; node++)
            {
                digests[traffic.Nodes[node].Name] = await traffic.DigestAsync(node) ?? $"{traffic.Nodes[node].Name} did not answer";
            }

            return new(links.Count, missing, oneDown, bothDown, code, digests, cluster.Nodes?.Crashes ?? []);
        }
        finally
        {
            ledger.AddRange(traffic.Take());
            await context.Evidence.WriteLedgerAsync(Declaration.PhaseName(2), ledger);
        }
    }

    /// <summary>Creates, updates, promotes, deletes and links on every node.</summary>
    /// <returns>The links that were acknowledged.</returns>
    private static async Task<List<(string Source, string Target)>> ChangeAsync(Traffic traffic, string @namespace)
    {
        var links = new List<(string, string)>();
        for (var node = 0; node < traffic.Nodes.Count; node++)
        {
            var agent = new Agent(traffic, Changes, $"ai:agent-{traffic.Nodes[node].Name}", @namespace, withToken: true);
            for (var memory = 0; memory < MemoriesOfNode; memory++)
            {
                await agent.CreateAsync(node);
            }

            if (agent.Owns is not [var first, var second, var third, var fourth])
            {
                continue;
            }

            // Each change through another node than the one before it.
            var next = (node + 1) % traffic.Nodes.Count;
            await agent.UpdateAsync(first, next, turn: 1);
            await agent.ReadAsync(first, node);
            await agent.PromoteAsync(second, next);
            await agent.DeleteAsync(fourth, next);
            await agent.ReadAsync(fourth, node);
            var body = new JsonObject { ["source_id"] = first.Id, ["target_id"] = third.Id, ["relation"] = "related_to" };
            if (await traffic.AskAsync(node, HttpMethod.Post, "/api/v1/links", body) is { Status: >= 200 and < 300 })
            {
                links.Add((first.Id, third.Id));
            }
        }

        return links;
    }

    private static async Task<List<string>> MissingAsync(Traffic traffic, List<(string Source, string Target)> links)
    {
        var missing = new List<string>();
        for (var node = 0; node < traffic.Nodes.Count; node++)
        {
            foreach (var (source, target) in links)
            {
                var answer = await traffic.AskAsync(node, HttpMethod.Get, $"/api/v1/links/{source}");
                if (answer.Body is not { } body || !body.GetProperty("links").EnumerateArray().Any(link => link.GetProperty("target_id").GetString() == target))
                {
                    missing.Add($"{source} to {target} on {traffic.Nodes[node].Name}");
                }
            }
        }

        return missing;
    }

    /// <summary>Writes while one peer is down, and while both are; then both come back.</summary>
    private static async Task<(int? OneDown, int? BothDown, string? Code)> ProbeAsync(PhaseContext context, Cluster cluster, NodeSet nodes, Traffic traffic, CancellationToken cancellation)
    {
        context.Say("one peer down, then both");
        var agent = new Agent(traffic, Probes, "ai:agent-erin", Probed, withToken: true);
        await nodes.KillAsync(1);
        var one = await RetryAsync(agent, static operation => operation.Status == 201);
        if (agent.Owns is [.., var owned])
        {
            await agent.ReadAsync(owned, 0);
        }

        await nodes.KillAsync(2);
        var both = await RetryAsync(agent, static operation => operation.Code == "quorum_not_met");
        await nodes.StartNodeAsync(1);
        await nodes.StartNodeAsync(2);
        await SettleAsync(context, cluster, traffic, Probes, Probed, cancellation);
        return (one.Status, both.Status, both.Code);

        // A cluster of silos takes a moment to see that a member is gone, and answers 503 meanwhile: as a client would, it is asked again. Peers
        // answer at once what they answer.
        async Task<Operation> RetryAsync(Agent client, Func<Operation, bool> isExpected)
        {
            var until = traffic.Now + (ProbeDeadline.Ticks / TimeSpan.TicksPerMicrosecond);
            while (true)
            {
                var operation = await client.CreateAsync(0);
                if (isExpected(operation) || traffic.Now > until || nodes.Kind != NodesKind.Silo)
                {
                    return operation;
                }

                await Task.Delay(RetryInterval, cancellation);
            }
        }
    }

    private static async Task SettleAsync(PhaseContext context, Cluster cluster, Traffic traffic, int cycle, string @namespace, CancellationToken cancellation)
    {
        var ended = traffic.Now;
        var digest = await Convergence.WaitAsync(traffic, cluster, Deadline, cancellation);
        var converged = traffic.Now;
        await Convergence.RecordAsync(traffic, cycle, @namespace);
        traffic.Record(new Injection { Cycle = cycle, Fault = "none", Victim = "", Injected = ended, InForce = ended, Healed = ended, Converged = digest is null ? null : converged });
        context.Say(digest is null ? "the nodes did not become equal" : $"all equal after {(converged - ended) / 1000} ms");
    }
}
