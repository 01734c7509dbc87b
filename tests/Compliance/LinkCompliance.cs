using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Compliance;

/// <summary>What replication promises over any kind of link. A link's test project inherits this and gives a way to connect nodes.</summary>
public abstract class LinkCompliance
{
    private static readonly WriteContext Alice = new("alice");

    /// <summary>Starts a node of a set; called for the same number again after it was stopped.</summary>
    /// <param name="links">Wraps each outgoing link, by the number of its target.</param>
    protected abstract Task<LinkedNode> StartAsync(int number, int nodes, ReplicaSetSettings settings, Func<int, IReplicaLink, IReplicaLink> links, bool wiped);

    /// <summary>Copies the store of a stopped node aside.</summary>
    protected abstract void Save(int number);

    /// <summary>Puts the copy back in place of the store of a stopped node.</summary>
    protected abstract void Restore(int number);

    [Fact]
    public async Task Every_kind_of_write_reaches_every_node()
    {
        await using var set = await SetAsync(3);
        var first = await set[0].StoreAsync(Draft("a") with { Tags = ["x"] }, Alice);
        Assert.Equal((2, Durabilities.Quorum), (Math.Min(first.Quorum!.Got, 2), first.Durability));
        var second = await set[1].StoreAsync(Draft("b"), Alice);
        await set.ConvergedAsync();
        await set[2].UpdateAsync(first.Memory.Id, new() { Title = "renamed", Content = "changed" }, Alice);
        await set[1].PromoteAsync(first.Memory.Id, Alice);
        await set[0].LinkAsync(first.Memory.Id, second.Memory.Id, "supersedes", Alice);
        var third = await set[2].StoreAsync(Draft("c"), Alice);
        await set[2].DeleteAsync(third.Memory.Id, Alice);
        await set[0].ForgetAsync(new("test", "contentb", null), Alice);
        await set.ConvergedAsync();
        for (var node = 0; node < 3; node++)
        {
            var memory = (await set[node].GetAsync(first.Memory.Id)).Memory;
            Assert.Equal(("renamed", "changed", Tier.Long), (memory.Title, memory.Content, memory.Tier));
            Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<MemoryException>(() => set[node].GetAsync(third.Memory.Id))).Kind);
            Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<MemoryException>(() => set[node].GetAsync(second.Memory.Id))).Kind);
        }
    }

    [Fact]
    public async Task A_quorum_that_is_met_cancels_nothing()
    {
        await using var set = await SetAsync(3);
        set.Faults(0, 2).DelayMilliseconds = 300;
        var receipts = await Task.WhenAll(Enumerable.Range(0, 200).Select(index => set[0].StoreAsync(Draft($"t{index}"), Alice)));
        Assert.All(receipts, receipt => Assert.Equal(Durabilities.Quorum, receipt.Durability));
        await set.ConvergedAsync();
        Assert.Equal(200, (await set[2].StatisticsAsync()).Total);
    }

    [Fact]
    public async Task What_is_awaited_travels_together_to_a_peer_that_answers_again()
    {
        await using var set = await SetAsync(3, static settings => settings with { Timeout = TimeSpan.FromSeconds(30) });
        set.Faults(0, 1).Hung = true;
        set.Faults(0, 2).Hung = true;
        var writes = Task.WhenAll(Enumerable.Range(0, 100).Select(index => set[0].StoreAsync(Draft($"t{index}"), Alice)));
        await Eventually.HoldsAsync("all are written and wait", () => Task.FromResult(set[0].Cluster().HeadSequence >= 100));
        set.Faults(0, 2).Broken = true;
        set.Faults(0, 2).Hung = false;
        await Eventually.HoldsAsync("the way to the third node is seen to be broken", () => Task.FromResult(set[0].Cluster().Peers.Any(static peer => !peer.IsUp)));
        Assert.False(writes.IsCompleted);
        var before = set.Faults(0, 2).Batches;
        set.Faults(0, 2).Broken = false;
        Assert.All(await writes, static receipt => Assert.Equal(Durabilities.Quorum, receipt.Durability));
        Assert.InRange(set.Faults(0, 2).Batches - before, 1, 5);
        set.Faults(0, 1).Hung = false;
        await set.ConvergedAsync();
    }

    [Fact]
    public async Task One_peer_down_is_a_quorum_and_two_are_not()
    {
        await using var set = await SetAsync(3);
        await set.StopAsync(2);
        Assert.Equal(2, (await set[0].StoreAsync(Draft("one down"), Alice)).Quorum!.Got);
        await set.StopAsync(1);
        await Eventually.HoldsAsync("both peers are known to be down", () => Task.FromResult(set[0].Cluster().Peers.All(peer => !peer.IsUp)));
        var refused = await Assert.ThrowsAsync<QuorumException>(() => set[0].StoreAsync(Draft("two down"), Alice with { IdempotencyKey = "k" }));
        Assert.Equal((QuorumReasons.Unreachable, 1, 2, QuorumException.StoredLocally), (refused.Quorum.Reason, refused.Quorum.Got, refused.Quorum.Needed, refused.Outcome));
        var written = Assert.IsType<WriteReceipt>(refused.Written);
        Assert.Equal(Durabilities.BelowQuorum, (await set[0].StoreAsync(Draft("one is enough"), Alice with { Quorum = "1" })).Durability);

        // Back up: what was answered 503 is everywhere, once, and the same key gives the same id.
        await set.StartAsync(1);
        await set.StartAsync(2);
        var again = await set[0].StoreAsync(Draft("two down"), Alice with { IdempotencyKey = "k" });
        Assert.Equal(written.Memory.Id, again.Memory.Id);
        await set.ConvergedAsync();
        Assert.Equal(3, (await set[2].StatisticsAsync()).Total);
    }

    [Fact]
    public async Task A_write_that_meets_a_delete_elsewhere_is_decided_again()
    {
        await using var set = await SetAsync(3);
        var stored = await set[0].StoreAsync(Draft("t"), Alice);
        var kept = await set[0].StoreAsync(Draft("u"), Alice);
        await set.ConvergedAsync();
        set.Faults(0, 1).Hung = true;
        set.Faults(1, 0).Hung = true;
        await set[0].DeleteAsync(stored.Memory.Id, Alice);
        await set[0].DeleteAsync(kept.Memory.Id, Alice);
        await Eventually.HoldsAsync("the third node holds the deletes", async () => (await set[2].StatisticsAsync()).Total == 0);

        // The second node does not hold them, and the third must acknowledge what it writes.
        var again = await set[1].StoreAsync(Draft("t") with { Content = "new" }, Alice with { IdempotencyKey = "k" });
        Assert.NotEqual(stored.Memory.Id, again.Memory.Id);
        Assert.Equal(Durabilities.Quorum, again.Durability);
        Assert.Equal(again.Memory.Id, (await set[1].StoreAsync(Draft("t") with { Content = "new" }, Alice with { IdempotencyKey = "k" })).Memory.Id);
        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<MemoryException>(() => set[1].UpdateAsync(kept.Memory.Id, new() { Content = "new" }, Alice))).Kind);
        set.Faults(0, 1).Hung = false;
        set.Faults(1, 0).Hung = false;
        await set.ConvergedAsync();
        Assert.Equal("new", (await set[0].GetAsync(again.Memory.Id)).Memory.Content);
        Assert.True(await set[1].FlushPeersAsync(TimeSpan.FromSeconds(10)), "overruled rows count as not shipped");
    }

    [Fact]
    public async Task Peers_that_are_silent_time_out()
    {
        await using var set = await SetAsync(3);
        set.Faults(0, 1).Hung = true;
        set.Faults(0, 2).Hung = true;
        var refused = await Assert.ThrowsAsync<QuorumException>(() => set[0].StoreAsync(Draft("t"), Alice));
        Assert.Equal(QuorumReasons.Timeout, refused.Quorum.Reason);
        set.Faults(0, 1).Hung = false;
        set.Faults(0, 2).Hung = false;
        await set.ConvergedAsync();
        Assert.Equal(1, (await set[1].StatisticsAsync()).Total);
    }

    [Fact]
    public async Task A_node_that_was_away_catches_up_and_deletes_stay_deleted()
    {
        await using var set = await SetAsync(3);
        var kept = await set[0].StoreAsync(Draft("kept"), Alice);
        var gone = await set[0].StoreAsync(Draft("gone"), Alice);
        await set.ConvergedAsync();
        await set.StopAsync(2);
        await set[1].DeleteAsync(gone.Memory.Id, Alice);
        for (var batch = 0; batch < 20; batch++)
        {
            Assert.All(await set[0].StoreManyAsync([.. Enumerable.Range(0, 100).Select(index => Draft($"b{batch}-{index}"))], Alice), outcome => Assert.Null(outcome.Error));
        }

        await set.StartAsync(2);

        // New writes count on it at once, while the gap is still being filled.
        await set.StopAsync(1);
        await set[0].StoreAsync(Draft("after"), Alice);
        await set.StartAsync(1);
        await set.ConvergedAsync();
        Assert.Equal(2_002, (await set[2].StatisticsAsync()).Total);
        await Assert.ThrowsAsync<MemoryException>(() => set[2].GetAsync(gone.Memory.Id));
        Assert.Equal(kept.Memory.Id, (await set[2].GetAsync(kept.Memory.Id)).Memory.Id);
    }

    [Fact]
    public async Task A_wiped_node_gets_back_its_own_and_others_writes()
    {
        await using var set = await SetAsync(3);
        for (var index = 0; index < 60; index++)
        {
            await set[index % 3].StoreAsync(Draft($"t{index}"), Alice);
        }

        await set.ConvergedAsync();
        await set.StopAsync(1);
        await set.StartAsync(1, wiped: true);
        await set[1].StoreAsync(Draft("from the new store"), Alice);
        await set.ConvergedAsync();
        Assert.Equal("61 61 61", $"{(await set[0].StatisticsAsync()).Total} {(await set[1].StatisticsAsync()).Total} {(await set[2].StatisticsAsync()).Total}");
        await Eventually.HoldsAsync("the node has recovered", () => Task.FromResult(!set[1].Cluster().Recovering));
    }

    [Fact]
    public async Task A_delete_that_every_node_has_is_forgotten_and_does_not_come_back_from_an_old_copy()
    {
        await using var set = await SetAsync(3, settings => settings with { TombstoneGrace = TimeSpan.Zero, UpkeepInterval = TimeSpan.FromMilliseconds(100) });
        var gone = await set[0].StoreAsync(Draft("gone"), Alice);
        await set[1].StoreAsync(Draft("kept"), Alice);
        await set.ConvergedAsync();
        await set.StopAsync(2);
        Save(2);
        await set.StartAsync(2);
        await set[0].DeleteAsync(gone.Memory.Id, Alice);
        await set.ConvergedAsync();
        await Eventually.HoldsAsync("every node has forgotten the delete", async () =>
        {
            for (var node = 0; node < 3; node++)
            {
                if ((await set[node].Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10)).Count > 0)
                {
                    return false;
                }
            }

            return true;
        });

        // The copy still holds the memory, and nobody holds its tombstone any more.
        await set.StopAsync(2);
        Restore(2);
        await set[0].StoreAsync(Draft("meanwhile"), Alice);
        await set.StartAsync(2);
        var after = await set[2].StoreAsync(Draft("from the restored node"), Alice);
        await set.ConvergedAsync();
        for (var node = 0; node < 3; node++)
        {
            Assert.Equal(
                ["from the restored node", "kept", "meanwhile"],
                (await set[node].ListAsync(new())).Memories.Select(memory => memory.Title).Order(StringComparer.Ordinal));
            Assert.Equal(after.Memory.Id, (await set[node].GetAsync(after.Memory.Id)).Memory.Id);
            await Assert.ThrowsAsync<MemoryException>(() => set[node].GetAsync(gone.Memory.Id));
        }

        await Eventually.HoldsAsync("the node has recovered", () => Task.FromResult(!set[2].Cluster().Recovering));
    }

    [Fact]
    public async Task A_delete_is_remembered_while_one_node_has_not_heard_of_it()
    {
        await using var set = await SetAsync(3, settings => settings with { TombstoneGrace = TimeSpan.Zero, UpkeepInterval = TimeSpan.FromMilliseconds(50) });
        var gone = await set[0].StoreAsync(Draft("gone"), Alice);
        await set.ConvergedAsync();
        await set.StopAsync(2);
        await set[0].DeleteAsync(gone.Memory.Id, Alice);

        // Many rounds of upkeep: the floor waits for the node that is away.
        var rounds = set[0].Store.Log;
        for (var write = 0; write < 20; write++)
        {
            await set[1].StoreAsync(Draft($"w{write}"), Alice);
            await Task.Delay(20);
        }

        Assert.Equal(rounds, set[0].Store.Log);
        Assert.Single(await set[0].Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10));
        await set.StartAsync(2);
        await set.ConvergedAsync();
        await Assert.ThrowsAsync<MemoryException>(() => set[2].GetAsync(gone.Memory.Id));
    }

    [Fact]
    public async Task A_node_restored_from_an_old_copy_loses_nobodys_writes()
    {
        await using var set = await SetAsync(3);
        for (var index = 0; index < 30; index++)
        {
            await set[index % 3].StoreAsync(Draft($"before{index}"), Alice);
        }

        await set.ConvergedAsync();
        await set.StopAsync(1);
        Save(1);
        await set.StartAsync(1);
        for (var index = 0; index < 30; index++)
        {
            await set[1].StoreAsync(Draft($"lost{index}"), Alice);
        }

        await set.ConvergedAsync();
        var log = set[1].Store.Log;
        await set.StopAsync(1);
        Restore(1);
        await set.StartAsync(1);
        for (var index = 0; index < 30; index++)
        {
            await set[1].StoreAsync(Draft($"after{index}"), Alice);
        }

        await set.ConvergedAsync();
        Assert.Equal("90 90 90", $"{(await set[0].StatisticsAsync()).Total} {(await set[1].StatisticsAsync()).Total} {(await set[2].StatisticsAsync()).Total}");
        Assert.NotEqual(log, set[1].Store.Log);
    }

    [Fact]
    public async Task A_node_restored_from_an_old_copy_that_writes_alone_reuses_no_number()
    {
        await using var set = await SetAsync(3);
        await StoreAsync(set[1], "kept", 10);
        await set.ConvergedAsync();
        await set.StopAsync(1);
        Save(1);
        await set.StartAsync(1);
        var before = await StoreAsync(set[1], "after the copy", 20);
        await set.ConvergedAsync();
        await set.StopAsync(0);
        await set.StopAsync(1);
        await set.StopAsync(2);
        Restore(1);
        await set.StartAsync(1);
        var alone = await StoreAsync(set[1], "alone", 40);
        Assert.Empty(before.Intersect(alone));
        await set.StartAsync(0);
        await set.StartAsync(2);
        await set.ConvergedAsync();
        Assert.Equal("70 70 70", $"{(await set[0].StatisticsAsync()).Total} {(await set[1].StatisticsAsync()).Total} {(await set[2].StatisticsAsync()).Total}");

        static async Task<List<LogPosition>> StoreAsync(MemoryNode node, string what, int count)
        {
            var positions = new List<LogPosition>();
            for (var index = 0; index < count; index++)
            {
                positions.Add((await node.StoreAsync(Draft($"{what} {index}"), Alice with { Quorum = "1" })).Position);
            }

            return positions;
        }
    }

    [Fact]
    public async Task A_log_keeps_what_one_node_lacks_and_no_more()
    {
        await using var set = await SetAsync(3, static settings => settings with { UpkeepInterval = TimeSpan.FromMilliseconds(50) });
        await set[0].StoreAsync(Draft("everywhere"), Alice);
        await Eventually.HoldsAsync("what every node holds has left the log", async () => (await set[0].Store.ReadLogAsync(0, 10, 1_000)).Count == 0);
        await set.StopAsync(2);

        // Many rounds of upkeep: the log waits for the node that is away.
        for (var index = 0; index < 20; index++)
        {
            await set[0].StoreAsync(Draft($"t{index}"), Alice);
            await Task.Delay(20);
        }

        Assert.Equal(20, (await set[0].Store.ReadLogAsync(0, 100, int.MaxValue)).Count);

        // Somebody on the node itself reads it too, and has five rows to go.
        var read = set[0].Cluster().HeadSequence - 5;
        set[0].KeepLog(() => Volatile.Read(ref read));
        await set.StartAsync(2);
        await set.ConvergedAsync();
        await Eventually.HoldsAsync("what is read has left the log, and no more", async () => (await set[0].Store.ReadLogAsync(0, 10, int.MaxValue)).Count == 5);
        Volatile.Write(ref read, long.MaxValue);
        await Eventually.HoldsAsync("what every node holds has left the log", async () => (await set[0].Store.ReadLogAsync(0, 10, 1_000)).Count == 0);
    }

    [Fact]
    public async Task A_node_behind_the_retained_log_gets_the_rest_by_digest_exchange()
    {
        await using var set = await SetAsync(3, static settings => settings with { UpkeepInterval = TimeSpan.FromMilliseconds(50), RetainedLogRows = 10 });
        var gone = await set[0].StoreAsync(Draft("gone"), Alice);
        await set.ConvergedAsync();
        await set.StopAsync(2);
        await set[0].DeleteAsync(gone.Memory.Id, Alice);
        for (var index = 0; index < 100; index++)
        {
            await set[0].StoreAsync(Draft($"t{index}"), Alice);
        }

        await Eventually.HoldsAsync("the log is trimmed", async () => (await set[0].Store.ReadLogAsync(0, 100, int.MaxValue)).Count == 10);
        await set.StartAsync(2);

        // New writes count on it at once, while the rest is still to come.
        await set.StopAsync(1);
        await set[0].StoreAsync(Draft("after"), Alice);
        await set.StartAsync(1);
        await set.ConvergedAsync();
        Assert.Equal(101, (await set[2].StatisticsAsync()).Total);
        await Assert.ThrowsAsync<MemoryException>(() => set[2].GetAsync(gone.Memory.Id));
        await Eventually.HoldsAsync("the peers know that it lacks nothing", () => Task.FromResult(set[0].Cluster().Peers.All(static peer => peer.BehindRows == 0)));
        await Eventually.HoldsAsync("what every node holds has left the log", async () => (await set[0].Store.ReadLogAsync(0, 10, 1_000)).Count == 0);
    }

    [Fact]
    public async Task Links_that_lose_answers_and_break_end_in_equal_nodes()
    {
        await using var set = await SetAsync(3);
        var random = new Random(4);
        using var stop = new CancellationTokenSource();
        var chaos = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                var faults = set.Faults(random.Next(3), random.Next(3));
                faults.Cut = random.Next(2) == 0;
                faults.DelayMilliseconds = random.Next(20);
                await Task.Delay(random.Next(1, 30));
                faults.Cut = false;
                faults.DelayMilliseconds = 0;
            }
        });
        var acknowledged = 0;
        await Task.WhenAll(Enumerable.Range(0, 12).Select(writer => Task.Run(async () =>
        {
            var own = new Random(writer);
            var ids = new List<string>();
            for (var number = 0; number < 60; number++)
            {
                var node = set[own.Next(3)];
                try
                {
                    switch (own.Next(5))
                    {
                        case 0 when ids.Count > 0:
                            await node.UpdateAsync(ids[own.Next(ids.Count)], new() { Content = $"u-{writer}-{number}" }, Alice);
                            break;
                        case 1 when ids.Count > 1:
                            await node.DeleteAsync(ids[own.Next(ids.Count)], Alice);
                            break;
                        default:
                            ids.Add((await node.StoreAsync(Draft(own.Next(3) == 0 ? $"shared{own.Next(10)}" : $"w{writer}-{number}"), Alice)).Memory.Id);
                            break;
                    }

                    Interlocked.Increment(ref acknowledged);
                }
                catch (MemoryException exception) when (exception.Kind == ErrorKind.QuorumNotMet || exception.Kind == ErrorKind.NotFound)
                {
                    // Too few answered, or the id is not on that node yet, or gone.
                }
            }
        })));
        await stop.CancelAsync();
        await chaos;
        Assert.True(acknowledged > 100, $"only {acknowledged} writes were acknowledged");
        await set.ConvergedAsync();
    }

    [Fact]
    public async Task A_token_waits_for_what_it_names_or_says_not_yet()
    {
        await using var set = await SetAsync(3);
        set.Faults(0, 2).Hung = true;
        var receipt = await set[0].StoreAsync(Draft("t"), Alice);
        var late = await Assert.ThrowsAsync<MemoryException>(() => set[2].WaitForAsync(receipt.Position));
        Assert.Equal(ErrorKind.NotYet, late.Kind);
        var waiting = set[2].WaitForAsync(receipt.Position);
        set.Faults(0, 2).Hung = false;
        await waiting;
        Assert.Equal(receipt.Memory.Id, (await set[2].GetAsync(receipt.Memory.Id)).Memory.Id);
        Assert.Single((await set[2].RecallAsync(new() { Context = "contentt" })).Memories);
    }

    [Fact]
    public async Task A_quorum_read_sees_what_was_acknowledged_elsewhere()
    {
        await using var set = await SetAsync(3);
        set.Faults(0, 2).Hung = true;
        var receipt = await set[0].StoreAsync(Draft("t"), Alice);
        await Assert.ThrowsAsync<MemoryException>(() => set[2].GetAsync(receipt.Memory.Id));
        Assert.Equal(receipt.Memory.Id, (await set[2].GetAtQuorumAsync(receipt.Memory.Id)).Memory.Id);
    }

    [Fact]
    public async Task A_later_activation_fences_the_earlier_one()
    {
        await using var set = await SetAsync(3);
        var first = await set[0].TakeEpochAsync("test");
        var earlier = set[0].Engine(first);
        var kept = await earlier.StoreAsync(Draft("kept"), Alice);

        // The first node can write to the others, but does not hear of the activation that replaces its own.
        set.Faults(1, 0).Hung = true;
        set.Faults(2, 0).Hung = true;
        var second = await set[1].TakeEpochAsync("test");
        Assert.True(second is { IsComplete: true } && second.Number > first.Number);
        var later = set[1].Engine(second);
        Assert.Equal(kept.Memory.Id, (await later.StoreAsync(Draft("kept"), Alice)).Memory.Id);
        var won = await later.StoreAsync(Draft("both, later first"), Alice);
        foreach (var title in new[] { "both, later first", "both, earlier first" })
        {
            var fenced = await Assert.ThrowsAsync<QuorumException>(() => earlier.StoreAsync(Draft(title), Alice));
            Assert.Equal((QuorumReasons.Fenced, QuorumException.StoredLocally), (fenced.Quorum.Reason, fenced.Outcome));
        }

        var joined = await later.StoreAsync(Draft("both, earlier first"), Alice);
        set.Faults(1, 0).Hung = false;
        set.Faults(2, 0).Hung = false;
        await set.ConvergedAsync();
        for (var node = 0; node < 3; node++)
        {
            Assert.Equal(
                new SortedSet<string> { kept.Memory.Id, won.Memory.Id, joined.Memory.Id },
                [.. (await set[node].ListAsync(new())).Memories.Select(memory => memory.Id)]);
        }

        // Now that it knows, it does not even store.
        var refused = await Assert.ThrowsAsync<QuorumException>(() => earlier.StoreAsync(Draft("late"), Alice));
        Assert.Equal((QuorumReasons.Fenced, QuorumException.NotStored), (refused.Quorum.Reason, refused.Outcome));
        await later.StoreAsync(Draft("after"), Alice);
    }

    [Fact]
    public async Task An_activation_holds_what_was_acknowledged_before_its_first_write()
    {
        await using var set = await SetAsync(3);
        var first = set[0].Engine(await set[0].TakeEpochAsync("test"));
        set.Faults(0, 2).Hung = true;
        var kept = await first.StoreAsync(Draft("kept"), Alice);
        var gone = await first.StoreAsync(Draft("gone"), Alice);
        await first.DeleteAsync(gone.Memory.Id, Alice);
        await Assert.ThrowsAsync<MemoryException>(() => set[2].GetAsync(kept.Memory.Id));
        await set.StopAsync(0);
        var second = set[2].Engine(await set[2].TakeEpochAsync("test"));
        var again = await second.StoreAsync(Draft("kept"), Alice);
        Assert.Equal((kept.Memory.Id, false), (again.Memory.Id, again.Created));
        Assert.True((await second.StoreAsync(Draft("gone"), Alice)).Created);
        await Assert.ThrowsAsync<MemoryException>(() => second.UpdateAsync(gone.Memory.Id, new() { Content = "back" }, Alice));

        // Too few replicas: it decides nothing.
        await set.StopAsync(1);
        var alone = await Assert.ThrowsAsync<QuorumException>(() => set[2].TakeEpochAsync("test"));
        Assert.Equal((QuorumReasons.Unreachable, QuorumException.NotStored), (alone.Quorum.Reason, alone.Outcome));
        set.Faults(0, 2).Hung = false;
    }

    [Fact]
    public async Task A_write_for_an_activation_finds_what_another_namespace_decided()
    {
        await using var set = await SetAsync(3);
        set.Faults(0, 2).Hung = true;
        var moved = await set[0].StoreAsync(Draft("moved") with { Namespace = "source" }, Alice);
        await Assert.ThrowsAsync<MemoryException>(() => set[2].GetAsync(moved.Memory.Id));
        var target = set[2].Engine(await set[2].TakeEpochAsync("target"));
        Assert.Equal("target", (await target.UpdateAsync(moved.Memory.Id, new() { Namespace = "target" }, Alice)).Memory.Namespace);
    }

    protected static MemoryDraft Draft(string title) => new() { Title = title, Content = $"content{title}", Namespace = "test" };

    private async Task<LinkedSet> SetAsync(int nodes, Func<ReplicaSetSettings, ReplicaSetSettings>? change = null)
    {
        var settings = new ReplicaSetSettings(nodes - 1, null, TimeSpan.FromSeconds(2));
        var set = new LinkedSet(nodes, (number, links, wiped) => StartAsync(number, nodes, change?.Invoke(settings) ?? settings, links, wiped));
        await set.StartAllAsync();
        return set;
    }
}

