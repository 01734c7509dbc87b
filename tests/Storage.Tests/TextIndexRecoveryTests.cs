using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests;

public sealed class TextIndexRecoveryTests
{
    private const int Rows = 3_000;

    [Fact]
    public Task A_deleted_file_is_rebuilt() => Recovers(path => Delete(path, "", "-wal", "-shm"));

    [Fact]
    public Task An_emptied_file_is_rebuilt() => Recovers(path => Cut(path, 0));

    [Fact]
    public Task A_file_cut_in_the_middle_is_rebuilt() => Recovers(path => Cut(path, new FileInfo(path).Length / 2 / 4096 * 4096));

    [Fact]
    public Task A_file_cut_within_a_page_is_rebuilt() => Recovers(path => Cut(path, 5_000));

    [Fact]
    public Task A_foreign_file_is_rebuilt() => Recovers(path =>
    {
        Delete(path, "-wal", "-shm");
        File.WriteAllText(path, string.Concat(Enumerable.Repeat("not a database ", 1_000)));
    });

    [Fact]
    public Task Pages_overwritten_at_rest_are_rebuilt() => Recovers(path =>
    {
        using var file = File.OpenWrite(path);
        file.Position = 8_192;
        file.Write(new byte[file.Length - 8_192]);
    });

    [Fact]
    public Task Another_store_is_rebuilt() => Recovers(_ => { }, identity: "another");

    [Fact]
    public Task Another_format_is_rebuilt() => Recovers(path => Change(path, "update meta set value = 999 where key = 'format'"));

    [Fact]
    public Task An_index_ahead_of_the_queue_is_rebuilt() => Recovers(path => Change(path, "update meta set value = 1000000 where key = 'watermark'"));

    [Fact]
    public async Task A_queue_that_lost_entries_means_a_rebuild()
    {
        using var store = new TextIndexStore(seed: 21);
        store.Fill(Rows);
        await Caught(store);
        store.Close();
        store.Commit(() => store.Put(store.Draw(1), 1));
        store.Commit(() => store.Put(store.Draw(2), 2));
        store.Database.Execute($"delete from index_queue where n < {store.LastQueueNumber}");
        store.Open();
        await Exact(store);
    }

    [Fact]
    public async Task A_rebuild_goes_on_after_a_restart_and_follows_changes()
    {
        using var store = new TextIndexStore(seed: 22);
        store.Fill(Rows);
        var random = new Random(23);
        for (var round = 0; round < 6; round++)
        {
            store.Open();
            store.Commit(() =>
            {
                for (var change = 0; change < 200; change++)
                {
                    long row = random.Next(1, Rows + 200);
                    store.Put(store.Draw(row), row, random.Next(3));
                }
            });
            store.Close();
        }

        store.Open();
        await Exact(store);
    }

    [Fact]
    public async Task What_is_durable_may_leave_the_queue()
    {
        using var store = new TextIndexStore(seed: 24);
        store.Fill(Rows);
        var index = store.Open();
        var deadline = DateTime.UtcNow.AddSeconds(30);
        while (index.DurableWatermark < store.LastQueueNumber)
        {
            Assert.True(DateTime.UtcNow < deadline, $"durable up to {index.DurableWatermark} of {store.LastQueueNumber} after 30 s");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        store.Database.Execute($"delete from index_queue where n <= {index.DurableWatermark}");
        store.Open();
        Assert.True(store.Index!.Watermark >= store.LastQueueNumber);
        await Exact(store);
    }

    [Fact]
    public async Task Damage_found_by_a_query_is_repaired_while_running()
    {
        using var store = new TextIndexStore(seed: 25);
        store.Fill(Rows);
        await Caught(store);
        store.Close();
        var path = SqliteTextIndex.PathOf(store.Path);
        using (var file = File.OpenWrite(path))
        {
            // All but the schema and the small tables at the front.
            file.Position = 40_960;
            file.Write(new byte[file.Length - 40_960]);
        }

        store.Open();
        await Exact(store);
    }

    private static async Task Recovers(Action<string> harm, string identity = "store")
    {
        using var store = new TextIndexStore(seed: 20);
        store.Fill(Rows);
        await Caught(store);
        store.Close();
        harm(SqliteTextIndex.PathOf(store.Path));
        store.Open(identity);
        await Exact(store);
    }

    private static async Task Caught(TextIndexStore store) => Assert.Empty(await store.Open().VerifyAsync(TestContext.Current.CancellationToken));

    /// <summary>Waits until the index is complete again, using it meanwhile, then proves it.</summary>
    private static async Task Exact(TextIndexStore store)
    {
        var index = store.Index!;
        var deadline = DateTime.UtcNow.AddSeconds(60);
        while (true)
        {
            try
            {
                for (var word = 1; word < 2_000; word += 97)
                {
                    await TextIndexTests.Recall(index, $"w{word}q w1q");
                }

                if (index.IsComplete && (await index.VerifyAsync(TestContext.Current.CancellationToken)).Count == 0)
                {
                    return;
                }
            }
            catch (Core.Memories.MemoryException) when (DateTime.UtcNow < deadline)
            {
                // A query met the damage; the next ones meet the rebuilt index.
            }

            if (DateTime.UtcNow > deadline)
            {
                Assert.Empty(await index.VerifyAsync(TestContext.Current.CancellationToken));
            }

            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    private static void Delete(string path, params ReadOnlySpan<string> ends)
    {
        foreach (var end in ends)
        {
            File.Delete(path + end);
        }
    }

    private static void Cut(string path, long length)
    {
        using var file = File.OpenWrite(path);
        file.SetLength(length);
    }

    private static void Change(string path, string sql)
    {
        using var database = SqliteDatabase.Open(path);
        database.Execute(sql);
    }
}
