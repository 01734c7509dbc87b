using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Disks;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What a node concludes from what it and its peers hold, remember and say.</summary>
public sealed class ReplicaConditionTests
{
    private static readonly LogId Own = new("a", 1);
    private static readonly LogId B = new("b", 1);
    private static readonly LogId C = new("c", 1);
    private static readonly IReadOnlyDictionary<string, PeerHello> Nobody = new Dictionary<string, PeerHello>();

    [Fact]
    public void A_node_alone_has_nobody_to_wait_for()
    {
        var alone = Start(peers: 0, floors: new(0, 5));
        Assert.Equal((false, true, false), (alone.IsRecovering, alone.IsReadable, alone.IsStale));
        alone.FoundOlder();
        Assert.False(alone.IsRecovering);
    }

    [Fact]
    public void A_store_with_a_floor_recovers_until_it_was_compared()
    {
        var condition = Start(floors: new(1, 1));
        Assert.True(condition.IsRecovering);
        Assert.True(condition.Snapshot().Recovering);
        Assert.False(condition.IsReadable);
        condition.Compared();
        Assert.False(condition.IsRecovering);
        Assert.False(condition.Snapshot().Recovering);
    }

    [Theory]
    [InlineData(2, 2)]
    [InlineData(3, 1)]
    [InlineData(1, 2)]
    public void A_store_that_lost_rows_recovers_until_whole_peers_are_a_read_quorum(int writes, int needed)
    {
        var condition = Start(writes: writes);
        condition.Compared();
        for (var whole = 0; whole < needed; whole++)
        {
            Assert.True(condition.IsRecovering);
            condition.Synchronised($"peer {whole}", isWhole: true);
        }

        Assert.False(condition.IsRecovering);
    }

    [Fact]
    public void A_peer_that_recovers_itself_heals_nobody_unless_all_are_heard()
    {
        var condition = Start(writes: 3);
        condition.Compared();
        condition.Synchronised("b", isWhole: false);
        Assert.True(condition.IsRecovering);
        condition.Synchronised("b", isWhole: false);
        Assert.True(condition.IsRecovering);
        condition.Synchronised("c", isWhole: false);
        Assert.False(condition.IsRecovering);
    }

    [Fact]
    public void A_store_that_is_found_to_be_older_synchronises_anew()
    {
        var condition = Start(floors: new(1, 1), writes: 2);
        condition.Compared();
        condition.Synchronised("b", isWhole: true);
        condition.FoundOlder();
        Assert.True(condition.IsRecovering);
        condition.Synchronised("c", isWhole: true);
        Assert.True(condition.IsRecovering);
        condition.Synchronised("b", isWhole: true);
        Assert.False(condition.IsRecovering);
    }

    [Fact]
    public void Who_waits_for_a_row_is_woken_when_the_store_holds_more()
    {
        var condition = Start(vector: [(B, 5), (Own, 2)]);
        Assert.Equal(7, condition.HeldRows);
        Assert.False(condition.Lacks(new(B, 5), out _));
        Assert.True(condition.Lacks(new(C, 1), out _));
        Assert.True(condition.Lacks(new(B, 6), out var advanced));
        condition.Committed(Changes() with { Floors = new(2, 1) });
        Assert.False(advanced.IsCompleted);
        Assert.Equal(new(2, 1), condition.Floors);
        condition.Committed(Changes((B, 6)));
        Assert.True(advanced.IsCompletedSuccessfully);
        Assert.Equal(new(2, 1), condition.Floors);
        Assert.False(condition.Lacks(new(B, 6), out advanced));
        Assert.False(advanced.IsCompleted);
        Assert.Equal(8, condition.HeldRows);
        var snapshot = condition.Snapshot();
        condition.Committed(Changes((C, 3)));
        Assert.Equal([Own, B], snapshot.Vector.Keys.Order(Comparer<LogId>.Create(static (one, two) => string.CompareOrdinal(one.Node, two.Node))));
        Assert.Equal(new(2, 1), snapshot.Floors);
    }