/// <summary>A running node of a set.</summary>
public sealed class LinkedNode(MemoryNode node, Func<ValueTask> stop)
{
    public MemoryNode Node => node;

    public ValueTask StopAsync() => stop();
}

/// <summary>Several nodes and the faults between them.</summary>
public sealed class LinkedSet(int nodes, Func<int, Func<int, IReplicaLink, IReplicaLink>, bool, Task<LinkedNode>> start) : IAsyncDisposable
{
    private readonly LinkedNode?[] _nodes = new LinkedNode?[nodes];
    private readonly LinkFaults[,] _faults = NewFaults(nodes);

    public MemoryNode this[int number] => _nodes[number]!.Node;

    /// <summary>Of the link from one node to another.</summary>
    public LinkFaults Faults(int from, int to) => _faults[from, to];

    public async Task StartAllAsync()
    {
        for (var number = 0; number < nodes; number++)
        {
            await StartAsync(number);
        }

        await Eventually.HoldsAsync(
            "every node hears every other, and none is recovering",
            () => Task.FromResult(_nodes.All(node => node!.Node.Cluster().Peers.All(peer => peer is { IsUp: true, Hello.Recovering: false }))));
    }

    /// <summary>Starts a node, and waits until it and the others that run hear each other.</summary>
    public async Task StartAsync(int number, bool wiped = false)
    {
        var node = await start(number, (target, link) => new FaultyLink(link, _faults[number, target]), wiped);
        _nodes[number] = node;
        await Eventually.HoldsAsync(
            $"node {number} and the others that run hear each other",
            () => Task.FromResult(_nodes.All(other => other is null || other == node || (Hears(other, node) && Hears(node, other)))));
    }

