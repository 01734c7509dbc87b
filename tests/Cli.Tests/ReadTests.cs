namespace OrleansMemory.Cli.Tests;

/// <summary>Commands that show many memories or count them.</summary>
public sealed class ReadTests : IDisposable
{
    private const string None = """{"id":"%","title":"%"}""";

    private readonly Om _om = new();

    [Fact]
    public async Task An_empty_store_says_so_and_succeeds()
    {
        Assert.Equal("no memories stored\n", (await _om.RunAsync("list")).Exits(0).Error);
        Assert.Equal("no results for: x y\n", (await _om.RunAsync("search", "x y")).Exits(0).Error);
        Assert.Equal("no memories found for: -x\n", (await _om.RunAsync("recall", "-x")).Exits(0).Error);
        Assert.Equal("no namespaces\n", (await _om.RunAsync("namespaces")).Exits(0).Error);
        Assert.Equal("{\"count\":0,\"memories\":[]}\n", (await _om.RunAsync("list", "--json")).Exits(0).Output);
        Assert.Equal("{\"count\":0,\"results\":[]}\n", (await _om.RunAsync("--json", "search", "x")).Exits(0).Output);
        Assert.Equal("{\"count\":0,\"memories\":[],\"mode\":\"keyword\",\"tokens_used\":0}\n", (await _om.RunAsync("recall", "x", "--json")).Exits(0).Output);
        Assert.Equal("{\"namespaces\":[]}\n", (await _om.RunAsync("namespaces", "--json")).Exits(0).Output);
    }

    [Fact]
    public async Task List_orders_filters_and_pages()
    {
        await ImportAsync(
            """{"id":"a","title":"a","priority":9,"tags":["x","y"],"metadata":{"agent_id":"alice"}}""",
            """{"id":"b","title":"b","priority":5,"tier":"long","namespace":"m","created_at":"2026-02-01T00:00:00Z","metadata":{"agent_id":"bob"}}""",
            """{"id":"c","title":"c","priority":5,"updated_at":"2026-03-01T00:00:00Z"}""");
        Assert.Equal("a,c,b", await IdsAsync());
        Assert.Equal("a,c", await IdsAsync("-n", "n"));
        Assert.Equal("b", await IdsAsync("--tier", "long"));
        Assert.Equal("a", await IdsAsync("--tags", "y"));
        Assert.Equal("", await IdsAsync("--tags", "x,y"));
        Assert.Equal("b", await IdsAsync("--since", "2026-02-01T01:00:00+01:00"));
        Assert.Equal("a,c", await IdsAsync("--until", "2026-01-31T23:59:59Z"));
        Assert.Equal("b", await IdsAsync("--agent-id", "bob"));
        Assert.Equal("c", await IdsAsync("--limit", "1", "--offset", "1"));
        Assert.Equal("", await IdsAsync("--limit", "0"));

        // The caller's own name is no filter.
        var all = (await _om.RunWithAsync([("AI_MEMORY_AGENT_ID", "bob")], "list", "--json")).Exits(0).Json;
        Assert.Equal(3, all.GetProperty("count").GetInt32());
        Assert.Equal(3, (await _om.RunAsync("--agent-id", "bob", "list", "--json")).Exits(0).Json.GetProperty("count").GetInt32());

        var text = (await _om.RunAsync("list", "--limit", "2")).Exits(0).Output;
        Assert.Matches(@"^\[mid/a\] a \(p=9, ns=n, \d+mo ago\)\n\[mid/c\] c \(p=5, ns=n, \d+(mo|d) ago\)\n\n2 memory\(ies\)\n$", text);
        Assert.DoesNotContain('\e', text);
    }

