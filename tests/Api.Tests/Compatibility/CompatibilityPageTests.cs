using System.Text;
using OrleansMemory.Api.Tests.Mcp;

namespace OrleansMemory.Api.Tests.Compatibility;

/// <summary>The page that compares this service with ai-memory 0.6.0 says what the checks show, and is written by them.</summary>
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

    /// <summary><c>OM_UPDATE_COMPATIBILITY=1</c> writes the page instead of comparing it.</summary>
    [Fact]
    public async Task The_page_is_the_committed_one()
    {
        Assert.Equal(33, ReferenceRoutes.Of060.Count);
        Assert.Equal(36, ReferenceTools.Of060.Count);
        var path = Path.Combine(ConsistencyPageTests.FindRoot(), "docs", "compatibility.md");
        var text = Page();
        if (Environment.GetEnvironmentVariable("OM_UPDATE_COMPATIBILITY") == "1")
        {
            await File.WriteAllTextAsync(path, text);
        }

        Assert.Equal(await File.ReadAllTextAsync(path), text);
    }

    private static string Page()
    {
        var page = new StringBuilder("""
            # Compared with ai-memory 0.6.0

            Each row is shown by a test that drives a node from outside (`tests/Api.Tests/Compatibility`), which also writes this page
            (`OM_UPDATE_COMPATIBILITY=1 ./test Api --filter Compatibility`). Same: a caller sees what it saw there; further fields are not
            counted. Better: as there, and a known defect is done right. Different: something that a caller relied on is otherwise. Missing:
            not served.

            Everywhere: errors are JSON with `code` beside `error`, where some were plain text; an unknown enum value or a pattern without
            a usable word is an error and changes nothing; reserved namespaces take no writes but those of their own routes.


            """.ReplaceLineEndings("\n"));
        Table(page, "HTTP routes of 0.6.0", ReferenceRoutes.Of060);
        page.Append('\n');
        Table(page, "HTTP routes of later releases and of the SDKs", ReferenceRoutes.Later);
        page.Append('\n');
        Tables(page);
        return page.ToString();
    }

    private static void Tables(StringBuilder page)
    {
        page.Append("""
            ## MCP tools

            Over `/mcp` and by `om mcp`, with the names and parameters of 0.6.0 (a star marks what is required). Everywhere: a failed call is a result
            with `isError` and the message as text, as there, and has `code` and `status` of the HTTP error in `_meta`; an unknown tool is an error of the
            protocol (-32602), where it was such a result; a value of the wrong type is an error that names it, where it counted as absent; results have
            their JSON as `structuredContent` too, and tools an output schema and hints, for clients of the revisions that know them.

            | tool | parameters | | |
            |---|---|---|---|

            """.ReplaceLineEndings("\n"));
        foreach (var tool in ReferenceTools.Of060)
        {
            page.Append("| `").Append(tool.Tool).Append("` | ").Append(tool.Parameters).Append(" | ").Append(tool.Verdict.ToString().ToLowerInvariant()).Append(" | ").Append(tool.Why).Append(" |\n");
        }
    }

    private static void Table(StringBuilder page, string title, IReadOnlyList<ReferenceRoute> routes)
    {
        page.Append("## ").Append(title).Append("\n\n| route | | |\n|---|---|---|\n");
        foreach (var route in routes)
        {
            page.Append("| `").Append(route.Route).Append("` | ").Append(route.Verdict.ToString().ToLowerInvariant()).Append(" | ").Append(route.Why).Append(" |\n");
        }
    }
}
