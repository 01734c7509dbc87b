using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What waits to be shipped.</summary>
public sealed class MutationFeedTests
{
    private static readonly LogId Log = new("a", 1);

    [Fact]
    public void A_row_that_is_deleted_while_it_waits_goes_out_as_its_delete()
    {
        var feed = new MutationFeed(Log, 0);
        var states = new States(new Random(1));
        feed.Append(Log, Changes(1, states.State("x")));
        feed.Append(Log, Changes(2, states.State("y")));
        Assert.Equal([MutationKind.Memory, MutationKind.Memory], feed.Read(0, 10, 1 << 20)!.Select(static row => row.Kind));
        feed.Append(Log, new() { Head = new(2, 2), Tombstones = [new("x", "ns", new(5, new("b", 1)), new(5))] });
        var rows = feed.Read(0, 10, 1 << 20)!;
        Assert.Equal([MutationKind.MemoryDelete, MutationKind.Memory], rows.Select(static row => row.Kind));
        Assert.Equal(new Stamp(5, new("b", 1)), MemoryCodec.DecodeTombstone(rows[0].Body).Stamp);
        Assert.Equal(new Stamp(1, Log), rows[0].Stamp);
    }

    [Fact]
    public void What_has_left_the_feed_is_asked_of_the_store()
    {
        var feed = new MutationFeed(Log, 7);
        Assert.Null(feed.Read(3, 10, 1 << 20));
        Assert.Empty(feed.Read(7, 10, 1 << 20)!);
        feed.Append(Log, Changes(8, new States(new Random(1)).State("x")));
        Assert.Null(feed.Read(6, 10, 1 << 20));
        Assert.Equal(8, Assert.Single(feed.Read(7, 10, 1 << 20)!).Position.Sequence);
        Assert.Equal(new(Log, 8), feed.Head);
    }

    [Fact]
    public async Task Nothing_of_a_log_that_was_left_is_shipped()
    {
        var feed = new MutationFeed(Log, 0);
        feed.Append(Log, Changes(1, new States(new Random(1)).State("x")));
        var other = new LogId("a", 2);
        var waiting = feed.WaitAsync(feed.Head, TestContext.Current.CancellationToken);
        feed.Append(other, new() { Head = new(0, 2) });
        Assert.Equal(new(other, 0), feed.Head);
        Assert.Empty(feed.Read(0, 10, 1 << 20)!);
        await waiting.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        feed.Append(other, Changes(1, new States(new Random(1)).State("y")));
        Assert.Equal("y", Assert.Single(feed.Read(0, 10, 1 << 20)!).Key);
    }

    [Fact]
    public void A_batch_is_as_long_as_was_asked_for_and_begins_after_what_is_held()
    {
        var feed = new MutationFeed(Log, 0);
        var states = new States(new Random(1));
        for (var sequence = 1; sequence <= 5; sequence++)
        {
            feed.Append(Log, Changes(sequence, states.State($"m{sequence}")));
        }

        Assert.Equal([3, 4], feed.Read(2, 2, 1 << 20)!.Select(static row => row.Position.Sequence));
        Assert.Equal([1], feed.Read(0, 5, 1)!.Select(static row => row.Position.Sequence));
        Assert.Equal([5], feed.Read(4, 5, 1 << 20)!.Select(static row => row.Position.Sequence));
    }

    [Fact]
    public async Task Whoever_waits_hears_of_a_new_row_and_of_a_new_log()
    {
        var feed = new MutationFeed(Log, 3);
        var cancellation = TestContext.Current.CancellationToken;
        Assert.True(feed.WaitAsync(new(Log, 2), cancellation).IsCompleted);
        var waiting = feed.WaitAsync(new(Log, 3), cancellation);
        feed.Append(Log, new() { Head = new(3, 4), Tombstones = [new("x", "ns", new(4, new("b", 1)), new(5))] });
        Assert.False(waiting.IsCompleted);
        var next = new LogId("a", 2);
        feed.Append(next, Changes(1, new States(new Random(1)).State("x")));
        await waiting.WaitAsync(TimeSpan.FromSeconds(30), cancellation);
        Assert.Equal(new(next, 1), feed.Head);
        Assert.Equal(next, Assert.Single(feed.Read(0, 10, 1 << 20)!).Position.Log);
        Assert.True(feed.WaitAsync(new(Log, 3), cancellation).IsCompleted);
    }

