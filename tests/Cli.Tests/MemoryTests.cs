using System.Text.Json;

namespace OrleansMemory.Cli.Tests;

/// <summary>Commands that store, show and change memories.</summary>
public sealed class MemoryTests : IDisposable
{
    private const string SortedKeys = "access_count,confidence,content,created_at,expires_at,id,metadata,namespace,priority,source,tags,tier,title,updated_at";

    private readonly Om _om = new();

    [Fact]
    public async Task Store_answers_with_the_memory_as_one_compact_line()
    {
        var stored = (await _om.RunAsync(
            "--agent-id", "alice", "store", "-T", "Deploy window", "-c", "Tuesdays 10:00 UTC, é 😀 \"q\"", "-t", "mid", "-n", "ops/eu", "--tags", " a, ,b,a ", "-p7",
            "--confidence", "0.5", "-S", "hook", "--scope", "team", "--json")).Exits(0);
        Assert.Equal(SortedKeys, string.Join(',', stored.Json.EnumerateObject().Select(field => field.Name)));
        Assert.Contains("""
            "namespace":"ops/eu","priority":7,"source":"hook","tags":["a","b"],"tier":"mid","title":"Deploy window",
            """, stored.Output, StringComparison.Ordinal);
        Assert.Contains("""
            "confidence":0.5,"content":"Tuesdays 10:00 UTC, é 😀 \"q\"",
            """, stored.Output, StringComparison.Ordinal);
        Assert.Contains("""
            "metadata":{"agent_id":"alice","scope":"team"}
            """, stored.Output, StringComparison.Ordinal);
        Assert.EndsWith("+00:00\"}\n", stored.Output, StringComparison.Ordinal);
        Assert.Single(stored.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task Store_has_defaults_and_a_line_for_people()
    {
        var stored = (await _om.RunAsync("store", "--title=-x", "--content", "-y", "-n", "n")).Exits(0);
        Assert.Matches(@"^stored: [0-9a-f-]{36} \[mid\] \(ns=n\)\n$", stored.Output);
        var memory = (await _om.RunAsync("list", "--json")).Exits(0).Json.GetProperty("memories")[0];
        Assert.Equal("-x", memory.GetProperty("title").GetString());
        Assert.Equal("-y", memory.GetProperty("content").GetString());
        Assert.Equal("cli", memory.GetProperty("source").GetString());
        Assert.Equal(5, memory.GetProperty("priority").GetInt32());
        Assert.Equal("1.0", memory.GetProperty("confidence").GetRawText());
        Assert.Matches("^host:[^:]+:pid-[0-9]+-[0-9a-f]{8}$", memory.GetProperty("metadata").GetProperty("agent_id").GetString());
    }

    [Fact]
    public async Task A_title_that_exists_updates_the_stored_memory_and_answers_with_it()
    {
        var first = (await _om.RunAsync("store", "-T", "t", "-c", "one", "-n", "n", "-p", "9", "--agent-id", "alice", "--json")).Exits(0).Json;
        var second = (await _om.RunAsync("store", "-T", "t", "-c", "two", "-n", "n", "-p", "3", "--agent-id", "bob", "--json")).Exits(0).Json;
        Assert.Equal(first.GetProperty("id").GetString(), second.GetProperty("id").GetString());
        Assert.Equal("two", second.GetProperty("content").GetString());
        Assert.Equal(9, second.GetProperty("priority").GetInt32());
        Assert.Equal("alice", second.GetProperty("metadata").GetProperty("agent_id").GetString());
    }

    [Fact]
    public async Task Content_comes_from_standard_input()
    {
        var stored = (await _om.FeedAsync("line one\nzwei ü\n", "store", "-T", "t", "-n", "n", "-c", "-", "--json")).Exits(0);
        Assert.Equal("line one\nzwei ü\n", stored.Json.GetProperty("content").GetString());
        Assert.Contains("UTF-8", (await _om.FeedAsync([0x61, 0xff, 0xfe], "store", "-T", "t", "-n", "n", "-c", "-")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("content cannot be empty", (await _om.FeedAsync("", "store", "-T", "t", "-n", "n", "-c", "-")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("content exceeds max size", (await _om.FeedAsync(new string('x', 65_537), "store", "-T", "t", "-n", "n", "-c", "-")).Exits(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Expiry_follows_the_option_that_says_most()
    {
        async Task<DateTimeOffset?> ExpiryAsync(params string[] options)
        {
            var stored = (await _om.RunAsync(["store", "-T", "t", "-c", "c", "-n", $"n{Guid.NewGuid():n}", "--json", .. options])).Exits(0).Json;
            return stored.TryGetProperty("expires_at", out var value) ? value.GetDateTimeOffset() : null;
        }

        var soon = DateTimeOffset.UtcNow.AddHours(1);
        var given = soon.ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(soon.ToUnixTimeSeconds(), (await ExpiryAsync("--expires-at", given, "--ttl-secs", "7"))!.Value.ToUnixTimeSeconds());
        Assert.InRange((await ExpiryAsync("--ttl-secs", "60"))!.Value, DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddMinutes(2));
        Assert.InRange((await ExpiryAsync("--tier", "short"))!.Value, DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddHours(7));
        Assert.Null(await ExpiryAsync("--tier", "long"));
    }

    [Theory]
    [InlineData("invalid tier: typo (use short, mid, long)", "--tier", "typo")]
    [InlineData("invalid source", "--source", "me")]
    [InlineData("priority must be between", "--priority", "11")]
    [InlineData("confidence must be", "--confidence", "1.5")]
    [InlineData("ttl_secs must be positive", "--ttl-secs", "0")]
    [InlineData("expires_at is in the past", "--expires-at", "2001-01-01T00:00:00Z")]
    [InlineData("expires_at is not valid RFC3339", "--expires-at", "tomorrow")]
    [InlineData("invalid scope", "--scope", "world")]
    [InlineData("namespace cannot", "--namespace", "a b")]
    [InlineData("agent_id ", "--agent-id", "a b")]
    public async Task Store_refuses_what_breaks_a_rule(string message, params string[] options)
    {
        var outcome = (await _om.RunAsync(["store", "-T", "t", "-c", "c", .. options])).Exits(1);
        Assert.Empty(outcome.Output);
        Assert.StartsWith("Error: ", outcome.Error, StringComparison.Ordinal);
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_om.DataFile));
    }

    [Fact]
    public async Task The_namespace_is_that_of_the_project()
    {
        async Task<string> StoredInAsync()
        {
            var stored = (await _om.RunAsync("--db", "x.db", "store", "-T", $"t{Guid.NewGuid():n}", "-c", "c", "--json")).Exits(0);
            return stored.Json.GetProperty("namespace").GetString()!;
        }

        Assert.Equal(Path.GetFileName(_om.Folder), await StoredInAsync());
        Directory.CreateDirectory(_om.PathTo(".git"));
        await File.WriteAllTextAsync(_om.PathTo(".git/config"), """
            [core]
                bare = false
            [remote "fork"]
                url = https://example.org/other.git
            [remote "origin"]
                url = git@example.org:team/my project.git
            """);
        Assert.Equal("my-project", await StoredInAsync());
        Directory.CreateDirectory(_om.PathTo(".config/orleans-memory"));
        await File.WriteAllTextAsync(_om.PathTo(".config/orleans-memory/config.toml"), "default_namespace = \"house\"\n");
        Assert.Equal("house", await StoredInAsync());
    }

    [Fact]
    public async Task Get_shows_a_memory_with_its_links_by_id_or_prefix()
    {
        var a = await StoreAsync("a");
        var b = await StoreAsync("b");
        Assert.Equal($"linked: {a} --[related_to]--> {b}\n", (await _om.RunAsync("link", a, b)).Exits(0).Output);
        Assert.Equal("{\"linked\":true}\n", (await _om.RunAsync("link", a, b, "-r", "supersedes", "--json")).Exits(0).Output);

        var text = (await _om.RunAsync("get", a[..8])).Exits(0).Output;
        Assert.StartsWith($"{{\n  \"id\": \"{a}\",\n  \"tier\": \"mid\",\n  \"namespace\": \"n\",\n  \"title\": \"a\",\n", text, StringComparison.Ordinal);
        Assert.Contains($"}}\n\nlinks:\n  {a} --[related_to]--> {b}\n  {a} --[supersedes]--> {b}\n", text, StringComparison.Ordinal);

        var json = (await _om.RunAsync("get", b, "--json")).Exits(0);
        Assert.StartsWith("{\"links\":[{\"created_at\":\"", json.Output, StringComparison.Ordinal);
        Assert.Equal("relation,source_id,target_id", string.Join(',', json.Json.GetProperty("links")[0].EnumerateObject().Skip(1).Select(field => field.Name)));
        Assert.Equal(b, json.Json.GetProperty("memory").GetProperty("id").GetString());
    }

    [Fact]
    public async Task An_id_that_nothing_has_is_status_1()
    {
        var a = await StoreAsync("a");
        foreach (var command in new[] { "get", "delete", "promote" })
        {
            Assert.Equal("not found: nope\n", (await _om.RunAsync(command, "nope")).Exits(1).Error);
        }

        Assert.Equal("not found: nope\n", (await _om.RunAsync("update", "nope", "-T", "x")).Exits(1).Error);
        Assert.Contains("source memory not found: nope", (await _om.RunAsync("link", "nope", a)).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("target memory not found: nope", (await _om.RunAsync("link", a, "nope")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("target memory not found", (await _om.RunAsync("link", a, a[..8])).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("cannot link a memory to itself", (await _om.RunAsync("link", a, a)).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("invalid relation", (await _om.RunAsync("link", a, "b", "-r", "likes")).Exits(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_prefix_of_several_ids_lists_them()
    {
        await _om.FeedAsync(Export("""{"id":"twin-1","title":"1"}""", """{"id":"twin-2","title":"2"}"""), "import");
        var outcome = (await _om.RunAsync("get", "twin")).Exits(1);
        Assert.Equal("Error: ambiguous ID prefix 'twin': 2 matches\ntwin-1\ntwin-2\n", outcome.Error);
    }

    [Fact]
    public async Task Update_changes_what_is_given_and_clears_what_is_empty()
    {
        var id = await StoreAsync("a", "--tags", "x,y");
        var updated = (await _om.RunAsync("update", id[..10], "-T", "A", "-c", "new", "-t", "long", "-n", "m", "-p", "8", "--confidence", "0.25", "--tags=", "--json")).Exits(0);
        Assert.StartsWith(
            $"{{\"id\":\"{id}\",\"tier\":\"long\",\"namespace\":\"m\",\"title\":\"A\",\"content\":\"new\",\"tags\":[],\"priority\":8,\"confidence\":0.25,\"source\":\"cli\",\"access_count\":0,\"created_at\":",
            updated.Output,
            StringComparison.Ordinal);
        var expiring = (await _om.RunAsync("update", id, "--expires-at", "2100-01-01T00:00:00Z", "--json")).Exits(0);
        Assert.Equal("2100-01-01T00:00:00+00:00", expiring.Json.GetProperty("expires_at").GetString());
        Assert.False((await _om.RunAsync("update", id, "--expires-at", "", "--json")).Exits(0).Json.TryGetProperty("expires_at", out _));
        Assert.Equal($"updated: {id} [A]\n", (await _om.RunAsync("update", id, "--tags", "z")).Exits(0).Output);

        await StoreAsync("taken");
        Assert.Contains("already exists in namespace", (await _om.RunAsync("update", id, "-T", "taken", "-n", "n")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("invalid tier", (await _om.RunAsync("update", id, "-t", "typo")).Exits(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Delete_and_promote_take_a_prefix_and_name_the_whole_id()
    {
        var id = await StoreAsync("a");
        Assert.Equal($"promoted to long-term: {id}\n", (await _om.RunAsync("promote", id[..8])).Exits(0).Output);
        Assert.Equal($"{{\"id\":\"{id}\",\"promoted\":true,\"tier\":\"long\"}}\n", (await _om.RunAsync("promote", id, "--json")).Exits(0).Output);
        Assert.Equal($"{{\"deleted\":true,\"id\":\"{id}\"}}\n", (await _om.RunAsync("delete", id[..8], "--json")).Exits(0).Output);
        Assert.Equal($"not found: {id}\n", (await _om.RunAsync("delete", id)).Exits(1).Error);
        var other = await StoreAsync("b");
        Assert.Equal($"deleted: {other}\n", (await _om.RunAsync("delete", other)).Exits(0).Output);
    }

    [Fact]
    public async Task Promote_copies_a_memory_up_its_namespace_tree()
    {
        var id = await StoreAsync("a", "-n", "team/web/shop", "--tags", "x");
        var copied = (await _om.RunAsync("promote", id, "--to-namespace", "team", "--json")).Exits(0).Json;
        Assert.Equal("clone_id,mode,promoted,source_id,to_namespace", string.Join(',', copied.EnumerateObject().Select(field => field.Name)));
        Assert.Equal("vertical", copied.GetProperty("mode").GetString());
        var clone = (await _om.RunAsync("get", copied.GetProperty("clone_id").GetString()!, "--json")).Exits(0).Json;
        Assert.Equal("team", clone.GetProperty("memory").GetProperty("namespace").GetString());
        Assert.Equal("derived_from", clone.GetProperty("links")[0].GetProperty("relation").GetString());
        Assert.Equal(id, clone.GetProperty("links")[0].GetProperty("target_id").GetString());
        Assert.Matches(@"^promoted \(vertical\): .{8} → team/web \(clone: .{8}\)\n$", (await _om.RunAsync("promote", id, "--to-namespace", "team/web")).Exits(0).Output);
        Assert.Contains("not an ancestor", (await _om.RunAsync("promote", id, "--to-namespace", "tea")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("not an ancestor", (await _om.RunAsync("promote", id, "--to-namespace", "team/web/shop")).Exits(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Forget_needs_a_filter_and_refuses_one_it_does_not_know()
    {
        await StoreAsync("a", "-n", "x");
        await StoreAsync("b", "-n", "x", "-t", "long");
        await StoreAsync("c", "-n", "y");
        Assert.StartsWith("error: ", (await _om.RunAsync("forget")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("invalid tier", (await _om.RunAsync("forget", "-n", "x", "--tier", "typo")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Equal(3, (await _om.RunAsync("stats", "--json")).Json.GetProperty("total").GetInt32());
        Assert.Equal("{\"deleted\":1}\n", (await _om.RunAsync("forget", "-n", "x", "-t", "mid", "--json")).Exits(0).Output);
        Assert.Equal("forgot 1 memories\n", (await _om.RunAsync("forget", "-n", "x")).Exits(0).Output);
        Assert.Equal("forgot 0 memories\n", (await _om.RunAsync("forget", "-n", "x")).Exits(0).Output);
    }

    [Fact]
    public async Task Gc_archives_what_has_expired()
    {
        await StoreAsync("a");
        await _om.FeedAsync(Export("""{"id":"old","title":"old","expires_at":"2020-01-01T00:00:00Z"}"""), "import");
        Assert.Equal("{\"expired_deleted\":1}\n", (await _om.RunAsync("gc", "--json")).Exits(0).Output);
        Assert.Equal("expired memories deleted: 0\n", (await _om.RunAsync("gc")).Exits(0).Output);
    }

    public void Dispose() => _om.Dispose();

    /// <summary>An export of rows; each names what differs from a plain memory.</summary>
    internal static string Export(params string[] rows)
    {
        var memories = rows.Select(row =>
        {
            var fields = new SortedDictionary<string, object?>
            {
                ["tier"] = "mid",
                ["namespace"] = "n",
                ["content"] = "content",
                ["tags"] = Array.Empty<string>(),
                ["priority"] = 5,
                ["confidence"] = 1.0,
                ["source"] = "import",
                ["access_count"] = 0,
                ["created_at"] = "2026-01-01T00:00:00+00:00",
                ["updated_at"] = "2026-01-01T00:00:00+00:00",
                ["metadata"] = new Dictionary<string, string>(),
            };
            foreach (var field in JsonDocument.Parse(row).RootElement.EnumerateObject())
            {
                fields[field.Name] = field.Value;
            }

            return JsonSerializer.Serialize(fields);
        });
        return $"{{\"links\":[],\"memories\":[{string.Join(',', memories)}]}}";
    }

    private async Task<string> StoreAsync(string title, params string[] options)
    {
        string[] place = options.Contains("-n") ? [] : ["-n", "n"];
        var stored = (await _om.RunAsync(["store", "-T", title, "-c", $"content of {title}", "--json", .. place, .. options])).Exits(0);
        return stored.Json.GetProperty("id").GetString()!;
    }
}
