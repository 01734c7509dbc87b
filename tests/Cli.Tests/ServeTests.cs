using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using OrleansMemory.Storage.Sqlite;
using SQLitePCL;

namespace OrleansMemory.Cli.Tests;

/// <summary>Nodes as processes, and commands that work on them.</summary>
public sealed class ServeTests : IDisposable
{
    private readonly Om _om = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_signal_ends_a_node_with_status_0(bool interrupt)
    {
        await using var node = await _om.ServeAsync("--node-id", "alpha");
        Assert.StartsWith("ai-memory listening on http://127.0.0.1:", node.Introduction, StringComparison.Ordinal);
        using var http = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync($"{node.Url}/api/v1/health")).StatusCode);
        var stored = await http.PostAsJsonAsync($"{node.Url}/api/v1/memories", new { title = "t", content = "c" });
        Assert.Equal(HttpStatusCode.Created, stored.StatusCode);
        (await node.StopAsync(interrupt)).Exits(0);

        // The write is there for the next process, which finds the store free.
        Assert.Equal(1, (await _om.RunAsync("stats", "--json")).Exits(0).Json.GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task Every_command_works_on_a_node()
    {
        await using var node = await _om.ServeAsync();
        Task<Outcome> OnNodeAsync(params string[] arguments) => _om.RunAsync([.. arguments, "--url", node.Url]);

        var stored = (await OnNodeAsync("--agent-id", "alice", "store", "-T", "Deploy window", "-c", "tuesdays 😀", "-n", "n", "--tags", "x", "--json")).Exits(0).Json;
        var id = stored.GetProperty("id").GetString()!;
        Assert.Equal("alice", stored.GetProperty("metadata").GetProperty("agent_id").GetString());
        Assert.Equal("tuesdays 😀", stored.GetProperty("content").GetString());
        var other = (await OnNodeAsync("store", "-T", "Lunch", "-c", "noon", "-n", "n/m", "--json")).Exits(0).Json.GetProperty("id").GetString()!;

        Assert.Equal(id, (await OnNodeAsync("get", id[..8], "--json")).Exits(0).Json.GetProperty("memory").GetProperty("id").GetString());
        Assert.Equal("not found: nope\n", (await OnNodeAsync("get", "nope")).Exits(1).Error);
        Assert.Equal(1, (await OnNodeAsync("list", "--tags", "x", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
        Assert.Equal(1, (await OnNodeAsync("search", "deploy", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
        Assert.Equal(1, (await OnNodeAsync("recall", "when do we deploy", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
        Assert.Equal("Release window", (await OnNodeAsync("update", id[..8], "-T", "Release window", "--json")).Exits(0).Json.GetProperty("title").GetString());
        Assert.False((await OnNodeAsync("update", id, "--expires-at", "", "--json")).Exits(0).Json.TryGetProperty("expires_at", out _));
        Assert.Contains("already exists in namespace", (await OnNodeAsync("update", id, "-T", "Lunch", "-n", "n/m")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Equal($"promoted to long-term: {id}\n", (await OnNodeAsync("promote", id[..8])).Exits(0).Output);
        Assert.Equal("vertical", (await OnNodeAsync("promote", other, "--to-namespace", "n", "--json")).Exits(0).Json.GetProperty("mode").GetString());
        (await OnNodeAsync("link", id, other)).Exits(0);
        Assert.Contains("target memory not found", (await OnNodeAsync("link", id, "nope")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Equal(3, (await OnNodeAsync("stats", "--json")).Exits(0).Json.GetProperty("total").GetInt32());
        Assert.Equal("  n: 2 memories\n  n/m: 1 memories\n", (await OnNodeAsync("namespaces")).Exits(0).Output);
        Assert.Equal("{\"expired_deleted\":0}\n", (await OnNodeAsync("gc", "--json")).Exits(0).Output);
        var exported = (await OnNodeAsync("export")).Exits(0);
        Assert.Equal(3, exported.Json.GetProperty("count").GetInt32());
        Assert.Equal(2, exported.Json.GetProperty("links").GetArrayLength());
        Assert.Equal(3, (await _om.FeedAsync(exported.Output, "import", "--trust-source", "--json", "--url", node.Url)).Exits(0).Json.GetProperty("imported").GetInt32());
        Assert.Equal($"deleted: {other}\n", (await OnNodeAsync("delete", other[..8])).Exits(0).Output);
        Assert.Equal("forgot 2 memories\n", (await OnNodeAsync("forget", "-n", "n")).Exits(0).Output);

        var rows = MemoryTests.Export("""{"id":"a","title":"a"}""", """{"id":"b","title":"b","tags":[""]}""");
        var imported = (await _om.FeedAsync(rows, "import", "--json", "--url", node.Url)).Exits(1).Json;
        Assert.Equal(1, imported.GetProperty("imported").GetInt32());
        Assert.Equal("b: tags cannot contain empty strings", imported.GetProperty("errors")[0].GetString());
    }

    [Fact]
    public async Task A_node_with_a_key_lets_in_who_has_it()
    {
        await using var node = await _om.ServeWithAsync([("OM_API_KEY", "secret")]);
        Assert.Contains("API key", (await _om.RunAsync("stats", "--url", node.Url)).Exits(1).Error, StringComparison.Ordinal);
        (await _om.RunWithAsync([("OM_API_KEY", "secret"), ("OM_URL", node.Url)], "stats")).Exits(0);
    }

    [Fact]
    public async Task A_node_that_is_not_there_is_an_error_with_its_cause()
    {
        var outcome = (await _om.RunAsync("list", "--url", "http://127.0.0.1:1")).Exits(1);
        Assert.StartsWith("Error: cannot reach the node at http://127.0.0.1:1\n\nCaused by:\n", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("not an http or https address", (await _om.RunAsync("list", "--url", "ftp://x")).Exits(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_process_on_one_store_is_refused()
    {
        await using var node = await _om.ServeAsync();
        var outcome = (await _om.RunAsync("serve", "--port", "0")).Exits(1);
        Assert.StartsWith("Error: ", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("in use", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("--url", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_command_that_names_a_served_database_is_answered_by_its_node()
    {
        await using (var node = await _om.ServeAsync())
        {
            (await _om.RunAsync("store", "-T", "t", "-c", "x", "-n", "n")).Exits(0);
            Assert.Equal(1, (await _om.RunAsync("list", "--json", "--url", node.Url)).Exits(0).Json.GetProperty("count").GetInt32());
            await node.KillAsync();
        }

        // What the killed node left behind misleads nobody.
        Assert.True(File.Exists(_om.DataFile + ".node"));
        Assert.Equal(1, (await _om.RunAsync("list", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
        await using (var again = await _om.ServeAsync())
        {
            (await again.StopAsync()).Exits(0);
        }

        Assert.False(File.Exists(_om.DataFile + ".node"));
    }

    [Fact]
    public async Task A_port_that_is_taken_is_an_error()
    {
        await using var node = await _om.ServeAsync();
        var outcome = (await _om.RunAsync("--db", "other.db", "serve", "--port", new Uri(node.Url).Port.ToString(System.Globalization.CultureInfo.InvariantCulture))).Exits(1);
        Assert.StartsWith("Error: cannot listen on", outcome.Error[outcome.Error.IndexOf("Error: ", StringComparison.Ordinal)..], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_of_the_peer_system_is_refused_and_left_as_it_is()
    {
        var path = _om.PathTo("ai-memory.db");

        // Opening a store loads the SQLite library that the program uses; a process can have only one.
        await SqliteStore.Open(_om.PathTo("any.db")).DisposeAsync();
        Assert.Equal(raw.SQLITE_OK, raw.sqlite3_open(path, out var database));
        Assert.Equal(raw.SQLITE_OK, raw.sqlite3_exec(database, """
            create table memories (id text primary key, tier text not null, namespace text not null, title text not null, content text not null,
                tags text not null default '[]', priority integer not null default 5, confidence real not null default 1.0, source text not null default 'api',
                access_count integer not null default 0, created_at text not null, updated_at text not null, last_accessed_at text, expires_at text,
                metadata text not null default '{}', embedding blob);
            create table schema_version (version integer not null);
            insert into schema_version values (13);
            insert into memories (id, tier, namespace, title, content, created_at, updated_at)
                values ('1', 'long', 'n', 't', 'c', '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00');
            """));
        database.Dispose();
        var before = await File.ReadAllBytesAsync(path);

        foreach (var command in new[] { "list", "serve" })
        {
            var outcome = (await _om.RunAsAiMemoryAsync(command)).Exits(1);
            Assert.Empty(outcome.Output);
            Assert.Contains("om migrate --from", outcome.Error, StringComparison.Ordinal);
        }

        Assert.Equal(before, await File.ReadAllBytesAsync(path));
    }

    [Fact]
    public async Task Up_with_one_node_has_samples_and_keeps_its_data()
    {
        await using (var node = await ServedNode.StartAsync(_om.Start("up", "--nodes", "1", "--port", "0", "--data", "try")))
        {
            using var http = new HttpClient();
            var stats = await http.GetFromJsonAsync<JsonElement>($"{node.Url}/api/v1/stats");
            Assert.True(stats.GetProperty("total").GetInt32() > 300);
            var outcome = (await node.StopAsync(interrupt: true)).Exits(0);
            Assert.Contains($"curl -s {node.Url}/api/v1/memories -H 'Content-Type: application/json' -d '", outcome.Output, StringComparison.Ordinal);
            Assert.Contains($"om recall --url {node.Url} \"", outcome.Output, StringComparison.Ordinal);
        }

        (await _om.RunAsync("--db", "try/orleans-memory.db", "forget", "-t", "long")).Exits(0);
        var left = (await _om.RunAsync("--db", "try/orleans-memory.db", "stats", "--json")).Exits(0).Json.GetProperty("total").GetInt32();
        await using (var again = await ServedNode.StartAsync(_om.Start("up", "--nodes", "1", "--port", "0", "--data", "try")))
        {
            Assert.Equal(left, (await _om.RunAsync("stats", "--json", "--url", again.Url)).Exits(0).Json.GetProperty("total").GetInt32());
            (await again.StopAsync()).Exits(0);
        }
    }

    public void Dispose() => _om.Dispose();
}
