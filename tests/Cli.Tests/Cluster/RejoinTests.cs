using System.Net;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>A node that comes back: after a rest, with an empty disk, or with an old copy of its disk.</summary>
public sealed class RejoinTests
{
    [Fact]
    public async Task What_was_deleted_while_a_node_was_away_stays_deleted()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        var ids = await StoreAsync(cluster, "m", 12);
        await cluster.ConvergedAsync();
        await cluster[2].StopAsync();
        foreach (var id in ids.Take(6))
        {
            (await cluster[0].DeleteAsync(id)).Is(HttpStatusCode.OK);
        }

        await cluster[2].StartAsync();
        await cluster.ConnectedAsync();
        await cluster.ConvergedAsync();
        await AssertAsync(cluster, deleted: ids.Take(6), kept: ids.Skip(6));
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task What_was_deleted_after_a_backup_does_not_come_back_with_it()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        var ids = await StoreAsync(cluster, "m", 12);
        await cluster.ConvergedAsync();
        (await cluster.RunAsync("backup", "--db", cluster[2].Database, "--to", "snapshots")).Exits(0);
        foreach (var (id, index) in ids.Take(6).Select(static (id, index) => (id, index)))
        {
            (await cluster[index % 3].DeleteAsync(id)).Is(HttpStatusCode.OK);
        }

        await cluster.ConvergedAsync();
        await cluster[2].StopAsync();
        (await cluster.RunAsync("restore", "--db", cluster[2].Database, "--from", "snapshots")).Exits(0);
        await cluster[2].StartAsync();
        await cluster.ConnectedAsync();
        await cluster.ConvergedAsync();
        await AssertAsync(cluster, deleted: ids.Take(6), kept: ids.Skip(6));
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task A_node_restored_from_an_old_copy_loses_and_hides_nothing()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        var ids = await StoreAsync(cluster, "before", 30);
        await cluster.ConvergedAsync();
        await cluster.BackUpAsync(2);

        // Its own log goes on beyond the copy, and so do the others'.
        ids.AddRange(await StoreAsync(cluster, "after", 30));
        await cluster.ConvergedAsync();
        await cluster[2].KillAsync();
        cluster[2].PutBack("backup");
        await cluster[2].StartAsync();

        // It takes writes from the first moment, under numbers that its log has used before.
        ids.AddRange(await WriteAsync(cluster[2], "restored", 30));
        await cluster.ConnectedAsync();
        ids.AddRange(await StoreAsync(cluster, "later", 12));
        await cluster.ConvergedAsync();
        await AssertAsync(cluster, deleted: [], kept: ids);
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task What_a_restored_node_took_before_it_met_its_peers_is_not_lost()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        var ids = await StoreAsync(cluster, "before", 12);
        await cluster.ConvergedAsync();
        await cluster.BackUpAsync(2);
        ids.AddRange(await StoreAsync(cluster, "after", 30));
        await cluster.ConvergedAsync();
        await cluster[2].KillAsync();
        cluster[2].PutBack("backup");

        // Nobody tells it that its numbers were used, not even after another restart.
        Isolate(true);
        await cluster[2].StartAsync();
        ids.AddRange(await WriteAsync(cluster[2], "alone", 2, quorum: "1"));
        await cluster[2].KillAsync();
        await cluster[2].StartAsync();
        ids.AddRange(await WriteAsync(cluster[2], "alone again", 2, quorum: "1"));
        Isolate(false);
        await cluster.ConnectedAsync();
        ids.AddRange(await StoreAsync(cluster, "later", 12));
        await cluster.ConvergedAsync();
        await AssertAsync(cluster, deleted: [], kept: ids);
        await cluster.EndEqualAsync();