    [Fact]
    public void The_highest_refused_number_of_each_log_is_kept()
    {
        var condition = Start(refused: [new(B, 7), new(C, 1), new(B, 3)]);
        Assert.Equal([(B, 7), (C, 1)], Sorted());
        condition.Committed(Changes() with { DeadLetters = [Letter(5, B), Letter(4, C)] });
        Assert.Equal([(B, 7), (C, 4)], Sorted());
        condition.Committed(Changes((B, 9)));
        Assert.Equal([(B, 7), (C, 4)], Sorted());

        IEnumerable<(LogId, long)> Sorted() => condition.Refused.Select(static pair => (pair.Key, pair.Value)).OrderBy(static pair => pair.Key.Node);

        static DeadLetter Letter(long sequence, LogId log) =>
            new(Put("x", sequence, 1, log.Node), ApplyOutcome.RefusedFutureStamp, 1, default, default);
    }

    [Fact]
    public void The_own_log_begins_where_it_was_trimmed_and_a_new_one_at_its_start()
    {
        Assert.Equal(4, Start(logStart: new(Own, 4)).LogStart);
        var condition = Start(logStart: new(new("a", 9), 4));
        Assert.Equal(1, condition.LogStart);
        condition.Trimmed(new(Own, 3));
        Assert.Equal(3, condition.LogStart);
    }

    [Fact]
    public void A_store_below_the_floor_of_a_peer_is_an_old_copy_until_it_rejoined()
    {
        var condition = Start(floors: new(10, 10));
        condition.Compared();
        Heard(condition, Hello(B, common: 10));
        Assert.Equal((false, true, false), (condition.IsStale, condition.IsReadable, condition.MustRejoin(out var rejoined)));
        Assert.Equal(10, condition.ForgottenBelow);
        Heard(condition, Hello(B, common: 30));
        Heard(condition, Hello(C, common: 20));
        Assert.Equal((true, false, true), (condition.IsStale, condition.IsReadable, condition.MustRejoin(out rejoined)));
        Assert.True(condition.IsRecovering);
        Assert.Equal(30, condition.ForgottenBelow);
        Assert.Null(condition.LettingGo(20));
        Assert.Equal(new(10, 30), condition.LettingGo(30));

        // It has begun, and lacks what it let go of, whatever the others know now.
        Heard(condition, Hello(B));
        Heard(condition, Hello(C));
        Assert.True(condition.IsStale);
        condition.Committed(Changes() with { Floors = new(30, 40) });
        Assert.Equal(40, condition.ForgottenBelow);
        condition.Rejoined(30);
        Assert.True(rejoined.IsCompletedSuccessfully);
        Assert.Equal((false, true, false), (condition.IsStale, condition.IsReadable, condition.MustRejoin(out rejoined)));
        Assert.False(rejoined.IsCompleted);
        Assert.False(condition.IsRecovering);
    }

    [Fact]
    public void A_node_hears_from_a_greeting_too_that_it_is_an_old_copy()
    {
        var condition = Start(floors: new(10, 10));
        condition.Greeted(Hello(B, common: 10));
        Assert.False(condition.IsStale);
        condition.Greeted(Hello(B, common: 11));
        Assert.True(condition.IsStale);
    }

    [Fact]
    public void Floors_that_rose_while_it_rejoined_are_to_be_reached_too()
    {
        var condition = Start(floors: new(10, 10));
        Heard(condition, Hello(B, common: 30));
        Assert.NotNull(condition.LettingGo(30));
        Heard(condition, Hello(B, common: 31));
        condition.Rejoined(30);
        Assert.Equal((true, false, true), (condition.IsStale, condition.IsReadable, condition.MustRejoin(out _)));

        // It holds all again that was below the first: nothing binds it to go on when nobody knows of the second any more.
        Heard(condition, Hello(C));
        Assert.True(condition.IsStale);
        Heard(condition, Hello(B));
        Assert.False(condition.IsStale);
    }

