using OrleansMemory.Api.Configuration;

namespace OrleansMemory.Api.Tests.Tenants;

/// <summary>What a key lets its bearer do, and who it says that the bearer is.</summary>
public sealed class RoleTests(RoleTests.KeyedNode keyed) : IClassFixture<RoleTests.KeyedNode>
{
    private static readonly (string, string)[] Reader = [("X-API-Key", "r")];
    private static readonly (string, string)[] Writer = [("X-API-Key", "w")];
    private static readonly (string, string)[] Admin = [("X-API-Key", "a")];
    private static readonly (string, string)[] Peer = [("X-API-Key", "p")];

    private TestNode Node => keyed.Node;

    [Fact]
    public async Task A_reader_changes_nothing()
    {
        var id = (string)(await Node.PostAsync("/api/v1/memories", """{"title":"read only","content":"c","scope":"collective"}""", Writer)).Json["id"]!;
        (await Node.GetAsync($"/api/v1/memories/{id}", Reader)).ShouldSucceed();
        foreach (var (method, path, body) in ((string, string, string?)[])
        [
            ("POST", "/api/v1/memories", """{"title":"t","content":"c"}"""),
            ("POST", "/api/v1/memories/bulk", """[{"title":"t","content":"c"}]"""),
            ("POST", "/api/v1/import", """{"memories":[]}"""),
            ("PUT", $"/api/v1/memories/{id}", """{"content":"x"}"""),
            ("DELETE", $"/api/v1/memories/{id}", null),
            ("POST", $"/api/v1/memories/{id}/promote", null),
            ("POST", "/api/v1/links", $$"""{"source_id":"{{id}}","target_id":"x"}"""),
            ("POST", "/api/v1/forget", """{"namespace":"global"}"""),
            ("POST", "/api/v1/gc", null),
            ("POST", "/api/v1/sync/push", """{"sender_agent_id":"x","memories":[]}"""),
            ("PUT", "/api/v1/namespaces/policy?namespace=x", """{"quorum_writes":1}"""),
            ("POST", "/api/v1/namespaces", $$"""{"namespace":"x","id":"{{id}}"}"""),
            ("DELETE", "/api/v1/namespaces?namespace=x", null),
            ("DELETE", "/api/v1/archive", null),
            ("POST", $"/api/v1/archive/{id}/restore", null),
            ("POST", "/api/v1/notify", """{"to":"writer","subject":"s","body":"b"}"""),
            ("POST", "/api/v1/consolidate", """{"ids":["x","y"],"title":"t","summary":"s"}"""),
            ("POST", "/api/v1/curation/x/undo", null),
            ("POST", "/api/v1/subscriptions", """{"url":"https://example.org/"}"""),
            ("DELETE", "/api/v1/subscriptions/x", null),
            ("POST", "/api/v1/inbox/read", """{"ids":[]}"""),
            ("POST", "/api/v1/pending/x/approve", null),
            ("POST", "/api/v1/agents", """{"agent_id":"reader","agent_type":"human"}"""),
        ])
        {
            (await Node.SendAsync(new(method), path, body is null ? null : TestNode.Json(body), Reader)).ShouldFail(403, "forbidden", "this credential may not");
        }
    }

    [Fact]
    public async Task Only_an_administrator_purges_and_sets_quorums()
    {
        foreach (var (method, path, body) in ((string, string, string?)[])[("DELETE", "/api/v1/archive?older_than_days=1", null), ("PUT", "/api/v1/namespaces/policy?namespace=x", """{"quorum_writes":1}""")])
        {
            (await Node.SendAsync(new(method), path, body is null ? null : TestNode.Json(body), Writer)).ShouldFail(403, "forbidden");
            (await Node.SendAsync(new(method), path, body is null ? null : TestNode.Json(body), Admin)).ShouldSucceed();
        }
    }

    [Fact]
    public async Task A_peer_pushes_and_pulls_and_does_nothing_else()
    {
        (await Node.PostAsync("/api/v1/sync/push", """{"sender_agent_id":"x","memories":[]}""", Peer)).ShouldSucceed();
        (await Node.PostAsync("/api/v1/sync/push", """{"sender_agent_id":"x","memories":[]}""", Writer)).ShouldFail(403, "forbidden");
        (await Node.PostAsync("/api/v1/memories", """{"title":"t","content":"c"}""", Peer)).ShouldFail(403, "forbidden");
    }

