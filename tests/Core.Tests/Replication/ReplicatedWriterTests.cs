using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Disks;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What a write is answered. In virtual time.</summary>
public sealed class ReplicatedWriterTests
{
    [Theory]
    [InlineData(null, null)]
    [InlineData("majority", 2)]
    [InlineData("all", 3)]
    [InlineData("1", 1)]
    [InlineData("3", 3)]
    [InlineData("0", -1)]
    [InlineData("4", -1)]
    [InlineData("-1", -1)]
    [InlineData(" 1", -1)]
    [InlineData("two", -1)]
    public void A_quorum_is_a_number_of_nodes_that_there_are(string? word, int? nodes) => Play(setting =>
    {
        if (nodes < 0)
        {
            Assert.Equal(ErrorKind.InvalidQuorum, Assert.Throws<MemoryException>(() => setting.Writer.Parse(word)).Kind);
        }
        else
        {
            Assert.Equal(nodes, setting.Writer.Parse(word));
        }

        return Task.CompletedTask;
    });

    [Fact]
    public void The_nearest_policy_that_says_so_raises_what_a_namespace_asks_for() => Play(
        setting =>
        {
            Assert.Equal(["a/b/c", "a/b", "a"], ReplicatedWriter.Chain("a/b/c"));
            Assert.Equal(["a", "a/b"], setting.Writer.PolicyKeys("a/b").Select(static key => key.Key).Order(StringComparer.Ordinal));
            Assert.Equal(3, Standard());
            Assert.Equal(4, Standard(null, 4, 5));
            Assert.Equal(3, Standard(1, 5));
            Assert.Equal(5, Standard(9));
            return Task.CompletedTask;

            int Standard(params int?[] writes) => setting.Writer.Standard(writes.Select(static number => PolicyBody.Empty with { QuorumWrites = number }));
        },
        peers: 4);

    [Fact]
    public void A_node_alone_answers_for_itself() => Play(
        async setting =>
        {
            var (id, outcome) = await setting.WriteAsync("x");
            Assert.Equal(("x", new QuorumOutcome(1, 1, null)), (id, outcome));
            Assert.Equal(Durabilities.Local, setting.Writer.DurabilityOf(outcome));
            Assert.Empty(setting.Writer.PolicyKeys("a"));
            await setting.Node.Writer.DisposeAsync();
            Assert.Equal(ErrorKind.Draining, (await Assert.ThrowsAsync<MemoryException>(() => setting.WriteAsync("y"))).Kind);
        },
        peers: 0);

    [Fact]
    public void A_write_is_answered_when_its_quorum_holds_it() => Play(async setting =>
    {
        var write = setting.WriteAsync("x");
        await Task.Delay(TimeSpan.FromSeconds(0.5), setting.Time);
        Assert.False(write.IsCompleted);
        setting.Acknowledge("b", 1);
        var (_, outcome) = await write;
        Assert.Equal((2, 2, null, 2), (outcome.Got, outcome.Needed, outcome.Reason, outcome.Standard));
        Assert.Equal(Durabilities.Quorum, setting.Writer.DurabilityOf(outcome));

        // Of several rows the last counts as well as the first.
        var rows = setting.Writer.RunAsync(
            async session =>
            {
                await Node.WriteAsync(session, "y");
                await Node.WriteAsync(session, "z");
                return 0;
            },
            wanted: null);
        await Task.Delay(TimeSpan.FromSeconds(0.1), setting.Time);
        setting.Acknowledge("b", 2);
        setting.Quorum.Acknowledged("c", setting.Node.Store.Log, 3, 3);
        await Task.Delay(TimeSpan.FromSeconds(0.1), setting.Time);
        Assert.False(rows.IsCompleted);
        setting.Acknowledge("b", 3);
        Assert.True((await rows).Outcome.IsMet);

        // What writes nothing waits for nobody.
        Assert.Equal((7, new(1, 1, null)), await setting.Writer.RunAsync(static _ => ValueTask.FromResult(7), wanted: 3));
    });

