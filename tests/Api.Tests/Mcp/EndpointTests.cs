namespace OrleansMemory.Api.Tests.Mcp;

/// <summary>The protocol over HTTP, as a client that knows only the wire sees it.</summary>
public sealed class EndpointTests(TestNode node) : IClassFixture<TestNode>
{
    private const string Initialize = """{"protocolVersion":"2025-06-18","clientInfo":{"name":"Some Client","version":"1"},"capabilities":{}}""";

    private static readonly string[] Names =
    [
        "memory_store", "memory_recall", "memory_search", "memory_list", "memory_get", "memory_update", "memory_delete", "memory_promote", "memory_forget", "memory_stats", "memory_link",
        "memory_get_links", "memory_consolidate", "memory_capabilities", "memory_expand_query", "memory_auto_tag", "memory_detect_contradiction", "memory_archive_list",
        "memory_archive_restore", "memory_archive_purge", "memory_archive_stats", "memory_gc", "memory_session_start", "memory_namespace_set_standard", "memory_namespace_get_standard",
        "memory_namespace_clear_standard", "memory_pending_list", "memory_pending_approve", "memory_pending_reject", "memory_agent_register", "memory_agent_list", "memory_notify",
        "memory_inbox", "memory_subscribe", "memory_unsubscribe", "memory_list_subscriptions",
    ];

    [Theory]
    [InlineData("2024-11-05")]
    [InlineData("2025-03-26")]
    [InlineData("2025-06-18")]
    [InlineData("2025-11-25")]
    public async Task A_client_of_any_revision_shakes_hands(string version)
    {
        var reply = await new McpTestClient(node, version: "").PostAsync(
            $$"""{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{Initialize.Replace("2025-06-18", version, StringComparison.Ordinal)}}}""");
        Assert.Equal(200, reply.Status);
        var result = McpTestClient.Event(reply.Text)["result"]!;
        Assert.Equal(version, (string?)result["protocolVersion"]);
        Assert.Equal("ai-memory", (string?)result["serverInfo"]!["name"]);
        Assert.NotNull(result["capabilities"]!["tools"]);
        Assert.NotNull(result["capabilities"]!["prompts"]);
        Assert.Null(result["capabilities"]!["resources"]);
        Assert.StartsWith("ai:Some-Client:session-", reply.Header("Mcp-Session-Id"));
        Assert.Equal(202, (await new McpTestClient(node, version == "2024-11-05" ? "" : version).PostAsync("""{"jsonrpc":"2.0","method":"notifications/initialized"}""")).Status);
    }

