using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using OrleansMemory.Api.Mcp;
using OrleansMemory.Compliance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Tests.Mcp;

/// <summary>Tables of text: what goes in comes out, whatever it is.</summary>
public sealed class ToonTests(TestNode node) : IClassFixture<TestNode>
{
    private static readonly string[] Pieces = ["a", "|", ":", "\\", "\n", "\r", ",", " ", "\t", "\\n", "é", "😀", "[", "]", "\\|", "memories[id]:", "\u2028", "…", "{\"k\":1}"];

    [Fact]
    public async Task The_tables_are_those_that_clients_read()
    {
        var client = new McpTestClient(node, headers: ("X-Agent-Id", "ai:claude@pc:pid-7"));
        var id = await client.StoreAsync("Deploy window", ""","namespace":"toon/ops","tier":"long","priority":9,"tags":["deploy","ops"]""");
        var compact = await client.CallAsync("memory_list", """{"namespace":"toon/ops"}""");
        Assert.Equal(
            $"count:1\nmemories[id|title|tier|namespace|priority|score|tags|agent_id|excerpt]:\n{id}|Deploy window|long|toon/ops|9||deploy,ops|ai\\:claude@pc\\:pid-7|content of Deploy window\n",
            compact.Text);
        Assert.Equal("content of Deploy window", (string?)compact.Structured!["memories"]![0]!["excerpt"]);
        var full = (await client.CallAsync("memory_search", """{"query":"Deploy","namespace":"toon/ops","format":"toon"}""")).Text.Split('\n');
        Assert.Equal("memories[id|title|tier|namespace|priority|confidence|score|access_count|tags|source|created_at|updated_at|metadata|expires_at|content]:", full[1]);
        Assert.StartsWith($"{id}|Deploy window|long|toon/ops|9|1.0||0|deploy,ops|claude|", full[2]);
        Assert.Contains("""|{"agent_id"\:"ai\:claude@pc\:pid-7"}||content of Deploy window""", full[2]);
        Assert.Equal("count:0\nmemories[id|title|tier|namespace|priority|score|tags|agent_id|excerpt]:\n", (await client.CallAsync("memory_list", """{"namespace":"toon/none"}""")).Text);

        var rules = await client.StoreAsync("Ops rules", ",\"namespace\":\"toon/ops\"");
        await client.CallAsync("memory_update", $$"""{"id":"{{rules}}","content":"Change window: Tuesday\nAsk first"}""");
        await client.CallAsync("memory_namespace_set_standard", $$"""{"namespace":"toon/ops","id":"{{rules}}"}""");
        var recalled = await client.CallAsync("memory_recall", """{"context":"window","namespace":"toon/ops","budget_tokens":500}""");
        var lines = recalled.Text.Split('\n');
        Assert.Matches(@"^count:1\|mode:\w+\|tokens_used:\d+\|budget_tokens:500$", lines[0]);
        Assert.Equal(["standards[id|title|content]:", $@"{rules}|Ops rules|Change window\: Tuesday\nAsk first"], lines[1..3]);
        Assert.StartsWith($"{id}|Deploy window|long|toon/ops|9|", lines[4]);
        var json = (await client.CallAsync("memory_recall", """{"context":"window","namespace":"toon/ops","format":"json"}""")).Json;
        Assert.Equal(rules, (string?)json["standard"]!["id"]);
        Assert.Equal([id], json["memories"]!.AsArray().Select(memory => (string)memory!["id"]!));

        var session = (await client.CallAsync("memory_session_start", """{"namespace":"toon/ops"}""")).Text.Split('\n');
        Assert.Equal("count:1|mode:session_start", session[0]);
        Assert.Contains("|9|0.0|deploy,ops|", session[4]);
    }