    [Fact]
    public void A_write_that_too_few_hold_in_time_is_kept_and_its_answer_says_so() => Play(async setting =>
    {
        var began = setting.Time.GetTimestamp();
        var failed = await Assert.ThrowsAsync<QuorumException>(() => setting.WriteAsync("x"));
        Assert.Equal(TimeSpan.FromSeconds(1), setting.Time.GetElapsedTime(began));
        Assert.Equal((1, 2, QuorumReasons.Timeout, QuorumException.StoredLocally), (failed.Quorum.Got, failed.Quorum.Needed, failed.Quorum.Reason, failed.Outcome));
        Assert.Equal("x", failed.Written);
        Assert.NotNull(await setting.Node.Store.FindAsync("x"));
    });

    [Fact]
    public void A_policy_asks_for_more_nodes_from_the_write_on_that_sets_it() => Play(async setting =>
    {
        var policy = setting.Writer.RunAsync(
            async session =>
            {
                var key = EntryBodies.PolicyKey("ns");
                await session.PutAsync(new EntryState(key, "ns", null, Live: true, session.NextStamp(), EntryBodies.Encode(PolicyBody.Empty with { QuorumWrites = 3 })));
                return 0;
            },
            wanted: null);
        await Task.Delay(TimeSpan.FromSeconds(0.1), setting.Time);
        setting.Acknowledge("b", 1);
        await policy;
        var write = setting.WriteAsync("x");
        await Task.Delay(TimeSpan.FromSeconds(0.1), setting.Time);
        setting.Acknowledge("b", 2);
        await Task.Delay(TimeSpan.FromSeconds(0.1), setting.Time);
        Assert.False(write.IsCompleted);
        setting.Acknowledge("c", 2);
        Assert.Equal((3, 3), ((await write).Outcome.Got, (await write).Outcome.Needed));

        // Who asks for fewer is told that it is below what the namespace asks for.
        var (_, outcome) = await setting.WriteAsync("y", wanted: 1);
        Assert.Equal((1, 1, 3), (outcome.Got, outcome.Needed, outcome.Standard));
        Assert.Equal(Durabilities.BelowQuorum, setting.Writer.DurabilityOf(outcome));
    });

    [Fact]
    public void Nothing_is_written_while_the_clock_is_too_far_ahead() => Play(async setting =>
    {
        await setting.Session.HeardAsync("b", Hello(new("b", 1), setting.Time) with { UnixMilliseconds = setting.Time.GetUtcNow().ToUnixTimeMilliseconds() - 61_000 }, TimeSpan.Zero);
        await RequireAsync(setting, QuorumReasons.ClockSkew, QuorumException.NotStored);
        await RequireAsync(setting, QuorumReasons.ClockSkew, QuorumException.NotStored, wanted: 3);
    });

