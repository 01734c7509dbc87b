using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Postgres;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Postgres;

/// <summary>The index where words are in many rows, so that their rows are kept.</summary>
public sealed class PostgresTextIndexTests(PostgresDatabases databases) : IDisposable
{
    private const int Rows = 4_000;

    private readonly string _folder = Directory.CreateTempSubdirectory("om-ranking-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Many_rows_are_ranked_as_the_other_store_ranks_them()
    {
        var postgres = await OpenAsync();
        await using var other = await StartAsync(postgres);
        await using var one = await StartAsync(SqliteStore.Open(Path.Combine(_folder, "store.db"), "n"));
        var random = new Random(1);
        foreach (var batch in Enumerable.Range(0, Rows).Select(row => Draft(random, row)).Chunk(500))
        {
            await FillAsync(one, batch);
            await FillAsync(other, batch);
        }

        for (var round = 0; round < 300; round++)
        {
            var text = string.Join(' ', Enumerable.Range(0, random.Next(1, 5)).Select(_ => Word(random)));
            var recall = new RecallQuery
            {
                Context = text,
                Limit = random.Next(1, 40),
                Namespace = random.Next(4) == 0 ? "ns/1" : null,
                Tier = random.Next(5) == 0 ? Tier.Long : null,
                MinPriority = random.Next(5) == 0 ? 7 : null,
                Tag = random.Next(6) == 0 ? "t3" : null,
            };
            Assert.Equal(Say((await one.RecallAsync(recall)).Memories), Say((await other.RecallAsync(recall)).Memories));
            var search = new SearchQuery { Text = text, Limit = random.Next(4) == 0 ? int.MaxValue : 20, Namespace = recall.Namespace, MinPriority = recall.MinPriority };
            Assert.Equal(Say(await one.SearchAsync(search)), Say(await other.SearchAsync(search)));
        }

        Assert.True(postgres.KeptWords > 3, "no word is in so many rows that its rows are kept");
    }

    [Fact]
    public async Task What_is_kept_of_common_words_follows_every_change()
    {
        var store = await OpenAsync();
        await using var node = await StartAsync(store);
        var random = new Random(2);
        foreach (var batch in Enumerable.Range(0, 2_000).Select(row => Draft(random, row)).Chunk(500))
        {
            await FillAsync(node, batch);
        }

        // Words begin to be kept while rows come, change and go.
        using var stop = new CancellationTokenSource();
        var asking = Enumerable.Range(1, 4).Select(seed => Task.Run(async () =>
        {
            var chance = new Random(seed);
            while (!stop.IsCancellationRequested)
            {
                await node.RecallAsync(new() { Context = $"{Word(chance)} {Word(chance)}" });
            }
        })).ToList();
        var ids = (await node.ExportMemoriesAsync().ToListAsync()).Select(static memory => memory.Id).ToList();
        for (var round = 0; round < 60; round++)
        {
            var changes = new List<Task>();
            for (var change = 0; change < 20; change++)
            {
                var id = ids[random.Next(ids.Count)];
                var text = Text(random);
                changes.Add(random.Next(4) switch
                {
                    0 => Ignore(node.DeleteAsync(id, new())),
                    1 => Ignore(node.StoreAsync(new() { Title = $"new {round} {change}", Content = text, Namespace = "ns/1" }, new())),
                    _ => Ignore(node.UpdateAsync(id, new() { Content = text }, new())),
                });
            }

            await Task.WhenAll(changes);
        }

        await node.ForgetAsync(new("ns/2", null, null), new());
        await stop.CancelAsync();
        await Task.WhenAll(asking);
        Assert.True(store.KeptWords > 3, "no word is in so many rows that its rows are kept");
        Assert.Empty((await store.VerifyAsync()).Differences);
    }

    private static async Task Ignore(Task change)
    {
        try
        {
            await change;
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
        {
            // Deleted by another change.
        }
    }

    private static async Task FillAsync(ClosingNode node, IReadOnlyList<MemoryDraft> drafts) =>
        Assert.All(await node.StoreManyAsync(drafts, new()), static outcome => Assert.Null(outcome.Error));

    private static List<string> Say(IReadOnlyList<RankedMemory> memories) => [.. memories.Select(static ranked => $"{ranked.Memory.Id} {ranked.Score:R}")];

    private static string Word(Random random) => $"w{(int)Math.Pow(2_000, random.NextDouble())}q";

    private static string Text(Random random) => string.Join(' ', Enumerable.Range(0, random.Next(5, 60)).Select(_ => Word(random)));

    private static MemoryDraft Draft(Random random, int row) => new()
    {
        Title = $"{Word(random)} {row}",
        Content = Text(random),
        Namespace = $"ns/{row % 3}",
        Tags = [$"t{random.Next(6)}"],
        Tier = (Tier)random.Next(3),
        Priority = random.Next(1, 11),
        Confidence = random.Next(101) / 100.0,
    };

    private static async Task<ClosingNode> StartAsync(IMemoryStore store) =>
        new(store, await MemoryNode.StartAsync(store, new() { TouchInterval = TimeSpan.FromDays(1) }, new ManualTime(), new Random(7)));

    private async Task<PostgresStore> OpenAsync() => await PostgresStore.OpenAsync(PostgresUrl.Parse(await databases.CreateAsync($"index{Guid.NewGuid():n}")), "n");
}