    [Fact]
    [Trait(Campaign.Trait, "fuzz")]
    public void What_goes_in_comes_out()
    {
        var random = new Random(42);
        var count = Campaign.Count("fuzz", reduced: 1_000, full: 10_000);
        for (var round = 0; round < count; round++)
        {
            var rows = Enumerable.Range(0, random.Next(4)).Select(_ => new ToonRow(Memory(random), random.Next(2) == 0 ? null : random.NextDouble() * 20)).ToList();
            var standards = Enumerable.Range(0, random.Next(3)).Select(_ => Memory(random)).ToList();
            var columns = random.Next(2) == 0 ? ToonWriter.Compact : ToonWriter.Full;
            var text = ToonWriter.Write([("count", rows.Count.ToString(CultureInfo.InvariantCulture))], standards, columns, rows);
            var table = ToonReader.Read(text);
            Assert.Equal(standards.Select(standard => (standard.Id, standard.Title, standard.Content)), table.Standards.Select(standard => (standard[0], standard[1], standard[2])));
            Assert.Equal(rows.Count, table.Rows.Count);
            foreach (var (row, read) in rows.Zip(table.Rows))
            {
                Assert.Equal(row.Memory.Id, read["id"]);
                Assert.Equal(row.Memory.Title, read["title"]);
                Assert.Equal(row.Memory.Namespace, read["namespace"]);
                Assert.Equal(row.Memory.Tags, ToonReader.Tags(read["tags"]));
                if (read.TryGetValue("content", out var content))
                {
                    Assert.Equal(row.Memory.Content, content);
                    Assert.Equal(row.Memory.Metadata.IsEmpty ? "" : row.Memory.Metadata.Json, read["metadata"]);
                    Assert.Equal(row.Memory.Confidence, double.Parse(read["confidence"], CultureInfo.InvariantCulture));
                }
                else
                {
                    Assert.Equal(ToonWriter.Excerpt(row.Memory.Content), read["excerpt"]);
                }
            }
        }
    }

    [Theory]
    [InlineData("  a \n\t b  ", "a b")]
    [InlineData("", "")]
    public void An_excerpt_is_one_line(string content, string excerpt) => Assert.Equal(excerpt, ToonWriter.Excerpt(content));

    [Fact]
    public void An_excerpt_ends_where_it_must()
    {
        var whole = new string('x', ToonWriter.ExcerptCharacters);
        Assert.Equal(whole, ToonWriter.Excerpt(whole));
        Assert.Equal(whole + "…", ToonWriter.Excerpt(whole + "y"));
        Assert.Equal(whole, ToonWriter.Excerpt(whole + " \n"));
    }

    private static Memory Memory(Random random) => new()
    {
        Id = Text(random),
        Title = Text(random),
        Content = Text(random) + Text(random) + Text(random),
        Tier = (Tier)random.Next(3),
        Namespace = Text(random),
        Tags = [.. Enumerable.Range(0, random.Next(4)).Select(_ => Text(random))],
        Priority = random.Next(1, 11),
        Confidence = Math.Round(random.NextDouble(), random.Next(4)),
        Source = "claude",
        CreatedAt = default,
        UpdatedAt = default,
        Metadata = random.Next(2) == 0 ? Metadata.Empty : Metadata.Parse(new JsonObject { ["agent_id"] = Text(random), ["k"] = random.Next() }.ToJsonString()),
    };

    private static string Text(Random random)
    {
        var text = new StringBuilder();
        for (var count = random.Next(1, 12); count > 0; count--)
        {
            text.Append(Pieces[random.Next(Pieces.Length)]);
        }

        return text.ToString();
    }
}

/// <summary>Reads a table as a client does.</summary>
internal static class ToonReader
{
    public static (List<string[]> Standards, List<Dictionary<string, string>> Rows) Read(string text)
    {
        Assert.EndsWith("\n", text);
        var lines = text[..^1].Split('\n');
        var at = 1;
        var standards = new List<string[]>();
        if (lines[at].StartsWith("standards[", StringComparison.Ordinal))
        {
            while (!IsHeader(lines[++at]))
            {
                standards.Add(Cells(lines[at]));
            }
        }

        Assert.True(IsHeader(lines[at]), lines[at]);
        var names = lines[at]["memories[".Length..^2].Split('|');
        return (standards, [.. lines.Skip(at + 1).Select(line =>
        {
            var cells = Cells(line);
            Assert.Equal(names.Length, cells.Length);
            return names.Zip(cells).ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);
        })]);
    }

    /// <summary>No cell ends so: its colon is escaped.</summary>
    private static bool IsHeader(string line) => line.StartsWith("memories[", StringComparison.Ordinal) && line.EndsWith("]:", StringComparison.Ordinal);

    public static string[] Tags(string cell) => cell.Length == 0 ? [] : Split(cell, ',', static escaped => escaped);

    private static string[] Cells(string line) => Split(line, '|', static escaped => escaped switch { 'n' => '\n', 'r' => '\r', _ => escaped });

    private static string[] Split(string text, char separator, Func<char, char> meaning)
    {
        var parts = new List<string>();
        var part = new StringBuilder();
        for (var index = 0; index < text.Length; index++)
        {
            if (text[index] == '\\')
            {
                part.Append(meaning(text[++index]));
            }
            else if (text[index] == separator)
            {
                parts.Add(part.ToString());
                part.Clear();
            }
            else
            {
                part.Append(text[index]);
            }
        }

        parts.Add(part.ToString());
        return [.. parts];
    }
}