    [Fact]
    public void Nothing_is_written_before_the_node_was_compared() => Play(async setting =>
    {
        setting.Compared = static () => Task.FromException(new MemoryException(ErrorKind.StoreFull, "full"));
        await RequireAsync(setting, QuorumReasons.StoreFailed, QuorumException.NotStored);
        setting.Compared = static () => Task.FromException(new MemoryException(ErrorKind.Draining, "stops"));
        await RequireAsync(setting, QuorumReasons.Draining, QuorumException.NotStored, wanted: 3);
        setting.Compared = static () => Task.FromException(new QuorumException(new(0, 2, QuorumReasons.Unreachable), QuorumException.NotStored, "an old copy"));
        await RequireAsync(setting, QuorumReasons.Unreachable, QuorumException.NotStored);
        setting.Compared = static () => Task.FromException(new MemoryException(ErrorKind.NotFound, "a bug"));
        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<MemoryException>(() => setting.WriteAsync("x"))).Kind);
        var never = new TaskCompletionSource();
        setting.Compared = () => never.Task;
        var began = setting.Time.GetTimestamp();
        await RequireAsync(setting, QuorumReasons.StoreFailed, QuorumException.NotStored);
        Assert.Equal(TimeSpan.FromSeconds(5), setting.Time.GetElapsedTime(began));
        await RequireAsync(setting, QuorumReasons.StoreFailed, QuorumException.NotStored, wanted: 3);
    });

    [Fact]
    public void A_node_that_shuts_down_stores_nothing() => Play(async setting =>
    {
        await setting.Node.Writer.DisposeAsync();
        await RequireAsync(setting, QuorumReasons.Draining, QuorumException.NotStored);
    });

    [Fact]
    public void A_store_that_takes_nothing_stores_nothing_and_of_one_that_fails_meanwhile_nobody_knows() => Play(async setting =>
    {
        setting.Faults.IsFull = true;
        await RequireAsync(setting, QuorumReasons.StoreFailed, QuorumException.NotStored);
        setting.Faults.IsFull = false;
        setting.Faults.SyncErrors = 1;
        await RequireAsync(setting, QuorumReasons.StoreFailed, QuorumException.Unknown, wanted: 3);
    });

    [Fact]
    public void An_activation_that_another_has_replaced_decides_nothing() => Play(async setting =>
    {
        var stamps = new List<Stamp>();
        for (var number = 1; number <= 2; number++)
        {
            await setting.Node.Writer.RunAsync(async session =>
            {
                stamps.Add(session.NextStamp());
                await session.PutAsync(new EntryState(EntryBodies.EpochKey("ns"), "ns", null, Live: true, stamps[^1], EntryBodies.Encode(new EpochBody("a"))));
                return 0;
            });
        }

        var fenced = await Assert.ThrowsAsync<QuorumException>(() => setting.WriteAsync("x", epoch: new("ns", stamps[0])));
        Assert.Equal((QuorumReasons.Fenced, QuorumException.NotStored, 0, 2), (fenced.Quorum.Reason, fenced.Outcome, fenced.Quorum.Got, fenced.Quorum.Needed));
        Assert.Null(await setting.Node.Store.FindAsync("x"));
        var epoch = new NamespaceEpoch("ns", stamps[1]);
        await setting.WriteAsync("x", wanted: 1, epoch: epoch);
        Assert.Equal(epoch.Number, (await setting.Node.Store.ReadLogAsync(2, 10, 1 << 20)).Single().Epoch);
    });

    private static async Task RequireAsync(Setting setting, string reason, string outcome, int? wanted = null)
    {
        var failed = await Assert.ThrowsAsync<QuorumException>(() => setting.WriteAsync("x", wanted));
        Assert.Equal((0, wanted ?? 2, reason, outcome), (failed.Quorum.Got, failed.Quorum.Needed, failed.Quorum.Reason, failed.Outcome));
        Assert.Null(failed.Written);
        Assert.Null(await setting.Node.Store.FindAsync("x"));
    }

    private static void Play(Func<Setting, Task> act, int peers = 2) => VirtualTime.Play(async (world, time, scheduler) =>
    {
        var faults = new DiskFaults(world, () => time);
        await using var node = await Node.StartAsync("a", time, scheduler, faults);
        var settings = new ReplicaSetSettings(peers, null, TimeSpan.FromSeconds(1));
        var condition = await node.ConditionAsync(settings);
        var session = node.Session(settings, condition, time);
        var quorum = new QuorumWriter(node.Store.Log, time);
        foreach (var peer in ((string[])["b", "c", "d", "e"]).Take(peers))
        {
            quorum.AddPeer(peer);
        }

        Setting setting = null!;
        setting = new(node, session, quorum, new(node.Writer, quorum, session, settings, time, () => setting.Compared()), faults, time);
        await act(setting);
    });

    private sealed record Setting(Node Node, PeerSession Session, QuorumWriter Quorum, ReplicatedWriter Writer, DiskFaults Faults, TimeProvider Time)
    {
        /// <summary>What a write waits for first.</summary>
        public Func<Task> Compared { get; set; } = static () => Task.CompletedTask;

        public Task<(string Value, QuorumOutcome Outcome)> WriteAsync(string id, int? wanted = null, NamespaceEpoch? epoch = null) => Writer.RunAsync(
            async session =>
            {
                await Node.WriteAsync(session, id);
                return id;
            },
            wanted,
            epoch: epoch);

        public void Acknowledge(string peer, long sequence) => Quorum.Acknowledged(peer, Node.Store.Log, 1, sequence);
    }
}
