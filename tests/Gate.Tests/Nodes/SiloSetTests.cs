using System.Net;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Tests.Nodes;

/// <summary>Silos, whose members are in PostgreSQL.</summary>
public sealed class SiloSetTests
{
    private const int Victim = 2;
    private const int Namespaces = 8;

    /// <summary>Not so long that a silo would be declared dead.</summary>
    private static readonly TimeSpan Held = TimeSpan.FromSeconds(0.5);

    private static readonly TimeSpan AskedAgain = TimeSpan.FromSeconds(25);

    [Fact]
    public async Task A_silo_that_was_declared_dead_is_started_again()
    {
        await RunAsync(static plan => plan, static async nodes =>
        {
            Assert.Equal(HttpStatusCode.Created, await nodes.StoreAsync(0, "before", quorum: "all"));
            await nodes.SuspendAsync(2);
            await Eventually.HoldsAsync("the others go on", async () => await nodes.StoreAsync(0, "while suspended") == HttpStatusCode.Created);
            await nodes.ResumeAsync(2);
            await nodes.ReadyAsync();
            await nodes.KillAsync(1);
            await nodes.StartNodeAsync(1);
            await nodes.ReadyAsync();
            await nodes.ConvergedAsync();
            Assert.Equal(["before", "while suspended"], (await nodes.TitlesAsync(1)).Distinct());
        });
    }

    [Theory]
    [InlineData("partition_minority")]
    [InlineData("cut_one_way")]
    public async Task A_silo_that_is_cut_off_acknowledges_nothing_the_others_go_on_and_it_comes_back(string name)
    {
        Assert.SkipWhen(SocketOwner.WhyNot is not null, SocketOwner.WhyNot ?? "");
        var fault = FaultInjector.All.Single(fault => fault.Name == name);
        await RunAsync(fault.Require, async nodes =>
        {
            // Its connections are open before they are cut.
            Assert.Equal(HttpStatusCode.Created, await nodes.StoreAsync(0, "before", quorum: "all"));
            await fault.InjectAsync(nodes, Victim);
            Assert.NotEqual(HttpStatusCode.Created, await nodes.StoreAsync(Victim, "alone"));
            await Eventually.HoldsAsync("the others go on", async () => await nodes.StoreAsync(0, "two of three") == HttpStatusCode.Created);
            Assert.NotEqual(HttpStatusCode.Created, await nodes.StoreAsync(0, "all of three", quorum: "all"));
            await Eventually.HoldsAsync("it hears that it was declared dead", () => Task.FromResult(!nodes.IsRunning(Victim)));
            await fault.HealAsync(nodes, Victim);
            await nodes.ReadyAsync();
            await nodes.ConvergedAsync();
            Assert.Equal(1, nodes.RevivalsOf(Victim));
            Assert.Contains("two of three", await nodes.TitlesAsync(Victim));
            await Eventually.HoldsAsync("it counts again", async () => await nodes.StoreAsync(Victim, "after", quorum: "all") == HttpStatusCode.Created);
        });
    }

    /// <summary>Orleans waits half a minute for an answer, and all calls of a grain wait for the one that asks where it is.</summary>
    [Fact]
    public async Task What_is_lost_with_a_connection_is_asked_again_soon()
    {
        Assert.SkipWhen(SocketOwner.WhyNot is not null, SocketOwner.WhyNot ?? "");
        await RunAsync(static plan => plan with { WithLinks = true }, static async nodes =>
        {
            (int Node, string Namespace)[] asked = [.. Enumerable.Range(0, nodes.Count).SelectMany(static node => Enumerable.Range(0, Namespaces), static (node, number) => (node, $"gate-{node}-{number}"))];
            (int From, int To)[] pairs = [.. Enumerable.Range(0, nodes.Count).SelectMany(from => Enumerable.Range(0, nodes.Count).Where(to => to != from), static (from, to) => (from, to))];
            LinkProxy[] links = [.. pairs.Select(pair => nodes.Link(pair.From, pair.To)!)];
            Assert.Equal(HttpStatusCode.Created, await nodes.StoreAsync(0, "before", quorum: "all"));
            Array.ForEach(links, static link => link.RequestsCut = link.AnswersCut = true);
            var lost = asked.Select(each => nodes.StoreAsync(each.Node, "lost", @namespace: each.Namespace)).ToList();
            await Task.Delay(Held);
            Array.ForEach(links, static link => link.Reset());
            Array.ForEach(links, static link => link.RequestsCut = link.AnswersCut = false);
            var started = TimeProvider.System.GetTimestamp();
            await Task.WhenAll(asked.Select(each =>
                Eventually.HoldsAsync($"{each.Namespace} takes a write", async () => await nodes.StoreAsync(each.Node, "again", @namespace: each.Namespace) is HttpStatusCode.Created)));
            Assert.True(TimeProvider.System.GetElapsedTime(started) < AskedAgain, $"it took {TimeProvider.System.GetElapsedTime(started)}");
            await Task.WhenAll(lost);
        });
    }

    private static async Task RunAsync(Func<NodesPlan, NodesPlan> require, Func<NodeSet, Task> look)
    {
        Assert.SkipWhen(Programs.Silo is null, "om-silo is not built here");

        // As root, another user runs PostgreSQL and must reach its folder.
        var folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"om-gate-{Guid.NewGuid():n}"[..24])).FullName;
        try
        {
            await using var members = await PostgresServer.StartAsync(Programs.Om, Path.Combine(folder, "pg"));
            await using var nodes = await NodeSet.StartAsync(require(new(folder, NodesKind.Silo, Programs.Om, Programs.Silo) { MembershipUrl = members.Url }));
            await nodes.ReadyAsync();
            await look(nodes);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