        void Isolate(bool alone)
        {
            foreach (var other in new[] { 0, 1 })
            {
                cluster.Link(2, other).RequestsCut = alone;
                cluster.Link(other, 2).RequestsCut = alone;
            }
        }
    }

    [Fact]
    public async Task A_wiped_node_gets_back_its_own_and_others_writes()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        var ids = await StoreAsync(cluster, "before", 60);
        await cluster.ConvergedAsync();
        await cluster[1].KillAsync();
        cluster[1].Wipe();
        await cluster[1].StartAsync();

        // It takes writes while it is still empty.
        ids.AddRange(await WriteAsync(cluster[1], "wiped", 30));
        await cluster.ConnectedAsync();
        ids.AddRange(await StoreAsync(cluster, "later", 12));
        await cluster.ConvergedAsync();
        await AssertAsync(cluster, deleted: [], kept: ids);
        await cluster.EndEqualAsync();
    }

    [Fact]
    [Trait(Campaign.Trait, "cluster")]
    public async Task A_node_far_behind_counts_for_new_writes_at_once()
    {
        const int Timeout = 10_000;
        var rows = Campaign.Count("cluster", reduced: 5_000, full: 1_000_000);
        await using var cluster = await ProcessCluster.StartAsync(timeoutMilliseconds: Timeout);
        await cluster[2].StopAsync();
        await cluster[0].FillAsync("gap", rows);
        await cluster[1].StopAsync();
        await Eventually.HoldsAsync("nobody is heard any more", async () => await ProcessCluster.HeardAsync(cluster[0]) == 0);
        cluster.Link(0, 2).DelayMilliseconds = 500;
        cluster.Link(2, 0).DelayMilliseconds = 500;
        await cluster[2].StartAsync();
        await Eventually.HoldsAsync("the node that was away is heard", async () => await ProcessCluster.HeardAsync(cluster[0]) == 1);

        // The only peer that runs is the one that is behind.
        var stored = (await cluster[0].StoreAsync("new", "v")).Is(HttpStatusCode.Created);
        Assert.Equal(2, stored.Number("quorum_acks"));
        var total = await cluster[2].TotalAsync();
        (await cluster[2].GetAsync(stored.Id)).Is(HttpStatusCode.OK);
        Assert.True(total < rows, $"the gap of {rows} rows was closed already: {total}");
        var behind = System.Diagnostics.Stopwatch.StartNew();
        cluster.Link(0, 2).DelayMilliseconds = 0;
        cluster.Link(2, 0).DelayMilliseconds = 0;
        while (await cluster[2].TotalAsync() is var held && held < rows + 1)
        {
            Assert.True(behind.Elapsed < TimeSpan.FromSeconds(60 + (rows / 500)), $"holds {held} of {rows + 1} rows after {behind.Elapsed.TotalSeconds:F0} s");
            await Task.Delay(TimeSpan.FromMilliseconds(50));
        }

        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{rows} rows behind, {total} held at the first answer, which took {stored.Elapsed.TotalMilliseconds:F0} ms; the rest came in {behind.Elapsed.TotalSeconds:F1} s");
        await cluster[1].StartAsync();
        await cluster.ConnectedAsync();
        await cluster.EndEqualAsync();
    }

    /// <summary>Stores through all nodes in turn.</summary>
    private static async Task<List<string>> StoreAsync(ProcessCluster cluster, string prefix, int count)
    {
        var ids = new List<string>();
        for (var number = 0; number < count; number++)
        {
            ids.Add((await cluster[number % cluster.Count].StoreAsync($"{prefix}-{number}", $"v-{prefix}-{number}")).Is(HttpStatusCode.Created).Id);
        }

        return ids;
    }

    /// <summary>Stores through one node, as often as it takes until it answers 201; the key makes that one memory.</summary>
    private static async Task<List<string>> WriteAsync(ClusterNode node, string prefix, int count, string? quorum = null)
    {
        var ids = new List<string>();
        for (var number = 0; number < count; number++)
        {
            await Eventually.HoldsAsync($"{node} takes write {number}", async () =>
            {
                var answer = await node.StoreAsync($"{prefix}-{number}", $"v-{prefix}-{number}", key: $"{prefix}-{number}", quorum: quorum);
                if (answer.Status == HttpStatusCode.Created)
                {
                    ids.Add(answer.Id);
                    return true;
                }

                answer.Is(HttpStatusCode.ServiceUnavailable);
                return false;
            });
        }

        return ids;
    }

    private static async Task AssertAsync(ProcessCluster cluster, IEnumerable<string> deleted, IEnumerable<string> kept)
    {
        var expected = kept.Order(StringComparer.Ordinal).ToList();
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal(expected, (await node.ListAsync()).Keys.Order(StringComparer.Ordinal));
            foreach (var id in deleted)
            {
                (await node.GetAsync(id)).Is(HttpStatusCode.NotFound);
            }
        }
    }
}
