using System.Net;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Tests.Nodes;

/// <summary>Silos, whose members are in PostgreSQL.</summary>
public sealed class SiloSetTests
{
    private const int Victim = 2;

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
            await fault.HealAsync(nodes, Victim);
            await nodes.ReadyAsync();
            await nodes.ConvergedAsync();
            Assert.Contains("two of three", await nodes.TitlesAsync(Victim));
            await Eventually.HoldsAsync("it counts again", async () => await nodes.StoreAsync(Victim, "after", quorum: "all") == HttpStatusCode.Created);
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
