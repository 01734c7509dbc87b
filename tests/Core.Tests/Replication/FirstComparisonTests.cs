using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Disks;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What a node waits for before it writes.</summary>
public sealed class FirstComparisonTests
{
    [Fact]
    public void A_node_that_hears_all_peers_goes_on_with_its_log() => Play(async (setting, time) =>
    {
        var log = setting.Node.Store.Log;
        await Task.Delay(TimeSpan.FromSeconds(1.9), time);
        Assert.False(setting.Comparison.IsDone);
        Assert.True(setting.Condition.IsRecovering);
        await setting.HearAsync("b");
        Assert.False(setting.Comparison.IsDone);
        await setting.HearAsync("c");
        await setting.Comparison.ReadyToWriteAsync();
        Assert.True(setting.Comparison.IsDone);
        Assert.Equal(log, setting.Node.Store.Log);
        Assert.False(setting.Condition.IsRecovering);
    });

    [Fact]
    public void A_node_that_does_not_hear_a_peer_for_two_seconds_begins_a_new_log() => Play(async (setting, time) =>
    {
        var log = setting.Node.Store.Log;
        await setting.HearAsync("b");
        var began = time.GetTimestamp();
        await setting.Comparison.WaitAsync();
        Assert.InRange(time.GetElapsedTime(began), TimeSpan.FromSeconds(1.9), TimeSpan.FromSeconds(2.1));
        Assert.True(setting.Comparison.IsDone);
        Assert.NotEqual(log, setting.Node.Store.Log);
    });

    [Fact]
    public void An_old_copy_writes_when_it_has_rejoined_and_refuses_after_the_timeout() => Play(async (setting, time) =>
    {
        await setting.HearAsync("b", common: 30);
        await setting.HearAsync("c");
        var began = time.GetTimestamp();
        var refused = await Assert.ThrowsAsync<QuorumException>(setting.Comparison.ReadyToWriteAsync);
        Assert.Equal((QuorumException.NotStored, QuorumReasons.Unreachable, 0, 2), (refused.Outcome, refused.Quorum.Reason, refused.Quorum.Got, refused.Quorum.Needed));
        Assert.Equal(TimeSpan.FromSeconds(5), time.GetElapsedTime(began));
        var ready = setting.Comparison.ReadyToWriteAsync();
        await Task.Delay(TimeSpan.FromSeconds(4.5), time);
        Assert.False(ready.IsCompleted);
        setting.Condition.LettingGo(30);
        setting.Condition.Rejoined(30);
        await ready;
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Who_waits_to_write_while_the_node_stops_is_told_so(bool isOld) => Play(async (setting, time) =>
    {
        if (isOld)
        {
            await setting.HearAsync("b", common: 30);
            await setting.HearAsync("c");
        }

        var ready = setting.Comparison.ReadyToWriteAsync();
        await Task.Delay(TimeSpan.FromSeconds(1), time);
        setting.Stop.Cancel();
        Assert.Equal(ErrorKind.Draining, (await Assert.ThrowsAsync<MemoryException>(() => ready)).Kind);
    });

    [Fact]
    public void A_store_that_fails_is_waited_for_and_a_full_one_is_asked_again_by_the_next_who_waits() => Play(async (setting, time) =>
    {
        var log = setting.Node.Store.Log;
        setting.Faults.WriteErrors = 1;
        var waiting = setting.Comparison.WaitAsync();
        await Task.Delay(TimeSpan.FromSeconds(10), time);
        Assert.False(waiting.IsCompleted);
        setting.Faults.WriteErrors = 0;
        setting.Faults.IsFull = true;
        Assert.Equal(ErrorKind.StoreFull, (await Assert.ThrowsAsync<MemoryException>(() => waiting)).Kind);
        Assert.False(setting.Comparison.IsDone);
        setting.Faults.IsFull = false;
        await setting.Comparison.WaitAsync();
        Assert.True(setting.Comparison.IsDone);
        Assert.NotEqual(log, setting.Node.Store.Log);
        Assert.False(setting.Condition.IsRecovering);
    });

    private static void Play(Func<Setting, TimeProvider, Task> act) => VirtualTime.Play(async (world, time, scheduler) =>
    {
        var faults = new DiskFaults(world, () => time);
        await using var node = await Node.StartAsync("a", time, scheduler, faults);
        using var stop = new CancellationTokenSource();
        var settings = new ReplicaSetSettings(2, null, TimeSpan.FromSeconds(5));
        var condition = await node.ConditionAsync(settings, new(10, 10));
        var session = node.Session(settings, condition, time);
        await act(new(node, condition, session, new(node.Writer, session, condition, settings, time, stop.Token), stop, faults, time), time);
    });

    private sealed record Setting(Node Node, ReplicaCondition Condition, PeerSession Session, FirstComparison Comparison, CancellationTokenSource Stop, DiskFaults Faults, TimeProvider Time)
    {
        public Task HearAsync(string name, long common = 10) =>
            Session.HeardAsync(name, Rows.Hello(new(name, 1), Time) with { Floor = 10, CommonFloor = common }, TimeSpan.Zero);
    }
}
