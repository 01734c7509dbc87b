using OrleansMemory.Core.Replication;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What a node says of itself, and what it makes of what its peers say.</summary>
public sealed class PeerSessionTests
{
    [Fact]
    public void A_node_tells_what_it_holds_and_knows_and_draws_no_stamp_before_it_heard_of_a_peer() => Play(async (node, condition, session, time) =>
    {
        await node.Replica.ApplyAsync([Put("x", 1, ClockAt(time)), Put("y", 2, ClockAt(time, TimeSpan.FromSeconds(200)))]);
        var first = await session.HelloAsync();
        Assert.Equal(first.Clock, (await session.HelloAsync()).Clock);
        Assert.Equal((node.Store.Log, 0, 3, 2), (first.Log, first.HeadSequence, first.Nodes, first.QuorumWrites));
        Assert.Equal(time.GetUtcNow().ToUnixTimeMilliseconds(), first.UnixMilliseconds);
        Assert.Equal(["a"], first.Members);
        Assert.Equal((true, false, 0, 0, 1), (first.Recovering, first.Readable, first.Floor, first.CommonFloor, first.LogStart));
        Assert.True(first.Vector[new("b", 1)].Contains(1));
        Assert.Equal(2, first.Refused[new("b", 1)]);
        await session.HeardAsync("there", Hello(new("c", 1), time), TimeSpan.Zero);
        condition.Committed(new() { Head = new(0, 0), Floors = new(7, 5) });
        var second = await session.HelloAsync();
        Assert.True(second.Clock > first.Clock);
        Assert.True((await session.HelloAsync()).Clock > second.Clock);
        Assert.Equal(["a", "c"], second.Members);
        Assert.Equal((true, 7, 5), (second.Readable, second.Floor, second.CommonFloor));
    });

    [Fact]
    public void A_peer_must_be_another_node_and_one_node_one_peer() => Play(async (node, _, session, time) =>
    {
        Assert.Contains("itself", (await Assert.ThrowsAsync<PeerRefusedException>(() => session.HeardAsync("here", Hello(new("a", 9), time), TimeSpan.Zero))).Message, StringComparison.Ordinal);
        await session.HeardAsync("there", Hello(new("b", 1), time), TimeSpan.Zero);
        Assert.Contains("same node", (await Assert.ThrowsAsync<PeerRefusedException>(() => session.HeardAsync("elsewhere", Hello(new("b", 1), time), TimeSpan.Zero))).Message, StringComparison.Ordinal);
        await session.HeardAsync("there", Hello(new("b", 2), time), TimeSpan.Zero);
        Assert.Equal(new("b", 2), Assert.Single(session.Hellos).Value.Log);
    });

    [Fact]
    public void Nodes_that_count_otherwise_or_know_of_others_do_not_agree() => Play(async (_, _, session, time) =>
    {
        session.RequireAgreement();
        await session.HeardAsync("b", Hello(new("b", 1), time), TimeSpan.Zero);
        await session.HeardAsync("c", Hello(new("c", 1), time) with { Members = ["a", "b", "c"] }, TimeSpan.Zero);
        session.RequireAgreement();
        await session.HeardAsync("c", Hello(new("c", 1), time) with { Nodes = 4 }, TimeSpan.Zero);
        Assert.False(session.MembersAgree);
        Assert.Equal(QuorumException.NotStored, Assert.Throws<QuorumException>(session.RequireAgreement).Outcome);
        await session.HeardAsync("c", Hello(new("c", 1), time) with { Members = ["b", "c", "d"] }, TimeSpan.Zero);
        Assert.False(session.MembersAgree);
        await session.HeardAsync("c", Hello(new("c", 1), time) with { Members = ["b", "c"] }, TimeSpan.Zero);
        Assert.True(session.MembersAgree);
    });

