using System.Text;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests.Mcp;

/// <summary>Messages made at random, from a seed: whatever they are, the answer is never a failure of the node.</summary>
public sealed class McpFuzzTests(TestNode node) : IClassFixture<TestNode>
{
    private const int Lanes = 8;

    private static readonly string[] Values =
    [
        "null", "true", "false", "-1", "0", "1", "7", "1e400", "99999999999999999999", "0.5", "\"\"", "\" \"", "[]", "{}", "[[[[]]]]", "[null]", "[\"a\",\"b\"]", "\"\\ud800\"", "\"\\u0000\"", "\"\\u202e\"", "\"long\"",
        "\"short\"", "\"x\"", "\"words to find\"", "\"AND\"", "\"a/b\"", "\"..\"", "\"a b\"", "\"fuzz-1\"", "\"2026-13-45T99:99:99Z\"", "\"2020-01-01\"", "\"json\"", "\"toon\"", "\"toon_compact\"", "\"pending\"",
        "{\"write\":\"any\",\"promote\":\"any\",\"delete\":\"any\",\"approver\":{\"consensus\":-1}}", "{\"agent_id\":7}", "\"https://127.0.0.1/\"", "\"human\"",
    ];

    private static readonly string[] Junk = ["{", "}", "[", "]", ",", ":", "\"", "\\", "null", "1", "\u0000", " ", "\"jsonrpc\"", "\"id\":", "\"2.0\""];

    [Fact]
    [Trait(Campaign.Trait, "fuzz")]
    public async Task No_message_makes_the_node_fail()
    {
        var frames = Campaign.Count("fuzz", reduced: 800, full: 10_000);
        await node.PostAsync("/api/v1/import", TestNode.Import(TestNode.Row("fuzz-1", "one", "n"), TestNode.Row("fuzz-2", "two", "n")));
        var tools = (await new McpTestClient(node).ToolsAsync())
            .Select(tool => (Name: (string)tool!["name"]!, Fields: tool["inputSchema"]!["properties"]!.AsObject().Select(field => field.Key).ToArray())).ToArray();
        var lanes = Enumerable.Range(0, Lanes).Select(async lane =>
        {
            var random = new Random(2_000 + lane);
            var seen = new HashSet<string>(StringComparer.Ordinal);
            for (var frame = 0; frame < frames / Lanes; frame++)
            {
                seen.UnionWith(await SendAsync(random, tools));
            }

            return seen;
        });
        var seen = (await Task.WhenAll(lanes)).SelectMany(one => one).ToHashSet(StringComparer.Ordinal);
        Assert.Superset(new HashSet<string> { "200", "202", "400", "result", "error", "isError" }, seen);
        Assert.DoesNotContain(node.Log, static line => !line.Contains("webhook", StringComparison.OrdinalIgnoreCase));
        (await node.GetAsync("/readyz")).ShouldSucceed();
    }

    private async Task<IEnumerable<string>> SendAsync(Random random, (string Name, string[] Fields)[] tools)
    {
        var body = Frame(random, tools);
        if (random.Next(4) == 0)
        {
            body = Mutate(random, body);
        }

        string[] versions = ["", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "nonsense"];
        var version = versions[random.Next(10) == 0 ? random.Next(versions.Length) : 3];
        var reply = await new McpTestClient(node, version).PostAsync(body, random.Next(20) == 0 ? ("Mcp-Session-Id", Pick(random, Junk).Trim('\u0000')) : ("X-Agent-Id", "fuzzer"));
        Assert.True(reply.Status < 500, $"{reply.Status} {reply.Text} for {body}");
        if (reply.Status != 200)
        {
            return [$"{reply.Status}"];
        }

        var message = McpTestClient.Event(reply.Text);
        if (message["result"] is not { } result)
        {
            Assert.True((int)message["error"]!["code"]! != -32603, $"{reply.Text} for {body}");
            return ["200", "error"];
        }

        Assert.False((string?)result["_meta"]?["code"] == "internal", $"{reply.Text} for {body}");
        return (bool?)result["isError"] is true ? ["200", "result", "isError"] : ["200", "result"];
    }

    private static string Frame(Random random, (string Name, string[] Fields)[] tools)
    {
        var method = random.Next(12) switch { 0 => "tools/list", 1 => "prompts/get", 2 => "initialize", 3 => "ping", 4 => "notifications/cancelled", _ => "tools/call" };
        var (name, fields) = Pick(random, tools);
        var arguments = new StringBuilder("{");
        foreach (var field in fields.Where(_ => random.Next(3) != 0).Append("agent_id"))
        {
            arguments.Append(arguments.Length > 1 ? "," : "").Append('"').Append(field).Append("\":").Append(Pick(random, Values));
        }

        arguments.Append('}');
        var parameters = method switch
        {
            "tools/call" => $$"""{"name":"{{name}}","arguments":{{arguments}}}""",
            "prompts/get" => $$$"""{"name":"recall-first","arguments":{"namespace":{{{Pick(random, Values)}}}}}""",
            "initialize" => $$"""{"protocolVersion":{{Pick(random, Values)}},"clientInfo":{"name":{{Pick(random, Values)}},"version":"1"},"capabilities":{} }""",
            _ => Pick(random, Values),
        };
        var id = random.Next(15) switch { 0 => Pick(random, Values), 1 => "\"text\"", _ => random.Next(100).ToString(System.Globalization.CultureInfo.InvariantCulture) };
        return method.StartsWith("notifications", StringComparison.Ordinal)
            ? $$"""{"jsonrpc":"2.0","method":"{{method}}","params":{{parameters}}}"""
            : $$"""{"jsonrpc":"2.0","id":{{id}},"method":"{{method}}","params":{{parameters}}}""";
    }

    private static string Mutate(Random random, string body)
    {
        var text = new StringBuilder(body);
        for (var count = random.Next(1, 4); count > 0 && text.Length > 0; count--)
        {
            var at = random.Next(text.Length);
            var length = Math.Min(random.Next(1, 12), text.Length - at);
            _ = random.Next(3) switch
            {
                0 => text.Remove(at, length),
                1 => text.Insert(at, text.ToString(at, length)),
                _ => text.Insert(at, Pick(random, Junk)),
            };
        }

        return text.ToString();
    }

    private static T Pick<T>(Random random, T[] from) => from[random.Next(from.Length)];
}