    [Fact]
    public void A_store_that_was_stopped_while_it_rejoined_goes_on()
    {
        var condition = Start(floors: new(10, 30));
        Assert.True(condition.IsStale);
        Assert.Equal(30, condition.ForgottenBelow);
        Heard(condition, Hello(B));
        Heard(condition, Hello(C));
        Assert.Equal((true, false), (condition.IsStale, condition.IsReadable));
        Assert.False(Start(floors: new(30, 30)).IsStale);
    }

    [Fact]
    public void An_old_copy_is_one_no_more_when_nobody_knows_of_that_floor()
    {
        var condition = Start(floors: new(10, 10), writes: 2);
        condition.Compared();
        condition.Synchronised("b", isWhole: true);
        condition.Synchronised("c", isWhole: true);
        Heard(condition, Hello(C));
        Heard(condition, Hello(B, common: 30));
        Assert.True(condition.MustRejoin(out var rejoined));
        Heard(condition, Hello(B));

        // What the other said was before.
        Assert.True(condition.IsStale);
        Assert.False(condition.IsReadable);
        Heard(condition, Hello(C));
        Assert.Equal((false, true), (condition.IsStale, condition.IsReadable));
        Assert.True(rejoined.IsCompletedSuccessfully);

        // What it lacks is still lacking.
        Assert.True(condition.IsRecovering);
        condition.Synchronised("b", isWhole: true);
        condition.Synchronised("c", isWhole: true);
        Assert.False(condition.IsRecovering);
    }

    [Fact]
    public void Floors_rise_to_what_this_node_held_of_all_and_all_others_have_reached()
    {
        var condition = Start(floors: new(10, 10), vector: [(B, 3), (C, 4)]);
        var (b, c) = (Hello(B, head: 3, clock: 50, floor: 40), Hello(C, head: 4, clock: 70, floor: 60));
        Assert.Null(condition.HigherFloors(100, Hellos(b, c)));
        Heard(condition, b);
        Assert.Null(condition.HigherFloors(100, Hellos(b, c)));
        Heard(condition, c);
        Assert.Null(condition.HigherFloors(100, Hellos(b)));
        Assert.Equal(new(50, 40), condition.HigherFloors(100, Hellos(b, c)));
        Assert.Equal(new(45, 40), condition.HigherFloors(45, Hellos(b, c)));
        Assert.Equal(new(30, 30), condition.HigherFloors(30, Hellos(b, c)));
        Assert.Equal(new(10, 10), condition.HigherFloors(5, Hellos(b, c)));

        // Who greeted since with a lower one has been set back.
        condition.Greeted(Hello(C, floor: 35));
        Assert.Equal(new(50, 35), condition.HigherFloors(100, Hellos(b, c)));
        condition.Greeted(Hello(C, floor: 65));
        Assert.Equal(new(50, 40), condition.HigherFloors(100, Hellos(b, c)));
        condition.ForgotVector();
        Assert.Null(condition.HigherFloors(100, Hellos(b, c)));
    }

    [Fact]
    public void Floors_of_an_old_copy_do_not_rise()
    {
        var condition = Start(floors: new(10, 10), vector: [(B, 3)]);
        var (b, c) = (Hello(B, head: 3, clock: 50, floor: 40), Hello(C, clock: 50, floor: 40));
        Heard(condition, b);
        Heard(condition, c);
        Assert.NotNull(condition.HigherFloors(100, Hellos(b, c)));
        Heard(condition, b with { CommonFloor = 11 });
        Assert.Null(condition.HigherFloors(100, Hellos(b, c)));
    }

