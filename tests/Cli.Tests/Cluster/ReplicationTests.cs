using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>Every write reaches every node, whatever became of the request that brought it.</summary>
public sealed class ReplicationTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Theory]
    [Trait(Campaign.Trait, "cluster")]
    [InlineData(0)]
    [InlineData(300)]
    public async Task Every_answered_write_is_soon_on_all_nodes_also_on_a_slow_one(int delayMilliseconds)
    {
        const int Writers = 16;
        var writes = Campaign.Count("cluster", reduced: 320, full: 8_000);
        await using var cluster = await ProcessCluster.StartAsync();
        cluster.Link(0, 2).DelayMilliseconds = delayMilliseconds;
        cluster.Link(1, 2).DelayMilliseconds = delayMilliseconds;
        var slowest = TimeSpan.Zero;
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(async writer =>
        {
            for (var number = writer; number < writes; number += Writers)
            {
                var answer = (await cluster[number % 2].StoreAsync($"w-{number}", $"v-{number}")).Is(HttpStatusCode.Created);
                Assert.True(answer.Number("quorum_acks") >= 2, $"quorum_acks in {answer.Body}");
                slowest = answer.Elapsed > slowest ? answer.Elapsed : slowest;
            }
        }));
        var lastAnswer = Stopwatch.StartNew();
        foreach (var node in cluster.Nodes)
        {
            while (await node.TotalAsync() is var total && total != writes)
            {
                Assert.True(lastAnswer.Elapsed < Deadline, $"{Deadline.TotalSeconds} s after the last answer {node} holds {total} of {writes} writes");
            }
        }

        var converged = lastAnswer.Elapsed;
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"peer delay {delayMilliseconds} ms: {writes} writes, slowest answer {slowest.TotalMilliseconds:F0} ms, on all nodes {converged.TotalMilliseconds:F0} ms after the last answer");
        Assert.Equal(
            Enumerable.Range(0, writes).ToDictionary(static number => $"w-{number}", static number => $"v-{number}"),
            new Dictionary<string, string>(await cluster[2].ContentsAsync()));
        await cluster.EndEqualAsync();
    }

    [Fact]
    [Trait(Campaign.Trait, "cluster")]
    public async Task A_write_whose_client_left_right_after_sending_reaches_all_nodes()
    {
        var writes = Campaign.Count("cluster", reduced: 50, full: 2_000);
        await using var cluster = await ProcessCluster.StartAsync();

        // No quorum can be met before the client is gone.
        cluster.Link(0, 1).DelayMilliseconds = 100;
        cluster.Link(0, 2).DelayMilliseconds = 100;
        for (var number = 0; number < writes; number++)
        {
            await SendAndLeaveAsync(cluster[0], $"left-{number}", $"v-{number}");
        }

        await Eventually.HoldsAsync("all writes are on the last node", async () => await cluster[2].TotalAsync() == writes);
        await cluster.ConvergedAsync();
        Assert.Equal(
            Enumerable.Range(0, writes).ToDictionary(static number => $"left-{number}", static number => $"v-{number}"),
            new Dictionary<string, string>(await cluster[1].ContentsAsync()));
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task Every_kind_of_write_reaches_every_node()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        var first = (await cluster[0].StoreAsync("first", "one", tier: "mid")).Is(HttpStatusCode.Created).Id;
        var second = (await cluster[1].StoreAsync("second", "two")).Is(HttpStatusCode.Created).Id;
        var third = (await cluster[2].StoreAsync("third", "three")).Is(HttpStatusCode.Created).Id;
        await cluster.ConvergedAsync();
        (await cluster[2].UpdateAsync(first, new { title = "renamed", content = "changed" })).Is(HttpStatusCode.OK);
        (await cluster[1].PromoteAsync(first)).Is(HttpStatusCode.OK);
        (await cluster[0].LinkAsync(first, second, "supersedes")).Is(HttpStatusCode.Created);
        (await cluster[1].DeleteAsync(third)).Is(HttpStatusCode.OK);
        await cluster.ConvergedAsync();
        foreach (var node in cluster.Nodes)
        {
            var memory = (await node.GetAsync(first)).Is(HttpStatusCode.OK).Body;
            Assert.Equal(
                ("renamed", "changed", "long"),
                (memory.GetProperty("memory").GetProperty("title").GetString(), memory.GetProperty("memory").GetProperty("content").GetString(), memory.GetProperty("memory").GetProperty("tier").GetString()));
            Assert.Equal(second, Assert.Single(memory.GetProperty("links").EnumerateArray()).GetProperty("target_id").GetString());
            (await node.GetAsync(third)).Is(HttpStatusCode.NotFound);
        }

        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task One_title_stored_on_two_nodes_at_once_is_one_memory_everywhere()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        Part(cluster, apart: true);
        var ids = new[]
        {
            (await cluster[0].StoreAsync("same", "from n1")).Is(HttpStatusCode.Created).Id,
            (await cluster[1].StoreAsync("same", "from n2")).Is(HttpStatusCode.Created).Id,
        };
        Assert.NotEqual(ids[0], ids[1]);
        Part(cluster, apart: false);
        await cluster.ConvergedAsync();
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal("from n2", Assert.Single(await node.ContentsAsync()).Value);
            var shown = (await Task.WhenAll(ids.Select(node.GetAsync))).Select(static answer => answer.Is(HttpStatusCode.OK).Body.GetProperty("memory").GetProperty("id").GetString());
            Assert.Single(shown.Distinct());
        }

        // A command on one id is a command on the group.
        (await cluster[2].DeleteAsync(ids[0])).Is(HttpStatusCode.OK);
        await cluster.ConvergedAsync();
        Assert.All(cluster.Nodes, node => Assert.Empty(node.ContentsAsync().GetAwaiter().GetResult()));
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task Renames_on_two_nodes_at_once_end_in_one_state()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        var a = (await cluster[0].StoreAsync("a", "content a")).Is(HttpStatusCode.Created).Id;
        var b = (await cluster[0].StoreAsync("b", "content b")).Is(HttpStatusCode.Created).Id;
        await cluster.ConvergedAsync();
        Part(cluster, apart: true);
        (await cluster[0].UpdateAsync(a, new { title = "c" })).Is(HttpStatusCode.OK);
        (await cluster[1].UpdateAsync(b, new { title = "c" })).Is(HttpStatusCode.OK);
        (await cluster[1].StoreAsync("d", "content d")).Is(HttpStatusCode.Created);
        (await cluster[0].UpdateAsync(a, new { title = "d" })).Is(HttpStatusCode.OK);
        Part(cluster, apart: false);
        await cluster.ConvergedAsync();
        foreach (var node in cluster.Nodes)
        {
            Assert.Equal(["c", "d"], (await node.ContentsAsync()).Keys.Order(StringComparer.Ordinal));
        }

        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task A_store_that_meets_a_delete_of_its_title_is_not_lost()
    {
        await using var cluster = await ProcessCluster.StartAsync();
        var deleted = (await cluster[0].StoreAsync("title", "old")).Is(HttpStatusCode.Created).Id;
        await cluster.ConvergedAsync();
        Part(cluster, apart: true);
        (await cluster[0].DeleteAsync(deleted)).Is(HttpStatusCode.OK);
        await Eventually.HoldsAsync("the third node knows of the delete", async () => (await cluster[2].GetAsync(deleted)).Status == HttpStatusCode.NotFound);

        // This node does not know of the delete yet, and the one that must acknowledge does.
        var stored = (await cluster[1].StoreAsync("title", "new")).Is(HttpStatusCode.Created).Id;
        Part(cluster, apart: false);
        await cluster.ConvergedAsync();
        foreach (var node in cluster.Nodes)
        {
            (await node.GetAsync(deleted)).Is(HttpStatusCode.NotFound);
            Assert.Equal("new", (await node.GetAsync(stored)).Is(HttpStatusCode.OK).Body.GetProperty("memory").GetProperty("content").GetString());
        }

        await cluster.EndEqualAsync();
    }

    [Fact]
    [Trait(Campaign.Trait, "cluster")]
    public async Task Stores_deletes_and_renames_of_few_titles_through_broken_links_end_in_one_state()
    {
        var rounds = Campaign.Count("cluster", reduced: 60, full: 1_500);
        await using var cluster = await ProcessCluster.StartAsync();
        using var stop = new CancellationTokenSource();
        var breaking = BreakAsync(cluster, new Random(8), stop.Token);
        var statuses = await Task.WhenAll(Enumerable.Range(0, 9).Select(async writer =>
        {
            var random = new Random(writer);
            var ids = new List<string>();
            var answered = 0;
            for (var round = 0; round < rounds; round++)
            {
                var node = cluster[random.Next(3)];
                var answer = random.Next(5) switch
                {
                    0 when ids.Count > 0 => await node.UpdateAsync(ids[random.Next(ids.Count)], new { title = $"t-{random.Next(8)}" }, "1"),
                    1 when ids.Count > 0 => await node.DeleteAsync(ids[random.Next(ids.Count)]),
                    2 when ids.Count > 0 => await node.PromoteAsync(ids[random.Next(ids.Count)]),
                    _ => await node.StoreAsync($"t-{random.Next(8)}", $"v-{writer}-{round}"),
                };
                Assert.True(answer.Code is 200 or 201 or 404 or 409 or 503, $"{answer.Status}: {answer.Body}");
                answered += answer.Code < 300 ? 1 : 0;
                if (answer.Status == HttpStatusCode.Created)
                {
                    ids.Add(answer.Id);
                }
            }

            return answered;
        }));
        await stop.CancelAsync();
        await breaking;
        Assert.True(statuses.Sum() > rounds, $"only {statuses.Sum()} writes were answered");
        await cluster.EndEqualAsync();
    }

    /// <summary>Cuts the first two nodes off each other; the third hears both.</summary>
    private static void Part(ProcessCluster cluster, bool apart)
    {
        cluster.Link(0, 1).RequestsCut = apart;
        cluster.Link(1, 0).RequestsCut = apart;
    }

    private static async Task BreakAsync(ProcessCluster cluster, Random random, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var from = random.Next(3);
            var link = cluster.Link(from, (from + random.Next(1, 3)) % 3);
            switch (random.Next(4))
            {
                case 0:
                    link.Reset();
                    break;
                case 1:
                    link.RequestsCut = true;
                    break;
                case 2:
                    link.AnswersCut = true;
                    break;
                default:
                    link.DelayMilliseconds = random.Next(30);
                    break;
            }

            await Task.Delay(random.Next(5, 60), CancellationToken.None);
            link.RequestsCut = false;
            link.AnswersCut = false;
            link.DelayMilliseconds = 0;
        }
    }

    private static async Task SendAndLeaveAsync(ClusterNode node, string title, string content)
    {
        var body = $$"""{"title":"{{title}}","content":"{{content}}","namespace":"{{ClusterNode.Namespace}}","tier":"long"}""";
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, node.Http.BaseAddress!.Port);
        await socket.SendAsync(Encoding.ASCII.GetBytes(
            $"POST /api/v1/memories HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        socket.Shutdown(SocketShutdown.Both);
    }
}
