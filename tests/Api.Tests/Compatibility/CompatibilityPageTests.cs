using OrleansMemory.Api.Tests.Mcp;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests.Compatibility;

/// <summary>The sections of docs/compatibility.md about routes say what the checks show, and are written by them.</summary>
public sealed class CompatibilityPageTests(TestNode node) : IClassFixture<TestNode>
{
    public static TheoryData<string> Routes => [.. All.Select(route => route.Route)];

    public static TheoryData<string> Tools => [.. ReferenceTools.Of060.Select(tool => tool.Tool)];

    private static IEnumerable<ReferenceRoute> All => ReferenceRoutes.Of060.Concat(ReferenceRoutes.Later);

    [Theory]
    [MemberData(nameof(Routes))]
    public Task A_route_is_as_the_page_says(string route) => All.Single(known => known.Route == route).Check(node);

    [Theory]
    [MemberData(nameof(Tools))]
    public async Task A_tool_is_as_the_page_says(string tool)
    {
        var known = ReferenceTools.Of060.Single(known => known.Tool == tool);
        var schema = (await new McpTestClient(node).ToolsAsync()).Single(told => (string?)told!["name"] == tool)!["inputSchema"]!;
        var required = schema["required"]?.AsArray().Select(name => (string)name!).ToHashSet(StringComparer.Ordinal) ?? [];
        var told = schema["properties"]!.AsObject().Select(field => field.Key + (required.Contains(field.Key) ? "*" : "")).ToHashSet(StringComparer.Ordinal);
        Assert.Superset(known.Parameters.Split(' ', StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal), told);
        await known.Check(node);
    }

    [Fact]
    public async Task The_page_is_the_committed_one()
    {
        Assert.Equal(33, ReferenceRoutes.Of060.Count);
        Assert.Equal(36, ReferenceTools.Of060.Count);
        await HoldAsync("HTTP routes of 0.6.0", ReferenceRoutes.Of060);
        await HoldAsync("HTTP routes of later releases and of the SDKs", ReferenceRoutes.Later);
        await CompatibilityPage.HoldAsync("MCP tools", "tool", ReferenceTools.Of060.Select(tool => new ComparedRow($"{tool.Tool} {tool.Parameters}".TrimEnd(), tool.Verdict, tool.Why)));
    }

    private static Task HoldAsync(string title, IReadOnlyList<ReferenceRoute> routes) =>
        CompatibilityPage.HoldAsync(title, "route", routes.Select(route => new ComparedRow(route.Route, route.Verdict, route.Why)));
}
