using System.Net;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Tests.Nodes;

/// <summary>Silos, whose members are in PostgreSQL.</summary>
public sealed class SiloSetTests
{
    [Fact]
    public async Task A_silo_that_was_declared_dead_is_started_again()
    {
        Assert.SkipWhen(Programs.Silo is null, "om-silo is not built here");

        // As root, another user runs PostgreSQL and must reach its folder.
        var folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"om-gate-{Guid.NewGuid():n}"[..24])).FullName;
        try
        {
            await using var members = await PostgresServer.StartAsync(Programs.Om, Path.Combine(folder, "pg"));
            await using var nodes = await NodeSet.StartAsync(new(folder, NodesKind.Silo, Programs.Om, Programs.Silo) { MembershipUrl = members.Url });
            await nodes.ReadyAsync();
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
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