    [Fact]
    public void All_are_heard_when_each_of_them_was() => Play(async (_, _, session, time) =>
    {
        await session.HeardAsync("b", Hello(new("b", 1), time), TimeSpan.Zero);
        await session.HeardAsync("b", Hello(new("b", 1), time), TimeSpan.Zero);
        Assert.False(session.EverybodyHeard.IsCompleted);
        await session.HeardAsync("c", Hello(new("c", 1), time), TimeSpan.Zero);
        Assert.True(session.EverybodyHeard.IsCompleted);
    });

    [Fact]
    public void A_greeting_wakes_the_pumps_when_it_is_news() => Play(async (_, condition, session, time) =>
    {
        Assert.True(await WakesAsync(Hello(new("b", 1), time)));
        await session.HeardAsync("there", Hello(new("b", 1), time), TimeSpan.Zero);
        Assert.False(await WakesAsync(Hello(new("b", 1), time)));
        Assert.True(await WakesAsync(Hello(new("b", 2), time)));
        session.Lost("elsewhere");
        Assert.False(await WakesAsync(Hello(new("b", 1), time)));
        session.Lost("there");
        Assert.True(await WakesAsync(Hello(new("b", 1), time)));
        await session.HeardAsync("there", Hello(new("b", 1), time), TimeSpan.Zero);
        Assert.False(await WakesAsync(Hello(new("b", 1), time)));
        Assert.False(condition.IsStale);
        await WakesAsync(Hello(new("b", 1), time) with { CommonFloor = 9 });
        Assert.True(condition.IsStale);

        async Task<bool> WakesAsync(PeerHello greeting)
        {
            var knock = session.Knock;
            Assert.False(knock.IsCancellationRequested);
            Assert.Equal("a", (await session.AnswerAsync(greeting)).Log.Node);
            return knock.IsCancellationRequested;
        }
    });

    [Theory]
    [InlineData(4, 0, false)]
    [InlineData(5, 0, true)]
    [InlineData(0, 4, false)]
    [InlineData(0, 5, true)]
    public void A_store_whose_log_a_peer_knows_further_is_older_and_begins_a_new_one(long held, long refused, bool isOlder) => Play(async (node, condition, session, time) =>
    {
        for (var number = 0; number < 4; number++)
        {
            await node.WriteAsync($"{number}");
        }

        var log = node.Store.Log;
        condition.Compared();
        condition.Synchronised("b", isWhole: true);
        condition.Synchronised("c", isWhole: true);
        await session.HeardAsync("there", Hello(new("b", 1), time) with
        {
            Vector = new Dictionary<LogId, AppliedSet> { [log] = new(held, []) },
            Refused = new Dictionary<LogId, long> { [log] = refused },
        }, TimeSpan.Zero);
        Assert.Equal(isOlder, node.Store.Log != log);
        Assert.Equal(isOlder, condition.IsRecovering);
    });

    [Fact]
    public void A_clock_too_far_ahead_of_the_peers_is_told() => Play(async (_, _, session, time) =>
    {
        await session.HeardAsync("b", Hello(new("b", 1), time) with { UnixMilliseconds = time.GetUtcNow().ToUnixTimeMilliseconds() - 60_000 }, TimeSpan.Zero);
        Assert.Equal((TimeSpan.FromSeconds(60), false), (session.Ahead, session.IsClockAhead));
        await session.HeardAsync("b", Hello(new("b", 1), time) with { UnixMilliseconds = time.GetUtcNow().ToUnixTimeMilliseconds() - 60_001 }, TimeSpan.Zero);
        Assert.True(session.IsClockAhead);
    });

    private static void Play(Func<Node, ReplicaCondition, PeerSession, TimeProvider, Task> act) => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var node = await Node.StartAsync("a", time, scheduler);
        var settings = new ReplicaSetSettings(2, null, TimeSpan.FromSeconds(1));
        var condition = await node.ConditionAsync(settings);
        node.Writer.Committed = (_, changes) => condition.Committed(changes);
        await act(node, condition, node.Session(settings, condition, time), time);
    });
}
