using OrleansMemory.Core.Replication;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What a node does round after round, each a minute after the one before. In virtual time.</summary>
public sealed class UpkeepTests
{
    private static readonly TimeSpan Round = TimeSpan.FromMinutes(1);

    [Fact]
    public void A_delete_is_forgotten_after_its_grace_when_the_log_names_it_no_more() => Play(peers: 0, async (setting, time) =>
    {
        await setting.Node.WriteAsync("x");
        await setting.Node.DeleteAsync("x");
        await setting.Node.DeleteAsync("y");
        setting.Upkeep.ReadThrough = static () => 1;
        await Task.Delay(10.5 * Round, time);
        Assert.Equal(2, await setting.CountDeletesAsync());

        // Past the grace of ten rounds. Whoever reads the log beside the peers has not read on.
        await Task.Delay(5 * Round, time);
        Assert.Equal(2, await setting.CountDeletesAsync());
        Assert.Equal([2, 3], (await setting.Node.Store.ReadLogAsync(0, 10, 1 << 20)).Select(static row => row.Position.Sequence));
        Assert.Equal(2, setting.Condition.LogStart);
        setting.Upkeep.ReadThrough = static () => 3;
        await Task.Delay(Round, time);
        Assert.Empty(await setting.Node.Store.ReadLogAsync(0, 10, 1 << 20));
        Assert.Equal(4, setting.Condition.LogStart);
        Assert.Equal(0, await setting.CountDeletesAsync());

        // The next ones too.
        await setting.Node.DeleteAsync("z");
        setting.Upkeep.ReadThrough = null;
        await Task.Delay(9 * Round, time);
        Assert.Equal(1, await setting.CountDeletesAsync());
        await Task.Delay(3 * Round, time);
        Assert.Equal(0, await setting.CountDeletesAsync());
    });

    [Fact]
    public void The_log_is_kept_for_whoever_reads_it_up_to_a_number_of_rows() => Play(peers: 0, async (setting, time) =>
    {
        setting.Upkeep.ReadThrough = static () => 0;
        for (var number = 1; number <= 8; number++)
        {
            await setting.Node.WriteAsync($"{number}");
        }

        await Task.Delay(1.5 * Round, time);
        Assert.Equal([4, 5, 6, 7, 8], (await setting.Node.Store.ReadLogAsync(0, 10, 1 << 20)).Select(static row => row.Position.Sequence));
        setting.Upkeep.ReadThrough = static () => 100;
        await Task.Delay(Round, time);
        Assert.Empty(await setting.Node.Store.ReadLogAsync(0, 10, 1 << 20));
        Assert.Equal(9, setting.Condition.LogStart);
    });

    [Fact]
    public void Floors_rise_while_the_nodes_agree_and_none_lacks_or_refused_anything() => Play(peers: 1, async (setting, time) =>
    {
        // A store without a floor may have lost rows, until it has synchronised.
        await setting.HearAsync(nodes: 2);
        await Task.Delay(2.5 * Round, time);
        Assert.True(setting.Condition.IsRecovering);
        Assert.Equal(default, setting.Condition.Floors);
        setting.Condition.Synchronised("b", isWhole: true);
        await setting.HearAsync(nodes: 3);
        await Task.Delay(2 * Round, time);
        Assert.Equal(default, setting.Condition.Floors);
        await setting.Node.Replica.ApplyAsync([Put("x", 1, setting.Clock(TimeSpan.FromDays(1)))]);
        await setting.HearAsync(nodes: 2);
        await Task.Delay(2 * Round, time);
        Assert.Equal(default, setting.Condition.Floors);
        await setting.Node.Writer.RunAsync(session =>
        {
            session.Resolve(new(new("b", 1), 1));
            return ValueTask.FromResult(0);
        });
        await Task.Delay(Round, time);
        Assert.Equal(new(70, 40), setting.Condition.Floors);
        Assert.Equal(new(70, 40), await setting.Node.Store.ReadFloorsAsync());
    });

    [Fact]
    public void Rows_that_were_refused_are_tried_again() => Play(peers: 0, async (setting, time) =>
    {
        await setting.Node.Replica.ApplyAsync([Put("x", 1, setting.Clock(TimeSpan.FromSeconds(61)))]);
        await Task.Delay(0.9 * Round, time);
        Assert.Null(await setting.Node.Store.FindAsync("x"));
        await Task.Delay(1.2 * Round, time);
        Assert.NotNull(await setting.Node.Store.FindAsync("x"));
    });

    [Fact]
    public void A_round_that_fails_is_not_the_last() => Play(peers: 0, async (setting, time) =>
    {
        var fails = true;
        setting.Upkeep.ReadThrough = () => fails ? throw new InvalidOperationException("not now") : 1;
        await setting.Node.WriteAsync("x");
        await Task.Delay(1.5 * Round, time);
        Assert.Single(await setting.Node.Store.ReadLogAsync(0, 10, 1 << 20));
        fails = false;
        await Task.Delay(Round, time);
        Assert.Empty(await setting.Node.Store.ReadLogAsync(0, 10, 1 << 20));
    });

    private static void Play(int peers, Func<Setting, TimeProvider, Task> act) => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var node = await Node.StartAsync("a", time, scheduler);
        using var stop = new CancellationTokenSource();
        var settings = new ReplicaSetSettings(peers, null, TimeSpan.FromSeconds(5)) { UpkeepInterval = Round, TombstoneGrace = 10 * Round, RetainedLogRows = 5 };
        var condition = await node.ConditionAsync(settings);
        node.Writer.Committed = (_, changes) => condition.Committed(changes);
        var session = node.Session(settings, condition, time);
        var comparison = new FirstComparison(node.Writer, session, condition, settings, time, stop.Token);
        var upkeep = new Upkeep(node.Store, node.Writer, node.Replica, session, condition, comparison, [], settings, time);
        var running = upkeep.RunAsync(stop.Token);
        await act(new(node, condition, session, upkeep, time), time);
        stop.Cancel();
        await running;
    });

    private sealed record Setting(Node Node, ReplicaCondition Condition, PeerSession Session, Upkeep Upkeep, TimeProvider Time)
    {
        public long Clock(TimeSpan ahead) => ClockAt(Time, ahead);

        public Task HearAsync(int nodes) => Session.HeardAsync("b", Hello(new("b", 1), Time) with { Clock = 70, Floor = 40, Nodes = nodes }, TimeSpan.Zero);

        public async Task<int> CountDeletesAsync() => (await Node.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10)).Count;
    }
}
