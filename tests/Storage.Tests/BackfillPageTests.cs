using System.Buffers.Binary;
using OrleansMemory.Core;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests;

/// <summary>The example that the page on backfills gives works as it stands there.</summary>
public sealed class BackfillPageTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-page-").FullName;

    [Fact]
    public async Task The_example_is_the_code_that_is_compiled_here()
    {
        var root = FindRoot();
        var page = await File.ReadAllTextAsync(Path.Combine(root, "docs", "backfills.md"));
        const string Begin = "```csharp\n";
        var start = page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        Assert.Equal(await File.ReadAllTextAsync(Path.Combine(root, "tests", "Storage.Tests", "WordCount.cs")), page[start..page.IndexOf("```", start, StringComparison.Ordinal)]);
    }

    [Fact]
    public async Task The_example_counts_words()
    {
        var path = Path.Combine(_folder, "words.db");
        await using (var store = SqliteStore.Open(path))
        {
            await using (var node = await MemoryNode.StartAsync(store, new(), TimeProvider.System, new Random()))
            {
                await node.StoreAsync(new() { Title = "t", Content = "one two  three" }, new("alice"));
            }

            await using var writer = await CommandWriter.StartAsync(store, new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, TimeProvider.System, new Random());
            await using var runner = new BackfillRunner(store, writer, [WordCount.Step(store)], new(), "test", "r", TimeProvider.System);
            runner.Start(new Random(), new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler);
            await runner.Settled.WaitAsync(TimeSpan.FromSeconds(60));
        }

        using var database = SqliteDatabase.Open(path);
        using var statement = database.Prepare("select value from derived where step = 'word-count' and marker = '1'");
        Assert.Equal(3, BinaryPrimitives.ReadInt32LittleEndian(statement.First(static row => row.Blob(0).ToArray())));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "OrleansMemory.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("the tests run outside the repository");
        }

        return folder.FullName;
    }
}
