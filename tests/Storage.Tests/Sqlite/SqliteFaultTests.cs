using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Sqlite;

/// <summary>What the disk and its file system do to a store.</summary>
public sealed class SqliteFaultTests : IDisposable
{
    private static readonly WriteContext Alice = new("alice");

    private readonly string _folder = Directory.CreateTempSubdirectory("om-faults-").FullName;

    private string Database => Path.Combine(_folder, "memories.db");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_full_disk_refuses_writes_loses_nothing_and_lets_them_in_again()
    {
        await using var store = SqliteStore.Open(Database, "n");
        await using var node = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random(1));
        var kept = new Dictionary<string, string>(StringComparer.Ordinal);
        store.LimitPages(40);
        var refused = await StoreUntilFullAsync(10_000);
        Assert.Equal((ErrorKind.StoreFull, 503), (refused?.Kind, refused?.Kind.HttpStatus));

        // Reads, searches included, go on at full speed: nothing waits for rows that were never written.
        var before = System.Diagnostics.Stopwatch.StartNew();
        Assert.Equal(kept.Count, (await node.ListAsync(new() { Limit = 10_000 })).Memories.Count);
        Assert.Equal(kept.Count, (await node.SearchAsync(new() { Text = "content", Limit = 10_000 })).Memories.Count);
        Assert.True(before.Elapsed < SqliteTextIndex.MaxWait, $"a read waited {before.Elapsed}");
        Assert.Empty((await store.VerifyAsync()).Differences);

        store.LimitPages(1_000_000);
        Assert.Null(await StoreUntilFullAsync(50));
        Assert.Equal(kept.Count, (await node.SearchAsync(new() { Text = "content", Limit = 10_000 })).Memories.Count);
        foreach (var (id, title) in kept)
        {
            Assert.Equal(title, (await node.GetAsync(id)).Memory.Title);
        }

        Assert.Empty((await store.VerifyAsync()).Differences);
        Assert.False(node.Fatal.IsCompleted);

        async Task<MemoryException?> StoreUntilFullAsync(int count)
        {
            for (var index = 0; index < count; index++)
            {
                var title = $"title {kept.Count}";
                try
                {
                    var stored = await node.StoreAsync(new() { Title = title, Content = $"content {new string('x', 800)}", Namespace = "test" }, Alice);
                    kept[stored.Memory.Id] = title;
                }
                catch (MemoryException exception)
                {
                    return exception;
                }
            }

            return null;
        }
    }

    [Fact]
    public async Task Cancelled_reads_leave_every_connection_usable()
    {
        await using var store = SqliteStore.Open(Database, "n");
        await using var node = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random(1));
        await node.StoreManyAsync(
            [.. Enumerable.Range(0, 1_000).Select(index => new MemoryDraft { Title = $"title {index}", Content = "content", Namespace = "test" })], Alice);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var round = 0; round < 150; round++)
            {
                using var cancel = new CancellationTokenSource();
                var read = random.Next(2) == 0
                    ? node.ListAsync(new() { Limit = 1_000 }, cancel.Token)
                    : (Task)node.SearchAsync(new() { Text = "content", Limit = 500 }, cancel.Token);
                await Task.Delay(TimeSpan.FromMicroseconds(random.Next(4_000)));
                await cancel.CancelAsync();
                try
                {
                    await read;
                }
                catch (OperationCanceledException)
                {
                }
            }
        })));

        // More at once than there are connections: each of them is used.
        var lists = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(() => node.ListAsync(new() { Limit = 1_000 }))));
        Assert.All(lists, page => Assert.Equal(1_000, page.Memories.Count));
        Assert.Equal(500, (await node.SearchAsync(new() { Text = "content", Limit = 500 })).Memories.Count);
    }

    [Fact]
    public async Task A_start_that_was_cut_before_the_tables_were_made_is_made_good_by_the_next()
    {
        using (var database = SqliteDatabase.Open(Database))
        {
            database.Execute("pragma journal_mode = wal");
        }

        await using var store = SqliteStore.Open(Database, "n");
        Assert.Equal("n", store.Log.Node);
    }

    [Fact]
    public void What_is_no_place_for_a_store_is_refused_with_the_reason()
    {
        var folder = Directory.CreateDirectory(Path.Combine(_folder, "folder")).FullName;
        Assert.Equal(ErrorKind.StoreFailed, Refusal(folder).Kind);
        Assert.Contains("the folder does not exist", Refusal(Path.Combine(_folder, "none", "memories.db")).Message, StringComparison.Ordinal);

        // The lock file cannot be made: that is no other process.
        Directory.CreateDirectory(Path.Combine(_folder, "taken.db.lock"));
        Assert.Equal(ErrorKind.StoreFailed, Refusal(Path.Combine(_folder, "taken.db")).Kind);
    }

    [Fact]
    public async Task A_damaged_main_file_is_refused_or_fails_reads_with_a_typed_error()
    {
        await using (var store = SqliteStore.Open(Database, "n"))
        {
            await using var node = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random(1));
            await node.StoreManyAsync(
                [.. Enumerable.Range(0, 500).Select(index => new MemoryDraft { Title = $"title {index}", Content = new string('x', 900), Namespace = "test" })], Alice);
        }

        // Everything behind the schema.
        await using (var file = File.OpenWrite(Database))
        {
            file.Position = 4096 * 4;
            var noise = new byte[file.Length - file.Position];
            new Random(1).NextBytes(noise);
            await file.WriteAsync(noise, TestContext.Current.CancellationToken);
        }

        var exception = await Assert.ThrowsAsync<MemoryException>(async () =>
        {
            await using var store = SqliteStore.Open(Database, "n");
            await using var node = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random(1));
            await node.ListAsync(new());
        });
        Assert.Equal(ErrorKind.StoreFailed, exception.Kind);

        await File.WriteAllTextAsync(Database, new string('?', 8_192), TestContext.Current.CancellationToken);
        Assert.Equal(ErrorKind.StoreNotOurs, Refusal(Database).Kind);
    }

    private static MemoryException Refusal(string path) => Assert.Throws<MemoryException>(() => SqliteStore.Open(path, "n"));
}
