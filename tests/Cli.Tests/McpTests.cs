using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Cli.Mcp;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Tests;

/// <summary><c>om mcp</c> as a client program starts it: over its pipes, on a database or in front of a node.</summary>
public sealed class McpTests : IDisposable
{
    private const string Initialize =
        """{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","clientInfo":{"name":"claude","version":"1"},"capabilities":{}}}""";

    private readonly Om _om = new();

    public void Dispose() => _om.Dispose();

    [Fact]
    public async Task What_is_asked_before_the_input_ends_is_answered_in_order()
    {
        var frames = new StringBuilder(Initialize).Append('\n').Append("""{"jsonrpc":"2.0","method":"notifications/initialized"}""").Append("\n\n");
        for (var id = 1; id <= 5; id++)
        {
            frames.Append(Call(id, "memory_store", $$"""{"title":"memory {{id}}","content":"c","namespace":"n"}""")).Append('\n');
        }

        frames.Append(Call(6, "memory_list", """{"namespace":"n","format":"json"}""")).Append('\n');
        var outcome = (await _om.FeedAsync(frames.ToString(), "mcp")).Exits(0);
        var answers = Lines(outcome.Output);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], answers.Select(answer => (int)answer["id"]!));
        Assert.Equal("2024-11-05", (string?)answers[0]["result"]!["protocolVersion"]);
        Assert.Equal(5, (int)JsonNode.Parse(TextOf(answers[6]))!["count"]!);
        Assert.Matches(@"^ai:claude@[\w.-]+:pid-\d+$", (string)JsonNode.Parse(TextOf(answers[1]))!["agent_id"]!);
        Assert.Contains("ai-memory MCP server started (stdio, tier=keyword)", outcome.Error);
    }

    [Fact]
    public async Task Standard_output_carries_nothing_but_messages()
    {
        // A file that cannot be parsed makes the start complain; a database that is none makes every call fail.
        Directory.CreateDirectory(_om.PathTo(".config/ai-memory"));
        await File.WriteAllTextAsync(_om.PathTo(".config/ai-memory/config.toml"), "tier = [");
        await File.WriteAllTextAsync(_om.PathTo("broken.db"), "this is no database, and long enough to be taken for one: " + new string('x', 4096));
        string[] garbage =
        [
            "", "   ", "{", "null", "[]", "{}", "7", "\"text\"", """{"jsonrpc":"1.0","id":1,"method":"ping"}""", """{"jsonrpc":"2.0","id":null,"method":"ping"}""", """[{"jsonrpc":"2.0","id":1,"method":"ping"}]""",
            new string('[', 300), """{"jsonrpc":"2.0","id":2,"result":{}}""", """{"jsonrpc":"2.0","method":"nothing/known"}""", "\u0000\u0001\u0002",
        ];
        var frames = string.Join('\n', [Initialize, .. garbage, Call(1, "memory_stats"), Call(2, "memory_nothing"), """{"jsonrpc":"2.0","id":3,"method":"nothing"}""", """{"jsonrpc":"2.0","id":4,"method":"ping"}"""]);
        var outcome = (await _om.FeedAsync(frames, "mcp", "--db", _om.PathTo("broken.db"))).Exits(0);
        var answers = Lines(outcome.Output);
        Assert.All(answers, answer => Assert.Equal("2.0", (string?)answer["jsonrpc"]));
        Assert.Contains(answers, answer => answer["id"] is null && (int?)answer["error"]?["code"] == -32700);
        var stats = answers.Single(answer => Is(answer, 1))["result"]!;
        Assert.True((bool)stats["isError"]!);
        Assert.Equal("store_not_ours", (string?)stats["_meta"]!["code"]);
        Assert.Equal(-32602, (int)answers.Single(answer => Is(answer, 2))["error"]!["code"]!);
        Assert.Equal(-32601, (int)answers.Single(answer => Is(answer, 3))["error"]!["code"]!);
        Assert.NotNull(answers.Single(answer => Is(answer, 4))["result"]);
        Assert.Contains("config parse error", outcome.Error);
    }

    [Fact]
    public async Task A_line_beyond_all_bounds_is_refused_and_the_next_is_served()
    {
        var frames = $$"""{"jsonrpc":"2.0","id":1,"method":"{{new string('x', 5_000_000)}}"}""" + "\n" + """{"jsonrpc":"2.0","id":2,"method":"ping"}""" + "\n";
        var answers = Lines((await _om.FeedAsync(frames, "mcp")).Exits(0).Output);
        Assert.Contains("exceeds", (string?)answers[0]["error"]!["message"]);
        Assert.Equal(2, (int)answers[1]["id"]!);
    }

    [Fact]
    public async Task Other_commands_and_other_clients_use_the_database_meanwhile()
    {
        var db = _om.PathTo("shared.db");
        await using var one = new StdioClient(_om.Start("mcp", "--db", db));
        await using var other = new StdioClient(_om.Start("mcp", "--db", db, "--profile", "core"));
        await one.AskAsync(Initialize, 0);
        await other.AskAsync(Initialize, 0);
        Assert.Equal(5, (await other.AskAsync("""{"jsonrpc":"2.0","id":1,"method":"tools/list"}""", 1))["result"]!["tools"]!.AsArray().Count);
        for (var round = 1; round <= 2; round++)
        {
            Assert.Null((await one.AskAsync(Call(10 + round, "memory_store", $$"""{"title":"one {{round}}","content":"c","namespace":"n"}"""), 10 + round))["result"]!["isError"]);
            Assert.Null((await other.AskAsync(Call(10 + round, "memory_store", $$"""{"title":"other {{round}}","content":"c","namespace":"n"}"""), 10 + round))["result"]!["isError"]);
            (await _om.RunAsync("--db", db, "store", "-T", $"command {round}", "-c", "c", "-n", "n")).Exits(0);
        }

        Assert.Equal(6, (await _om.RunAsync("--db", db, "list", "-n", "n", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
    }

    [Fact]
    public async Task A_client_that_dies_leaves_nothing_locked()
    {
        // The server's pipes close when its client is killed in the middle of a call.
        var db = _om.PathTo("killed.db");
        var server = _om.Start("mcp", "--db", db);
        var client = new StdioClient(server);
        await client.AskAsync(Initialize, 0);
        for (var id = 1; id <= 50; id++)
        {
            await client.SendAsync(Call(id, "memory_store", $$"""{"title":"memory {{id}}","content":"c","namespace":"n"}"""));
        }

        client.Abandon();
        await server.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(0, server.ExitCode);
        (await _om.RunAsync("--db", db, "store", "-T", "after", "-c", "c", "-n", "n")).Exits(0);
        server.Dispose();

        // And the server itself, by a signal that leaves it no say.
        var second = _om.Start("mcp", "--db", db);
        var other = new StdioClient(second);
        await other.AskAsync(Call(1, "memory_store", """{"title":"before the kill","content":"c","namespace":"n"}"""), 1);
        await other.SendAsync(Call(2, "memory_store", """{"title":"in the kill","content":"c","namespace":"n"}"""));
        second.Kill();
        await second.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        second.Dispose();
        (await _om.RunAsync("--db", db, "store", "-T", "after the kill", "-c", "c", "-n", "n")).Exits(0);
        Assert.Equal(1, (await _om.RunAsync("--db", db, "search", "before the kill", "-n", "n", "--json")).Exits(0).Json.GetProperty("results").EnumerateArray().Count(static row => row.GetProperty("title").GetString() == "before the kill"));
        (await _om.RunAsync("--db", db, "backup", "--to", "snapshots")).Exits(0);
        (await _om.RunAsync("verify", "snapshots")).Exits(0);
    }

    [Fact]
    public async Task A_node_is_reached_through_a_bridge()
    {
        await using var node = await _om.ServeWithAsync([("OM_API_KEY", "secret")], "--db", _om.PathTo("served.db"));
        var frames = string.Join('\n', Initialize, """{"jsonrpc":"2.0","method":"notifications/initialized"}""", Call(1, "memory_store", """{"title":"bridged","content":"c","namespace":"n"}"""),
            """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""", Call(3, "memory_get", """{"id":"nobody"}""")) + "\n";
        var outcome = (await _om.RunAsync(_om.Program, ["mcp", "--url", node.Url], Encoding.UTF8.GetBytes(frames), ("OM_API_KEY", "secret"))).Exits(0);
        var answers = Lines(outcome.Output);
        Assert.Equal([0, 1, 2, 3], answers.Select(answer => (int)answer["id"]!));
        Assert.Matches(@"^ai:claude@[\w.-]+:pid-\d+$", (string)JsonNode.Parse(TextOf(answers[1]))!["agent_id"]!);
        Assert.Equal(36, answers[2]["result"]!["tools"]!.AsArray().Count);
        Assert.True((bool)answers[3]["result"]!["isError"]!);

        // The node holds its database: a client that names the file goes through it.
        var through = Lines((await _om.RunAsync(_om.Program, ["mcp", "--db", _om.PathTo("served.db")], Encoding.UTF8.GetBytes(frames), ("OM_API_KEY", "secret"))).Exits(0).Output);
        Assert.Contains("duplicate", TextOf(through.Single(answer => Is(answer, 1))));

        // Without its key it lets nobody in, and says so.
        var refused = Lines((await _om.RunAsync(_om.Program, ["mcp", "--url", node.Url], Encoding.UTF8.GetBytes(frames))).Exits(0).Output);
        Assert.All(refused, answer => Assert.Contains("did not answer", (string?)answer["error"]!["message"]));
        await node.StopAsync();
        var gone = Lines((await _om.FeedAsync(frames, "mcp", "--url", node.Url)).Exits(0).Output);
        Assert.All(gone, answer => Assert.Contains("did not answer", (string?)answer["error"]!["message"]));
    }

    [Theory]
    [InlineData("claude", ".claude.json", "mcpServers")]
    [InlineData("cursor", ".cursor/mcp.json", "mcpServers")]
    [InlineData("vscode", ".config/Code/User/mcp.json", "servers")]
    public async Task A_client_is_told_and_keeps_what_it_knew(string client, string file, string section)
    {
        var path = _om.PathTo(file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var shown = (await _om.RunAsync("mcp", "install", client, "--print")).Exits(0);
        Assert.Contains(path, shown.Output);
        Assert.Contains("\"command\": \"" + _om.Program + "\"", shown.Output);
        Assert.False(File.Exists(path));
        await File.WriteAllTextAsync(path, $$$"""{"first":1.50,"{{{section}}}":{"other":{"command":"x"},"ai-memory":{"command":"old"}},"last":"é"}""");
        var replaced = (await _om.RunAsync("--db", "my.db", "mcp", "install", client, "--yes", "--profile", "core")).Exits(0);
        Assert.Contains("replaces the entry", replaced.Output);
        var text = await File.ReadAllTextAsync(path);
        var root = JsonNode.Parse(text)!;
        Assert.Equal("x", (string?)root[section]!["other"]!["command"]);
        Assert.Equal(["first", section, "last"], root.AsObject().Select(field => field.Key));
        Assert.Contains("1.50", text);
        Assert.Equal(["mcp", "--db", _om.PathTo("my.db"), "--profile", "core"], root[section]!["ai-memory"]!["args"]!.AsArray().Select(argument => (string)argument!));

        foreach (var broken in new[] { "{", "[]", "// mine\n{}", $$"""{"{{section}}":[]}""", """{"a":1,"a":2}""" })
        {
            Assert.Contains("was left as it is", Assert.Throws<MemoryException>(() => ClientConfiguration.Add(ClientProgram.Find(client)!, new("ai-memory", "om", ["mcp"]), broken)).Message);
        }
    }

    [Fact]
    public async Task Nothing_is_written_unasked_or_into_what_cannot_be_read()
    {
        var path = _om.PathTo(".cursor/mcp.json");
        Assert.Contains("--yes", (await _om.RunAsync("mcp", "install", "cursor")).Exits(1).Error);
        Assert.False(File.Exists(path));
        (await _om.RunAsync("mcp", "install", "cursor", "--yes")).Exits(0);
        Assert.Equal(["mcp"], JsonNode.Parse(await File.ReadAllTextAsync(path))!["mcpServers"]!["ai-memory"]!["args"]!.AsArray().Select(argument => (string)argument!));
        Assert.Contains("has it already", (await _om.RunAsync("mcp", "install", "cursor", "--yes")).Exits(0).Output);
        await File.WriteAllTextAsync(path, "{");
        Assert.Contains("was left as it is", (await _om.RunAsync("mcp", "install", "cursor", "--yes")).Exits(1).Error);
        Assert.Equal("{", await File.ReadAllTextAsync(path));
    }

    [Fact]
    public void Codex_is_told_in_its_own_words()
    {
        const string mine = "# mine\nmodel = \"o\"\n\n[mcp_servers.other]\ncommand = \"x\" # kept\nargs = []\n";
        const string ours = "[mcp_servers.ai-memory]\ncommand = \"/bin/om\"\nargs = [\"mcp\"]\n";
        var codex = ClientProgram.Find("codex")!;
        var entry = new ServerEntry("ai-memory", "/bin/om", ["mcp"]);
        Assert.Equal(ours, ClientConfiguration.Add(codex, entry, null).Text);
        var added = ClientConfiguration.Add(codex, entry, mine);
        Assert.Equal((mine + "\n" + ours, true, false), (added.Text, added.Changes, added.Replaces));
        Assert.False(ClientConfiguration.Add(codex, entry, added.Text).Changes);

        const string after = "[tui]\ntheme = \"t\"\n";
        var replaced = ClientConfiguration.Add(codex, entry with { Arguments = ["mcp", "--agent-id", "al\"ice"] }, added.Text + "\n" + after);
        Assert.True(replaced.Replaces);
        Assert.Equal(mine + "\n" + ours.Replace("[\"mcp\"]", "[\"mcp\", \"--agent-id\", \"al\\\"ice\"]", StringComparison.Ordinal) + "\n" + after, replaced.Text);

        // What cannot be read, and an entry in a notation that is not understood, are not touched.
        foreach (var broken in new[] { "[broken", "mcp_servers = { ai-memory = { command = \"x\" } }\n", "[mcp_servers.ai-memory]\ncommand = \"\"\"\n[not.a.table]\n\"\"\"\n" })
        {
            Assert.Contains("was left as it is", Assert.Throws<MemoryException>(() => ClientConfiguration.Add(codex, entry, broken)).Message);
        }
    }

    [Theory]
    [InlineData("mcp", "install")]
    [InlineData("mcp", "install", "emacs")]
    [InlineData("mcp", "remove", "claude")]
    [InlineData("mcp", "--profile", "huge")]
    public async Task Wrong_usage_is_told(params string[] arguments) => (await _om.RunAsync(arguments)).Exits(2);

    private static string Call(int id, string tool, string arguments = "{}") =>
        $$$"""{"jsonrpc":"2.0","id":{{{id}}},"method":"tools/call","params":{"name":"{{{tool}}}","arguments":{{{arguments}}}}}""";

    private static List<JsonNode> Lines(string output) => [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => JsonNode.Parse(line)!)];

    private static string TextOf(JsonNode answer) => (string)answer["result"]!["content"]![0]!["text"]!;

    private static bool Is(JsonNode answer, int id) => answer["id"] is JsonValue value && value.GetValueKind() == JsonValueKind.Number && (int)value == id;
}

/// <summary>The client's end of the pipes.</summary>
internal sealed class StdioClient(Process server) : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    public async Task SendAsync(string frame)
    {
        await server.StandardInput.WriteAsync(frame + "\n");
        await server.StandardInput.FlushAsync();
    }

    /// <summary>Sends a frame and reads on to the answer with the id.</summary>
    public async Task<JsonNode> AskAsync(string frame, int id)
    {
        await SendAsync(frame);
        while (await server.StandardOutput.ReadLineAsync().WaitAsync(Deadline) is { } line)
        {
            var message = JsonNode.Parse(line)!;
            if (message["id"] is JsonValue found && (int)found == id)
            {
                return message;
            }
        }

        throw new InvalidOperationException($"the server ended: {await server.StandardError.ReadToEndAsync()}");
    }

    /// <summary>Both ends are gone at once, as when the system ends a process.</summary>
    public void Abandon()
    {
        server.StandardOutput.Dispose();
        server.StandardInput.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        server.StandardInput.Close();
        await server.WaitForExitAsync().WaitAsync(Deadline);
        server.Dispose();
    }
}
