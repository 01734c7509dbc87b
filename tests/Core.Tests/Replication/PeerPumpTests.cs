using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.World;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>How one peer gets every row of a log, whatever becomes of those who wrote them. In virtual time.</summary>
public sealed class PeerPumpTests
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    [Fact]
    public void New_rows_go_at_once_and_what_the_peer_lacks_beside_them() => Play(async setting =>
    {
        for (var number = 1; number <= 1_300; number++)
        {
            await setting.Here.WriteAsync($"{number}");
        }

        // It holds some of it, and takes a second for each batch.
        setting.Answer = hello => hello with { Vector = new Dictionary<LogId, AppliedSet> { [setting.Log] = new(100, [(200, 1_200)]) } };
        setting.Outcomes = async batch =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), setting.Time);
            return [.. batch.Select(static _ => ApplyOutcome.Applied)];
        };
        setting.Start();
        await Task.Delay(TimeSpan.FromMilliseconds(100), setting.Time);
        var began = setting.Now;
        await setting.Here.WriteAsync("new");
        await Task.Delay(TimeSpan.FromMilliseconds(100), setting.Time);
        Assert.Equal([(101, 199), (1_201, 1_300), (1_301, 1_301)], setting.Shipped.Select(static batch => (batch.First, batch.Last)));
        Assert.Equal(began, setting.Shipped[^1].At);
        Assert.True(setting.Pump.IsShipping);
        Assert.Equal((true, 200, 100), (setting.Pump.Status.IsUp, setting.Pump.Status.BehindRows, setting.Pump.HeldThrough(setting.Log)));
        Assert.Equal(0.2, setting.Pump.Status.BehindSeconds, tolerance: 0.05);
        await Task.Delay(TimeSpan.FromSeconds(2), setting.Time);
        Assert.False(setting.Pump.IsShipping);
        Assert.Equal((true, 0, 0d, 1_301), (setting.Pump.Status.IsUp, setting.Pump.Status.BehindRows, setting.Pump.Status.BehindSeconds, setting.Pump.HeldThrough(setting.Log)));
        Assert.Equal(0, setting.Pump.HeldThrough(new("a", 9)));
        Assert.Equal(3, setting.Shipped.Count);
    });

    [Fact]
    public void A_long_gap_is_closed_in_batches_two_at_a_time_and_what_somebody_awaits_first() => Play(async setting =>
    {
        for (var number = 1; number <= 2_000; number++)
        {
            await setting.Here.WriteAsync($"{number}");
        }

        var awaited = setting.Quorum.WaitAsync(setting.Log, 1_500, 1_501, 2, TimeSpan.FromMinutes(1));
        var (most, now) = (0, 0);
        setting.Outcomes = async batch =>
        {
            most = Math.Max(most, ++now);
            await Task.Delay(TimeSpan.FromSeconds(1), setting.Time);
            now--;
            return [.. batch.Select(static _ => ApplyOutcome.Applied)];
        };
        setting.Start();
        Assert.True((await awaited).IsMet);
        await Task.Delay(TimeSpan.FromSeconds(5), setting.Time);
        Assert.Equal([(1_500, 1_501), (1, 512), (513, 1_024), (1_025, 1_499), (1_502, 2_000)], setting.Shipped.Select(static batch => (batch.First, batch.Last)));
        Assert.Equal(2, most);
        Assert.False(setting.Pump.IsShipping);
    });

    [Fact]
    public void Each_row_counts_as_it_was_answered() => Play(async setting =>
    {
        setting.Start();
        await Task.Delay(Beat, setting.Time);
        setting.Outcomes = static batch => Task.FromResult<IReadOnlyList<ApplyOutcome>>([.. batch.Select(static row => row.Key switch
        {
            "ahead" => ApplyOutcome.RefusedFutureStamp,
            "fenced" => ApplyOutcome.Fenced,
            "known" => ApplyOutcome.Already,
            _ => ApplyOutcome.Applied,
        })]);
        var waits = Enumerable.Range(1, 6).Select(row => setting.Quorum.WaitAsync(setting.Log, row, row, 2, TimeSpan.FromSeconds(5))).ToList();
        await setting.Here.WriteAsync("one", "ahead", "two", "three", "known", "fenced");
        var outcomes = await Task.WhenAll(waits);
        Assert.Equal([null, QuorumReasons.Refused, null, null, null, QuorumReasons.Fenced], outcomes.Select(static outcome => outcome.Reason));
        Assert.Equal(1, setting.Pump.HeldThrough(setting.Log));

        // It was answered for all of them, and holds not all.
        Assert.False(setting.Pump.IsShipping);
        Assert.Equal(2, setting.Pump.Status.BehindRows);

        // What came to it otherwise it tells with a heartbeat.
        setting.Answer = hello => hello with { Vector = new Dictionary<LogId, AppliedSet> { [setting.Log] = new(5, []) } };
        await Task.Delay(Beat, setting.Time);
        Assert.Equal(5, setting.Pump.HeldThrough(setting.Log));
        Assert.Equal(5, setting.Session.Hellos[setting.Link.Address].Vector[setting.Log].Through);
    });

    [Fact]
    public void A_delete_that_the_peer_holds_is_taken_in_and_settles_the_row() => Play(async setting =>
    {
        await setting.There.Replica.ApplyAsync([Delete("x", 1, ClockAt(setting.Time) + (1 << 30), from: "c")]);
        setting.Start();
        await Task.Delay(Beat, setting.Time);
        await setting.Here.WriteAsync("x", "y");
        Assert.True((await setting.Quorum.WaitAsync(setting.Log, 1, 1, 2, TimeSpan.FromSeconds(5))).MetDelete);
        Assert.True((await setting.Quorum.WaitAsync(setting.Log, 2, 2, 2, TimeSpan.FromSeconds(5))).IsMet);
        Assert.Null(await setting.Here.Store.FindAsync("x"));
        Assert.Single(await setting.Here.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10));
        Assert.Equal(["x"], setting.Link.Fetched);
        Assert.True(setting.Pump.HeldThrough(setting.Log) >= 2);
    });

    [Fact]
    public void A_row_that_this_node_deleted_itself_since_is_held_by_its_delete() => Play(async setting =>
    {
        await setting.Here.WriteAsync("x");
        await setting.Here.DeleteAsync("x");
        await setting.There.Writer.RunAsync(async session =>
            await session.JoinAsync(MutationKind.MemoryDelete, (await setting.Here.Store.ReadRowsAsync([new(MutationKind.MemoryDelete, "x")]))[0].Body, long.MaxValue));
        var wait = setting.Quorum.WaitAsync(setting.Log, 1, 1, 2, TimeSpan.FromSeconds(5));
        setting.Outcomes = static batch => Task.FromResult<IReadOnlyList<ApplyOutcome>>([.. batch.Select(static row => row.Position.Sequence == 1 ? ApplyOutcome.RefusedDeleted : ApplyOutcome.Applied)]);
        setting.Start();
        Assert.Equal((true, false), ((await wait).IsMet, (await wait).MetDelete));
    });

    [Fact]
    public void A_peer_that_is_down_is_tried_less_and_less_often_until_it_knocks() => Play(async setting =>
    {
        var greeted = new List<TimeSpan>();
        setting.Greeting = _ =>
        {
            greeted.Add(setting.Now);
            throw new LinkException("nothing listens", isDown: true);
        };
        setting.Start();
        await Task.Delay(TimeSpan.FromSeconds(30), setting.Time);
        Assert.Equal((false, "nothing listens"), (setting.Pump.Status.IsUp, setting.Pump.Status.Problem));
        Assert.Equal(QuorumReasons.Unreachable, (await setting.Quorum.WaitAsync(setting.Log, 1, 1, 2, TimeSpan.FromSeconds(5))).Reason);
        var pauses = greeted.Zip(greeted.Skip(1), static (one, two) => (two - one).TotalMilliseconds).ToList();
        Assert.InRange(pauses.Count, 20, 60);
        foreach (var (pause, expected) in pauses.Zip([25, 50, 100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]))
        {
            Assert.InRange(pause, expected * 0.49, expected * 1.51);
        }

        Assert.All(pauses.Skip(6), static pause => Assert.InRange(pause, 490, 1_510));
        await setting.Session.HeardAsync(setting.Link.Address, Hello(new("b", 1), setting.Time), TimeSpan.Zero);
        var before = greeted.Count;
        var now = setting.Now;
        await setting.Session.AnswerAsync(Hello(new("b", 2), setting.Time));
        await Task.Delay(TimeSpan.FromMilliseconds(1), setting.Time);
        Assert.Equal(now, Assert.Single(greeted.Skip(before)));

        // It was lost again just now: the next greeting is news too, though it names the log that is known.
        await setting.Session.AnswerAsync(Hello(new("b", 1), setting.Time));
        await Task.Delay(TimeSpan.FromMilliseconds(1), setting.Time);
        Assert.Equal(2, greeted.Count - before);
        setting.Greeting = null;
        await Task.Delay(TimeSpan.FromSeconds(3), setting.Time);
        Assert.True(setting.Pump.Status.IsUp);
        Assert.Equal("b", setting.Pump.Status.Node);
    });

    [Theory]
    [InlineData("greeting")]
    [InlineData("rows")]
    [InlineData("heartbeat")]
    public void A_peer_that_does_not_answer_is_given_up_after_ten_seconds(string what) => Play(async setting =>
    {
        var never = new TaskCompletionSource();
        async Task<PeerHello> SilentAsync(CancellationToken cancellation)
        {
            await never.Task.WaitAsync(cancellation);
            throw new InvalidOperationException();
        }

        setting.Greeting = what == "greeting" ? SilentAsync : null;
        setting.Start();
        await Task.Delay(TimeSpan.FromMilliseconds(100), setting.Time);
        if (what == "rows")
        {
            setting.Outcomes = async _ =>
            {
                await never.Task;
                return [];
            };
            await setting.Here.WriteAsync("x");
        }
        else if (what == "heartbeat")
        {
            setting.Greeting = SilentAsync;
        }

        await Task.Delay(Deadline - TimeSpan.FromMilliseconds(200), setting.Time);
        Assert.Equal(what == "greeting" ? "not heard of yet" : null, setting.Pump.Status.Problem);
        Assert.Equal(what == "rows" ? 1 : 0, setting.Shipped.Count);
        await Task.Delay(TimeSpan.FromSeconds(1.2), setting.Time);
        switch (what)
        {
            case "greeting":
                Assert.Contains("did not answer a greeting", setting.Pump.Status.Problem, StringComparison.Ordinal);
                break;
            case "heartbeat":
                Assert.Contains("stopped answering", setting.Pump.Status.Problem, StringComparison.Ordinal);
                break;
            default:
                // It greets again at once, and is sent them again.
                Assert.Equal(2, setting.Shipped.Count);
                break;
        }

        // One that is silent may still hold what it was sent.
        Assert.Equal(QuorumReasons.Timeout, (await setting.Quorum.WaitAsync(setting.Log, 9, 9, 2, TimeSpan.FromSeconds(0.01))).Reason);
        setting.Greeting = null;
        setting.Outcomes = null;
        await Task.Delay(TimeSpan.FromSeconds(25), setting.Time);
        Assert.True(setting.Pump.Status.IsUp);
        Assert.False(setting.Pump.IsShipping);
    });

    [Fact]
    public void An_answer_for_fewer_rows_than_were_sent_counts_for_none() => Play(async setting =>
    {
        setting.Outcomes = static batch => Task.FromResult<IReadOnlyList<ApplyOutcome>>([.. batch.Skip(1).Select(static _ => ApplyOutcome.Applied)]);
        await setting.Here.WriteAsync("x", "y");
        setting.Start();
        await Task.Delay(TimeSpan.FromSeconds(5), setting.Time);
        Assert.Equal(0, setting.Pump.HeldThrough(setting.Log));
        Assert.Equal(QuorumReasons.Timeout, (await setting.Quorum.WaitAsync(setting.Log, 1, 1, 2, TimeSpan.FromSeconds(0.01))).Reason);

        // A peer that greets and takes nothing is asked ever less often.
        Assert.InRange(setting.Shipped.Count, 8, 14);
        setting.Outcomes = null;
        await Task.Delay(TimeSpan.FromSeconds(2), setting.Time);
        Assert.Equal(2, setting.Pump.HeldThrough(setting.Log));
    });

    [Fact]
    public void A_wrong_peer_never_counts_until_it_is_mended() => Play(async setting =>
    {
        setting.Answer = static hello => hello with { Log = new("a", 7) };
        setting.Start();
        await Task.Delay(TimeSpan.FromSeconds(3), setting.Time);
        Assert.Contains("itself", setting.Pump.Refusal, StringComparison.Ordinal);
        Assert.Equal((false, setting.Pump.Refusal), (setting.Pump.Status.IsUp, setting.Pump.Status.Problem));
        Assert.Equal(QuorumReasons.Unreachable, (await setting.Quorum.WaitAsync(setting.Log, 1, 1, 2, TimeSpan.FromSeconds(5))).Reason);
        setting.Answer = static hello => hello;
        await Task.Delay(TimeSpan.FromSeconds(2), setting.Time);
        Assert.Null(setting.Pump.Refusal);
        Assert.True(setting.Pump.Status.IsUp);
    });

    [Fact]
    public void A_new_log_is_shipped_from_its_beginning() => Play(async setting =>
    {
        await setting.Here.WriteAsync("x");
        setting.Start();
        await Task.Delay(Beat, setting.Time);
        var left = setting.Log;
        await setting.Here.Writer.RenewLogAsync();
        await setting.Here.WriteAsync("y");
        await Task.Delay(Beat, setting.Time);
        Assert.NotEqual(left, setting.Log);
        Assert.NotNull(await setting.There.Store.FindAsync("y"));
        Assert.Equal(setting.Here.Store.Log, (await setting.There.Store.ReadVectorAsync()).Keys.Single(log => log != left));
        Assert.False(setting.Pump.IsShipping);
        Assert.Equal(0, setting.Pump.HeldThrough(left));
    });

    private static void Play(Func<Setting, Task> act) => VirtualTime.Play(async (world, time, scheduler) =>
    {
        await using var here = await Node.StartAsync("a", time, scheduler);
        await using var there = await Node.StartAsync("b", time, scheduler);
        using var stop = new CancellationTokenSource();
        var settings = new ReplicaSetSettings(1, null, TimeSpan.FromSeconds(5));
        var condition = await here.ConditionAsync(settings);
        var session = here.Session(settings, condition, time);
        var quorum = new QuorumWriter(here.Store.Log, time);
        var feed = new MutationFeed(here.Store.Log, 0);
        here.Writer.Committing = changes => quorum.Overruled(changes.Overruled, changes.Head.Sequence);
        here.Writer.Committed = (log, changes) =>
        {
            quorum.Writing(log);
            feed.Append(log, changes);
            condition.Committed(changes);
        };
        var link = new HookedLink(there);
        quorum.AddPeer(link.Address);
        var pump = new PeerPump(link, here.Store, feed, here.Replica, quorum, session, static () => Task.CompletedTask, time, new Random(1));
        var setting = new Setting(here, there, session, quorum, pump, link, world, time, stop.Token);

        // A timestamp of zero would stand for none.
        await Task.Delay(TimeSpan.FromMilliseconds(1), time);
        await act(setting);
        stop.Cancel();
        await setting.Running;
    });

    private sealed class Setting(
        Node here, Node there, PeerSession session, QuorumWriter quorum, PeerPump pump, HookedLink link, SimulatedWorld world, TimeProvider time, CancellationToken stop)
    {
        public Node Here => here;

        public Node There => there;

        public PeerSession Session => session;

        public QuorumWriter Quorum => quorum;

        public PeerPump Pump => pump;

        public HookedLink Link => link;

        public TimeProvider Time => time;

        public TimeSpan Now => world.Now;

        public LogId Log => here.Store.Log;

        public Task Running { get; private set; } = Task.CompletedTask;

        /// <summary>What becomes of what the peer says of itself.</summary>
        public Func<PeerHello, PeerHello> Answer { get; set; } = static hello => hello;

        /// <summary>What the peer does when it is greeted; null: it answers.</summary>
        public Func<CancellationToken, Task<PeerHello>>? Greeting { get; set; }

        /// <summary>What the peer answers to rows; null: what it made of them.</summary>
        public Func<IReadOnlyList<Mutation>, Task<IReadOnlyList<ApplyOutcome>>>? Outcomes { get; set; }

        /// <summary>Batches, as they were sent.</summary>
        public List<(int First, int Last, TimeSpan At)> Shipped { get; } = [];

        public void Start()
        {
            link.Greet = async cancellation => Greeting is { } greeting
                ? await greeting(cancellation)
                : Answer(Rows.Hello(there.Store.Log, time) with { Vector = await there.Store.ReadVectorAsync(cancellation) });
            link.Apply = (batch, cancellation) =>
            {
                Shipped.Add(((int)batch[0].Position.Sequence, (int)batch[^1].Position.Sequence, world.Now));
                return (Outcomes?.Invoke(batch) ?? there.Replica.ApplyAsync(batch)).WaitAsync(cancellation);
            };
            Running = pump.RunAsync(stop);
        }
    }
}