    [Fact]
    public async Task A_bound_key_speaks_for_its_agent_and_no_other()
    {
        var stored = await Node.PostAsync("/api/v1/memories", """{"title":"bound","content":"c","metadata":{"agent_id":"eve","agent_identity":"forged"}}""", Writer);
        stored.ShouldSucceed(201);
        Assert.Equal("writer", (string?)stored.Json["agent_id"]);
        Assert.Equal("""{"agent_id":"writer","agent_identity":"bound"}""", stored.Json["metadata"]!.ToJsonString());
        (await Node.PostAsync("/api/v1/memories", """{"title":"t","content":"c","agent_id":"eve"}""", Writer)).ShouldFail(403, "forbidden", "bound to the agent writer");
        (await Node.PostAsync("/api/v1/memories", """{"title":"t","content":"c"}""", [.. Writer, ("X-Agent-Id", "eve")])).ShouldFail(403, "forbidden");
        (await Node.PostAsync("/api/v1/agents", """{"agent_id":"eve","agent_type":"human"}""", Writer)).ShouldFail(403, "forbidden");

        var updated = await Node.PutAsync($"/api/v1/memories/{stored.Json["id"]}", """{"metadata":{"x":1,"agent_id":"eve","agent_identity":"forged"}}""", Admin);
        Assert.Equal("""{"agent_id":"writer","agent_identity":"bound","x":1}""", updated.Json["metadata"]!.ToJsonString());
    }

    [Fact]
    public async Task A_claimed_author_is_marked_as_claimed()
    {
        var stored = await Node.PostAsync("/api/v1/memories", """{"title":"claimed","content":"c","agent_id":"eve"}""", Admin);
        Assert.Equal("""{"agent_id":"eve","agent_identity":"claimed"}""", stored.Json["metadata"]!.ToJsonString());
    }

    [Fact]
    public async Task Where_nobody_has_a_key_of_their_own_nothing_is_marked_and_no_mark_is_taken()
    {
        await using var open = await TestNode.StartAsync();
        var stored = await open.PostAsync("/api/v1/memories", """{"title":"t","content":"c","agent_id":"eve","metadata":{"agent_identity":"bound"}}""");
        Assert.Equal("""{"agent_id":"eve"}""", stored.Json["metadata"]!.ToJsonString());
    }

    [Fact]
    public async Task Keys_are_needed_also_where_there_is_no_other_key()
    {
        (await Node.GetAsync("/api/v1/stats")).ShouldFail(401, "unauthorized");
        (await Node.GetAsync("/api/v1/stats", ("X-API-Key", "x"))).ShouldFail(401, "unauthorized");
        (await Node.GetAsync("/api/v1/stats?api_key=hashed")).ShouldSucceed();
    }

    [Fact]
    public void A_key_that_says_too_little_or_too_much_is_refused()
    {
        foreach (var key in (KeyOptions[])
        [
            new("k"), new("k") { Key = "", AgentId = "a" }, new("k") { Key = "x", Sha256 = new('0', 64), AgentId = "a" }, new("k") { Sha256 = "00", AgentId = "a" },
            new("k") { Key = "x" }, new("k") { Key = "x", Role = "owner", AgentId = "a" }, new("k") { Key = "x", AgentId = "a b" }, new("k") { Key = "x", AgentId = "a", Place = "/" },
        ])
        {
            Assert.StartsWith("[keys.k]: ", Assert.Throws<InvalidOptionException>(() => new NodeOptions { Keys = [key] }.Validate()).Message);
        }
    }

    public sealed class KeyedNode : IAsyncLifetime
    {
        public TestNode Node { get; } = new()
        {
            Options = new()
            {
                Port = 0,
                Keys =
                [
                    new("reader") { Key = "r", Role = "reader", AgentId = "reader" },
                    new("writer") { Key = "w", AgentId = "writer" },
                    new("admin") { Key = "a", Role = "admin" },
                    new("peer") { Key = "p", Role = "peer" },
                    new("hashed") { Sha256 = Convert.ToHexString(System.Security.Cryptography.SHA256.HashData("hashed"u8)), AgentId = "hashed" },
                ],
            },
        };

        public ValueTask InitializeAsync() => Node.InitializeAsync();

        public ValueTask DisposeAsync() => Node.DisposeAsync();
    }
}
