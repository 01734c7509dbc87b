using System.Diagnostics;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Sqlite;

/// <summary>A process that is killed in the middle of a backfill, again and again.</summary>
public sealed class BackfillCrashTests : IDisposable
{
    private const int RowsForEachKill = 2_000;
    private const int Batch = 200;
    private const int LongestLife = 120;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(120);

    private readonly string _folder = Directory.CreateTempSubdirectory("om-kill-").FullName;

    [Fact]
    [Trait(Campaign.Trait, "backfill")]
    public async Task Kills_at_random_moments_cost_at_most_a_batch_each_and_change_nothing_of_the_end()
    {
        var kills = Campaign.Count("backfill", reduced: 10, full: 100);
        var rows = kills * RowsForEachKill;
        var random = new Random(7);
        await FillAsync(PathOf("killed.db"), rows);
        File.Copy(PathOf("killed.db"), PathOf("clean.db"));
        long done = 0;
        var hits = 0;
        for (var kill = 0; kill < kills; kill++)
        {
            using var host = Start("killed.db");
            if (await ReadAsync(host) == "settled")
            {
                break;
            }

            await Task.Delay(random.Next(0, LongestLife));
            host.Kill();
            await host.WaitForExitAsync().WaitAsync(Deadline);
            var now = Done("killed.db");
            Assert.True(now >= done, $"after kill {kill}: {now} rows done, {done} before");
            hits += now < rows ? 1 : 0;
            done = now;
        }

        await RunAsync("killed.db");
        await RunAsync("clean.db");
        Assert.True(hits >= Math.Min(5, kills), $"only {hits} of {kills} kills met the backfill");
        Assert.Equal(rows, Done("killed.db"));
        Assert.Equal(Values("clean.db"), Values("killed.db"));
        await AssertSoundAsync("killed.db");

        var computed = File.ReadLines(PathOf("killed.db.notes")).CountBy(static id => id).ToDictionary();
        Assert.Equal(rows, computed.Count);
        Assert.True(computed.Values.Max() <= hits + 1, "a row was computed more than once for each kill and once");
        Assert.True(computed.Values.Sum() <= rows + (hits * Batch), "a kill has cost more than a batch");
        TestContext.Current.TestOutputHelper!.WriteLine($"{rows} rows, {hits} of {kills} kills in the middle, {computed.Values.Sum() - rows} rows computed again, {computed.Values.Max()} times at most");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>A store that has everything but the step's values.</summary>
    private static async Task FillAsync(string path, int rows)
    {
        await using var store = SqliteStore.Open(path, "n");
        await using var node = await MemoryNode.StartAsync(store, new(), TimeProvider.System, new Random());
        foreach (var batch in Enumerable.Range(0, rows).Chunk(1_000))
        {
            await node.StoreManyAsync([.. batch.Select(static number => new MemoryDraft { Title = $"t {number}", Content = new string('x', 1 + (number % 300)) })], new("alice"));
        }
    }

    private Process Start(string name)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "OrleansMemory.BackfillHost")) { RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var argument in (string[])[PathOf(name), PathOf($"{name}.notes"), $"{Batch}"])
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    private static async Task<string?> ReadAsync(Process host) => await host.StandardOutput.ReadLineAsync().WaitAsync(Deadline);

    private async Task RunAsync(string name)
    {
        using var host = Start(name);
        while (await ReadAsync(host) is var line && line != "settled")
        {
            Assert.NotNull(line);
        }

        await host.WaitForExitAsync().WaitAsync(Deadline);
        Assert.Equal(0, host.ExitCode);
    }

    private long Done(string name)
    {
        using var database = SqliteDatabase.Open(PathOf(name));
        return database.QueryInteger("select rows_done from backfill where step = 'length'") ?? 0;
    }

    private List<(string Id, string Marker, string Value)> Values(string name)
    {
        using var database = SqliteDatabase.Open(PathOf(name));
        using var statement = database.Prepare("select m.id, d.marker, hex(d.value) from memory m join derived d on d.row = m.row where d.step = 'length' order by m.id");
        return statement.All(static row => (row.Text(0), row.Text(1), row.Text(2)));
    }

    private async Task AssertSoundAsync(string name)
    {
        await using var store = SqliteStore.Open(PathOf(name));
        Assert.Empty((await store.VerifyRowsAsync()).Differences);
    }

    private string PathOf(string name) => Path.Combine(_folder, name);
}
