using System.Text.Json;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Clients;

namespace OrleansMemory.Gate.Phases;

/// <summary>Phase 1: each node alone, by the commands that its users have.</summary>
internal static class FunctionalPhase
{
    private const string Namespace = "ship-gate-phase1";

    private static readonly TimeSpan ConvergeDeadline = TimeSpan.FromSeconds(60);

    public static async Task<List<RawNode>> RunAsync(PhaseContext context, Cluster cluster, CancellationToken cancellation)
    {
        var om = new CommandLine(context.Programs.Om);
        using var traffic = cluster.NewTraffic();
        var seen = traffic.Nodes.Select(static node => new Seen(node)).ToList();
        foreach (var node in seen)
        {
            await node.TryAsync("store", async () =>
                _ = await om.JsonAsync(["store", "-T", $"phase1-{node.Name}", "-c", $"functional check on {node.Name}", "-n", Namespace, "--tier", "mid", "--json", .. node.Place], cancellation: cancellation));
        }

        if (await Convergence.WaitAsync(traffic, cluster, ConvergeDeadline, cancellation) is null)
        {
            seen.ForEach(static node => node.Errors.Add("the nodes did not become equal"));
        }

        // Copies before anything is read: a read counts as an access, and is written.
        for (var node = 0; node < seen.Count && cluster.Nodes is not null; node++)
        {
            await BackUpAsync(context, om, cluster, node, seen[node], cancellation);
        }

        foreach (var node in seen)
        {
            context.Say($"{node.Name}: recall, statistics, curator, MCP");
            await node.TryAsync("recall", async () =>
                node.RecallCount = (await om.JsonAsync(["recall", $"functional check on {node.Name}", "--limit", "5", "--json", .. node.Place], cancellation: cancellation)).GetProperty("memories").EnumerateArray()
                    .Count(memory => memory.GetProperty("title").GetString() == $"phase1-{node.Name}"));
            await node.TryAsync("stats", async () => node.Stats = await om.JsonAsync(["stats", "--json", .. node.Place], cancellation: cancellation));
            await node.TryAsync("curator", async () => node.Curator = await om.JsonAsync(["curator", "--once", "--dry-run", "--max-ops", "10", "--json", .. node.Place], cancellation: cancellation));
            await node.TryAsync("mcp over standard input", async () => node.Stdio = await McpProbe.StdioAsync(om, node.Address, cancellation));
            await node.TryAsync("mcp over HTTP", async () => node.Http = await McpProbe.HttpAsync(node.Address, Environment.GetEnvironmentVariable(Traffic.KeyVariable), cancellation));
            await node.TryAsync("capabilities", async () => node.Version = (await traffic.AskAsync(seen.IndexOf(node), HttpMethod.Get, "/api/v1/capabilities")).Text("version"));
        }

        return [.. seen.Select(static node => node.Raw())];
    }

    private static async Task BackUpAsync(PhaseContext context, CommandLine om, Cluster cluster, int number, Seen node, CancellationToken cancellation)
    {
        context.Say($"{node.Name}: backup, restore");
        var backups = Path.Combine(context.Scratch, $"backup-{node.Name}");
        var restored = Path.Combine(context.Scratch, $"restored-{node.Name}.db");
        await node.TryAsync("backup", async () =>
        {
            _ = await om.JsonAsync(["backup", "--db", cluster.Nodes!.DatabaseOf(number), "--to", backups, "--keep", "1", "--json"], cancellation: cancellation);
            node.Snapshots = Directory.GetFiles(backups, "*.db").Length;
            node.Manifests = Directory.GetFiles(backups, "*.manifest.json").Length;
            node.Source = await Rows.ReadAsync(om, node.Place, null, cancellation);
        });
        await node.TryAsync("restore", async () =>
        {
            _ = await om.JsonAsync(["restore", "--from", backups, "--db", restored, "--json"], cancellation: cancellation);
            node.Restored = await Rows.ReadAsync(om, ["--db", restored], null, cancellation);
        });
    }

    /// <summary>What is gathered of a node, step by step.</summary>
    private sealed class Seen(NodeAddress node)
    {
        public string Name => node.Name;

        public Uri Address => node.Address;

        public string[] Place => ["--url", node.Address.GetLeftPart(UriPartial.Authority)];

        public List<string> Errors { get; } = [];

        public string? Version { get; set; }

        public JsonElement? Stats { get; set; }

        public JsonElement? Curator { get; set; }

        public int? RecallCount { get; set; }

        public int? Snapshots { get; set; }

        public int? Manifests { get; set; }

        public int? Stdio { get; set; }

        public int? Http { get; set; }

        public IReadOnlyDictionary<string, string>? Source { get; set; }

        public IReadOnlyDictionary<string, string>? Restored { get; set; }

        public async Task TryAsync(string step, Func<Task> run)
        {
            try
            {
                await run();
            }
            catch (Exception exception) when (exception is CommandException or IOException or InvalidOperationException or KeyNotFoundException)
            {
                Errors.Add($"{step}: {exception.Message}");
            }
        }

        public RawNode Raw() => new(Name, Version, Stats, RecallCount, Snapshots, Manifests, Curator, Stdio, Http, Source, Restored, Errors);
    }
}
