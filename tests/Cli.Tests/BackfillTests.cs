using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Cli.Tests;

/// <summary>What an operator sees of backfills and asks of them.</summary>
public sealed class BackfillTests : IDisposable
{
    private const int Rows = 200;

    private readonly Om _om = new();

    [Fact]
    public async Task An_old_database_is_served_at_once_and_brought_up_beside_it()
    {
        var path = await OldDatabaseAsync();
        var pending = (await _om.RunAsync("backfills", "--db", path)).Exits(0).Output;
        Assert.Contains("content-hash v1: pending, 0.0 %", pending, StringComparison.Ordinal);
        var counted = (await _om.RunAsync("backfills", "dry-run", "--db", path)).Exits(0).Output;
        Assert.Equal(["access-counters v1: 200 rows", "content-hash v1: 200 rows", "namespace-path v1: 200 rows", "text-index v1: 0 rows"], counted.TrimEnd().Split('\n'));
        Assert.Equal("content-hash v1: 200 rows", (await _om.RunAsync("backfills", "dry-run", "content-hash", "--db", path)).Exits(0).Output.TrimEnd());
        (await _om.RunAsync("backfills", "pause", "namespace-path", "--db", path)).Exits(0);

        await using (var node = await _om.ServeAsync("--db", path, "--node-id", "n"))
        {
            await Eventually.HoldsAsync("the steps that are not paused are complete", async () => await StatesAsync(node) is "complete complete paused complete");
            var list = (await _om.RunAsync("backfills", "list", "--url", node.Url)).Exits(0).Output;
            Assert.Contains("content-hash v1: complete, 100.0 %, 200 of 200 rows", list, StringComparison.Ordinal);
            Assert.Contains("namespace-path v1: paused", list, StringComparison.Ordinal);
            Assert.Equal(7, (await _om.RunAsync("get", "memory-3", "--json", "--url", node.Url)).Exits(0).Json.GetProperty("memory").GetProperty("access_count").GetInt32());
            var log = (await node.StopAsync()).Error;
            Assert.Contains("BackfillLog[2201] Backfill content-hash v1 started: 200 rows", log, StringComparison.Ordinal);
            Assert.Contains("BackfillLog[2204] Backfill content-hash v1 complete", log, StringComparison.Ordinal);
            Assert.Contains("BackfillLog[2209] Backfill namespace-path v1 is paused", log, StringComparison.Ordinal);
        }

        await using (var node = await _om.ServeAsync("--db", path))
        {
            (await _om.RunAsync("backfills", "resume", "namespace-path", "--url", node.Url)).Exits(0);
            await Eventually.HoldsAsync("every step is complete", async () => await StatesAsync(node) is "complete complete complete complete");
            var log = (await node.StopAsync()).Error;
            Assert.Contains("BackfillLog[2203] Backfill content-hash v1 skipped: already-complete", log, StringComparison.Ordinal);
        }

        Assert.Equal(0, (await _om.RunAsync("backfills", "dry-run", "--json", "--db", path)).Exits(0).Json.GetProperty("dry_run").EnumerateArray().Sum(static step => step.GetProperty("remaining").GetInt32()));
    }

    [Fact]
    public async Task A_database_that_a_newer_version_keeps_for_itself_is_refused()
    {
        var path = await OldDatabaseAsync();
        using (var database = SqliteDatabase.Open(path))
        {
            database.Execute("update meta set value = '3' where key = 'min_writer_version'");
        }

        var refused = await _om.RunAsync("serve", "--port", "0", "--db", path);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("was written by a newer version (schema 3, this one writes 2); upgrade this program", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Mistakes_are_told_with_what_can_be_asked()
    {
        (await _om.RunAsync("backfills", "stop", "content-hash")).Exits(2);
        Assert.Contains("pause needs the name of a step", (await _om.RunAsync("backfills", "pause")).Exits(2).Error, StringComparison.Ordinal);
        var missing = await _om.RunAsync("backfills", "retry", "nothing", "--db", _om.PathTo("new.db"));
        Assert.Equal(1, missing.ExitCode);
        Assert.Contains("there is no backfill 'nothing'; there are: access-counters, content-hash, namespace-path, text-index", missing.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_converted_is_listed_until_it_is_taken_up_again()
    {
        var path = await OldDatabaseAsync();
        using (var database = SqliteDatabase.Open(path))
        {
            database.Execute("create table kept as select own from memory where id = 'memory-5'; update memory set own = x'00' where id = 'memory-5'");
        }

        await using (var node = await _om.ServeAsync("--db", path, "--node-id", "n"))
        {
            await Eventually.HoldsAsync("every step is complete", async () => await StatesAsync(node) is "complete complete complete complete");
            var list = (await _om.RunAsync("backfills", "--url", node.Url)).Exits(0).Output;
            Assert.Contains("content-hash v1: complete, 100.0 %, 200 of 200 rows, 1 in quarantine", list, StringComparison.Ordinal);
            Assert.Contains("quarantined by content-hash v1: memory-5: ", list, StringComparison.Ordinal);
            await node.StopAsync();
        }

        using (var database = SqliteDatabase.Open(path))
        {
            database.Execute("update memory set own = (select own from kept) where id = 'memory-5'; drop table kept");
        }

        await using (var node = await _om.ServeAsync("--db", path))
        {
            foreach (var step in (string[])["access-counters", "content-hash", "namespace-path"])
            {
                (await _om.RunAsync("backfills", "retry", step, "--url", node.Url)).Exits(0);
            }

            await Eventually.HoldsAsync("nothing is left", async () =>
                (await _om.RunAsync("backfills", "dry-run", "--json", "--url", node.Url)).Json.GetProperty("dry_run").EnumerateArray().All(static step => step.GetProperty("remaining").GetInt32() == 0));
            Assert.DoesNotContain("quarantine", (await _om.RunAsync("backfills", "--url", node.Url)).Exits(0).Output, StringComparison.Ordinal);
        }
    }

    public void Dispose() => _om.Dispose();

    private async Task<string> StatesAsync(ServedNode node) => string.Join(' ', (await _om.RunAsync("backfills", "--json", "--url", node.Url)).Exits(0).Json
        .GetProperty("backfills").EnumerateArray().Select(static step => step.GetProperty("state").GetString()));

    /// <summary>As a program of the first version left it, with seven accesses of each memory counted in its row alone.</summary>
    private async Task<string> OldDatabaseAsync()
    {
        var path = _om.PathTo($"{Guid.NewGuid():N}.db");
        await using (var store = SqliteStore.Open(path, "n"))
        {
            await using var node = await MemoryNode.StartAsync(store, new(), TimeProvider.System, new Random());
            var now = Timestamp.Now(TimeProvider.System);
            await node.ImportAsync(
                [.. Enumerable.Range(0, Rows).Select(number => new Memory
                {
                    Id = $"memory-{number}", Title = $"t {number}", Content = $"content {number}", Namespace = "a/b", Source = "api", Tier = Tier.Long, CreatedAt = now, UpdatedAt = now,
                })],
                [],
                new(TrustSource: true),
                new("alice"));
        }

        OlderStore.Make(path);
        OlderStore.Count(path, 7);
        return path;
    }
}