    [Fact]
    public void The_floor_does_not_pass_the_clock_of_a_peer_whose_rows_are_not_all_here()
    {
        var condition = Start(floors: new(10, 10), vector: [(B, 3)]);
        var (b, c) = (Hello(B, head: 4, clock: 50, floor: 40), Hello(C, clock: 50, floor: 40));
        Heard(condition, b);
        Heard(condition, c);
        Assert.Null(condition.HigherFloors(100, Hellos(b, c)));

        // Of its own log it holds all, but not of one that was left.
        var orphaned = b with { HeadSequence = 3, Vector = new Dictionary<LogId, AppliedSet> { [new("d", 1)] = new(1, []) } };
        condition.Heard("b", orphaned, Hellos(orphaned, c));
        Assert.Null(condition.HigherFloors(100, Hellos(b, c)));
        Heard(condition, b with { HeadSequence = 3 });
        Assert.NotNull(condition.HigherFloors(100, Hellos(b, c)));
    }

    [Fact]
    public void A_node_is_behind_while_a_log_goes_on_beyond_what_it_holds()
    {
        var condition = Start(vector: [(B, 3)]);
        Assert.False(condition.IsBehind(Nobody));
        Assert.False(condition.IsBehind(Hellos(Hello(B, head: 3), Hello(C))));
        Assert.True(condition.IsBehind(Hellos(Hello(C), Hello(B, head: 4))));
        Assert.True(condition.IsBehind(Hellos(Hello(C, head: 1), Hello(B, head: 3))));
    }

    [Fact]
    public void Orphans_are_rows_that_no_log_brings()
    {
        var left = new LogId("d", 1);
        var condition = Start(vector: [(B, 3)]);
        Assert.False(Holds(Hello(B, head: 9)));
        Assert.False(Holds(Hello(B, head: 9, logStart: 4)));
        Assert.True(Holds(Hello(B, head: 9, logStart: 5)));

        // The own log is not among what it must fetch; another one that somebody writes comes by itself.
        Assert.False(Holds(Hello(B) with { Vector = Vector((Own, 5), (B, 3)) }));
        Assert.True(Holds(Hello(B) with { Vector = Vector((B, 3), (left, 1)) }));
        Assert.False(condition.HoldsOrphans(Hello(B) with { Vector = Vector((left, 1)) }, Hellos(Hello(C), Hello(left))));
        condition.Committed(Changes((left, 1)));
        Assert.False(Holds(Hello(B) with { Vector = Vector((left, 1)) }));
        Assert.True(Holds(Hello(B) with { Vector = Vector((left, 2)) }));

        bool Holds(PeerHello hello) => condition.HoldsOrphans(hello, Hellos(hello));
    }

    [Fact]
    public void Rows_of_a_node_that_told_a_floor_below_the_common_one_are_refused()
    {
        var condition = Start(floors: new(50, 50));
        Assert.True(condition.Arriving([]));
        Assert.False(condition.Arriving([Put("x", 1, 60)]));
        condition.Greeted(Hello(B, floor: 49));
        Assert.False(condition.Arriving([Put("x", 1, 60)]));
        condition.Greeted(Hello(B, floor: 50));
        Assert.True(condition.Arriving([Put("x", 1, 60)]));
        Assert.False(condition.Arriving([Put("y", 1, 60, from: "c")]));
    }

    [Fact]
    public void What_arrives_before_all_peers_were_heard_is_not_old_unless_its_sender_is()
    {
        var condition = Start(peers: 2);
        Assert.True(condition.Arriving([Put("x", 1, 60), Put("y", 2, 60)]));
        Assert.True(condition.Arriving([Put("z", 3, 60)]));
        Assert.True(condition.Arriving([Put("w", 1, 60, from: "c")]));
        condition.Greeted(Hello(B, floor: 30));
        Assert.Equal(["x", "y", "z"], condition.ArrivedAbove(30, Nobody).Order());
        Assert.Empty(condition.ArrivedAbove(31, Nobody));
        Assert.Equal(["w"], condition.ArrivedAbove(31, Hellos(Hello(C, floor: 40), Hello(B, floor: 20))));
        Assert.Equal(["w", "x", "y", "z"], condition.ArrivedAbove(20, Hellos(Hello(C, floor: 20), Hello(B, floor: 20))).Order());

        Heard(condition, Hello(B));
        Assert.True(condition.Arriving([Put("v", 4, 60)]));
        Assert.Contains("v", condition.ArrivedAbove(0, Nobody));

        // By then they have heard of its floor and it of theirs.
        Heard(condition, Hello(C));
        Assert.True(condition.Arriving([Put("u", 5, 60)]));
        Assert.Empty(condition.ArrivedAbove(0, Nobody));
    }

