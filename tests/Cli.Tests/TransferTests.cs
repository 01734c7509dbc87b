using System.Text;
using System.Text.Json;

namespace OrleansMemory.Cli.Tests;

/// <summary>Export and import.</summary>
public sealed class TransferTests : IDisposable
{
    private readonly Om _om = new();

    [Fact]
    public async Task An_export_goes_in_and_comes_out_the_same()
    {
        var rows = MemoryTests.Export(
            """{"id":"a","title":"a","content":"é 😀 \"\\ \n","metadata":{"agent_id":"alice","z":[1.50,{"k":null}]},"tags":["x"]}""",
            """{"id":"b","title":"b","tier":"long","created_at":"2026-01-02T00:00:00.123456789+00:00","expires_at":"2100-01-01T00:00:00Z"}""");
        (await _om.FeedAsync(rows, "import", "--trust-source")).Exits(0);
        await _om.RunAsync("link", "a", "b", "-r", "derived_from");

        var first = (await _om.RunAsync("export")).Exits(0).Output;
        Assert.StartsWith("{\n  \"count\": 2,\n  \"exported_at\": \"", first, StringComparison.Ordinal);
        Assert.EndsWith("  ]\n}\n", first, StringComparison.Ordinal);
        var document = JsonDocument.Parse(first).RootElement;
        Assert.Equal("count,exported_at,links,memories", string.Join(',', document.EnumerateObject().Select(field => field.Name)));
        Assert.Equal("1.50", document.GetProperty("memories")[0].GetProperty("metadata").GetProperty("z")[0].GetRawText());
        Assert.Contains("😀", first, StringComparison.Ordinal);

        (await _om.FeedAsync(first, "--db", "copy.db", "import", "--trust-source")).Exits(0);
        var second = JsonDocument.Parse((await _om.RunAsync("--db", "copy.db", "export")).Exits(0).Output).RootElement;
        Assert.Equal(document.GetProperty("links").GetRawText(), second.GetProperty("links").GetRawText());
        Assert.Equal(document.GetProperty("memories").GetRawText(), second.GetProperty("memories").GetRawText());
    }

