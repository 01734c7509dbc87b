using OrleansMemory.Core.Replication;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>Whose answers a quorum read counts. In virtual time.</summary>
public sealed class QuorumReaderTests
{
    private static readonly RowKey X = new(MutationKind.Memory, "x");

    [Fact]
    public void A_read_brings_in_what_one_of_a_quorum_holds() => Play(writes: 2, async setting =>
    {
        await setting.HearAsync(static hello => hello);
        await setting.There.Replica.ApplyAsync([Put("x", 1, setting.Clock())]);
        await setting.Reader.ReadThroughAsync([X]);
        Assert.NotNull(await setting.Here.Store.FindAsync("x"));
        Assert.Equal(["x"], setting.Link.Fetched);
    });

    [Theory]
    [InlineData("recovering")]
    [InlineData("recovering since")]
    [InlineData("another log since")]
    [InlineData("below the floor")]
    [InlineData("cut off")]
    [InlineData("silent")]
    [InlineData("ahead")]
    public void An_answer_that_may_be_older_than_what_was_acknowledged_counts_for_nothing(string how) => Play(writes: 2, async setting =>
    {
        await setting.Here.Replica.SetFloorsAsync(new(20, 20));
        await setting.HearAsync(hello => hello with { Recovering = how == "recovering", Floor = 20 });
        await setting.There.Writer.RunAsync(async session => await session.JoinAsync(MutationKind.Memory, Put("x", 1, setting.Clock(how == "ahead" ? 60_001 : 0)).Body, long.MaxValue));
        setting.Answer = hello => how switch
        {
            "recovering since" => hello with { Recovering = true, Floor = 20 },
            "another log since" => hello with { Log = new("b", 9), Floor = 20 },
            "below the floor" => hello with { Floor = 19 },
            "cut off" => throw new LinkException("cut off", isDown: true),
            _ => hello with { Floor = 20 },
        };
        setting.IsSilent = how == "silent";
        var began = setting.Time.GetTimestamp();
        var refused = await Assert.ThrowsAsync<QuorumException>(() => setting.Reader.ReadThroughAsync([X]));
        Assert.Equal(TimeSpan.FromSeconds(how == "silent" ? 1 : 0), setting.Time.GetElapsedTime(began));
        setting.IsSilent = false;
        Assert.Equal((1, 2, QuorumReasons.Unreachable, QuorumException.NotStored), (refused.Quorum.Got, refused.Quorum.Needed, refused.Quorum.Reason, refused.Outcome));
        setting.Answer = static hello => hello with { Floor = 20 };
        if (how is not ("recovering" or "ahead"))
        {
            await setting.Reader.ReadThroughAsync([X]);
        }
    });

    [Fact]
    public void A_node_that_may_lack_rows_does_not_count_itself() => Play(writes: 2, async setting =>
    {
        setting.Condition.FoundOlder();
        await setting.HearAsync(static hello => hello);
        var refused = await Assert.ThrowsAsync<QuorumException>(() => setting.Reader.ReadThroughAsync([X]));
        Assert.Equal((1, 2), (refused.Quorum.Got, refused.Quorum.Needed));
    });

    [Fact]
    public void A_node_that_is_a_quorum_by_itself_waits_for_nobody_and_nodes_that_disagree_are_none() => Play(writes: 3, async setting =>
    {
        await setting.HearAsync(static hello => hello);
        setting.Answer = static _ => throw new LinkException("cut off", isDown: true);
        await setting.Reader.ReadThroughAsync([X]);
        await setting.HearAsync(static hello => hello with { Nodes = 2 });
        await Assert.ThrowsAsync<QuorumException>(() => setting.Reader.ReadThroughAsync([X]));
    });

    private static void Play(int writes, Func<Setting, Task> act) => VirtualTime.Play(async (_, time, scheduler) =>
    {
        await using var here = await Node.StartAsync("a", time, scheduler);
        await using var there = await Node.StartAsync("b", time, scheduler);
        var settings = new ReplicaSetSettings(2, writes, TimeSpan.FromSeconds(1));
        var condition = await here.ConditionAsync(settings, new(20, 20));
        here.Writer.Committed = (_, changes) => condition.Committed(changes);
        condition.Compared();
        var session = here.Session(settings, condition, time);
        var link = new HookedLink(there);
        var setting = new Setting(here, there, condition, session, new([link], here.Replica, session, condition, settings, time), link, time);
        link.Greet = async cancellation =>
        {
            if (setting.IsSilent)
            {
                await new TaskCompletionSource().Task.WaitAsync(cancellation);
            }

            return setting.Answer(setting.Hello());
        };
        await act(setting);
    });

    private sealed record Setting(Node Here, Node There, ReplicaCondition Condition, PeerSession Session, QuorumReader Reader, HookedLink Link, TimeProvider Time)
    {
        /// <summary>It does not answer.</summary>
        public bool IsSilent { get; set; }

        /// <summary>What becomes of what the peer answers to a greeting.</summary>
        public Func<PeerHello, PeerHello> Answer { get; set; } = static hello => hello with { Floor = 20 };

        public long Clock(int aheadMilliseconds = 0) => ClockAt(Time, TimeSpan.FromMilliseconds(aheadMilliseconds));

        public PeerHello Hello() => Rows.Hello(There.Store.Log, Time);

        public Task HearAsync(Func<PeerHello, PeerHello> of) => Session.HeardAsync(Link.Address, of(Hello()), TimeSpan.Zero);
    }
}
