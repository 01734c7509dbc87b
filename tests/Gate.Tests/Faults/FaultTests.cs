using System.Globalization;
using System.Net;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Tests.Nodes;

namespace OrleansMemory.Gate.Tests.Faults;

/// <summary>Three peers with a network between them.</summary>
public sealed class LinkedPeers : IAsyncLifetime
{
    private readonly ScratchFolder _folder = new();

    public NodeSet Nodes { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Nodes = await NodeSet.StartAsync(new(_folder.Path, NodesKind.Peers, Programs.Om) { WithLinks = true, ServeOptions = ["--quorum-timeout-ms", "500"] });
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
        Assert.Equal(HttpStatusCode.Created, await Nodes.StoreAsync(0, "while suspended"));
    });

    [Fact]
    public Task A_node_that_is_cut_off_misses_its_quorum() => InForceAsync("partition_minority", async () =>
    {
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await Nodes.StoreAsync(Victim, "alone"));
        Assert.Equal(HttpStatusCode.Created, await Nodes.StoreAsync(0, "two of three"));
        Assert.DoesNotContain("two of three", await Nodes.TitlesAsync(Victim));
    });

    [Fact]
    public Task A_node_whose_words_are_lost_still_hears() => InForceAsync("cut_one_way", async () =>
    {
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await Nodes.StoreAsync(Victim, "unheard"));
        Assert.Equal(HttpStatusCode.Created, await Nodes.StoreAsync(0, "heard"));
        await Eventually.HoldsAsync("the row arrives", async () => (await Nodes.TitlesAsync(Victim)).Contains("heard"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await Nodes.StoreAsync(0, "heard and not answered", quorum: "all"));
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
    public Task A_slow_line_is_passed_all_the_same() => InForceAsync("bandwidth", async () => Assert.Equal(HttpStatusCode.Created, await Nodes.StoreAsync(0, "past the slow line")));

    [Fact]
    public Task Broken_connections_are_opened_again() => InForceAsync("reset", async () => Assert.Equal(HttpStatusCode.Created, await Nodes.StoreAsync(0, "past the resets")));

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
        await fault.PrepareAsync(Nodes, Victim);
        await Nodes.ReadyAsync();
        var title = $"before {name}";
        Assert.Equal(HttpStatusCode.Created, await Nodes.StoreAsync(1, title, quorum: "all"));
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
        Assert.Equal(HttpStatusCode.Created, await Nodes.StoreAsync(Victim, $"after {name}", quorum: "all"));
    }
}
