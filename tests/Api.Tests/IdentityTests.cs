using System.Net.Sockets;
using System.Text;

namespace OrleansMemory.Api.Tests;

public sealed class IdentityTests(TestNode node) : IClassFixture<TestNode>
{
    private async Task<string?> AuthorAsync(string title, string extra, params (string, string)[] headers)
    {
        var reply = await node.PostAsync("/api/v1/memories", $$"""{"title":"{{title}}","content":"c"{{extra}}}""", headers);
        reply.ShouldSucceed(201);
        Assert.Equal((string?)reply.Json["metadata"]!["agent_id"], (string?)reply.Json["agent_id"]);
        return (string?)reply.Json["agent_id"];
    }

    [Fact]
    public async Task The_body_wins_over_the_header_and_the_header_over_nothing()
    {
        Assert.Equal("body", await AuthorAsync("i1", ",\"agent_id\":\"body\"", ("X-Agent-Id", "header")));
        Assert.Equal("ai:claude@pc:pid-7", await AuthorAsync("i2", "", ("X-Agent-Id", "ai:claude@pc:pid-7")));
        Assert.Matches("^anonymous:req-[0-9a-f]{8}$", await AuthorAsync("i3", ""));
        Assert.NotEqual(await AuthorAsync("i4", ""), await AuthorAsync("i5", ""));
        Assert.Equal("header", await AuthorAsync("i6", ",\"metadata\":{\"agent_id\":\"hidden\"}", ("X-Agent-Id", "header")));
    }

    [Theory]
    [InlineData("not an id")]
    [InlineData("a,b")]
    public async Task A_header_that_is_no_id_is_refused(string header)
    {
        (await node.PostAsync("/api/v1/memories", """{"title":"t","content":"c"}""", ("X-Agent-Id", header))).ShouldFail(400, "invalid_agent_id", "invalid agent_id: ");
        (await node.PostAsync("/api/v1/memories/bulk", "[]", ("X-Agent-Id", header))).ShouldFail(400, "invalid_agent_id", "invalid agent_id: ");
        var id = await node.StoreAsync($"kept from {header.Length}");
        (await node.DeleteAsync($"/api/v1/memories/{id}", ("X-Agent-Id", header))).ShouldFail(400, "invalid_agent_id", "invalid agent_id: ");
        (await node.SendAsync(HttpMethod.Post, $"/api/v1/memories/{id}/promote", null, ("X-Agent-Id", header))).ShouldFail(400, "invalid_agent_id", "invalid agent_id: ");
    }

    [Theory]
    [InlineData(new byte[] { 0xC3, 0xA9 })]
    [InlineData(new byte[] { 0xE9 })]
    public async Task A_header_beyond_ascii_counts_as_absent(byte[] value)
    {
        var body = $$"""{"title":"beyond {{value.Length}}","content":"c"}""";
        using var client = new TcpClient();
        await client.ConnectAsync(node.Address.Host, node.Address.Port);
        var stream = client.GetStream();
        await stream.WriteAsync((byte[])
        [
            .. Encoding.ASCII.GetBytes($"POST /api/v1/memories HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nX-Agent-Id: "),
            .. value,
            .. Encoding.ASCII.GetBytes($"\r\n\r\n{body}"),
        ]);
        using var reader = new StreamReader(stream);
        var answer = await reader.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 201", answer);
        Assert.Contains("\"agent_id\":\"anonymous:req-", answer);
    }

    [Fact]
    public async Task The_same_idempotency_key_answers_the_same_memory()
    {
        var first = await node.PostAsync("/api/v1/memories", """{"title":"once","content":"c"}""", ("Idempotency-Key", "k1"));
        first.ShouldSucceed(201);
        var total = await node.TotalAsync();
        var second = await node.PostAsync("/api/v1/memories", """{"title":"once","content":"c"}""", ("Idempotency-Key", "k1"));
        second.ShouldSucceed(201);
        Assert.Equal((string?)first.Json["id"], (string?)second.Json["id"]);
        Assert.Equal((string?)first.Json["agent_id"], (string?)second.Json["agent_id"]);
        Assert.Equal(total, await node.TotalAsync());

        (await node.PostAsync("/api/v1/memories", """{"title":"other","content":"c"}""", ("Idempotency-Key", "k1"))).ShouldFail(422, "idempotency_mismatch");
        (await node.PostAsync("/api/v1/memories", """{"title":"t","content":"c"}""", ("Idempotency-Key", new string('k', 256)))).ShouldFail(400, "invalid_idempotency_key");

        // Another caller's key is another key.
        var other = await node.PostAsync("/api/v1/memories", """{"title":"other's","content":"c"}""", ("Idempotency-Key", "k1"), ("X-Agent-Id", "other"));
        other.ShouldSucceed(201);
        Assert.NotEqual((string?)first.Json["id"], (string?)other.Json["id"]);
    }

    [Fact]
    public async Task A_batch_with_an_idempotency_key_is_stored_once()
    {
        const string Body = """[{"title":"batch a","content":"c"},{"title":" ","content":"c"},{"title":"batch b","content":"c"}]""";
        var first = await node.PostAsync("/api/v1/memories/bulk", Body, ("Idempotency-Key", "batch"));
        var total = await node.TotalAsync();
        var second = await node.PostAsync("/api/v1/memories/bulk", Body, ("Idempotency-Key", "batch"));
        Assert.Equal(2, (int)second.Json["created"]!);
        Assert.Equal(first.Json["ids"]!.ToJsonString(), second.Json["ids"]!.ToJsonString());
        Assert.Equal(total, await node.TotalAsync());
    }
}
