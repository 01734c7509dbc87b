using System.Net.Http.Json;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Cli.Tests;

/// <summary>A node that is killed while its curator runs has lost nothing: every change was made whole, with the record that undoes it, or not at all.</summary>
public sealed class CuratorCrashTests : IDisposable
{
    private const int Clusters = 300;
    private const int Alike = 3;

    private readonly Om _om = new();

    [Fact]
    [Trait(Campaign.Trait, "curator")]
    public async Task What_a_killed_curator_did_is_undone_to_the_last_memory()
    {
        var random = new Random(5);
        var cut = 0;
        for (var kill = 0; kill < Campaign.Count("curator", reduced: 2, full: 50); kill++)
        {
            var path = _om.PathTo($"curated-{kill}.db");
            await FillAsync(path);
            await using (var node = await _om.ServeAsync("--db", path, "--node-id", "n"))
            {
                using var http = new HttpClient { BaseAddress = new Uri(node.Url), Timeout = TimeSpan.FromSeconds(60) };
                var run = RunAsync(http);

                // The kill comes some changes after the first.
                var changes = random.Next(1, Clusters / 3);
                await Eventually.HoldsAsync("the curator is at work", async () => run.IsCompleted || await CountAsync(http, changes) >= changes);
                await node.KillAsync();
                await run;
            }

            await using var store = SqliteStore.Open(path);
            Assert.Empty((await store.VerifyAsync()).Differences);
            await using var engine = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random());
            var done = await engine.CurationsAsync(Clusters);
            Assert.NotEmpty(done);
            cut += done.Count < Clusters ? 1 : 0;
            Assert.Equal((Clusters * Alike) - (done.Count * (Alike - 1)), (await engine.StatisticsAsync()).Total);
            Assert.Equal(done.Count * Alike, (await engine.ArchiveStatisticsAsync()).Total);
            var undone = await engine.UndoRunsAsync(Assert.Single(done.Select(record => record.RunId).Distinct()), null, new());
            Assert.Equal((done.Count, 0), (undone.Reversed, undone.Errors.Count));
            var texts = new Dictionary<string, string>(StringComparer.Ordinal);
            await foreach (var memory in engine.ExportMemoriesAsync())
            {
                texts.Add(memory.Title, memory.Content);
            }

            Assert.Equal(Clusters * Alike, texts.Count);
            Assert.All(texts, text => Assert.Equal(TextOf(text.Key), text.Value));
        }

        Assert.True(cut > 0, "no run was cut");
    }

    public void Dispose() => _om.Dispose();

    private static string TextOf(string title)
    {
        var cluster = title.Split('-')[0];
        return string.Join(' ', Enumerable.Range(0, 12).Select(word => $"word{cluster}x{word}")) + $"\nand number{title}";
    }

    private static async Task FillAsync(string path)
    {
        await using var store = SqliteStore.Open(path, "n");
        await using var node = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random(1));
        var drafts = Enumerable.Range(0, Clusters).SelectMany(cluster => Enumerable.Range(0, Alike).Select(index => $"{cluster}-{index}"))
            .Select(title => new MemoryDraft { Title = title, Content = TextOf(title), Namespace = "curated", Tier = Tier.Long });
        foreach (var batch in drafts.Chunk(900))
        {
            Assert.All(await node.StoreManyAsync(batch, new("alice")), outcome => Assert.Null(outcome.Error));
        }
    }

    private static async Task<int> CountAsync(HttpClient http, int limit) =>
        (await http.GetFromJsonAsync<System.Text.Json.JsonElement>($"/api/v1/curation?limit={limit}")).GetProperty("count").GetInt32();

    private static async Task RunAsync(HttpClient http)
    {
        try
        {
            using var answer = await http.PostAsJsonAsync("/api/v1/curator/run", new { max_ops = 10_000 });
        }
        catch (HttpRequestException)
        {
            // The node is gone.
        }
    }
}
