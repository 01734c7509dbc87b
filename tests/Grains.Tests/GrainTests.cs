using System.Collections.Concurrent;
using Orleans.Core.Internal;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains.Tests;

/// <summary>Each grain in a cluster of three silos.</summary>
public sealed class GrainTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private static readonly WriteContext Alice = new("alice");

    [Fact]
    public async Task A_replica_answers_from_every_silo_and_lives_on_its_own()
    {
        for (var from = 0; from < GrainCluster.Count; from++)
        {
            for (var to = 0; to < GrainCluster.Count; to++)
            {
                var greeting = cluster.Nodes[from].Endpoint;
                var mine = await greeting.GreetAsync(await greeting.GreetAsync(Stranger));
                var grain = cluster.Grains(from).GetGrain<IReplicaGrain>(GrainCluster.NameOf(to));
                Assert.Equal(GrainCluster.NameOf(to), LinkCodec.DecodeHello((await grain.GreetAsync(Messages.Of(LinkCodec.Encode(mine)))).Bytes).Log.Node);
            }
        }
    }

    [Fact]
    public async Task A_node_that_no_silo_has_is_down()
    {
        var link = new GrainReplicaLink(cluster.Connection(0), "nobody", TimeProvider.System);
        Assert.True((await Assert.ThrowsAsync<LinkException>(() => link.ReadDigestsAsync(0, CancellationToken.None))).IsDown);
        var unjoined = new GrainReplicaLink(new(), GrainCluster.NameOf(1), TimeProvider.System);
        Assert.True((await Assert.ThrowsAsync<LinkException>(() => unjoined.ReadDigestsAsync(0, CancellationToken.None))).IsDown);
        await Assert.ThrowsAnyAsync<Exception>(() => cluster.Grains(0).GetGrain<IReplicaGrain>("nobody").ReadDigestsAsync(new([])));
    }

    [Fact]
    public async Task A_replica_that_says_no_is_not_taken_for_one_that_is_gone()
    {
        await cluster.Nodes[1].StoreAsync(Draft("refusals", "a"), Alice);
        var answer = await cluster.Grains(0).GetGrain<IReplicaGrain>(GrainCluster.NameOf(1)).ApplyAsync(new([9, 9, 9]));
        Assert.NotNull(answer.Problem);
        var link = new GrainReplicaLink(cluster.Connection(0), GrainCluster.NameOf(1), TimeProvider.System);
        var future = new PeerHello(new("x", 1), -1, 0, 0, 3, 2, [], false, true, 0, 0, new Dictionary<LogId, AppliedSet>(), new Dictionary<LogId, long>());
        await Assert.ThrowsAsync<LinkException>(() => link.GreetAsync(future, CancellationToken.None));
        await Eventually.HoldsAsync("the replica holds the write and is asked again", async () => (await link.ReadDigestsAsync(0, CancellationToken.None)).Vector.Count > 0);
    }

    [Fact]
    public async Task Every_kind_of_write_is_decided_in_one_place_whichever_silo_it_comes_to()
    {
        var before = Heads();
        var stored = await cluster.Nodes[0].StoreAsync(Draft("kinds", "a"), Alice);
        Assert.Equal(Durabilities.Quorum, stored.Durability);
        var other = await cluster.Nodes[1].StoreAsync(Draft("kinds", "b"), Alice);
        await cluster.Nodes[2].UpdateAsync(stored.Memory.Id, new() { Content = "changed" }, Alice);
        Assert.Equal(ErrorKind.TitleTaken, (await Assert.ThrowsAsync<MemoryException>(() => cluster.Nodes[1].UpdateAsync(stored.Memory.Id, new() { Title = "b" }, Alice))).Kind);
        await cluster.Nodes[1].PromoteAsync(stored.Memory.Id, Alice);
        var link = await cluster.Nodes[2].LinkAsync(stored.Memory.Id, other.Memory.Id, "supersedes", Alice);
        Assert.True(link is { Linked: true, Durability: Durabilities.Quorum });
        Assert.Equal(3, (await cluster.Nodes[0].SetQuorumAsync("kinds", 3, Alice)).Writes);
        var sync = Assert.Single(await cluster.Nodes[0].SyncAsync([stored.Memory with { Id = "foreign", Title = "c" }], Alice));
        Assert.True(sync is { Changed: true, Error: null });
        Assert.Equal(2, (await cluster.Nodes[1].StoreManyAsync([Draft("kinds", "d"), Draft("kinds/elsewhere", "d")], Alice)).Count(static outcome => outcome.Error is null));
        await cluster.Nodes[2].DeleteAsync(other.Memory.Id, Alice);
        await cluster.ConvergedAsync();
        Assert.Equal(1, await cluster.Nodes[0].ForgetAsync(new("kinds", "contentd", null), Alice));
        await cluster.ConvergedAsync();
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal(["a", "c"], (await node.ListAsync(new() { Namespace = "kinds" })).Memories.Select(static memory => memory.Title).Order(StringComparer.Ordinal));
            Assert.Equal(("changed", Tier.Long), ((await node.GetAsync(stored.Memory.Id)).Memory.Content, (await node.GetAsync(stored.Memory.Id)).Memory.Tier));
            Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<MemoryException>(() => node.UpdateAsync(other.Memory.Id, new() { Content = "x" }, Alice))).Kind);
        }

        // Two namespaces were written to: at most two nodes decided.
        Assert.InRange(Heads().Where((head, node) => head > before[node]).Count(), 1, 2);
    }

    [Fact]
    public async Task Of_creates_of_one_title_at_once_one_makes_the_memory()
    {
        var ids = new ConcurrentDictionary<string, ConcurrentBag<WriteReceipt>>();
        await Task.WhenAll(Enumerable.Range(0, 50).SelectMany(title => cluster.Nodes.Select(async node =>
            ids.GetOrAdd($"t{title}", static _ => []).Add(await node.StoreAsync(Draft("creates", $"t{title}"), Alice)))));
        Assert.All(ids.Values, static receipts => Assert.Single(receipts.Select(static receipt => receipt.Memory.Id).Distinct()));
        Assert.All(ids.Values, static receipts => Assert.Single(receipts, static receipt => receipt.Created));
    }

    [Fact]
    public async Task Collected_and_moved_activations_lose_nothing()
    {
        var acknowledged = new ConcurrentDictionary<string, string>();
        var churn = ChurnAsync("churn", 10, () => acknowledged.Count);
        var number = 0;
        await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
        {
            // The writes go on for as long as grains are deactivated and moved, whichever of the two is the faster here.
            for (var own = Interlocked.Increment(ref number); own <= 200 || !churn.IsCompleted; own = Interlocked.Increment(ref number))
            {
                await Eventually.HoldsAsync($"t{own} is acknowledged", async () =>
                {
                    try
                    {
                        var receipt = await cluster.Nodes[own % GrainCluster.Count].StoreAsync(Draft("churn", $"t{own}"), Alice with { IdempotencyKey = $"churn-{own}" });
                        acknowledged[$"t{own}"] = receipt.Memory.Id;
                        return true;
                    }
                    catch (QuorumException)
                    {
                        return false;
                    }
                });
            }
        }));
        await churn;
        await cluster.ConvergedAsync();
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal(GrainCluster.Count - 1, node.Cluster().Peers.Count);
            var listed = (await node.ListAsync(new() { Namespace = "churn", Limit = int.MaxValue })).Memories.ToDictionary(static memory => memory.Title, static memory => memory.Id);
            Assert.Equal(acknowledged.OrderBy(static pair => pair.Key, StringComparer.Ordinal), listed.OrderBy(static pair => pair.Key, StringComparer.Ordinal));
        }
    }

    [Fact]
    public async Task A_second_activation_fences_the_first_which_gives_way()
    {
        var first = await cluster.Nodes[0].StoreAsync(Draft("twice", "a"), Alice);
        var other = Enumerable.Range(0, GrainCluster.Count).First(node => GrainCluster.NameOf(node) != first.Position.Log.Node);
        var door = cluster.Grains(0).GetGrain<IQuorumWriteGrain>(GrainCluster.NameOf(other));
        var taken = await door.TakeEpochAsync("twice");
        Assert.True(taken is { Epoch.IsComplete: true, Problem: null });
        var write = new WriteMessage("twice", WireJson.Encode(new StoreCommand(Draft("twice", "b")) { Context = Alice }), taken.Epoch);
        var answer = WireJson.DecodeAnswer((await door.WriteAsync(write)).Answer);
        Assert.True(answer is { Error: null, Receipt.Created: true });

        // Till it knows of the epoch, the first one's node takes a write that the others refuse.
        await cluster.ConvergedAsync();

        // The activation in the directory hears that it is over; the next one finds what the other wrote, and fences it in its turn.
        var again = await cluster.Nodes[0].StoreAsync(Draft("twice", "b"), Alice);
        Assert.Equal((answer.Receipt!.Memory.Id, false), (again.Memory.Id, again.Created));
        var late = await door.WriteAsync(write);
        Assert.True(late.IsFenced);
        Assert.Equal(QuorumReasons.Fenced, WireJson.DecodeAnswer(late.Answer).Error!.Quorum!.Reason);
    }

    [Fact]
    public async Task A_startup_task_keeps_the_newest_report_of_each_node()
    {
        var grain = cluster.Grains(0).GetGrain<IStartupTaskGrain>("content-hash");
        await grain.ReportAsync(new("n1", 1, IsComplete: false, 10));
        await grain.ReportAsync(new("n1", 1, IsComplete: true, 20));
        await grain.ReportAsync(new("n1", 1, IsComplete: false, 15));
        await grain.ReportAsync(new("n2", 2, IsComplete: false, 40));
        await grain.Cast<IGrainManagementExtension>().DeactivateOnIdle();
        StartupTaskReport[] expected = [new("n1", 1, true, 20), new("n2", 2, false, 40)];
        Assert.Equal(expected, await cluster.Grains(2).GetGrain<IStartupTaskGrain>("content-hash").ReadAsync());
    }

    [Fact]
    public async Task One_node_at_a_time_curates()
    {
        var grain = cluster.Grains(0).GetGrain<ICuratorGrain>(ICuratorGrain.Key);
        var lease = await grain.TakeAsync("n1", TimeSpan.FromHours(1));
        Assert.Equal(("n1", 1L), (lease!.Node, lease.Epoch));
        Assert.Null(await cluster.Grains(1).GetGrain<ICuratorGrain>(ICuratorGrain.Key).TakeAsync("n2", TimeSpan.FromHours(1)));
        Assert.Equal(1, (await grain.TakeAsync("n1", TimeSpan.FromHours(1)))!.Epoch);
        await grain.Cast<IGrainManagementExtension>().DeactivateOnIdle();
        Assert.Null(await grain.TakeAsync("n2", TimeSpan.FromHours(1)));
        await grain.ReleaseAsync(lease);
        var next = await grain.TakeAsync("n2", TimeSpan.Zero);
        Assert.Equal(("n2", 2L), (next!.Node, next.Epoch));

        // It has expired: not extended, but taken anew.
        Assert.Equal(3, (await grain.TakeAsync("n2", TimeSpan.FromHours(1)))!.Epoch);
        await grain.ReleaseAsync(next);
        Assert.Null(await grain.TakeAsync("n1", TimeSpan.FromHours(1)));
    }

    /// <summary>Deactivates or moves every grain of a write's path, and again each time that writes have gone on since.</summary>
    private async Task ChurnAsync(string @namespace, int rounds, Func<int> acknowledged)
    {
        for (var round = 0; round < rounds; round++)
        {
            var grains = cluster.Grains(round % GrainCluster.Count);
            var deciding = grains.GetGrain<INamespaceGrain>(@namespace).Cast<IGrainManagementExtension>();
            try
            {
                await (round % 2 == 0 ? deciding.DeactivateOnIdle() : deciding.MigrateOnIdle());
                foreach (var name in Enumerable.Range(0, GrainCluster.Count).Select(GrainCluster.NameOf))
                {
                    await grains.GetGrain<IReplicaGrain>(name).Cast<IGrainManagementExtension>().DeactivateOnIdle();
                    await grains.GetGrain<IQuorumWriteGrain>(name).Cast<IGrainManagementExtension>().DeactivateOnIdle();
                }
            }
            catch (OrleansException)
            {
                // It was being deactivated in that moment.
            }

            var before = acknowledged();
            await Eventually.HoldsAsync("writes reach the new activations", () => Task.FromResult(acknowledged() >= before + 12));
        }
    }

    private long[] Heads() => [.. cluster.Nodes.Select(static node => node.Cluster().HeadSequence)];

    private static MemoryDraft Draft(string @namespace, string title) => new() { Title = title, Content = $"content{title}", Namespace = @namespace };

    private static PeerHello Stranger { get; } = new(new("stranger", 1), 0, 0, 0, 3, 2, ["stranger"], false, true, 0, 0, new Dictionary<LogId, AppliedSet>(), new Dictionary<LogId, long>());
}
