using System.Net.Sockets;
using System.Text;

namespace OrleansMemory.Api.Tests;

public sealed class ConcurrencyTests(TestNode node) : IClassFixture<TestNode>
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Two_thousand_creates_of_one_title_are_one_memory()
    {
        var replies = await Task.WhenAll(Enumerable.Range(0, 2_000).Select(writer =>
            node.PostAsync("/api/v1/memories", $$"""{"title":"contended","content":"v-contended-{{writer}}","namespace":"contended"}""")));
        Assert.All(replies, reply => reply.ShouldSucceed(201));
        var id = Assert.Single(replies.Select(reply => (string)reply.Json["id"]!).ToHashSet());
        var listed = await node.GetAsync("/api/v1/memories?namespace=contended");
        Assert.Equal(1, (int)listed.Json["count"]!);
        Assert.Equal(id, (string?)listed.Json["memories"]![0]!["id"]);
        Assert.Contains((string)listed.Json["memories"]![0]!["content"]!, Enumerable.Range(0, 2_000).Select(writer => $"v-contended-{writer}"));
    }

    [Fact]
    public async Task Pages_by_cursor_are_complete_and_without_duplicates_while_others_write()
    {
        var expected = new HashSet<string>();
        for (var batch = 0; batch < 2; batch++)
        {
            var rows = string.Join(',', Enumerable.Range(0, 500).Select(row => $$"""{"title":"page {{batch}}-{{row}}","content":"c","namespace":"paged","priority":{{1 + (row % 10)}}}"""));
            var reply = await node.PostAsync("/api/v1/memories/bulk", $"[{rows}]");
            expected.UnionWith(reply.Json["ids"]!.AsArray().Select(id => (string)id!));
        }

        Assert.Equal(1_000, expected.Count);
        using var done = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 4).Select(async writer =>
        {
            for (var seq = 0; !done.IsCancellationRequested; seq++)
            {
                await node.StoreAsync($"noise {writer}-{seq}", $",\"namespace\":\"paged\",\"priority\":{1 + (seq % 10)}");
            }
        }).ToArray();

        for (var round = 0; round < 3; round++)
        {
            var seen = new List<string>();
            string? cursor = null;
            do
            {
                var page = await node.GetAsync($"/api/v1/memories?namespace=paged&limit=37{(cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor))}");
                page.ShouldSucceed();
                seen.AddRange(page.Json["memories"]!.AsArray().Select(memory => (string)memory!["id"]!));
                cursor = (string?)page.Json["next_cursor"];
            }
            while (cursor is not null);

            Assert.Equal(seen.Count, seen.Distinct().Count());
            Assert.Empty(expected.Except(seen));
        }

        await done.CancelAsync();
        await Task.WhenAll(writers);
    }

    [Fact]
    public async Task A_create_whose_caller_is_gone_is_stored()
    {
        const int Callers = 50;
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(async caller =>
        {
            var body = $$"""{"title":"gone {{caller}}","content":"c","namespace":"gone"}""";
            using var client = new TcpClient();
            await client.ConnectAsync(node.Address.Host, node.Address.Port);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
                $"POST /api/v1/memories HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        }));

        using var deadline = new CancellationTokenSource(Deadline);
        var stored = 0;
        while (stored < Callers)
        {
            Assert.False(deadline.IsCancellationRequested, $"{stored} of {Callers} creates were stored");
            stored = (int)(await node.GetAsync("/api/v1/memories?namespace=gone&limit=200")).Json["count"]!;
        }

        Assert.Empty(node.Log);
    }

    [Fact]
    public async Task Half_a_create_is_not_stored()
    {
        const string Whole = """{"title":"half","content":"c","namespace":"half"}""";
        foreach (var target in (string[])["/api/v1/memories", "/unknown", "/api/v1/memories/nobody/promote"])
        {
            for (var length = 0; length < Whole.Length; length += 5)
            {
                using var client = new TcpClient();
                await client.ConnectAsync(node.Address.Host, node.Address.Port);
                var stream = client.GetStream();
                await stream.WriteAsync(Encoding.ASCII.GetBytes(
                    $"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {Whole.Length}\r\n\r\n{Whole[..length]}"));
                client.Client.Shutdown(SocketShutdown.Send);

                // The node closes its side when it is done with the request.
                try
                {
                    using var reader = new StreamReader(stream);
                    var answer = await reader.ReadToEndAsync();
                    Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal), answer);
                }
                catch (IOException)
                {
                    // Closed before all that was sent was read.
                }
            }
        }

        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/memories?namespace=half")).Json["count"]!);
        Assert.Empty(node.Log);
    }

    [Fact]
    public async Task A_reader_that_leaves_an_export_half_way_harms_nobody()
    {
        var content = new string('x', 60_000);
        for (var batch = 0; batch < 10; batch++)
        {
            var rows = string.Join(',', Enumerable.Range(0, 30).Select(row => $$"""{"title":"large {{batch}}-{{row}}","content":"{{content}}","namespace":"large"}"""));
            (await node.PostAsync("/api/v1/memories/bulk", $"[{rows}]")).ShouldSucceed();
        }

        for (var reader = 0; reader < 5; reader++)
        {
            using var response = await node.Client.GetAsync("/api/v1/export", HttpCompletionOption.ResponseHeadersRead);
            await using var stream = await response.Content.ReadAsStreamAsync();
            await stream.ReadExactlyAsync(new byte[1_000_000]);
        }

        (await node.GetAsync("/readyz")).ShouldSucceed();
        Assert.Empty(node.Log);
    }
}
