using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What an exchange of digests brings in from a peer, and what it says of it.</summary>
public sealed class AntiEntropyTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task An_exchange_fetches_what_differs_and_nothing_else()
    {
        await using var here = await Node.StartAsync("a", _time);
        await using var there = await Node.StartAsync("b", _time);
        var beside = Enumerable.Range(0, int.MaxValue).Select(static number => $"beside {number}").First(static id => Digest.BucketOf(id) == Digest.BucketOf("changed"));
        Mutation[] both = [Put(beside, 1, Clock(), from: "c"), Put("changed", 2, Clock(), from: "c"), Put("unlike", 3, Clock(), from: "c", @namespace: "equal")];
        await here.Replica.ApplyAsync(both);
        await there.Replica.ApplyAsync([.. both, Put("changed", 4, Clock(1), from: "c"), Put("new", 5, Clock(), from: "c")]);
        var link = new HookedLink(there);
        Assert.True(await PullAsync(here, link));
        Assert.Equal(["changed", "new"], link.Fetched.Order());
        Assert.Equal(Clock(1), (await here.Store.FindAsync("changed"))!.Own.Body.Stamp.Clock);
        Assert.Equal(5, (await here.Store.ReadVectorAsync())[new("c", 1)].Through);

        // And nothing, where all is equal.
        link.Fetched.Clear();
        Assert.True(await PullAsync(here, link));
        Assert.Empty(link.Fetched);
        Assert.Empty((await here.Store.VerifyAsync()).Differences);
    }

    [Fact]
    public async Task An_exchange_for_one_namespace_fetches_what_bears_on_it_from_a_peer_that_holds_the_row_it_waits_for()
    {
        await using var here = await Node.StartAsync("a", _time);
        await using var there = await Node.StartAsync("b", _time);
        var link = new EntryState(EntryBodies.LinkKey("x", "r", "y"), "x", "y", Live: true, new(Clock(), new("c", 1)), EntryBodies.Encode(new LinkBody(1)));
        var access = new EntryState(EntryBodies.AccessKey("x", new("c", 1)), "x", null, Live: true, new(Clock(), new("c", 1)), EntryBodies.Encode(new AccessBody(1, null)));
        await there.Replica.ApplyAsync([
            Put("x", 1, Clock(), from: "c"), Put("y", 2, Clock(), from: "c", @namespace: "other"), Delete("z", 3, Clock(), from: "c"), Logged(4, link), Logged(5, access)]);
        var peer = new HookedLink(there);
        var exchange = new AntiEntropy(here.Store, here.Replica);
        foreach (var missing in (LogPosition[])[new(new("a", 1), 1), new(new("c", 1), 6)])
        {
            Assert.False(await exchange.PullAsync(peer, 0, "ns", missing, TestContext.Current.CancellationToken));
            Assert.Empty(peer.Fetched);
        }

        Assert.True(await exchange.PullAsync(peer, 0, "ns", new(new("c", 1), 5), TestContext.Current.CancellationToken));
        Assert.Equal(((string[])[link.Key.Key, "x", "z"]).Order(StringComparer.Ordinal), peer.Fetched.Order(StringComparer.Ordinal));
        Assert.Empty(await here.Store.ReadVectorAsync());
    }

    [Fact]
    public async Task An_exchange_that_cannot_take_all_in_says_nothing_of_what_is_held()
    {
        await using var here = await Node.StartAsync("a", _time);
        var ahead = new ManualTime();
        ahead.Advance(TimeSpan.FromSeconds(100));
        await using var there = await Node.StartAsync("b", ahead);
        await there.Replica.ApplyAsync([Put("now", 1, Clock(), from: "c"), Put("ahead", 2, Clock(100_000), from: "c")]);
        Assert.False(await PullAsync(here, new HookedLink(there)));
        Assert.NotNull(await here.Store.FindAsync("now"));
        Assert.Null(await here.Store.FindAsync("ahead"));
        Assert.Empty(await here.Store.ReadVectorAsync());

        // Also when it comes to that only while the exchange goes on.
        await using var later = await Node.StartAsync("d", ahead);
        await later.Replica.ApplyAsync([Put("now", 1, Clock(), from: "c")]);
        var link = new HookedLink(later);
        link.BeforeHashes = async () =>
        {
            link.BeforeHashes = static () => Task.CompletedTask;
            await later.Replica.ApplyAsync([Delete("now", 2, Clock(1), from: "c"), Put("ahead", 3, Clock(100_000), from: "c", @namespace: "elsewhere")]);
        };
        await using var anew = await Node.StartAsync("e", _time);
        Assert.False(await PullAsync(anew, link));
        Assert.Empty(await anew.Store.ReadVectorAsync());
        _time.Advance(TimeSpan.FromSeconds(100));
        Assert.True(await PullAsync(anew, link));
        Assert.Equal(3, (await anew.Store.ReadVectorAsync())[new("c", 1)].Through);
    }

    [Theory]
    [InlineData("deleted")]
    [InlineData("moved")]
    [InlineData("moved, and deleted then")]
    public async Task An_exchange_holds_what_left_its_bucket_meanwhile(string how)
    {
        await using var here = await Node.StartAsync("a", _time);
        await using var there = await Node.StartAsync("b", _time);
        await there.Replica.ApplyAsync([Put("x", 1, Clock(), from: "c")]);
        var link = new HookedLink(there);
        var (reads, acts) = (0, 0);
        link.BeforeDigests = () => reads++;
        link.BeforeHashes = async () =>
        {
            if ((reads, acts) is (1, 0))
            {
                acts = 1;
                await there.Replica.ApplyAsync([how == "deleted" ? Delete("x", 2, Clock(1), from: "c") : Put("x", 2, Clock(1), from: "c", @namespace: "elsewhere")]);
            }
            else if ((reads, acts) is (2, 1) && how == "moved, and deleted then")
            {
                acts = 2;
                await there.Replica.ApplyAsync([Delete("x", 3, Clock(2), from: "c")]);
            }
        };
        Assert.True(await PullAsync(here, link));
        Assert.True((await here.Store.ReadVectorAsync())[new("c", 1)].Contains(1));
        Assert.Equal(how == "moved" ? "elsewhere" : null, (await here.Store.FindAsync("x"))?.Own.Name.Value.Namespace);
        Assert.Equal(how == "moved" ? 0 : 1, (await here.Store.ReadTombstonesAsync(long.MaxValue, new(long.MaxValue), 10)).Count);
    }

    [Fact]
    public async Task An_exchange_with_a_peer_that_is_set_back_meanwhile_says_nothing_of_what_is_held()
    {
        await using var here = await Node.StartAsync("a", _time);
        await using var before = await Node.StartAsync("b", _time);
        await using var after = await Node.StartAsync("b", _time);
        var kept = Put("z", 1, Clock(), from: "d");
        await before.Replica.ApplyAsync([kept, Put("x", 1, Clock(), from: "c"), Put("y", 2, Clock(), from: "c")]);
        await after.Replica.ApplyAsync([kept, Put("x", 1, Clock(), from: "c")]);
        var link = new HookedLink(before);
        link.BeforeHashes = () =>
        {
            link.Node = after;
            return Task.CompletedTask;
        };
        Assert.False(await PullAsync(here, link));
        Assert.Empty(await here.Store.ReadVectorAsync());
        Assert.True(await PullAsync(here, link));
        Assert.Equal(1, (await here.Store.ReadVectorAsync())[new("c", 1)].Through);
    }

    private static Task<bool> PullAsync(Node here, HookedLink link) =>
        new AntiEntropy(here.Store, here.Replica).PullAsync(link, floor: 0, TestContext.Current.CancellationToken);

    private long Clock(int aheadMilliseconds = 0) => ClockAt(_time, TimeSpan.FromMilliseconds(aheadMilliseconds));
}
