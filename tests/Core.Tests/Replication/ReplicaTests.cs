using OrleansMemory.Compliance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What a node takes in from others, over a store in memory.</summary>
public sealed class ReplicaTests
{
    private static readonly LogId Peer = new("b", 1);

    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_refused_row_is_applied_when_its_time_comes_unless_deletes_of_it_may_be_forgotten()
    {
        await using var node = await Node.StartAsync("a", _time);
        var early = Put("early", sequence: 1, Clock(TimeSpan.FromSeconds(61)));
        var late = Put("late", sequence: 2, Clock(TimeSpan.FromSeconds(62)));
        Assert.Equal([ApplyOutcome.RefusedFutureStamp, ApplyOutcome.RefusedFutureStamp], await node.Replica.ApplyAsync([early, late]));
        Assert.Equal(0, await node.Replica.RetryAsync(node.Store, () => 0));
        _time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(1, await node.Replica.RetryAsync(node.Store, () => late.Stamp.Clock));
        Assert.Null(await node.Store.FindAsync("early"));
        Assert.NotNull(await node.Store.FindAsync("late"));
        Assert.Equal(0, await node.Store.CountDeadLettersAsync());

        // Let go of and not applied: its log has a gap there.
        Assert.Equal([(1, 1)], (await node.Store.ReadVectorAsync())[Peer].Missing(2));
    }

    [Fact]
    public async Task A_row_may_be_stamped_a_minute_ahead_and_is_tried_again_less_and_less_often()
    {
        await using var node = await Node.StartAsync("a", _time);
        Assert.Equal(
            [ApplyOutcome.Applied, ApplyOutcome.RefusedFutureStamp],
            await node.Replica.ApplyAsync([Put("x", 1, Clock(TimeSpan.FromSeconds(60))), Put("y", 2, Clock(TimeSpan.FromSeconds(60.001)))]));
        _time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(1, await node.Replica.RetryAsync(node.Store, () => 0));
        var far = Put("far", 3, Clock(TimeSpan.FromDays(1)));
        await node.Replica.ApplyAsync([far]);
        _time.Advance(TimeSpan.FromSeconds(61));
        await RequireNextAsync(attempts: 2, TimeSpan.FromSeconds(120));
        _time.Advance(TimeSpan.FromSeconds(119));
        await RequireNextAsync(attempts: 2, TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(2));
        await RequireNextAsync(attempts: 3, TimeSpan.FromSeconds(180));
        await node.Writer.RunAsync(session =>
        {
            session.Refuse(new(far, ApplyOutcome.RefusedFutureStamp, Attempts: 100, session.Now, NextAttemptAt: default));
            return ValueTask.FromResult(0);
        });
        await RequireNextAsync(attempts: 101, TimeSpan.FromHours(1));
        _time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(1, await node.Replica.RetryAsync(node.Store, () => 0));
        Assert.NotNull(await node.Store.FindAsync("far"));

        async Task RequireNextAsync(int attempts, TimeSpan wait)
        {
            Assert.Equal(0, await node.Replica.RetryAsync(node.Store, () => 0));
            var letter = Assert.Single(await node.Store.ReadDeadLettersAsync(10));
            Assert.Equal((attempts, ApplyOutcome.RefusedFutureStamp), (letter.Attempts, letter.Reason));
            Assert.InRange(letter.NextAttemptAt.ToDateTimeOffset() - _time.GetUtcNow(), wait, wait + TimeSpan.FromMilliseconds(1));
        }
    }

    [Theory]
    [InlineData(ApplyOutcome.Applied, "applied")]
    [InlineData(ApplyOutcome.Already, "already")]
    [InlineData(ApplyOutcome.Fenced, "fenced")]
    [InlineData(ApplyOutcome.RefusedDeleted, "refused_deleted")]
    [InlineData(ApplyOutcome.RefusedFutureStamp, "refused_future_stamp")]
    [InlineData(ApplyOutcome.RefusedMalformed, "refused_malformed")]
    public void What_became_of_a_row_has_a_name_in_metrics_and_status(ApplyOutcome outcome, string name) => Assert.Equal(name, Replica.NameOf(outcome));