    [Fact]
    public async Task More_rows_than_a_page_of_a_node_come_whole()
    {
        await ImportAsync([.. Enumerable.Range(0, 450).Select(row => $$"""{"id":"id-{{row}}","title":"{{row}}"}""")]);
        Assert.Equal(450, (await _om.RunAsync("list", "--limit", "1000", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
        await using var node = await _om.ServeAsync();
        var listed = (await _om.RunAsync("list", "--limit", "420", "--json", "--url", node.Url)).Exits(0).Json.GetProperty("memories");
        Assert.Equal(420, listed.EnumerateArray().Select(memory => memory.GetProperty("id").GetString()).Distinct().Count());
    }

    [Theory]
    [InlineData("invalid tier", "list", "--tier", "typo")]
    [InlineData("invalid tier", "search", "x", "-t", "typo")]
    [InlineData("since is not valid RFC3339", "list", "--since", "yesterday")]
    [InlineData("until is not valid RFC3339", "recall", "x", "--until", "2026")]
    [InlineData("agent_id filter", "list", "--agent-id", "a b")]
    public async Task A_filter_that_cannot_be_applied_is_an_error(string message, params string[] arguments)
    {
        var outcome = (await _om.RunAsync(arguments)).Exits(1);
        Assert.Empty(outcome.Output);
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Search_finds_memories_that_hold_every_word()
    {
        await ImportAsync(
            """{"id":"a","title":"Deploy window","content":"tuesdays at ten"}""",
            """{"id":"b","title":"Deploy steps","content":"pull, build","namespace":"m"}""");
        var found = (await _om.RunAsync("search", "deploy", "--json")).Exits(0);
        Assert.Equal("count,results", string.Join(',', found.Json.EnumerateObject().Select(field => field.Name)));
        Assert.Equal(2, found.Json.GetProperty("count").GetInt32());
        Assert.False(found.Json.GetProperty("results")[0].TryGetProperty("score", out _));
        Assert.Equal("a", (await _om.RunAsync("search", "deploy tuesdays", "--json")).Exits(0).Json.GetProperty("results")[0].GetProperty("id").GetString());
        Assert.Equal(1, (await _om.RunAsync("search", "deploy", "-n", "m", "--limit", "5", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
        Assert.Matches(@"^\[mid/a\] Deploy window \(p=5, ns=n, \d+mo ago\)\n\n1 result\(s\)\n$", (await _om.RunAsync("search", "window")).Exits(0).Output);
    }

    [Fact]
    public async Task Recall_ranks_and_shows_a_bar_and_a_preview()
    {
        await ImportAsync(
            """{"id":"a","title":"Deploy window","content":"tuesdays at ten","confidence":0.8}""",
            """{"id":"b","title":"Lunch","content":"noon on tuesdays"}""");
        var recalled = (await _om.RunAsync("recall", "when is the deploy on tuesdays", "--json", "--limit", "5", "--tier", "semantic", "--context-tokens", "a,b")).Exits(0);
        Assert.Equal("count,memories,mode,tokens_used", string.Join(',', recalled.Json.EnumerateObject().Select(field => field.Name)));
        var memories = recalled.Json.GetProperty("memories");
        Assert.Equal(2, memories.GetArrayLength());
        Assert.True(memories[0].GetProperty("score").GetDouble() >= memories[1].GetProperty("score").GetDouble());
        Assert.Matches(@"^\d+\.\d{1,3}$", memories[0].GetProperty("score").GetRawText());
        Assert.Equal(0, memories[0].GetProperty("access_count").GetInt32());
        Assert.Equal(1, (await _om.RunAsync("get", "a", "--json")).Exits(0).Json.GetProperty("memory").GetProperty("access_count").GetInt32());

        var budget = (await _om.RunAsync("recall", "deploy", "--budget-tokens", "0", "--json")).Exits(0);
        Assert.Equal("{\"budget_tokens\":0,\"count\":0,\"memories\":[],\"mode\":\"keyword\",\"tokens_used\":0}\n", budget.Output);

        var text = (await _om.RunAsync("recall", "deploy")).Exits(0).Output;
        Assert.Matches(@"^\[mid/a\] Deploy window █{10} score=\d+\.\d\d \(ns=n, \d+x, \d+mo ago conf=80%\)\n  tuesdays at ten\n\n1 memory\(ies\) recalled \[keyword\]\n$", text);
    }

    [Fact]
    public async Task Stats_and_namespaces_count()
    {
        await ImportAsync(None.Replace("%", "a"), None.Replace("%", "b"), """{"id":"c","title":"c","namespace":"m","tier":"long"}""");
        await _om.RunAsync("link", "a", "b");
        var stats = (await _om.RunAsync("stats", "--json")).Exits(0);
        Assert.Equal("total,by_tier,by_namespace,expiring_soon,links_count,db_size_bytes", string.Join(',', stats.Json.EnumerateObject().Select(field => field.Name)));
        Assert.Equal(3, stats.Json.GetProperty("total").GetInt32());
        Assert.Equal(1, stats.Json.GetProperty("links_count").GetInt32());
        Assert.Contains("{\"tier\":\"mid\",\"count\":2}", stats.Output, StringComparison.Ordinal);
        Assert.Contains("\"by_namespace\":[{\"namespace\":\"n\",\"count\":2},{\"namespace\":\"m\",\"count\":1}]", stats.Output, StringComparison.Ordinal);
        Assert.True(stats.Json.GetProperty("db_size_bytes").GetInt64() > 0);

        var text = (await _om.RunAsync("stats")).Exits(0).Output;
        Assert.StartsWith("total memories: 3\nexpiring within 1h: 0\nlinks: 1\ndatabase size: ", text, StringComparison.Ordinal);
        Assert.EndsWith("by namespace:\n  n: 2\n  m: 1\n", text, StringComparison.Ordinal);

        Assert.Equal("  n: 2 memories\n  m: 1 memories\n", (await _om.RunAsync("namespaces")).Exits(0).Output);
        Assert.Equal("{\"namespaces\":[{\"count\":2,\"namespace\":\"n\"},{\"count\":1,\"namespace\":\"m\"}]}\n", (await _om.RunAsync("namespaces", "--json")).Exits(0).Output);
    }

    public void Dispose() => _om.Dispose();

    private async Task ImportAsync(params string[] rows) => (await _om.FeedAsync(MemoryTests.Export(rows), "import", "--trust-source")).Exits(0);

    private async Task<string> IdsAsync(params string[] options)
    {
        var listed = (await _om.RunAsync(["list", "--json", .. options])).Exits(0).Json.GetProperty("memories");
        return string.Join(',', listed.EnumerateArray().Select(memory => memory.GetProperty("id").GetString()));
    }
}
