using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Grains.Tests;

/// <summary>A node whose clock is wrong decides nothing; its namespaces are decided elsewhere. A cluster of its own: the clock stays wrong.</summary>
public sealed class WrongClockTests(GrainCluster cluster) : IClassFixture<GrainCluster>
{
    private static readonly WriteContext Alice = new("alice");

    [Fact]
    public async Task What_a_node_with_a_wrong_clock_decided_another_decides()
    {
        var first = await cluster.Nodes[0].StoreAsync(Draft("a"), Alice);
        var wrong = Enumerable.Range(0, GrainCluster.Count).Single(node => GrainCluster.NameOf(node) == first.Position.Log.Node);
        cluster.Time(wrong).Ahead = TimeSpan.FromMinutes(10);
        await Eventually.HoldsAsync("the node knows that its clock is wrong", () => Task.FromResult(cluster.Nodes[wrong].Health().Reason?.Contains("clock", StringComparison.Ordinal) == true));
        foreach (var node in cluster.Nodes)
        {
            var moved = await node.StoreAsync(Draft("b"), Alice);
            Assert.NotEqual(first.Position.Log.Node, moved.Position.Log.Node);
            Assert.Equal(Durabilities.Quorum, moved.Durability);

            // The new place holds what the old one decided.
            var again = await node.StoreAsync(Draft("a"), Alice);
            Assert.Equal((first.Memory.Id, false), (again.Memory.Id, again.Created));
        }
    }

    private static MemoryDraft Draft(string title) => new() { Title = title, Content = $"content{title}", Namespace = "clocks" };
}
