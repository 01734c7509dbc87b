using System.Text.Json.Nodes;

namespace OrleansMemory.Api.Tests.Mcp;

/// <summary>What a tool answered, or the error of the protocol.</summary>
/// <param name="Structured">Null: none came.</param>
/// <param name="Code">Of the error table; null: it is no error.</param>
internal sealed record ToolReply(string Text, JsonNode? Structured, bool IsError, string? Code, JsonNode Message)
{
    /// <summary>The text as JSON.</summary>
    public JsonNode Json => JsonNode.Parse(Text)!;

    public ToolReply ShouldFail(string code, string text)
    {
        Assert.True(IsError, Text);
        Assert.Equal(code, Code);
        Assert.Contains(text, Text);
        return this;
    }

    public ToolReply ShouldSucceed()
    {
        Assert.False(IsError, Text);
        return this;
    }
}

/// <summary>
/// A client of a node's <c>/mcp</c> that knows the wire and nothing else. Each structured result is held against the schema that the tool declares.
/// </summary>
internal sealed class McpTestClient(TestNode node, string version = "2025-06-18", string query = "", params (string Name, string Value)[] headers)
{
    private Dictionary<string, JsonNode>? _schemas;
    private int _id;

    public async Task<Reply> PostAsync(string body, params (string Name, string Value)[] more) => await node.PostAsync(
        "/mcp" + query, body, [("Accept", "application/json, text/event-stream"), .. version.Length > 0 ? [("MCP-Protocol-Version", version)] : Array.Empty<(string, string)>(), .. headers, .. more]);

    /// <summary>The message that answers a request.</summary>
    public async Task<JsonNode> AskAsync(string method, string parameters = "{}", params (string Name, string Value)[] more)
    {
        var id = ++_id;
        var reply = await PostAsync($$"""{"jsonrpc":"2.0","id":{{id}},"method":"{{method}}","params":{{parameters}}}""", more);
        Assert.True(reply.Status == 200, $"{reply.Status}: {reply.Text}");
        Assert.StartsWith("text/event-stream", reply.ContentType);
        var message = Event(reply.Text);
        Assert.Equal(id, (int)message["id"]!);
        return message;
    }

    public async Task<JsonNode> ResultAsync(string method, string parameters = "{}") =>
        (await AskAsync(method, parameters))["result"] ?? throw new InvalidOperationException($"{method} failed");

    public async Task<ToolReply> CallAsync(string tool, string arguments = "{}", params (string Name, string Value)[] more)
    {
        var message = await AskAsync("tools/call", $$"""{"name":"{{tool}}","arguments":{{arguments}}}""", more);
        var result = message["result"] ?? throw new InvalidOperationException(message.ToJsonString());
        var content = result["content"]!.AsArray().Single()!;
        Assert.Equal("text", (string?)content["type"]);
        var isError = (bool?)result["isError"] ?? false;
        if (!isError && result["structuredContent"] is { } structured)
        {
            var problem = SchemaCheck.Problem((await SchemasAsync())[tool], structured);
            Assert.True(problem is null, $"{tool}: {problem}\n{structured.ToJsonString()}");
        }

        return new((string)content["text"]!, result["structuredContent"], isError, (string?)result["_meta"]?["code"], message);
    }

    public async Task<JsonArray> ToolsAsync() => (await ResultAsync("tools/list"))["tools"]!.AsArray();

    /// <summary>Stores a memory and answers its id.</summary>
    public async Task<string> StoreAsync(string title, string extra = "") => (string)(await CallAsync(
        "memory_store", $$"""{"title":{{JsonValue.Create(title)!.ToJsonString()}},"content":"content of {{title}}"{{extra}}}""")).ShouldSucceed().Json["id"]!;

    public static JsonNode Event(string text)
    {
        var data = text.Split('\n').Single(static line => line.StartsWith("data: ", StringComparison.Ordinal));
        return JsonNode.Parse(data["data: ".Length..])!;
    }

    private async Task<Dictionary<string, JsonNode>> SchemasAsync() =>
        _schemas ??= (await ToolsAsync()).ToDictionary(static tool => (string)tool!["name"]!, static tool => tool!["outputSchema"]!, StringComparer.Ordinal);
}
