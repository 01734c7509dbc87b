using System.Globalization;
using System.Net;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Tests.Nodes;

namespace OrleansMemory.Gate.Tests.Faults;

/// <summary>Three peers with a network between them, and where it can be had with disks of their own.</summary>
public sealed class LinkedPeers : IAsyncLifetime
{
    private readonly ScratchFolder _folder = new();

    public NodeSet Nodes { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var plan = new NodesPlan(_folder.Path, NodesKind.Peers, Programs.Om) { ServeOptions = ["--quorum-timeout-ms", "500"] };
        Nodes = await NodeSet.StartAsync(plan with { WithLinks = true, WithSmallDisks = SmallDisk.WhyNot is null });
        await Nodes.ReadyAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Nodes.DisposeAsync();
        _folder.Dispose();
    }
}

/// <summary>Each fault is in force between injection and healing, and leaves nothing behind.</summary>
public sealed class FaultTests(LinkedPeers peers) : IClassFixture<LinkedPeers>
{
    private const int Victim = 2;

    private NodeSet Nodes => peers.Nodes;

    [Fact]
    public void Names_are_one_each_and_descriptions_are_sentences()
    {
        Assert.Equal(FaultInjector.All.Count, FaultInjector.All.Select(static fault => fault.Name).Distinct().Count());
        Assert.All(FaultInjector.All, static fault => Assert.Matches("^[A-Z].*[.]$", fault.Description));
        Assert.All(FaultInjector.All, static fault => Assert.Matches("^[a-z_]+$", fault.Name));
    }

    [Fact]
    public Task A_killed_node_is_down() => InForceAsync("kill_follower", () =>
    {
        Assert.False(Nodes.IsRunning(Victim));
        return Task.CompletedTask;
    });

    [Fact]
    public Task A_suspended_node_does_not_answer_and_the_others_do() => InForceAsync("pause", async () =>
    {
        Assert.False(await Nodes.IsReadyAsync(Victim));
        await TakesAsync(0, "while suspended");
    });

    [Fact]
    public Task A_node_that_is_cut_off_misses_its_quorum() => InForceAsync("partition_minority", async () =>
    {
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await Nodes.StoreAsync(Victim, "alone"));
        await TakesAsync(0, "two of three");
        Assert.DoesNotContain("two of three", await Nodes.TitlesAsync(Victim));
    });

    [Fact]
    public Task A_node_whose_words_are_lost_counts_for_nothing() => InForceAsync("cut_one_way", async () =>
    {
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await Nodes.StoreAsync(Victim, "unheard"));
        await TakesAsync(0, "heard by one");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await Nodes.StoreAsync(0, "not answered", quorum: "all"));
    });

    [Fact]
    public Task A_slow_link_delays_what_waits_for_it() => InForceAsync("latency", async () =>
    {
        var started = TimeProvider.System.GetTimestamp();
        Assert.Equal(HttpStatusCode.Created, await Nodes.StoreAsync(Victim, "slowly"));
        Assert.True(TimeProvider.System.GetElapsedTime(started) > TimeSpan.FromMilliseconds(300));
    });

    [Fact]
    public Task A_node_with_an_empty_disk_has_nothing_to_start_with() => InForceAsync("replaced_empty", () =>
    {
        Assert.False(File.Exists(Nodes.DatabaseOf(Victim)));
        return Task.CompletedTask;
    });

    [Fact]
    public Task A_node_with_an_older_disk_comes_back() => InForceAsync("restored_copy", () =>
    {
        Assert.True(File.Exists(Nodes.DatabaseOf(Victim)));
        return Task.CompletedTask;
    });

    [Fact]
    public Task A_slow_line_is_passed_all_the_same() => InForceAsync("bandwidth", () => TakesAsync(0, "past the slow line"));

    [Fact]
    public Task Broken_connections_are_opened_again() => InForceAsync("reset", () => TakesAsync(0, "past the resets"));

    [Fact]
    public Task All_nodes_are_down_at_once() => InForceAsync("kill_all", () =>
    {
        Assert.All(Enumerable.Range(0, Nodes.Count), node => Assert.False(Nodes.IsRunning(node)));
        return Task.CompletedTask;
    });

    [Fact]
    public Task A_node_with_a_full_disk_takes_no_writes_and_the_others_do() => InForceAsync("disk_full", async () =>
    {
        var title = 0;
        await Eventually.HoldsAsync("the node takes no write", async () => await Nodes.StoreAsync(Victim, $"full {title++}", quorum: "1") != HttpStatusCode.Created);
        await TakesAsync(0, "beside the full disk");
    });

    [Fact]
    public Task A_node_that_is_away_misses_writes() => InForceAsync("away", async () =>
    {
        Assert.False(Nodes.IsRunning(Victim));
        await TakesAsync(0, "while it was away");
    });

    [Fact]
    public async Task All_nodes_are_restarted_in_turn()
    {
        var before = Enumerable.Range(0, Nodes.Count).Select(Nodes.ProcessIdOf).ToList();
        await InForceAsync("rolling_restart", () =>
        {
            Assert.False(Nodes.IsRunning(Victim));
            return Task.CompletedTask;
        });
        Assert.Empty(before.Intersect(Enumerable.Range(0, Nodes.Count).Select(Nodes.ProcessIdOf)));
    }

    [Fact]
    public async Task A_page_proxy_hides_what_is_beyond_the_first_page()
    {
        await using var proxy = new PageProxy(Nodes.AddressOf(0));
        for (var row = 0; row < 21; row++)
        {
            Assert.Equal(HttpStatusCode.Created, await NodeClient.StoreAsync(proxy.Address, string.Create(CultureInfo.InvariantCulture, $"row {row}")));
        }

        var (titles, cursor) = await NodeClient.PageAsync(proxy.Address);
        Assert.Equal(20, titles.Count);
        Assert.Null(cursor);
        Assert.True((await Nodes.TitlesAsync(0)).Count >= 21);
    }

    private async Task InForceAsync(string name, Func<Task> look)
    {
        var fault = FaultInjector.All.Single(fault => fault.Name == name);
        var whyNot = fault.WhyNot(new("", NodesKind.Peers, Programs.Om));
        Assert.SkipWhen(whyNot is not null, whyNot ?? "");
        await fault.PrepareAsync(Nodes, Victim);
        await Nodes.ReadyAsync();
        var title = $"before {name}";
        await TakesAsync(1, title, quorum: "all");
        try
        {
            await fault.InjectAsync(Nodes, Victim);
            await look();
        }
        finally
        {
            await fault.HealAsync(Nodes, Victim);
        }

        await Nodes.ReadyAsync();
        await Nodes.ConvergedAsync();
        Assert.Contains(title, await Nodes.TitlesAsync(Victim));
        await TakesAsync(Victim, $"after {name}", quorum: "all");
    }

    private Task TakesAsync(int node, string title, string? quorum = null) =>
        Eventually.HoldsAsync($"{NodeSet.NameOf(node)} takes a write", async () => await Nodes.StoreAsync(node, title, quorum) == HttpStatusCode.Created);
}
