using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Cli.Tests;

/// <summary>Snapshots of a node that works, and the way back over whatever is there.</summary>
public sealed class BackupTests(PostgresDatabases databases) : IDisposable
{
    private const string Database = "node.db";

    private readonly Om _om = new();

    public void Dispose() => _om.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_snapshot_under_load_is_one_instant_and_holds_all_that_was_answered_before(bool onServer)
    {
        const int Writers = 64;
        var database = onServer ? await databases.CreateAsync("under-load") : Database;
        await using var node = await _om.ServeAsync("--db", database, "--node-id", "n");
        using var http = new HttpClient { BaseAddress = new Uri(node.Url) };
        var answered = new ConcurrentDictionary<int, int>();
        using var stop = new CancellationTokenSource();

        // They write until a backup is made, and not while it is looked at.
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var writers = Enumerable.Range(0, Writers).Select(async writer =>
        {
            for (var number = 0; !stop.IsCancellationRequested; number++)
            {
                await go.Task;
                await StoreAsync(http, $"{writer:d2}-{number}");
                answered[writer] = number;
            }
        }).ToArray();
        for (var round = 0; round < 3; round++)
        {
            var before = new Dictionary<int, int>(answered);
            var floor = before.Values.Sum();
            go.TrySetResult();
            await Eventually.HoldsAsync("more was written", () => Task.FromResult(answered.Values.Sum() > floor + 500));
            before = new(answered);
            var manifest = (await _om.RunAsync("backup", "--db", database, "--to", $"round{round}", "--json")).Exits(0).Json;
            go = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Assert.Equal("n", manifest.GetProperty("node_id").GetString());
            (await _om.RunAsync("verify", $"round{round}")).Exits(0);
            (await _om.RunAsync("restore", "--from", $"round{round}", "--db", $"copy{round}.db")).Exits(0);
            await using var store = SqliteStore.Open(_om.PathTo($"copy{round}.db"));
            Assert.Empty((await store.VerifyAsync()).Differences);
            await using var copy = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random());
            var held = new Dictionary<int, List<int>>();
            await foreach (var memory in copy.ExportMemoriesAsync())
            {
                var parts = memory.Title.Split('-').Select(int.Parse).ToArray();
                (held.TryGetValue(parts[0], out var numbers) ? numbers : held[parts[0]] = []).Add(parts[1]);
            }

            Assert.Equal(manifest.GetProperty("counts").GetProperty("memories").GetInt64(), held.Values.Sum(static numbers => numbers.Count));
            foreach (var (writer, last) in before)
            {
                // A writer sends its next only after the answer: an instant has no holes.
                Assert.Equal(Enumerable.Range(0, held[writer].Count), held[writer].Order());
                Assert.True(held[writer].Count > last, $"writer {writer} was answered up to {last}, the snapshot holds {held[writer].Count}");
            }
        }

