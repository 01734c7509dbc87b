using System.Net;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>What a coordinator answers when peers are gone or silent, and what becomes of what it answered.</summary>
public sealed class QuorumTests
{
    [Fact]
    public async Task With_one_peer_down_writes_go_on_and_with_two_they_are_refused_at_once()
    {
        const int Timeout = 10_000;
        await using var cluster = await ProcessCluster.StartAsync(timeoutMilliseconds: Timeout);
        await cluster[2].KillAsync();
        Assert.Equal(2, (await cluster[0].StoreAsync("one down", "v")).Is(HttpStatusCode.Created).Number("quorum_acks"));
        await cluster[1].KillAsync();
        await Eventually.HoldsAsync("both peers are known to be down", async () => await ProcessCluster.HeardAsync(cluster[0]) == 0);
        var refused = (await cluster[0].StoreAsync("two down", "v", key: "k")).MissesQuorum("unreachable", "stored_locally");
        Assert.Equal((1, 2), (refused.Number("got"), refused.Number("needed")));
        Assert.True(refused.Elapsed < TimeSpan.FromMilliseconds(Timeout / 2), $"answered after {refused.Elapsed.TotalMilliseconds:F0} ms");
        var id = refused.Id;
        Assert.Equal(id, (await cluster[0].StoreAsync("two down", "v", key: "k")).MissesQuorum("unreachable", "stored_locally").Id);
        (await cluster[0].StoreAsync("below", "v", quorum: "1")).Is(HttpStatusCode.Created);

        await cluster[1].StartAsync();
        await cluster[2].StartAsync();
        await cluster.ConnectedAsync();
        Assert.Equal(id, (await cluster[0].StoreAsync("two down", "v", key: "k")).Is(HttpStatusCode.Created).Id);
        await cluster.ConvergedAsync();
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal(["below", "one down", "two down"], (await node.ContentsAsync()).Keys.Order(StringComparer.Ordinal));
            (await node.GetAsync(id)).Is(HttpStatusCode.OK);
        }

        // The key means the same memory on every node.
        Assert.Equal(id, (await cluster[2].StoreAsync("two down", "v", key: "k")).Is(HttpStatusCode.Created).Id);
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task With_two_peers_paused_a_write_is_refused_at_the_deadline()
    {
        const int Timeout = 1_500;
        await using var cluster = await ProcessCluster.StartAsync(timeoutMilliseconds: Timeout);
        cluster[1].Suspend();
        cluster[2].Suspend();
        var refused = await Task.WhenAll(Enumerable.Range(0, 4).Select(number => cluster[0].StoreAsync($"paused-{number}", "v", key: $"k{number}")));
        foreach (var answer in refused)
        {
            answer.MissesQuorum("timeout", "stored_locally");
            Assert.Equal((1, 2), (answer.Number("got"), answer.Number("needed")));
            Assert.True(
                answer.Elapsed > TimeSpan.FromMilliseconds(Timeout - 50) && answer.Elapsed < TimeSpan.FromMilliseconds(Timeout + 5_000),
                $"answered after {answer.Elapsed.TotalMilliseconds:F0} ms");
        }

        cluster[1].Resume();
        cluster[2].Resume();
        var again = await Task.WhenAll(Enumerable.Range(0, 4).Select(number => cluster[0].StoreAsync($"paused-{number}", "v", key: $"k{number}")));
        Assert.Equal(refused.Select(static answer => answer.Id), again.Select(static answer => answer.Is(HttpStatusCode.Created).Id));
        await cluster.ConvergedAsync();
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal(refused.Select(static answer => answer.Id).Order(StringComparer.Ordinal), (await node.ListAsync()).Keys.Order(StringComparer.Ordinal));
        }

        await cluster.EndEqualAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task With_answers_or_requests_lost_on_the_way_a_write_is_stored_once(bool answers)
    {
        await using var cluster = await ProcessCluster.StartAsync(timeoutMilliseconds: 1_000);
        Cut(true);
        var refused = (await cluster[0].StoreAsync("cut", "v", key: "k")).MissesQuorum("timeout", "stored_locally");
        cluster.Link(0, 1).Reset();
        cluster.Link(0, 2).Reset();
        Cut(false);
        await Eventually.HoldsAsync("a retry is answered", async () =>
        {
            var again = await cluster[0].StoreAsync("cut", "v", key: "k");
            Assert.Equal(refused.Id, again.Id);
            return again.Status == HttpStatusCode.Created;
        });
        await cluster.ConvergedAsync();
        Assert.Equal(refused.Id, Assert.Single(await cluster[2].ListAsync()).Key);
        await cluster.EndEqualAsync();

        void Cut(bool cut)
        {
            foreach (var link in new[] { cluster.Link(0, 1), cluster.Link(0, 2) })
            {
                link.AnswersCut = cut && answers;
                link.RequestsCut = cut && !answers;
            }
        }
    }
}
