using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What counts toward a quorum.</summary>
public sealed class QuorumWriterTests
{
    private static readonly LogId Log = new("a", 1);

    [Fact]
    public async Task What_a_vector_says_counts_for_no_epoch()
    {
        var quorum = new QuorumWriter(Log, TimeProvider.System);
        quorum.AddPeer("b");
        quorum.AddPeer("c");
        quorum.Connected("b", Log, AppliedSet.None.With(1, 9));
        Assert.True((await quorum.WaitAsync(Log, 7, 7, 2, TimeSpan.FromSeconds(5))).IsMet);

        // The row may be there because it was applied and fenced, and the answer that said so was lost.
        var waiting = quorum.WaitAsync(Log, 7, 7, 2, TimeSpan.FromSeconds(30), inEpoch: true);
        quorum.Connected("b", Log, AppliedSet.None.With(1, 9));
        Assert.False(waiting.IsCompleted);
        quorum.Acknowledged("b", Log, 7, 7);
        Assert.True((await waiting).IsMet);
    }

    [Fact]
    public async Task Peers_that_fence_a_row_never_hold_it()
    {
        var quorum = new QuorumWriter(Log, TimeProvider.System);
        quorum.AddPeer("b");
        quorum.AddPeer("c");
        var waiting = quorum.WaitAsync(Log, 7, 8, 2, TimeSpan.FromSeconds(30), inEpoch: true);
        quorum.Refused("b", new(Log, 8), ApplyOutcome.Fenced);
        quorum.Connected("b", Log, AppliedSet.None.With(1, 9));
        Assert.False(waiting.IsCompleted);
        quorum.Refused("c", new(Log, 8), ApplyOutcome.Fenced);
        var outcome = await waiting;
        Assert.Equal((QuorumReasons.Fenced, 1, 2), (outcome.Reason, outcome.Got, outcome.Needed));

        // Who comes to wait later hears the same.
        Assert.Equal(QuorumReasons.Fenced, (await quorum.WaitAsync(Log, 8, 8, 2, TimeSpan.FromSeconds(30), inEpoch: true)).Reason);
    }
}