    [Fact]
    public async Task The_revision_without_a_handshake_is_served()
    {
        const string meta = """ "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"modern","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}} """;
        var client = new McpTestClient(node, "2026-07-28");
        var tools = await client.AskAsync("tools/list", $$"""{{{meta}}}""", ("Mcp-Method", "tools/list"));
        Assert.Equal(36, tools["result"]!["tools"]!.AsArray().Count);
        var stored = await client.AskAsync(
            "tools/call", $$$"""{"name":"memory_store","arguments":{"title":"modern","content":"c","namespace":"mcp/modern"},{{{meta}}}}""", ("Mcp-Method", "tools/call"), ("Mcp-Name", "memory_store"));
        Assert.Equal("ai:modern", (string?)stored["result"]!["structuredContent"]!["agent_id"]);
        var other = await client.PostAsync($$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"memory_stats",{{{meta}}}}}""", ("Mcp-Method", "tools/call"), ("Mcp-Name", "memory_delete"));
        Assert.Equal((400, -32020), (other.Status, (int)other.Json["error"]!["code"]!));
        Assert.Equal(404, (await client.PostAsync($$$"""{"jsonrpc":"2.0","id":1,"method":"nothing","params":{{{{meta}}}}}""", ("Mcp-Method", "nothing"))).Status);
    }

    [Fact]
    public async Task All_36_tools_are_told_with_hints_and_schemas()
    {
        var tools = await new McpTestClient(node).ToolsAsync();
        Assert.Equal(Names.Order(StringComparer.Ordinal), tools.Select(tool => (string)tool!["name"]!).Order(StringComparer.Ordinal));
        Assert.All(tools, tool =>
        {
            Assert.Equal("object", (string?)tool!["inputSchema"]!["type"]);
            Assert.Equal("object", (string?)tool["outputSchema"]!["type"]);
            Assert.NotNull(tool["annotations"]!["readOnlyHint"]);
            Assert.NotNull(tool["description"]);
        });
        var hints = tools.ToDictionary(tool => (string)tool!["name"]!, tool => tool!["annotations"]!, StringComparer.Ordinal);
        Assert.True((bool)hints["memory_recall"]["readOnlyHint"]!);
        Assert.False((bool)hints["memory_store"]["readOnlyHint"]!);
        Assert.True((bool)hints["memory_delete"]["destructiveHint"]!);
        Assert.False((bool)hints["memory_store"]["destructiveHint"]!);

        // A client of the first revisions is told what it knows.
        var old = await new McpTestClient(node, "2025-03-26").ToolsAsync();
        Assert.Equal(36, old.Count);
        Assert.All(old, tool => Assert.Null(tool!["outputSchema"]));
    }

    [Fact]
    public async Task A_small_profile_shows_five_tools_and_calls_no_other()
    {
        var client = new McpTestClient(node, query: "?profile=core");
        Assert.Equal(["memory_store", "memory_get", "memory_recall", "memory_list", "memory_capabilities"], (await client.ToolsAsync()).Select(tool => (string)tool!["name"]!));
        Assert.Equal(-32602, (int)(await client.AskAsync("tools/call", """{"name":"memory_stats"}"""))["error"]!["code"]!);
        (await new McpTestClient(node, query: "?profile=huge").PostAsync("{}")).ShouldFail(400, "invalid_query", "core or full");
    }

    [Theory]
    [InlineData("nothing", "{}", -32601)]
    [InlineData("resources/list", "{}", -32601)]
    [InlineData("tools/call", """{"name":"memory_nothing"}""", -32602)]
    [InlineData("tools/call", """{"name":""}""", -32602)]
    [InlineData("prompts/get", """{"name":"nothing"}""", -32602)]
    [InlineData("prompts/get", """{"name":"recall-first","arguments":{"namespace":"a b"}}""", -32602)]
    public async Task What_the_protocol_does_not_know_is_an_error_of_the_protocol(string method, string parameters, int code) =>
        Assert.Equal(code, (int)(await new McpTestClient(node).AskAsync(method, parameters))["error"]!["code"]!);

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("""{"jsonrpc":"1.0","id":1,"method":"ping"}""")]
    [InlineData("""[{"jsonrpc":"2.0","id":1,"method":"ping"}]""")]
    public async Task What_is_no_message_is_a_parse_error(string body)
    {
        var reply = await new McpTestClient(node).PostAsync(body);
        Assert.Equal((400, -32700), (reply.Status, (int)reply.Json["error"]!["code"]!));
        Assert.Null(reply.Json["id"]);
    }

    [Fact]
    public async Task Only_posts_that_can_read_the_answer_are_served()
    {
        Assert.Equal(405, (await node.GetAsync("/mcp", ("Accept", "text/event-stream"))).Status);
        Assert.Equal(405, (await node.DeleteAsync("/mcp")).Status);
        Assert.Equal(406, (await node.PostAsync("/mcp", """{"jsonrpc":"2.0","id":1,"method":"ping"}""", ("Accept", "application/json"))).Status);
        Assert.Equal(415, (await node.SendAsync(HttpMethod.Post, "/mcp", new StringContent("{}"))).Status);
        var unknown = await new McpTestClient(node, "1999-01-01").PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""");
        Assert.Equal(400, unknown.Status);
        Assert.Contains("2025-11-25", unknown.Text);
        Assert.Equal(413, (await new McpTestClient(node).PostAsync($$"""{"jsonrpc":"2.0","id":1,"method":"{{new string('x', 2_200_000)}}"}""")).Status);
    }

    [Fact]
    public async Task A_session_names_its_caller_and_needs_no_memory_of_the_node()
    {
        var reply = await new McpTestClient(node, version: "").PostAsync($$"""{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{Initialize}}}""");
        var session = reply.Header("Mcp-Session-Id")!;
        var client = new McpTestClient(node);
        Assert.Equal(session, (string?)(await client.CallAsync("memory_store", """{"title":"by session","content":"c","namespace":"mcp/who"}""", ("Mcp-Session-Id", session))).Json["agent_id"]);
        Assert.Equal("alice", (string?)(await client.CallAsync("memory_store", """{"title":"by header","content":"c","namespace":"mcp/who"}""", ("Mcp-Session-Id", session), ("X-Agent-Id", "alice"))).Json["agent_id"]);
        Assert.Equal("bob", (string?)(await client.CallAsync("memory_store", """{"title":"by name","content":"c","namespace":"mcp/who","agent_id":"bob"}""", ("X-Agent-Id", "alice"))).Json["agent_id"]);
        Assert.Equal("carol", (string?)(await client.CallAsync("memory_store", """{"title":"by metadata","content":"c","namespace":"mcp/who","metadata":{"agent_id":"carol"}}""", ("X-Agent-Id", "alice"))).Json["agent_id"]);
        Assert.StartsWith("anonymous:req-", (string?)(await client.CallAsync("memory_store", """{"title":"by nobody","content":"c","namespace":"mcp/who"}""")).Json["agent_id"]);
        (await client.CallAsync("memory_store", """{"title":"t","content":"c","agent_id":"a b"}""")).ShouldFail("invalid_agent_id", "invalid agent_id");
        Assert.Equal(404, (await client.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""", ("Mcp-Session-Id", "made up"))).Status);
    }

    [Fact]
    public async Task Keys_bind_a_caller_as_everywhere()
    {
        await using var guarded = await TestNode.StartAsync(new()
        {
            Port = 0,
            ApiKey = "whole",
            Keys = [new("w") { Key = "w", Role = "writer", AgentId = "alice" }, new("r") { Key = "r", Role = "reader", AgentId = "bob" }],
        });
        Assert.Equal(401, (await new McpTestClient(guarded).PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""")).Status);
        var alice = new McpTestClient(guarded, headers: ("X-API-Key", "w"));
        var bob = new McpTestClient(guarded, headers: ("X-API-Key", "r"));
        var id = await alice.StoreAsync("private of alice", ",\"namespace\":\"mcp/alice\"");
        Assert.Equal("alice", (string?)(await alice.CallAsync("memory_get", $$"""{"id":"{{id}}"}""")).Json["metadata"]!["agent_id"]);
        (await bob.CallAsync("memory_get", $$"""{"id":"{{id}}"}""")).ShouldFail("not_found", "not found");
        (await bob.CallAsync("memory_store", """{"title":"t","content":"c"}""")).ShouldFail("forbidden", "may not write");
        (await alice.CallAsync("memory_store", """{"title":"t","content":"c","agent_id":"bob"}""")).ShouldFail("forbidden", "bound to the agent alice");
        (await bob.CallAsync("memory_inbox", """{"agent_id":"alice"}""")).ShouldFail("forbidden", "inbox");
        foreach (var tool in new[] { "memory_list", "memory_session_start" })
        {
            Assert.Equal(0, (int)(await bob.CallAsync(tool, """{"namespace":"mcp/alice","format":"json"}""")).Json["count"]!);
        }

        Assert.Equal(0, (int)(await bob.CallAsync("memory_recall", """{"context":"private alice","format":"json"}""")).Json["count"]!);
        Assert.Equal(0, (int)(await bob.CallAsync("memory_search", """{"query":"private alice","format":"json"}""")).Json["count"]!);
        Assert.Equal(0, (int)(await bob.CallAsync("memory_stats")).Json["total"]!);
        (await alice.CallAsync("memory_archive_purge")).ShouldFail("forbidden", "purge");

        // A page has no key, so a node with one need not ask where a request comes from.
        Assert.Equal(36, (await new McpTestClient(guarded, headers: [("X-API-Key", "whole"), ("Origin", "https://tools.example")]).ToolsAsync()).Count);
    }

    [Fact]
    public async Task Pages_of_other_machines_do_not_reach_a_node_without_a_key()
    {
        var client = new McpTestClient(node);
        (await client.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""", ("Origin", "http://evil.example"))).ShouldFail(403, "forbidden");
        (await client.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""", ("Origin", "null"))).ShouldFail(403, "forbidden");
        Assert.Equal(200, (await client.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""", ("Origin", "http://localhost:6274"))).Status);
    }

    [Fact]
    public async Task A_change_that_waits_for_approval_is_no_error()
    {
        var client = new McpTestClient(node, headers: ("X-Agent-Id", "mcp-governor"));
        var rules = await client.StoreAsync("rules", ",\"namespace\":\"mcp/governed\"");
        (await client.CallAsync("memory_namespace_set_standard", $$$"""{"namespace":"mcp/governed","id":"{{{rules}}}","governance":{"write":"approve","promote":"any","delete":"any","approver":"human"}}""")).ShouldSucceed();
        var stored = (await client.CallAsync("memory_store", """{"title":"asked","content":"c","namespace":"mcp/governed"}""")).ShouldSucceed();
        Assert.Equal("pending", (string?)stored.Json["status"]);
        Assert.Equal("store", (string?)stored.Structured!["action"]);
    }

    [Fact]
    public async Task Values_of_the_wrong_type_are_errors_that_name_them()
    {
        var client = new McpTestClient(node);
        (await client.CallAsync("memory_store", """{"content":"c"}""")).ShouldFail("missing_field", "`title`");
        (await client.CallAsync("memory_store", """{"title":"t","content":"c","tags":"a,b"}""")).ShouldFail("wrong_type", "`tags`");
        (await client.CallAsync("memory_store", """{"title":"t","content":"c","tier":"eternal"}""")).ShouldFail("wrong_type", "unknown tier");
        (await client.CallAsync("memory_store", """{"title":"t","content":"c","priority":99999999999}""")).ShouldFail("wrong_type", "`priority`");
        (await client.CallAsync("memory_list", """{"limit":"5"}""")).ShouldFail("wrong_type", "`limit`");
        (await client.CallAsync("memory_forget", """{"namespace":"mcp","tier":"typo"}""")).ShouldFail("wrong_type", "unknown tier");
        (await client.CallAsync("memory_forget")).ShouldFail("filter_missing", "at least one");
        (await client.CallAsync("memory_recall", """{"context":" "}""")).ShouldFail("query_empty", "context is required");

        // Models say null for what they leave out.
        (await client.CallAsync("memory_store", """{"title":"nulls","content":"c","namespace":"mcp/nulls","tags":null,"tier":null,"metadata":null,"scope":null,"priority":null}""")).ShouldSucceed();
        Assert.Equal("claude", (string?)(await client.CallAsync("memory_list", """{"namespace":"mcp/nulls","format":"json","limit":null,"tier":null}""")).Json["memories"]![0]!["source"]);
    }

    [Fact]
    public async Task Answers_of_the_first_revisions_have_no_structure()
    {
        var client = new McpTestClient(node, version: "");
        var reply = await client.CallAsync("memory_stats");
        Assert.Null(reply.Structured);
        Assert.Contains("\n  \"total\": ", reply.Text);
    }

    [Fact]
    public async Task Prompts_are_two()
    {
        var client = new McpTestClient(node);
        var prompts = (await client.ResultAsync("prompts/list"))["prompts"]!.AsArray();
        Assert.Equal(["recall-first", "memory-workflow"], prompts.Select(prompt => (string)prompt!["name"]!));
        Assert.Equal("namespace", (string?)prompts[0]!["arguments"]!.AsArray().Single()!["name"]);
        Assert.False((bool)prompts[0]!["arguments"]![0]!["required"]!);
        var rules = (await client.ResultAsync("prompts/get", """{"name":"recall-first","arguments":{"namespace":"shop/web"}}"""))["messages"]![0]!;
        Assert.Equal("user", (string?)rules["role"]);
        var text = (string)rules["content"]!["text"]!;
        Assert.Contains("\n8. ", text);
        Assert.EndsWith("shop/web.", text);
        var card = (string)(await client.ResultAsync("prompts/get", """{"name":"memory-workflow"}"""))["messages"]![0]!["content"]!["text"]!;
        Assert.Equal(11, card.Split('\n').Length);
    }

    [Fact]
    public async Task Many_calls_at_once_are_each_answered()
    {
        var replies = await Task.WhenAll(Enumerable.Range(0, 64).Select(index => new McpTestClient(node).CallAsync("memory_store", $$"""{"title":"at once {{index}}","content":"c","namespace":"mcp/once"}""")));
        Assert.Equal(64, replies.Select(reply => (string)reply.Json["id"]!).Distinct().Count());
        Assert.Equal(64, (int)(await new McpTestClient(node).CallAsync("memory_list", """{"namespace":"mcp/once","limit":200,"format":"json"}""")).Json["count"]!);
    }
}
