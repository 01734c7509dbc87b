using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What counts toward a quorum.</summary>
public sealed class QuorumWriterTests
{
    private static readonly LogId Log = new("a", 1);

    [Fact]
    public async Task Only_an_answer_to_the_row_itself_counts()
    {
        var quorum = Quorum();
        var waiting = quorum.WaitAsync(Log, 7, 8, 2, TimeSpan.FromSeconds(30));

        // The row may be in the peer's vector because it was refused or fenced there, and the answer that said so was lost.
        quorum.Connected("b");
        Assert.False(waiting.IsCompleted);
        Assert.Equal([(7, 8)], quorum.Awaited("b", new(Log, 8)).Ranges);
        Assert.Empty(quorum.Awaited("b", new(Log, 7)).Ranges);
        quorum.Acknowledged("b", Log, 7, 8);
        Assert.True((await waiting).IsMet);
        Assert.Empty(quorum.Awaited("b", new(Log, 8)).Ranges);
    }

    [Fact]
    public async Task Peers_that_fence_a_row_never_hold_it()
    {
        var quorum = Quorum();
        var waiting = quorum.WaitAsync(Log, 7, 8, 2, TimeSpan.FromSeconds(30));
        quorum.Refused("b", new(Log, 8), ApplyOutcome.Fenced);
        quorum.Connected("b");
        Assert.False(waiting.IsCompleted);
        quorum.Refused("c", new(Log, 8), ApplyOutcome.Fenced);
        var outcome = await waiting;
        Assert.Equal((QuorumReasons.Fenced, 1, 2), (outcome.Reason, outcome.Got, outcome.Needed));

        // Who comes to wait later hears the same.
        Assert.Equal(QuorumReasons.Fenced, (await quorum.WaitAsync(Log, 8, 8, 2, TimeSpan.FromSeconds(30))).Reason);
    }

    [Fact]
    public async Task A_row_that_a_delete_of_another_node_overruled_is_held_by_nobody_any_more()
    {
        var quorum = Quorum();
        var waiting = quorum.WaitAsync(Log, 7, 7, 2, TimeSpan.FromSeconds(30), ["x"]);
        var other = quorum.WaitAsync(Log, 8, 8, 2, TimeSpan.FromSeconds(30), ["y"]);
        quorum.Overruled(["x"], through: 9);
        Assert.True((await waiting).MetDelete);
        quorum.Acknowledged("b", Log, 7, 9);
        Assert.True((await other).IsMet);

        // Also for who comes to wait when the delete was taken in its place already, unless nobody else need hold it.
        Assert.True((await quorum.WaitAsync(Log, 9, 9, 2, TimeSpan.FromSeconds(30), ["x"])).MetDelete);
        Assert.Equal(new(2, 1, null), await quorum.WaitAsync(Log, 9, 9, 1, TimeSpan.FromSeconds(30), ["x"]));
        Assert.Empty(quorum.Awaited("c", new(Log, 9)).Ranges);

        // A memory that comes under the same id later is another one.
        quorum.Acknowledged("b", Log, 10, 10);
        Assert.True((await quorum.WaitAsync(Log, 10, 10, 2, TimeSpan.FromSeconds(30), ["x"])).IsMet);
    }

    [Fact]
    public async Task Answers_are_remembered_for_the_newest_rows()
    {
        var quorum = Quorum();
        for (var row = 1; row < 10_000; row += 2)
        {
            quorum.Acknowledged("b", Log, row, row);
            var waiting = quorum.WaitAsync(Log, row, row, 2, TimeSpan.FromSeconds(30));
            Assert.True(waiting.IsCompleted);
            Assert.True((await waiting).IsMet);
        }

        Assert.False(quorum.WaitAsync(Log, 9_998, 9_998, 2, TimeSpan.FromSeconds(30)).IsCompleted);
    }

