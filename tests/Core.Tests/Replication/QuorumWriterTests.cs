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
        Assert.Equal([(7, 8)], quorum.Awaited("b", new(Log, 8)));
        Assert.Empty(quorum.Awaited("b", new(Log, 7)));
        quorum.Acknowledged("b", Log, 7, 8);
        Assert.True((await waiting).IsMet);
        Assert.Empty(quorum.Awaited("b", new(Log, 8)));
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
        Assert.True((await quorum.WaitAsync(Log, 9, 9, 1, TimeSpan.FromSeconds(30), ["x"])).IsMet);

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
        }

        Assert.True((await quorum.WaitAsync(Log, 9_999, 9_999, 2, TimeSpan.FromSeconds(30))).IsMet);
        Assert.False(quorum.WaitAsync(Log, 9_998, 9_998, 2, TimeSpan.FromSeconds(30)).IsCompleted);
    }

    private static QuorumWriter Quorum()
    {
        var quorum = new QuorumWriter(Log, TimeProvider.System);
        quorum.AddPeer("b");
        quorum.AddPeer("c");
        return quorum;
    }
}