    [Fact]
    public async Task An_import_is_stamped_with_the_caller_unless_its_source_is_trusted()
    {
        var rows = MemoryTests.Export(
            """{"id":"a","title":"a","metadata":{"agent_id":"alice"}}""",
            """{"id":"b","title":"b","metadata":{"agent_id":"bob"}}""",
            """{"id":"c","title":"c"}""");
        var stamped = (await _om.FeedAsync(rows, "import", "--agent-id", "bob", "--json")).Exits(0);
        Assert.Equal("{\"errors\":[],\"imported\":3,\"restamped\":1,\"trusted_source\":false}\n", stamped.Output);
        Assert.Contains("\"metadata\":{\"agent_id\":\"bob\",\"imported_from_agent_id\":\"alice\"}", (await _om.RunAsync("get", "a", "--json")).Output, StringComparison.Ordinal);
        Assert.Contains("\"metadata\":{\"agent_id\":\"bob\"}", (await _om.RunAsync("get", "c", "--json")).Output, StringComparison.Ordinal);

        var trusted = (await _om.FeedAsync(rows, "--db", "t.db", "import", "--trust-source", "--agent-id", "bob")).Exits(0);
        Assert.Equal("imported: 3 (restamped agent_id on 0)\n", trusted.Output);
        Assert.Contains("\"metadata\":{\"agent_id\":\"alice\"}", (await _om.RunAsync("--db", "t.db", "get", "a", "--json")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_row_is_judged_alone()
    {
        var rows = MemoryTests.Export(
            """{"id":"a","title":"a"}""",
            """{"id":"b","title":"b","tags":[""]}""",
            """{"id":"c","title":"c","source":"mine-slack"}""",
            """{"id":"d","title":"d","priority":"high"}""",
            """{"id":"e","title":null}""",
            """{"id":"f","title":"f","access_count":7,"last_accessed_at":"2026-01-03T00:00:00Z"}""");
        var outcome = (await _om.FeedAsync(rows, "import", "--json")).Exits(1);
        Assert.Equal(2, outcome.Json.GetProperty("imported").GetInt32());
        var errors = outcome.Json.GetProperty("errors").EnumerateArray().Select(error => error.GetString()!).ToList();
        Assert.Equal(["b", "c", "d", "e"], errors.Select(error => error[..1]));
        Assert.Equal("b: tags cannot contain empty strings", errors[0]);
        Assert.Contains("invalid source", errors[1], StringComparison.Ordinal);
        Assert.Contains("`priority`", errors[2], StringComparison.Ordinal);
        Assert.Contains("`title`", errors[3], StringComparison.Ordinal);
        Assert.Equal(7, (await _om.RunAsync("get", "f", "--json")).Exits(0).Json.GetProperty("memory").GetProperty("access_count").GetInt32());

        var text = (await _om.FeedAsync(rows, "import")).Exits(1);
        Assert.Equal("imported: 2 (restamped agent_id on 0)\n", text.Output);
        Assert.StartsWith("  b: ", text.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"memories":{}}""")]
    [InlineData("""{"memories":[]""")]
    [InlineData("""{"memories":[]} x""")]
    public async Task A_document_that_is_no_export_is_an_error(string input)
    {
        var outcome = (await _om.FeedAsync(input, "import")).Exits(1);
        Assert.Empty(outcome.Output);
        Assert.StartsWith("Error: malformed JSON", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_fault_inside_the_document_imports_nothing()
    {
        var rows = MemoryTests.Export("""{"id":"a","title":"a"}""");
        var outcome = (await _om.FeedAsync(rows[..^2] + ",{]}", "import")).Exits(1);
        Assert.StartsWith("Error: malformed JSON; nothing was imported\n", outcome.Error, StringComparison.Ordinal);
        (await _om.RunAsync("get", "a")).Exits(1);
    }

    [Fact]
    public async Task Links_follow_their_memories_and_malformed_ones_are_passed_over()
    {
        (await _om.RunAsync("store", "-T", "a", "-c", "here before", "-n", "n")).Exits(0);
        var rows = MemoryTests.Export("""{"id":"a","title":"a"}""", """{"id":"b","title":"b"}""").Replace("\"links\":[]", """
            "links":[{"source_id":"a","target_id":"b","relation":"supersedes","created_at":"2026-01-01T00:00:00+00:00"},{"source_id":"a"},7,
            {"source_id":"a","target_id":"gone","relation":"supersedes","created_at":"2026-01-01T00:00:00+00:00"}]
            """, StringComparison.Ordinal);
        (await _om.FeedAsync(rows, "import")).Exits(0);
        var links = (await _om.RunAsync("get", "b", "--json")).Exits(0).Json.GetProperty("links");
        Assert.Equal(1, links.GetArrayLength());
        Assert.Equal("supersedes", links[0].GetProperty("relation").GetString());
        Assert.Equal("2026-01-01T00:00:00+00:00", links[0].GetProperty("created_at").GetString());
    }

    [Fact]
    public async Task An_import_of_any_length_goes_in_batches()
    {
        var rows = new StringBuilder("{\"memories\":[");
        for (var row = 0; row < 2_500; row++)
        {
            rows.Append(row == 0 ? "" : ",").Append(
                $$"""{"id":"id-{{row}}","tier":"long","namespace":"n","title":"t {{row}}","content":"{{new string('x', 2_000)}}","tags":[],"priority":5,"confidence":1,"source":"import","access_count":0,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}""");
        }

        var input = rows.Append("]}").ToString();
        await using var node = await _om.ServeAsync();
        Assert.Equal(2_500, (await _om.FeedAsync(input, "import", "--json", "--url", node.Url)).Exits(0).Json.GetProperty("imported").GetInt32());
        var exported = (await _om.RunAsync("export", "--url", node.Url)).Exits(0).Json;
        Assert.Equal(2_500, exported.GetProperty("count").GetInt32());
        Assert.Equal(2_500, exported.GetProperty("memories").GetArrayLength());
    }

    [Fact]
    public async Task The_sample_set_imports_whole_and_again()
    {
        var first = (await _om.RunAsync("import", "--sample", "--json")).Exits(0).Json;
        Assert.True(first.GetProperty("trusted_source").GetBoolean());
        var count = first.GetProperty("imported").GetInt32();
        Assert.True(count > 300);
        var stats = (await _om.RunAsync("stats", "--json")).Exits(0).Json;
        Assert.Equal(count, stats.GetProperty("total").GetInt32());
        Assert.True(stats.GetProperty("links_count").GetInt32() > 50);
        (await _om.RunAsync("import", "--sample")).Exits(0);
        Assert.Equal(count, (await _om.RunAsync("stats", "--json")).Exits(0).Json.GetProperty("total").GetInt32());
    }

    public void Dispose() => _om.Dispose();
}