    [Fact]
    public async Task Peers_that_are_known_to_be_down_end_the_wait_and_silent_ones_do_not()
    {
        var quorum = Quorum();
        Assert.Equal(3, quorum.Nodes);
        var all = quorum.WaitAsync(Log, 1, 1, 3, TimeSpan.FromSeconds(30));
        var two = quorum.WaitAsync(Log, 1, 1, 2, TimeSpan.FromSeconds(30));
        quorum.Lost("b", isDown: false);
        Assert.False(quorum.WaitAsync(Log, 1, 1, 3, TimeSpan.FromSeconds(30)).IsCompleted);
        quorum.Lost("b", isDown: true);
        Assert.Equal(new(1, 3, QuorumReasons.Unreachable), await all);
        Assert.False(two.IsCompleted);
        quorum.Lost("c", isDown: true);
        Assert.Equal(new(1, 2, QuorumReasons.Unreachable), await two);
        Assert.Equal(QuorumReasons.Unreachable, (await quorum.WaitAsync(Log, 2, 2, 2, TimeSpan.FromSeconds(30))).Reason);

        // One that is back counts again.
        quorum.Connected("c");
        var again = quorum.WaitAsync(Log, 2, 2, 2, TimeSpan.FromSeconds(30));
        Assert.False(again.IsCompleted);
        quorum.Acknowledged("c", Log, 2, 2);
        Assert.Equal(new(2, 2, null), await again);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public async Task The_deadline_says_what_there_was_and_why_not_more(int row)
    {
        var quorum = Quorum();
        quorum.Acknowledged("b", Log, 1, 2);
        var late = quorum.WaitAsync(Log, 1, 2, 3, TimeSpan.FromMilliseconds(50));
        var refused = quorum.WaitAsync(Log, 3, 5, 3, TimeSpan.FromMilliseconds(50));
        quorum.Refused("c", new(Log, row), ApplyOutcome.RefusedFutureStamp);
        Assert.Equal(new(2, 3, QuorumReasons.Timeout), await late);
        Assert.Equal(new(1, 3, QuorumReasons.Refused), await refused);

        // Nobody waits any more.
        Assert.Empty(quorum.Awaited("c", new(Log, 9)).Ranges);
    }

    [Fact]
    public async Task More_nodes_than_there_are_is_all()
    {
        var quorum = Quorum();
        var waiting = quorum.WaitAsync(Log, 1, 1, 9, TimeSpan.FromSeconds(30));
        quorum.Acknowledged("b", Log, 1, 1);
        Assert.False(waiting.IsCompleted);
        quorum.Acknowledged("c", Log, 1, 1);
        Assert.Equal(new(3, 3, null), await waiting);
    }

    [Fact]
    public async Task A_row_that_a_peer_has_deleted_ends_every_wait_for_it()
    {
        var quorum = Quorum();
        var waiting = quorum.WaitAsync(Log, 1, 3, 2, TimeSpan.FromSeconds(30));
        var after = quorum.WaitAsync(Log, 4, 4, 2, TimeSpan.FromSeconds(30));
        quorum.Refused("c", new(Log, 2), ApplyOutcome.RefusedDeleted);
        Assert.True((await waiting).MetDelete);
        Assert.Equal(QuorumReasons.Refused, (await waiting).Reason);
        Assert.False(after.IsCompleted);
        Assert.True((await quorum.WaitAsync(Log, 2, 2, 2, TimeSpan.FromSeconds(30))).MetDelete);
        quorum.Acknowledged("b", Log, 4, 4);
        Assert.True((await after).IsMet);
    }

    [Fact]
    public async Task Of_a_new_log_nobody_holds_anything_and_of_the_old_one_nothing_is_forgotten()
    {
        var quorum = Quorum();
        var next = new LogId("a", 2);
        quorum.Acknowledged("b", Log, 1, 1);
        quorum.Refused("b", new(Log, 2), ApplyOutcome.RefusedDeleted);
        quorum.Refused("b", new(Log, 3), ApplyOutcome.Fenced);
        quorum.Overruled(["x"], through: 9);
        var old = quorum.WaitAsync(Log, 5, 5, 2, TimeSpan.FromSeconds(30));
        quorum.Writing(Log);
        Assert.False(quorum.WasHeld(new(Log, 1)));
        quorum.Writing(next);
        Assert.True(quorum.WasHeld(new(Log, 1)));
        Assert.False(quorum.WasHeld(new(Log, 2)));
        Assert.False(quorum.WasHeld(new(next, 1)));
        var waiting = Enumerable.Range(1, 3).Select(row => quorum.WaitAsync(next, row, row, 2, TimeSpan.FromSeconds(30), ["x"])).ToList();
        quorum.Acknowledged("b", Log, 1, 5);
        quorum.Refused("b", new(Log, 1), ApplyOutcome.RefusedDeleted);
        quorum.Refused("b", new(next, 5), ApplyOutcome.RefusedDeleted);
        Assert.Equal([(5, 5)], quorum.Awaited("c", new(Log, 9)).Ranges);
        Assert.Equal([(1, 3)], quorum.Awaited("c", new(next, 9)).Ranges);
        Assert.False(quorum.WaitAsync(next, 3, 3, 3, TimeSpan.FromSeconds(30)).IsCompleted);
        Assert.All(waiting.Append(old), static wait => Assert.False(wait.IsCompleted));
        quorum.Acknowledged("b", next, 1, 3);
        Assert.All(await Task.WhenAll(waiting), static outcome => Assert.True(outcome.IsMet));
    }

    [Fact]
    public async Task Refusals_are_remembered_for_the_newest_rows()
    {
        const int Remembered = 4_096;
        var quorum = Quorum();
        for (var row = 1; row <= Remembered + 1; row++)
        {
            quorum.Refused("b", new(Log, row), ApplyOutcome.RefusedDeleted);
            quorum.Overruled([$"{row}"], through: row);
        }

        Assert.False(quorum.WaitAsync(Log, 1, 1, 2, TimeSpan.FromSeconds(30), ["1"]).IsCompleted);
        Assert.True((await quorum.WaitAsync(Log, 2, 2, 2, TimeSpan.FromSeconds(30))).MetDelete);
        Assert.True((await quorum.WaitAsync(Log, 2, 9_999, 2, TimeSpan.FromSeconds(30), ["2"])).MetDelete);
        Assert.True((await quorum.WaitAsync(Log, Remembered + 1, Remembered + 1, 2, TimeSpan.FromSeconds(30))).MetDelete);
    }

    private static QuorumWriter Quorum()
    {
        var quorum = new QuorumWriter(Log, TimeProvider.System);
        quorum.AddPeer("b");
        quorum.AddPeer("c");
        return quorum;
    }
}