        await stop.CancelAsync();
        go.TrySetResult();
        await Task.WhenAll(writers);
    }

    [Fact]
    public async Task A_restore_over_a_crashed_node_brings_back_the_snapshot_and_nothing_else()
    {
        await using (var node = await ServeAsync())
        {
            using var http = new HttpClient { BaseAddress = new Uri(node.Url) };
            await StoreManyAsync(http, "before", 50);
            (await _om.RunAsync("backup", "--db", Database, "--to", "snapshots")).Exits(0);
            await StoreManyAsync(http, "after", 50);
            await node.KillAsync();
        }

        Assert.True(new FileInfo(_om.PathTo(Database + "-wal")).Length > 0, "the killed node left no log behind");
        var restored = (await _om.RunAsync("restore", "--db", Database, "--from", "snapshots", "--json")).Exits(0).Json;
        Assert.Equal("restored", restored.GetProperty("status").GetString());
        Assert.Equal(Enumerable.Range(0, 50).Select(static number => $"before-{number}").Order(StringComparer.Ordinal), await TitlesAsync(_om.PathTo(Database)));

        // What was there stays, with all that the killed node had answered.
        Assert.Equal(100, (await TitlesAsync(restored.GetProperty("previous").GetString()!)).Count);
        await using var again = await ServeAsync();
        using var client = new HttpClient { BaseAddress = new Uri(again.Url) };
        await StoreManyAsync(client, "later", 5);
    }

    [Fact]
    public async Task A_database_of_a_server_is_restored_and_what_was_there_stays()
    {
        var database = await databases.CreateAsync("restore");
        string before;
        await using (var node = await _om.ServeAsync("--db", database, "--node-id", "n"))
        {
            using var http = new HttpClient { BaseAddress = new Uri(node.Url) };
            await StoreManyAsync(http, "before", 50);
            before = await http.GetStringAsync("/api/v1/export");
            (await _om.RunAsync("backup", "--db", database, "--to", "snapshots")).Exits(0);
            await StoreManyAsync(http, "after", 50);
            Assert.Contains("in use", (await _om.RunAsync("restore", "--db", database, "--from", "snapshots")).Exits(1).Error, StringComparison.Ordinal);
            await node.KillAsync();
        }

        var restored = (await _om.RunAsync("restore", "--db", database, "--from", "snapshots", "--json")).Exits(0).Json;
        Assert.StartsWith("orleans_memory_pre_restore_", restored.GetProperty("previous").GetString());
        await using var again = await _om.ServeAsync("--db", database, "--node-id", "n");
        using var client = new HttpClient { BaseAddress = new Uri(again.Url) };
        Assert.Equal(Memories(before), Memories(await client.GetStringAsync("/api/v1/export")));
        await StoreManyAsync(client, "later", 5);

        static string Memories(string export) => JsonDocument.Parse(export).RootElement.GetProperty("memories").GetRawText();
    }

    [Fact]
    public async Task A_restore_replaces_a_database_that_cannot_be_opened()
    {
        (await _om.RunAsync("store", "--db", Database, "-T", "t", "-c", "c")).Exits(0);
        (await _om.RunAsync("backup", "--db", Database)).Exits(0);
        await File.WriteAllBytesAsync(_om.PathTo(Database), Enumerable.Repeat((byte)7, 20_000).ToArray());
        (await _om.RunAsync("list", "--db", Database)).Exits(1);
        (await _om.RunAsync("restore", "--db", Database, "--from", "backups")).Exits(0);
        Assert.Equal(["t"], await TitlesAsync(_om.PathTo(Database)));
        Assert.Equal(20_000, new FileInfo(Directory.GetFiles(_om.Folder, "*.pre-restore-*.db").Single()).Length);
    }

    [Fact]
    public async Task A_restore_refuses_while_a_node_runs_on_the_database()
    {
        await using var node = await ServeAsync();
        using var http = new HttpClient { BaseAddress = new Uri(node.Url) };
        await StoreManyAsync(http, "before", 1);
        (await _om.RunAsync("backup", "--db", Database)).Exits(0);
        await StoreManyAsync(http, "after", 1);
        Assert.Contains("in use", (await _om.RunAsync("restore", "--db", Database, "--from", "backups")).Exits(1).Error, StringComparison.Ordinal);
        await StoreManyAsync(http, "later", 1);
        (await node.StopAsync()).Exits(0);
        Assert.Equal(3, (await TitlesAsync(_om.PathTo(Database))).Count);
    }

    [Fact]
    public async Task A_snapshot_that_was_changed_is_refused_and_nothing_is_touched()
    {
        (await _om.RunAsync("store", "--db", Database, "-T", "kept", "-c", "c")).Exits(0);
        var name = (await _om.RunAsync("backup", "--db", Database, "--json")).Exits(0).Json.GetProperty("snapshot").GetString()!;
        var snapshot = _om.PathTo($"backups/{name}");
        var manifest = Path.ChangeExtension(snapshot, ".manifest.json");
        var (whole, text) = (await File.ReadAllBytesAsync(snapshot), await File.ReadAllTextAsync(manifest));
        var flipped = whole.ToArray();
        flipped[^100] ^= 1;
        (byte[] Snapshot, string? Manifest, string Says)[] cases =
        [
            (flipped, text, "SHA-256"),
            (whole[..^1], text, "bytes"),
            (whole, null, "missing"),
            (whole, "{", "cannot be read"),
            (whole, text.Replace(name, "other.db", StringComparison.Ordinal), "other.db"),
            (whole, text.Replace("\"memories\": 1", "\"memories\": 2", StringComparison.Ordinal), "memories"),
            (whole, text.Replace("\"digest\": \"1:", "\"digest\": \"2:", StringComparison.Ordinal), "digest"),
        ];
        foreach (var (bytes, said, says) in cases)
        {
            await File.WriteAllBytesAsync(snapshot, bytes);
            File.Delete(manifest);
            if (said is not null)
            {
                await File.WriteAllTextAsync(manifest, said);
            }

            Assert.Contains(says, (await _om.RunAsync("verify", "backups")).Exits(1).Error, StringComparison.Ordinal);
            Assert.Contains(says, (await _om.RunAsync("restore", "--db", Database, "--from", snapshot)).Exits(1).Error, StringComparison.Ordinal);
            Assert.Equal(["kept"], await TitlesAsync(_om.PathTo(Database)));
        }

        Assert.Empty(Directory.GetFiles(_om.Folder, "*.pre-restore-*"));
        Assert.Empty(Directory.GetFiles(_om.Folder, "*.restoring*"));

        // Without its manifest a snapshot must still be a database of ours.
        (await _om.RunAsync("restore", "--db", Database, "--from", snapshot, "--skip-verify")).Exits(0);
        await File.WriteAllTextAsync(_om.PathTo("no.db"), "no database");
        (await _om.RunAsync("restore", "--db", Database, "--from", "no.db", "--skip-verify")).Exits(1);
        (await _om.RunAsync("restore", "--db", Database, "--from", "nowhere")).Exits(1);
        Assert.Equal(["kept"], await TitlesAsync(_om.PathTo(Database)));
    }

    [Fact]
    public async Task Old_snapshots_go_and_those_of_others_stay()
    {
        (await _om.RunAsync("store", "--db", Database, "-T", "t", "-c", "c")).Exits(0);
        Directory.CreateDirectory(_om.PathTo("s"));
        foreach (var name in (string[])["orleans-memory-2025-01-01T000000Z.db", "orleans-memory-2025-01-02T000000Z.db", "ai-memory-2025-01-01T000000Z.db", "mine.db"])
        {
            await File.WriteAllTextAsync(_om.PathTo($"s/{name}"), "");
            await File.WriteAllTextAsync(_om.PathTo($"s/{Path.ChangeExtension(name, ".manifest.json")}"), "{}");
        }

        (await _om.RunAsync("backup", "--db", Database, "--to", "s", "--keep", "2")).Exits(0);
        var left = Directory.GetFiles(_om.PathTo("s")).Select(Path.GetFileName).Order(StringComparer.Ordinal).ToList();
        Assert.DoesNotContain("orleans-memory-2025-01-01T000000Z.db", left);
        Assert.DoesNotContain("orleans-memory-2025-01-01T000000Z.manifest.json", left);
        Assert.Equal(8, left.Count);
        Assert.Contains("mine.db", left);
        Assert.Contains("ai-memory-2025-01-01T000000Z.db", left);
        Assert.StartsWith("ai-memory-", (await _om.RunAsAiMemoryAsync("backup", "--db", Database, "--to", "s", "--keep", "0", "--json")).Exits(0).Json.GetProperty("snapshot").GetString());
        Assert.Equal(10, Directory.GetFiles(_om.PathTo("s")).Length);
        (await _om.RunAsync("backup", "--db", "nothing.db")).Exits(1);
        Assert.False(File.Exists(_om.PathTo("nothing.db")));
        Assert.Contains("--db", (await _om.RunAsync("backup", "--url", "http://127.0.0.1:1")).Exits(1).Error, StringComparison.Ordinal);
    }

    private Task<ServedNode> ServeAsync() => _om.ServeAsync("--db", Database, "--node-id", "n");

    private static async Task StoreAsync(HttpClient http, string title)
    {
        using var answer = await http.PostAsJsonAsync("/api/v1/memories", new { title, content = $"v-{title}", @namespace = "backup", tier = "long" });
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
    }

    private static async Task StoreManyAsync(HttpClient http, string prefix, int count)
    {
        for (var number = 0; number < count; number++)
        {
            await StoreAsync(http, $"{prefix}-{number}");
        }
    }

    /// <summary>Checks a database from its rows up.</summary>
    private static async Task<List<string>> TitlesAsync(string path)
    {
        await using var store = SqliteStore.Open(path);
        Assert.Empty((await store.VerifyAsync()).Differences);
        await using var node = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random());
        var titles = new List<string>();
        await foreach (var memory in node.ExportMemoriesAsync())
        {
            titles.Add(memory.Title);
        }

        return [.. titles.Order(StringComparer.Ordinal)];
    }
}
