using OrleansMemory.Core.Replication;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>When a node exchanges digests with a peer, and what an old copy keeps and lets go of. In virtual time.</summary>
public sealed class RowExchangeTests
{
    private static readonly TimeSpan Check = TimeSpan.FromMilliseconds(250);
    private static readonly LogId Left = new("c", 1);

    [Fact]
    public void What_no_log_brings_is_fetched_at_the_next_check_and_all_else_at_the_upkeep() => VirtualTime.Play(async (world, time, scheduler) =>
    {
        await using var setting = await Setting.StartAsync(time, scheduler, upkeep: TimeSpan.FromHours(1));
        await setting.HearAsync();
        await Task.Delay(TimeSpan.FromMinutes(59), time);
        Assert.Equal([Check], setting.Exchanges);

        // Of a node that is gone, so that no log brings it.
        await setting.There.Replica.ApplyAsync([Put("x", 1, setting.Clock(), from: "c")]);
        await setting.HearAsync();
        await setting.UntilAsync(Check * 2, async () => await setting.Here.Store.FindAsync("x") is not null);
        Assert.True((await setting.Here.Store.ReadVectorAsync())[Left].Contains(1));
        setting.Exchanges.Clear();
        var begun = world.Now;
        await Task.Delay(TimeSpan.FromMinutes(59), time);
        Assert.Empty(setting.Exchanges);
        await Task.Delay(TimeSpan.FromMinutes(2), time);
        Assert.InRange(Assert.Single(setting.Exchanges) - begun, TimeSpan.FromHours(1) - Check, TimeSpan.FromHours(1) + (2 * Check));
    });