    [Fact]
    public void Once_so_many_rows_that_arrived_are_remembered_no_more_are()
    {
        var condition = Start();
        var row = Put("x", 1, 60);
        Assert.True(condition.Arriving([.. Enumerable.Range(0, 99_999).Select(number => row with { Key = $"{number}" })]));
        Assert.True(condition.Arriving([row with { Key = "still" }, row with { Key = "beside it" }]));
        Assert.True(condition.Arriving([row with { Key = "no more" }]));
        Assert.Equal(100_001, condition.ArrivedAbove(0, Nobody).Count);
        Assert.DoesNotContain("no more", condition.ArrivedAbove(0, Nobody));
    }

    [Fact]
    public void An_old_copy_fetches_from_one_peer_at_a_time_and_when_every_fetch_from_before_has_ended()
    {
        var condition = Start(floors: new(10, 10));
        Assert.True(condition.TryBeginPull(out var first));
        Assert.True(condition.TryBeginPull(out _));
        Assert.Equal(0, first);
        Heard(condition, Hello(B, common: 30));
        Assert.False(condition.TryBeginPull(out var stale));
        Assert.Equal(30, stale);
        condition.EndPull(0);
        Assert.False(condition.TryBeginPull(out _));
        condition.EndPull(0);
        Assert.True(condition.TryBeginPull(out stale));
        Assert.Equal(30, stale);
        Assert.False(condition.TryBeginPull(out _));

        // Also when it is an old copy no more before that fetch has ended.
        condition.Rejoined(30);
        Assert.False(condition.TryBeginPull(out _));
        condition.EndPull(30);
        Assert.True(condition.TryBeginPull(out stale));
        Assert.Equal(0, stale);
    }

    [Fact]
    public void A_store_that_forgot_what_it_holds_of_others_goes_by_its_own_log()
    {
        var condition = Start(vector: [(Own, 4), (B, 3)]);
        condition.ForgotVector();
        Assert.Equal(4, condition.HeldRows);
        Assert.True(condition.Lacks(new(B, 1), out _));
        Assert.False(condition.Lacks(new(Own, 4), out _));
    }

    private static ReplicaCondition Start(
        int peers = 2, int? writes = null, Floors floors = default, IEnumerable<(LogId Log, long Through)>? vector = null, LogPosition? logStart = null, IEnumerable<LogPosition>? refused = null) =>
        new(
            new SimulatedDisk().Open("a", static () => 1),
            new(peers, writes, TimeSpan.FromSeconds(1)),
            Vector([.. vector ?? []]),
            floors,
            logStart ?? new(Own, 1),
            refused ?? []);

    /// <summary>The peer says something, after which it is what all of them said.</summary>
    private static void Heard(ReplicaCondition condition, PeerHello hello) => condition.Heard(hello.Log.Node, hello, Hellos(hello));

    private static PeerHello Hello(LogId log, long head = 0, long clock = 0, long floor = 0, long common = 0, long logStart = 1) =>
        Rows.Hello(log) with { HeadSequence = head, Clock = clock, Floor = floor, CommonFloor = common, LogStart = logStart };

    private static Dictionary<string, PeerHello> Hellos(params ReadOnlySpan<PeerHello> hellos) => hellos.ToArray().ToDictionary(static hello => hello.Log.Node);

    private static Dictionary<LogId, AppliedSet> Vector(params ReadOnlySpan<(LogId Log, long Through)> held) =>
        held.ToArray().ToDictionary(static one => one.Log, static one => new AppliedSet(one.Through, []));

    private static ChangeSet Changes(params ReadOnlySpan<(LogId Log, long Through)> held) =>
        new() { Head = new(0, 0), Vector = Vector(held) };
}