    [Fact]
    public void Each_kind_of_row_goes_out_as_what_it_holds()
    {
        var feed = new MutationFeed(Log, 0);
        var state = new States(new Random(1)).State("x");
        var tombstone = new Tombstone("y", "ns", new(2, Log), new(5));
        var entry = new EntryState(EntryBodies.LinkKey("x", "r", "z"), "x", "z", Live: true, new(3, Log), EntryBodies.Encode(new LinkBody(1)));
        feed.Append(Log, Changes(1, state) with
        {
            Head = new(3, 3),
            Tombstones = [tombstone],
            Entries = [entry],
            Log = [new(1, 1, 7, MutationKind.Memory, "x", "once"), new(2, 2, 0, MutationKind.MemoryDelete, "y", null), new(3, 3, 0, MutationKind.Link, entry.Key.Key, null)],
        });
        var rows = feed.Read(0, 10, 1 << 20)!;
        Assert.Equal(
            [(1, MutationKind.Memory, "x"), (2, MutationKind.MemoryDelete, "y"), (3, MutationKind.Link, entry.Key.Key)],
            rows.Select(static row => ((int)row.Position.Sequence, row.Kind, row.Key)));
        Assert.Equal((7, "once", new Stamp(1, Log)), (rows[0].Epoch, rows[0].IdempotencyKey, rows[0].Stamp));
        Assert.Equal([MemoryCodec.Encode(state), MemoryCodec.Encode(tombstone), entry.Encode()], rows.Select(static row => row.Body.ToArray()));
        Assert.Same(rows[0], feed.Read(0, 1, 1 << 20)![0]);
    }

    [Fact]
    public void A_row_whose_state_is_in_the_store_only_is_asked_of_it_with_all_before()
    {
        var feed = new MutationFeed(Log, 0);
        feed.Append(Log, Changes(1, new States(new Random(1)).State("x")));
        feed.Append(Log, new() { Head = new(2, 2), Log = [new(2, 2, 0, MutationKind.Memory, "y", null)] });
        Assert.Null(feed.Read(0, 10, 1 << 20));
        Assert.Null(feed.Read(1, 10, 1 << 20));
        Assert.Empty(feed.Read(2, 10, 1 << 20)!);
        Assert.Equal(new(Log, 2), feed.Head);
    }

    [Fact]
    public void The_oldest_leave_when_there_are_too_many()
    {
        const int Most = 16_384;
        var feed = new MutationFeed(Log, 0);
        var states = new States(new Random(1));
        var (twice, other) = (states.State("x"), states.State("y"));
        feed.Append(Log, Changes(1, twice));
        feed.Append(Log, Changes(2, twice));
        for (var sequence = 3; sequence <= Most; sequence++)
        {
            feed.Append(Log, Changes(sequence, other));
        }

        Assert.Equal(1, feed.Read(0, 1, 1 << 20)![0].Position.Sequence);
        feed.Append(Log, Changes(Most + 1, other));
        Assert.Null(feed.Read(0, 1, 1 << 20));

        // One of its rows has left, and the other is known to be there.
        feed.Append(Log, new() { Head = new(Most + 1, Most + 2), Tombstones = [new("x", "ns", new(Most + 2, new("b", 1)), new(5))] });
        var rest = feed.Read(1, Most, int.MaxValue)!;
        Assert.Equal(Most, rest.Count);
        Assert.Equal((2, MutationKind.MemoryDelete), (rest[0].Position.Sequence, rest[0].Kind));
        Assert.All(rest.Skip(1), static row => Assert.Equal(MutationKind.Memory, row.Kind));
    }

    [Fact]
    public void The_oldest_leave_when_they_are_too_large()
    {
        var feed = new MutationFeed(Log, 0);
        var state = new States(new Random(1)).State("x");
        state = state with { Body = state.Body with { Value = state.Body.Value with { Content = new('x', 23 << 20) } } };
        feed.Append(Log, Changes(1, state));
        feed.Append(Log, Changes(2, state));
        Assert.Single(feed.Read(0, 10, 1)!);
        feed.Append(Log, Changes(3, state));
        Assert.Null(feed.Read(0, 10, 1));
        feed.Append(Log, Changes(4, state));
        Assert.Null(feed.Read(1, 10, 1));
        Assert.Equal(3, Assert.Single(feed.Read(2, 10, 1)!).Position.Sequence);
    }

    private static ChangeSet Changes(long sequence, MemoryState state) => new()
    {
        Head = new(sequence, sequence),
        Memories = [new(null, new MemoryRow(1, state, MemoryView.Of(state, default), RowVisibility.Shown, default, MemoryCodec.Hash(state)))],
        Log = [new(sequence, sequence, 0, MutationKind.Memory, state.Id, null)],
    };
}