    [Fact]
    public void A_peer_that_begins_a_new_log_is_compared_with_at_the_next_check() => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var setting = await Setting.StartAsync(time, scheduler, upkeep: TimeSpan.FromHours(1));
        await setting.HearAsync();
        await Task.Delay(4 * Check, time);
        Assert.Single(setting.Exchanges);
        await setting.There.Writer.RenewLogAsync();
        await setting.HearAsync();
        await Task.Delay(4 * Check, time);
        Assert.Equal(2, setting.Exchanges.Count);
        await Task.Delay(TimeSpan.FromMinutes(1), time);
        Assert.Equal(2, setting.Exchanges.Count);
    });

    [Fact]
    public void Nothing_is_read_from_a_peer_that_was_not_heard_or_may_be_an_old_copy() => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var setting = await Setting.StartAsync(time, scheduler, upkeep: TimeSpan.FromSeconds(1));
        await Task.Delay(TimeSpan.FromSeconds(10), time);
        setting.Answer = static hello => hello with { Readable = false };
        await setting.HearAsync();
        await Task.Delay(TimeSpan.FromSeconds(10), time);
        Assert.Empty(setting.Exchanges);
        setting.Answer = static hello => hello;
        await setting.HearAsync();
        await Task.Delay(2 * Check, time);
        Assert.NotEmpty(setting.Exchanges);
    });

    [Theory]
    [InlineData(20, 5_000, 5_500)]
    [InlineData(2, 2_500, 3_000)]
    public void While_rows_arrive_an_exchange_is_put_off_for_one_interval_at_most(int seconds, int leastMilliseconds, int mostMilliseconds) => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var setting = await Setting.StartAsync(time, scheduler, upkeep: TimeSpan.FromSeconds(5));
        setting.Answer = static hello => hello with { HeadSequence = 1_000 };
        for (var number = 1; number <= seconds * 2; number++)
        {
            await setting.Here.Replica.ApplyAsync([Put($"{number}", number, setting.Clock())]);
            await setting.HearAsync();
            await Task.Delay(2 * Check, time);
        }

        await Task.Delay(TimeSpan.FromSeconds(5), time);
        Assert.InRange(setting.Exchanges[0].TotalMilliseconds, leastMilliseconds, mostMilliseconds);
    });

    [Fact]
    public void After_a_failure_it_is_tried_again_a_second_later() => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var setting = await Setting.StartAsync(time, scheduler, upkeep: TimeSpan.FromHours(1));
        var fails = true;
        setting.BeforeDigests = () =>
        {
            if (fails)
            {
                fails = false;
                throw new LinkException("cut off", isDown: false);
            }
        };
        await setting.HearAsync();
        await Task.Delay(TimeSpan.FromMinutes(1), time);
        Assert.Equal(2, setting.Exchanges.Count);
        Assert.InRange(setting.Exchanges[1] - setting.Exchanges[0], TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1) + (2 * Check));
    });

    [Fact]
    public void A_node_that_lost_rows_is_whole_when_it_has_taken_in_all_that_a_whole_peer_holds() => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var setting = await Setting.StartAsync(time, scheduler, upkeep: TimeSpan.FromSeconds(5), peers: 2, writes: 3);
        setting.Condition.Compared();
        setting.Answer = static hello => hello with { Recovering = true };
        await AheadAsync("first");
        await setting.HearAsync();
        await Task.Delay(TimeSpan.FromSeconds(30), time);
        Assert.Null(await setting.Here.Store.FindAsync("first"));
        await Task.Delay(TimeSpan.FromSeconds(30), time);
        Assert.NotNull(await setting.Here.Store.FindAsync("first"));
        Assert.True(setting.Condition.IsRecovering);

        // The peer is whole now, and one of its rows cannot be taken in yet.
        await AheadAsync("second");
        setting.Answer = static hello => hello;
        await setting.HearAsync();
        await Task.Delay(TimeSpan.FromSeconds(30), time);
        Assert.True(setting.Condition.IsRecovering);
        await Task.Delay(TimeSpan.FromSeconds(20), time);
        Assert.NotNull(await setting.Here.Store.FindAsync("second"));
        Assert.False(setting.Condition.IsRecovering);

        // Stamped further ahead than a row may be, for the next 40 seconds.
        Task AheadAsync(string id) => setting.There.Writer.RunAsync(async session =>
            await session.JoinAsync(MutationKind.Memory, Put(id, 1, setting.Clock(100_000), from: "c").Body, long.MaxValue));
    });

    [Fact]
    public void An_old_copy_lets_go_of_what_began_below_the_floor_and_a_whole_peer_lacks() => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var setting = await Setting.StartAsync(time, scheduler, upkeep: TimeSpan.FromSeconds(5), peers: 2);
        var (here, there) = (setting.Here, setting.There);
        var floor = setting.Clock(30_000);
        var (old, young) = (floor - 100, floor + 100);

        // What it wrote itself: in a log that it leaves, of which the peer holds a row.
        setting.Quorum.AddPeer("there");
        await here.WriteAsync("lonely");
        await here.WriteAsync("held");
        var log = here.Store.Log;
        setting.Quorum.Acknowledged("there", log, 2, 2);
        var link = new EntryState(EntryBodies.LinkKey("kept", "r", "same"), "kept", "same", Live: true, new(old, Left), EntryBodies.Encode(new LinkBody(1)));
        Mutation[] both = [Put("kept", 1, old, from: "c"), Put("same", 2, young, from: "c")];
        await there.Replica.ApplyAsync(both);
        await here.Replica.ApplyAsync([
            .. both,
            Put("gone", 3, old, from: "c"),
            Put("rewritten", 4, old, from: "c"), Put("rewritten", 5, young, from: "c"),
            Put("young", 6, floor, from: "c"),
            Put("raised", 7, old, from: "c"),
            Delete("dead", 8, old, from: "c"), Delete("dying", 9, floor, from: "c"),
            Logged(10, link),
            Put("another", 11, old, from: "c")]);
        await there.Replica.ApplyAsync([Put("raised", 7, old, from: "c"), Put("raised", 12, young, from: "c"), Put("another", 13, young, from: "c")]);

        // Stamped above what it has taken in by now.
        await here.WriteAsync("fresh");

        // And what a peer shipped since it runs.
        var arriving = Put("arrived", 14, old, from: "c");
        Assert.True(setting.Condition.Arriving([arriving]));
        await here.Replica.ApplyAsync([arriving]);
        setting.Condition.Greeted(setting.HelloOf(there) with { Log = Left, Floor = floor });

        setting.Answer = hello => hello with { Floor = floor - 1, CommonFloor = floor };
        await setting.HearAsync();
        await Task.Delay(TimeSpan.FromSeconds(20), time);
        Assert.True(setting.Condition.IsStale);
        Assert.Equal(log, here.Store.Log);
        Assert.NotNull(await here.Store.FindAsync("gone"));

        setting.Answer = hello => hello with { Floor = floor, CommonFloor = floor };
        await setting.UntilAsync(TimeSpan.FromSeconds(20), () => Task.FromResult(!setting.Condition.IsStale));
        Assert.True(setting.Condition.IsReadable);
        Assert.Equal(new Floors(floor, floor), setting.Condition.Floors);
        Assert.Equal(new Floors(floor, floor), await here.Store.ReadFloorsAsync());
        foreach (var id in (string[])["kept", "same", "young", "raised", "held", "fresh", "arrived"])
        {
            Assert.True(await here.Store.FindAsync(id) is not null, id);
        }

        foreach (var id in (string[])["gone", "rewritten", "lonely"])
        {
            Assert.True(await here.Store.FindAsync(id) is null, id);
        }

        // What is kept was never away: somebody may have been told that it is here. Another memory came in under the id of one that was let go of.
        Assert.Equal(["another", "gone", "lonely", "rewritten"], setting.Dropped.Order(StringComparer.Ordinal));
        Assert.Equal(young, (await here.Store.FindAsync("another"))!.Own.BornAt.Clock);
        Assert.Equal(young, (await here.Store.FindAsync("raised"))!.Own.NewestStamp.Clock);
        Assert.Equal("dying", Assert.Single(await here.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10)).Id);
        Assert.Empty(await here.Store.ReadRowsAsync([new(MutationKind.Link, link.Key.Key)]));

        // The new log names what it may keep and the others may lack; of other logs it says what the peer holds.
        Assert.NotEqual(log, here.Store.Log);
        Assert.Equal(["fresh"], (await here.Store.ReadLogAsync(0, 10, 1 << 20)).Select(static mutation => mutation.Key));
        Assert.True((await here.Writer.DrawClockAsync()).Clock > floor);
        var vector = await here.Store.ReadVectorAsync();
        Assert.False(vector[Left].Contains(6));
        Assert.True(vector[Left].Contains(13));
        Assert.Empty((await here.Store.VerifyAsync()).Differences);
    });

    [Fact]
    public void An_old_copy_lets_go_of_nothing_while_the_peer_is_set_back_meanwhile() => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var setting = await Setting.StartAsync(time, scheduler, upkeep: TimeSpan.FromSeconds(5), peers: 2);
        var floor = setting.Clock(30_000);
        await setting.Here.Replica.ApplyAsync([Put("gone", 1, floor - 100, from: "c")]);
        setting.Answer = hello => hello with { Floor = floor, CommonFloor = floor };
        var log = setting.Here.Store.Log;
        setting.BeforeHashes = async () => await setting.There.Writer.RenewLogAsync();
        await setting.HearAsync();
        await Task.Delay(TimeSpan.FromSeconds(20), time);
        Assert.NotEmpty(setting.Exchanges);
        setting.BeforeHashes = () =>
        {
            setting.Answer = hello => hello with { Floor = floor - 1, CommonFloor = floor };
            return Task.CompletedTask;
        };
        await Task.Delay(TimeSpan.FromSeconds(20), time);
        Assert.True(setting.Condition.IsStale);
        Assert.Equal(log, setting.Here.Store.Log);
        Assert.NotNull(await setting.Here.Store.FindAsync("gone"));
        setting.BeforeHashes = static () => Task.CompletedTask;
        setting.Answer = hello => hello with { Floor = floor, CommonFloor = floor };
        await setting.UntilAsync(TimeSpan.FromSeconds(20), () => Task.FromResult(!setting.Condition.IsStale));
        Assert.Null(await setting.Here.Store.FindAsync("gone"));
    });

    /// <summary>A node with an exchange that runs, and the peer that it asks.</summary>
    private sealed class Setting(Node here, Node there, ReplicaCondition condition, PeerSession session, QuorumWriter quorum, HookedLink link, ReplicaSetSettings settings, TimeProvider time)
        : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly long _began = time.GetTimestamp();
        private Task _running = Task.CompletedTask;

        public Node Here => here;

        public Node There => there;

        public ReplicaCondition Condition => condition;

        public QuorumWriter Quorum => quorum;

        /// <summary>When the peer was asked for digests to begin an exchange, from the beginning on.</summary>
        public List<TimeSpan> Exchanges { get; } = [];

        /// <summary>Memories that the node let go of.</summary>
        public List<string> Dropped { get; } = [];

        /// <summary>What becomes of what the peer says.</summary>
        public Func<PeerHello, PeerHello> Answer { get; set; } = static hello => hello;

        public Action BeforeDigests { get; set; } = static () => { };

        public Func<Task> BeforeHashes
        {
            set => link.BeforeHashes = value;
        }

        public static async Task<Setting> StartAsync(TimeProvider time, TaskScheduler scheduler, TimeSpan upkeep, int peers = 1, int? writes = null)
        {
            var here = await Node.StartAsync("a", time, scheduler);
            var there = await Node.StartAsync("b", time, scheduler);
            var settings = new ReplicaSetSettings(peers, writes, TimeSpan.FromSeconds(1)) { UpkeepInterval = upkeep };
            var condition = await here.ConditionAsync(settings);
            var quorum = new QuorumWriter(here.Store.Log, time);
            var session = here.Session(settings, condition, time);
            var link = new HookedLink(there);
            var setting = new Setting(here, there, condition, session, quorum, link, settings, time);
            here.Writer.Committed = (log, changes) =>
            {
                quorum.Writing(log);
                condition.Committed(changes);
                setting.Dropped.AddRange(changes.Memories.Where(static change => change.After is null).Select(static change => change.Before!.Own.Id));
            };
            setting.Run();
            return setting;
        }

        public long Clock(int aheadMilliseconds = 0) => ClockAt(time, TimeSpan.FromMilliseconds(aheadMilliseconds));

        public PeerHello HelloOf(Node node) => Hello(node.Store.Log, time);

        /// <summary>The peer says what it is.</summary>
        public async Task HearAsync()
        {
            var vector = await there.Store.ReadVectorAsync();
            await session.HeardAsync(link.Address, Answer(HelloOf(there) with { Vector = vector }), TimeSpan.Zero);
        }

        public async Task UntilAsync(TimeSpan atMost, Func<Task<bool>> isSo)
        {
            for (var until = time.GetElapsedTime(_began) + atMost; !await isSo(); await Task.Delay(TimeSpan.FromMilliseconds(10), time))
            {
                Assert.True(time.GetElapsedTime(_began) < until, "it did not come to that in time");
            }
        }

        public async ValueTask DisposeAsync()
        {
            _stop.Cancel();
            await _running;
            await here.DisposeAsync();
            await there.DisposeAsync();
            _stop.Dispose();
        }

        private void Run()
        {
            link.Greet = _ => Task.FromResult(Answer(HelloOf(there)));
            link.BeforeDigests = () =>
            {
                Exchanges.Add(time.GetElapsedTime(_began));
                BeforeDigests();
            };
            _running = new RowExchange(here.Store, here.Writer, here.Replica, quorum, new(here.Store, here.Replica), session, condition, settings, time, _stop.Token).RunAsync(link);
        }
    }
}