    [Fact]
    public async Task A_delete_that_overrules_what_was_written_here_is_taken_in()
    {
        await using var node = await Node.StartAsync("a", _time);
        await node.Replica.ApplyAsync([Put("x", 1, Clock(default))]);
        Assert.Empty(await node.Replica.BuryAsync([new(new(MutationKind.MemoryDelete, "x"), Delete("x", 1, Clock(default) + 1, from: "c").Body)]));
        Assert.Null(await node.Store.FindAsync("x"));
        Assert.Equal("x", Assert.Single(await node.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10)).Id);
    }

    [Fact]
    public async Task Floors_that_are_set_are_on_disk()
    {
        await using var node = await Node.StartAsync("a", _time);
        await node.Replica.SetFloorsAsync(new(2, 1));
        Assert.Equal(new(2, 1), await node.Store.ReadFloorsAsync());
    }

    [Fact]
    public async Task What_an_old_copy_refused_is_let_go_of_before_its_time_comes()
    {
        await using var node = await Node.StartAsync("a", _time);
        await node.Replica.ApplyAsync([Put("x", sequence: 1, Clock(TimeSpan.FromSeconds(61)))]);
        Assert.Equal(0, await node.Replica.RetryAsync(node.Store, () => long.MaxValue));
        Assert.Equal(0, await node.Store.CountDeadLettersAsync());
        Assert.Null(await node.Store.FindAsync("x"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_delete_of_something_later_is_decided_anew(bool deleteFirst)
    {
        await using var node = await Node.StartAsync("a", _time);
        var row = Put("x", sequence: 1, Clock(default));
        var delete = Delete("x", sequence: 2, Clock(default) - 1);
        await node.Replica.ApplyAsync([deleteFirst ? delete : row]);
        Assert.Empty(await node.Store.ReadLogAsync(0, 10, 1 << 20));

        // Not under numbers that others may know other rows by.
        node.Writer.MayLog = static () => false;
        Assert.Equal(ErrorKind.NotYet, (await Assert.ThrowsAsync<MemoryException>(() => node.Replica.ApplyAsync([deleteFirst ? row : delete]))).Kind);
        node.Writer.MayLog = null;
        await node.Replica.ApplyAsync([deleteFirst ? row : delete]);
        var buried = Assert.Single(await node.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10));
        Assert.True(buried.Stamp > row.Stamp);
        Assert.Equal(node.Store.Log, buried.Stamp.Log);
        Assert.Equal(MutationKind.MemoryDelete, Assert.Single(await node.Store.ReadLogAsync(0, 10, 1 << 20)).Kind);

        // The second time it is none, and this node's own.
        Assert.Equal([new("x", buried.Stamp)], await node.Replica.BuryAsync([new(new(MutationKind.MemoryDelete, "x"), delete.Body)]));
        Assert.Single(await node.Store.ReadLogAsync(0, 10, 1 << 20));
    }

    [Fact]
    public async Task A_delete_of_something_earlier_stays_as_it_was_decided()
    {
        await using var node = await Node.StartAsync("a", _time);
        await node.Replica.ApplyAsync([Put("x", sequence: 1, Clock(default)), Delete("x", sequence: 2, Clock(default) + 1)]);
        Assert.Equal(new Stamp(Clock(default) + 1, Peer), Assert.Single(await node.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10)).Stamp);
        Assert.Empty(await node.Store.ReadLogAsync(0, 10, 1 << 20));
    }

    [Fact]
    public async Task A_row_that_was_deleted_since_is_refused_when_it_comes_again()
    {
        await using var node = await Node.StartAsync("a", _time);
        var row = Put("x", sequence: 1, Clock(default));
        Assert.Equal([ApplyOutcome.Applied], await node.Replica.ApplyAsync([row]));
        Assert.Equal([ApplyOutcome.Already], await node.Replica.ApplyAsync([row]));
        Assert.Equal([ApplyOutcome.Applied], await node.Replica.ApplyAsync([Delete("x", sequence: 1, Clock(default) + 1, from: "c")]));
        Assert.Equal([ApplyOutcome.RefusedDeleted], await node.Replica.ApplyAsync([row]));
        var late = Put("x", sequence: 2, Clock(default));
        Assert.Equal([ApplyOutcome.RefusedDeleted], await node.Replica.ApplyAsync([late]));

        // It is in the vector now, and refused all the same.
        Assert.Equal([ApplyOutcome.RefusedDeleted], await node.Replica.ApplyAsync([late]));
    }

    [Fact]
    public async Task A_delete_of_another_node_tells_which_memories_it_takes_before_it_is_committed()
    {
        await using var node = await Node.StartAsync("a", _time);
        var told = new List<string>();
        node.Writer.Committing = changes => told.AddRange(changes.Overruled);
        await node.Replica.ApplyAsync([Put("x", 1, Clock(default)), Put("y", 2, Clock(default))]);
        await node.DeleteAsync("y");
        await node.Replica.ApplyAsync([Delete("x", 3, Clock(default) + 1), Delete("x", 4, Clock(default) + 2), Delete("y", 5, Clock(default) + 2)]);
        Assert.Equal(["x"], told);
    }

    [Fact]
    public async Task A_delete_that_overrules_something_is_not_forgotten_with_what_was_read_before()
    {
        await using var node = await Node.StartAsync("a", _time);
        var delete = new Tombstone("x", "ns", new(Clock(default), Peer), Timestamp.Now(_time));
        await node.Replica.ApplyAsync([new(new(Peer, 1), delete.Stamp, 0, MutationKind.MemoryDelete, "x", MemoryCodec.Encode(delete), null)]);
        Assert.Equal([ApplyOutcome.RefusedDeleted], await node.Replica.ApplyAsync([Put("x", sequence: 2, Clock(TimeSpan.FromSeconds(5)))]));
        await CollectAsync(delete);
        var raised = Assert.Single(await node.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10));
        Assert.True(raised.Stamp.Clock > Clock(TimeSpan.FromSeconds(5)));
        await CollectAsync(raised);
        Assert.Empty(await node.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10));

        Task CollectAsync(Tombstone tombstone) => node.Writer.RunAsync(async session =>
        {
            await session.CollectAsync(tombstone);
            return 0;
        });
    }

    [Fact]
    public async Task A_store_that_rejoins_logs_again_what_is_not_below_the_floor()
    {
        await using var node = await Node.StartAsync("a", _time);
        var floor = Clock(TimeSpan.FromSeconds(1));
        var link = new EntryState(EntryBodies.LinkKey("x", "r", "y"), "x", "y", Live: true, new(floor - 1, Peer), EntryBodies.Encode(new LinkBody(1)));
        await node.Replica.ApplyAsync([
            Put("old", 1, floor - 1), Put("new", 2, floor), Delete("gone", 3, floor - 1), Delete("going", 4, floor),
            Logged(5, link)]);
        var keys = (await node.Store.ReadHashesAsync(null, null, 100)).Rows.Select(static row => row.Key).ToList();
        for (var page = await node.Store.ReadHashesAsync(null, null, 100); ; page = await node.Store.ReadHashesAsync(null, page.Next, 100))
        {
            keys = [.. keys.Union(page.Rows.Select(static row => row.Key))];
            if (page.Next is null)
            {
                break;
            }
        }

        Assert.Equal(5, keys.Count);
        await node.Writer.RunAsync(async session =>
        {
            foreach (var key in keys)
            {
                await session.RelogAsync(key, floor);
            }

            foreach (var key in keys.Where(static key => key.Key is not ("new" or "going")))
            {
                await session.DropAsync(key);
            }

            return 0;
        });
        Assert.Null(await node.Store.FindAsync("old"));
        Assert.NotNull(await node.Store.FindAsync("new"));
        Assert.Equal("going", Assert.Single(await node.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10)).Id);
        Assert.Empty(await node.Store.ReadRowsAsync([new(MutationKind.Link, link.Key.Key)]));
        Assert.Equal(["going", "new"], (await node.Store.ReadLogAsync(0, 10, 1 << 20)).Select(static mutation => mutation.Key).Order());
        Assert.Empty((await node.Store.VerifyAsync()).Differences);
    }

    [Fact]
    public async Task A_counter_that_is_let_go_of_and_comes_again_is_counted_once()
    {
        await using var node = await Node.StartAsync("a", _time);
        var floor = Clock(TimeSpan.FromSeconds(1));
        var imported = Counter(EntryBodies.LegacyAccessKey("x"), floor + 1, 16);
        var counted = Counter(EntryBodies.AccessKey("x", Peer), floor - 1, 1);
        await node.Replica.ApplyAsync([Put("x", 1, floor), Logged(2, imported), Logged(3, counted)]);
        Assert.Equal(17, (await node.Store.FindAsync("x"))!.Access.Count);
        await node.Writer.RunAsync(async session =>
        {
            await session.DropAsync(new(counted.Key.Kind, counted.Key.Key));
            return 0;
        });
        Assert.Equal(16, (await node.Store.FindAsync("x"))!.Access.Count);
        await node.Replica.JoinAsync([new(new(counted.Key.Kind, counted.Key.Key), counted.Encode())]);
        Assert.Equal(17, (await node.Store.FindAsync("x"))!.Access.Count);
        Assert.Equal(imported.Encode(), Assert.Single(await node.Store.ReadRowsAsync([new(imported.Key.Kind, imported.Key.Key)])).Body.ToArray());
        Assert.Empty((await node.Store.VerifyAsync()).Differences);
    }

    [Fact]
    public async Task A_clock_that_was_observed_is_below_every_later_stamp()
    {
        await using var node = await Node.StartAsync("a", _time);
        var floor = Clock(TimeSpan.FromSeconds(100));
        await node.Writer.RunAsync(session =>
        {
            session.Observe(floor);
            return ValueTask.FromResult(0);
        });
        Assert.True((await node.Writer.DrawClockAsync()).Clock > floor);
    }

    private long Clock(TimeSpan ahead) => ClockAt(_time, ahead);

    private static EntryState Counter(EntryKey key, long clock, long count) =>
        new(key, "x", null, Live: true, new(clock, Peer), EntryBodies.Encode(new AccessBody(count, null)));

}
