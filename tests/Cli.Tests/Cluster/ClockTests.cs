using System.Globalization;
using System.Net;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Faults;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>A wall clock that jumps while the node runs. Skipped, saying so, where libfaketime is not installed.</summary>
public sealed class ClockTests
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    [Fact]
    public async Task A_node_an_hour_ahead_originates_nothing_until_its_clock_is_right_again()
    {
        Assert.SkipWhen(FakeClock.Missing is not null, FakeClock.Missing ?? "");
        await using var cluster = await ProcessCluster.StartAsync(fakeClocks: true);
        (await cluster[0].StoreAsync("before", "v")).Is(HttpStatusCode.Created);
        cluster[0].Clock!.Set(Hour);
        await Eventually.HoldsAsync("the node knows that it is ahead", async () => (await cluster[0].ReadyAsync()).Status == HttpStatusCode.ServiceUnavailable);
        Assert.Contains("clock", (await cluster[0].ReadyAsync()).Text("reason"), StringComparison.Ordinal);
        (await cluster[0].StoreAsync("ahead", "v")).MissesQuorum("clock_skew", "not_stored");
        (await cluster[0].StoreAsync("ahead", "v", quorum: "1")).MissesQuorum("clock_skew", "not_stored");

        // It still counts for others and answers reads.
        cluster[2].Suspend();
        var elsewhere = (await cluster[1].StoreAsync("elsewhere", "v")).Is(HttpStatusCode.Created).Id;
        (await cluster[0].GetAsync(elsewhere)).Is(HttpStatusCode.OK);
        cluster[2].Resume();

        cluster[0].Clock!.Set(TimeSpan.Zero);
        await cluster.ConnectedAsync();
        var after = (await cluster[0].StoreAsync("after", "v", quorum: "all")).Is(HttpStatusCode.Created);
        AssertNow(after);
        await cluster.ConvergedAsync();
        Assert.Equal(["after", "before", "elsewhere"], (await cluster[1].ContentsAsync()).Keys.Order(StringComparer.Ordinal));
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task Writes_that_go_on_while_a_clock_jumps_are_answered_truly()
    {
        Assert.SkipWhen(FakeClock.Missing is not null, FakeClock.Missing ?? "");
        await using var cluster = await ProcessCluster.StartAsync(fakeClocks: true);
        var ledger = new Ledger();
        using var stop = new CancellationTokenSource();
        var writing = Enumerable.Range(0, 6).Select(writer => ledger.WriteAsync(cluster[writer % 3], $"w{writer}", stop.Token)).ToList();
        await ledger.ReachAsync(50);
        cluster[0].Clock!.Set(Hour);
        await Eventually.HoldsAsync("the node knows that it is ahead", async () => (await cluster[0].ReadyAsync()).Status == HttpStatusCode.ServiceUnavailable);
        await ledger.ReachAsync(ledger.Answered.Count + 50);
        cluster[0].Clock!.Set(TimeSpan.Zero);
        await cluster.ConnectedAsync();
        await ledger.ReachAsync(ledger.Answered.Count + 50);
        await stop.CancelAsync();
        await Task.WhenAll(writing);
        AssertNow((await cluster[0].StoreAsync("w0-0", "v-w0-0", quorum: "all")).Is(HttpStatusCode.Created));
        await cluster.ConvergedAsync();
        ledger.AssertHeldBy("n3", await cluster[2].ContentsAsync());
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task A_node_an_hour_behind_takes_what_others_write_and_writes_itself()
    {
        Assert.SkipWhen(FakeClock.Missing is not null, FakeClock.Missing ?? "");
        await using var cluster = await ProcessCluster.StartAsync(fakeClocks: true);
        var id = (await cluster[0].StoreAsync("before", "old")).Is(HttpStatusCode.Created).Id;
        await cluster.ConvergedAsync();
        cluster[2].Clock!.Set(-Hour);
        await cluster.ConnectedAsync();
        (await cluster[0].StoreAsync("elsewhere", "v", quorum: "all")).Is(HttpStatusCode.Created);

        // A later write wins, whatever the clocks say.
        (await cluster[2].UpdateAsync(id, new { content = "new" }, quorum: "all")).Is(HttpStatusCode.OK);
        cluster[2].Clock!.Set(TimeSpan.Zero);
        (await cluster[2].StoreAsync("after", "v", quorum: "all")).Is(HttpStatusCode.Created);
        await cluster.ConvergedAsync();
        Assert.Equal("new", (await cluster[1].ContentsAsync())["before"]);
        await cluster.EndEqualAsync();
    }

    private static void AssertNow(Answer stored)
    {
        var updated = DateTimeOffset.Parse(stored.Text("updated_at")!, CultureInfo.InvariantCulture);
        Assert.InRange(updated, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(2));
    }
}
