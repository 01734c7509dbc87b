namespace OrleansMemory.Api.Tests.Tenants;

/// <summary>What was granted is seen, and changed as far as it was granted, on every path; what was revoked is not any more.</summary>
public sealed class GrantTests
{
    [Fact]
    public async Task A_granted_memory_is_seen_everywhere_until_it_is_revoked()
    {
        await using var node = await StartAsync();
        var id = await StoreAsync(node, "secret plan");
        await StoreAsync(node, "secret other");
        Assert.Empty(await SeenAsync(node, "bob"));
        Assert.Equal(200, (await SendAsync(node, "alice", HttpMethod.Post, $"/api/v1/memories/{id}/grant", """{"agent_id":"bob"}""")).Status);
        Assert.Equal([$"get {id}", $"list {id}", $"search {id}", $"recall {id}", $"export {id}", $"sync {id}", "total 1"], await SeenAsync(node, "bob"));

        // Seen and no more: it is not there to be changed or handed on.
        Assert.Equal(403, (await SendAsync(node, "bob", HttpMethod.Put, $"/api/v1/memories/{id}", """{"content":"mine"}""")).Status);
        Assert.Equal(403, (await SendAsync(node, "bob", HttpMethod.Delete, $"/api/v1/memories/{id}")).Status);
        Assert.Equal(403, (await SendAsync(node, "bob", HttpMethod.Post, $"/api/v1/memories/{id}/grant", """{"agent_id":"eve"}""")).Status);
        Assert.Equal(0, (int)(await SendAsync(node, "bob", HttpMethod.Post, "/api/v1/forget", """{"pattern":"secret"}""")).Json["deleted"]!);
        Assert.Equal(409, (await SendAsync(node, "bob", HttpMethod.Post, "/api/v1/memories", """{"title":"secret plan","content":"mine","namespace":"alice"}""")).Status);
        Assert.Empty(await SeenAsync(node, "eve"));

        // The grant is told to who has the memory and to who has the grant.
        Assert.Equal(1, (int)(await SendAsync(node, "alice", HttpMethod.Get, $"/api/v1/memories/{id}/grants")).Json["count"]!);
        await SendAsync(node, "alice", HttpMethod.Post, $"/api/v1/memories/{id}/grant", """{"agent_id":"eve"}""");
        Assert.Equal(1, (int)(await SendAsync(node, "bob", HttpMethod.Get, $"/api/v1/memories/{id}/grants")).Json["count"]!);

        Assert.Equal(200, (await SendAsync(node, "alice", HttpMethod.Post, $"/api/v1/memories/{id}/revoke", """{"agent_id":"bob"}""")).Status);
        Assert.Empty(await SeenAsync(node, "bob"));
        Assert.Equal(200, (await SendAsync(node, "eve", HttpMethod.Post, $"/api/v1/memories/{id}/revoke", """{"agent_id":"eve"}""")).Status);
        Assert.Empty(await SeenAsync(node, "eve"));
    }

    [Fact]
    public async Task Who_was_granted_to_write_writes_and_who_was_granted_all_grants()
    {
        await using var node = await StartAsync();
        var id = await StoreAsync(node, "shared plan");
        await SendAsync(node, "alice", HttpMethod.Post, $"/api/v1/memories/{id}/grant", """{"agent_id":"bob","permission":"write"}""");
        Assert.Equal(200, (await SendAsync(node, "bob", HttpMethod.Put, $"/api/v1/memories/{id}", """{"content":"changed by bob"}""")).Status);
        Assert.Equal(403, (await SendAsync(node, "bob", HttpMethod.Post, $"/api/v1/memories/{id}/grant", """{"agent_id":"eve"}""")).Status);
        await SendAsync(node, "alice", HttpMethod.Post, $"/api/v1/memories/{id}/grant", """{"agent_id":"bob","permission":"admin"}""");
        Assert.Equal(200, (await SendAsync(node, "bob", HttpMethod.Post, $"/api/v1/memories/{id}/grant", """{"agent_id":"eve"}""")).Status);
        Assert.Equal(200, (await SendAsync(node, "eve", HttpMethod.Get, $"/api/v1/memories/{id}")).Status);

        // The author stays, and a reader's key still writes nothing.
        Assert.Equal("alice", (string?)(await SendAsync(node, "alice", HttpMethod.Get, $"/api/v1/memories/{id}")).Json["metadata"]!["agent_id"]);
        await SendAsync(node, "alice", HttpMethod.Post, $"/api/v1/memories/{id}/grant", """{"agent_id":"rob","permission":"write"}""");
        Assert.Equal(200, (await SendAsync(node, "rob", HttpMethod.Get, $"/api/v1/memories/{id}")).Status);
        Assert.Equal(403, (await SendAsync(node, "rob", HttpMethod.Put, $"/api/v1/memories/{id}", """{"content":"x"}""")).Status);
    }

    private static Task<TestNode> StartAsync() => TestNode.StartAsync(new()
    {
        Port = 0,
        Keys = [.. ((string[])["alice", "bob", "eve"]).Select(name => new Configuration.KeyOptions(name) { Key = $"key-{name}", AgentId = name }), new("rob") { Key = "key-rob", AgentId = "rob", Role = "reader" }],
    });

    private static async Task<string> StoreAsync(TestNode node, string title)
    {
        var reply = await SendAsync(node, "alice", HttpMethod.Post, "/api/v1/memories", $$"""{"title":"{{title}}","content":"c","namespace":"alice"}""");
        Assert.Equal(201, reply.Status);
        return (string)reply.Json["id"]!;
    }

    private static async Task<List<string>> SeenAsync(TestNode node, string agent)
    {
        var seen = new List<string>();
        var listed = (await SendAsync(node, agent, HttpMethod.Get, "/api/v1/memories")).Json["memories"]!.AsArray().Select(memory => (string)memory!["id"]!).ToList();
        foreach (var id in listed)
        {
            Assert.Equal(200, (await SendAsync(node, agent, HttpMethod.Get, $"/api/v1/memories/{id}")).Status);
            seen.Add($"get {id}");
        }

        seen.AddRange(listed.Select(id => $"list {id}"));
        foreach (var (path, field, name) in ((string, string, string)[])
        [
            ("/api/v1/search?q=secret", "results", "search"), ("/api/v1/recall?context=secret", "memories", "recall"), ("/api/v1/export", "memories", "export"), ("/api/v1/sync/since", "memories", "sync"),
        ])
        {
            seen.AddRange((await SendAsync(node, agent, HttpMethod.Get, path)).Json[field]!.AsArray().Select(memory => $"{name} {memory!["id"]}"));
        }

        if ((int)(await SendAsync(node, agent, HttpMethod.Get, "/api/v1/stats")).Json["total"]! is > 0 and var total)
        {
            seen.Add($"total {total}");
        }

        return seen;
    }

    private static Task<Reply> SendAsync(TestNode node, string agent, HttpMethod method, string path, string? body = null) =>
        node.SendAsync(method, path, body is null ? null : TestNode.Json(body), ("X-API-Key", $"key-{agent}"));
}
