using System.Net;
using System.Text.Json;
using OrleansMemory.Compliance;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Silo.Tests;

/// <summary>Three silos that start at once, each on an old store of its own.</summary>
public sealed class SiloBackfillTests
{
    private const int Rows = 40;

    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Each_silo_does_each_row_of_its_store_once_and_the_cluster_keeps_a_record_of_it()
    {
        await using var cluster = await SiloCluster.StartAsync();
        for (var number = 0; number < Rows; number++)
        {
            var (status, _) = await cluster.SendAsync(number % SiloCluster.Count, HttpMethod.Post, "/api/v1/memories", new { title = $"t {number}", content = $"c {number}", @namespace = SiloCluster.Namespace });
            Assert.Equal(HttpStatusCode.Created, status);
        }

        await EqualAsync(cluster);
        for (var node = 0; node < SiloCluster.Count; node++)
        {
            await cluster.Processes[node].StopAsync(StopDeadline);
            OlderStore.Make(Path.Combine(cluster.Processes.Folder, $"n{node + 1}.db"));
            OlderStore.Count(Path.Combine(cluster.Processes.Folder, $"n{node + 1}.db"), 7);
        }

        await Task.WhenAll(Enumerable.Range(0, SiloCluster.Count).Select(node => cluster.Processes.StartAsync(node)));
        await cluster.ReadyAsync();
        for (var node = 0; node < SiloCluster.Count; node++)
        {
            await Eventually.HoldsAsync("the record says that every step is complete on every node", async () =>
                await ListAsync(cluster, node) is var list
                && list.TryGetProperty("cluster", out var record)
                && record.EnumerateArray().Count(static step => step.GetProperty("complete").GetBoolean()) == 4);
            var steps = (await ListAsync(cluster, node)).GetProperty("backfills").EnumerateArray().ToDictionary(static step => step.GetProperty("step").GetString()!);
            foreach (var name in (string[])["access-counters", "content-hash", "namespace-path"])
            {
                Assert.Equal((Rows, 1), (steps[name].GetProperty("rows_done").GetInt32(), steps[name].GetProperty("lease_epoch").GetInt32()));
            }
        }

        await EqualAsync(cluster);
        var (_, found) = await cluster.SendAsync(1, HttpMethod.Get, $"/api/v1/memories?namespace={SiloCluster.Namespace}&limit=1");
        Assert.Equal(7, found.GetProperty("memories")[0].GetProperty("access_count").GetInt32());
    }

    private static Task EqualAsync(SiloCluster cluster) => Eventually.HoldsAsync("the digests of all nodes are equal", async () =>
    {
        var digests = new HashSet<string>();
        for (var node = 0; node < SiloCluster.Count; node++)
        {
            digests.Add((await cluster.SendAsync(node, HttpMethod.Get, "/api/v1/cluster?digest=true")).Body.GetProperty("digest").GetString()!);
        }

        return digests.Count == 1;
    });

    private static async Task<JsonElement> ListAsync(SiloCluster cluster, int node) => (await cluster.SendAsync(node, HttpMethod.Get, "/api/v1/backfills")).Body;
}