    private static bool Hears(LinkedNode one, LinkedNode other) =>
        one.Node.Cluster().Peers.Any(peer => peer.IsUp && peer.Hello!.Log.Node == other.Node.Store.Log.Node);

    public async Task StopAsync(int number)
    {
        await _nodes[number]!.StopAsync();
        _nodes[number] = null;
    }

    /// <summary>Waits until all nodes have one digest, then checks each from its rows up.</summary>
    public async Task ConvergedAsync()
    {
        await Eventually.HoldsAsync("all nodes have one digest", async () =>
        {
            var first = await DigestAsync(0);
            for (var number = 1; number < nodes; number++)
            {
                if (await DigestAsync(number) != first)
                {
                    return false;
                }
            }

            return true;
        });
        foreach (var node in _nodes)
        {
            Assert.Empty((await node!.Node.Store.VerifyAsync()).Differences);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var fault in _faults)
        {
            fault.Hung = false;
        }

        foreach (var node in _nodes)
        {
            if (node is not null)
            {
                await node.StopAsync();
            }
        }
    }

    private async Task<string> DigestAsync(int number)
    {
        var snapshot = await this[number].Store.ReadDigestSnapshotAsync();
        return string.Join(';', snapshot.Digests.Where(pair => pair.Value.Rows > 0).Select(pair => $"{pair.Key}={pair.Value}").Order(StringComparer.Ordinal));
    }

    private static LinkFaults[,] NewFaults(int nodes)
    {
        var faults = new LinkFaults[nodes, nodes];
        for (var from = 0; from < nodes; from++)
        {
            for (var to = 0; to < nodes; to++)
            {
                faults[from, to] = new();
            }
        }

        return faults;
    }
}
