using Npgsql;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Storage.Tests.Postgres;

public sealed class PostgresSchemaTests(PostgresDatabases databases)
{
    [Fact]
    public async Task A_store_keeps_what_it_is()
    {
        var url = await NewAsync();
        var log = default(Core.Replication.LogId);
        await using (var store = await PostgresStore.OpenAsync(url, "n1"))
        {
            log = store.Log;
        }

        await using (var again = await PostgresStore.OpenAsync(url))
        {
            Assert.Equal(log, again.Log);
        }

        var refused = await Assert.ThrowsAsync<MemoryException>(() => PostgresStore.OpenAsync(url, "n2"));
        Assert.Equal(ErrorKind.StoreNotOurs, refused.Kind);
        Assert.Contains("belongs to node n1", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_of_a_newer_version_is_refused()
    {
        var url = await NewAsync();
        await (await PostgresStore.OpenAsync(url)).DisposeAsync();
        await RunAsync(url, "update orleans_memory.meta set value = '9' where key = 'min_writer_version'");
        Assert.Equal(ErrorKind.StoreTooNew, (await Assert.ThrowsAsync<MemoryException>(() => PostgresStore.OpenAsync(url))).Kind);
    }

    [Fact]
    public async Task A_schema_of_another_program_is_left_alone()
    {
        var url = await NewAsync();
        await RunAsync(url, "create schema orleans_memory create table orleans_memory.theirs(x integer)");
        Assert.Equal(ErrorKind.StoreNotOurs, (await Assert.ThrowsAsync<MemoryException>(() => PostgresStore.OpenAsync(url))).Kind);
        Assert.Equal(1L, await RunAsync(url, "select count(*) from information_schema.tables where table_schema = 'orleans_memory'"));
    }

    [Fact]
    public async Task A_database_in_another_encoding_is_refused()
    {
        await databases.CreateAsync("postgres");
        var name = $"latin{Guid.NewGuid():n}";
        await RunAsync(PostgresUrl.Parse(databases.Server.UrlOf("postgres")), $"create database {name} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0");
        var refused = await Assert.ThrowsAsync<MemoryException>(() => PostgresStore.OpenAsync(PostgresUrl.Parse(databases.Server.UrlOf(name))));
        Assert.Contains("UTF8", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Indexes_that_are_missing_or_were_left_half_made_are_made()
    {
        var url = await NewAsync();
        await (await PostgresStore.OpenAsync(url)).DisposeAsync();
        await RunAsync(url, "drop index orleans_memory.memory_list");
        await RunAsync(url, "update pg_index set indisvalid = false where indexrelid = 'orleans_memory.memory_words'::regclass");
        await (await PostgresStore.OpenAsync(url)).DisposeAsync();
        Assert.Equal(2L, await RunAsync(url, """
            select count(*) from pg_index i join pg_class c on c.oid = i.indexrelid
            where c.relnamespace = 'orleans_memory'::regnamespace and c.relname in ('memory_list', 'memory_words') and i.indisvalid
            """));
    }

    [Fact]
    public async Task A_migration_waits_a_short_time_for_a_table_and_tries_again()
    {
        var url = await NewAsync();
        await (await PostgresStore.OpenAsync(url)).DisposeAsync();
        await RunAsync(url, "drop index orleans_memory.memory_expiry");
        await using var source = NpgsqlDataSource.Create(url.ToConnection());
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var hold = new NpgsqlCommand("lock table orleans_memory.memory in access exclusive mode", connection);
        await hold.ExecuteNonQueryAsync();
        var opening = PostgresStore.OpenAsync(url);

        // It has given up at least once while others could go on behind it.
        await Eventually.HoldsAsync("the migration has waited", async () => (long)(await RunAsync(
            url, "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'create index concurrently%'"))! > 0);
        await Eventually.HoldsAsync("the migration has given up its place", async () => (long)(await RunAsync(
            url, "select count(*) from pg_locks l where not l.granted and l.relation = 'orleans_memory.memory'::regclass"))! == 0);
        await transaction.RollbackAsync();
        await (await opening).DisposeAsync();
        Assert.Equal(true, await RunAsync(url, "select indisvalid from pg_index where indexrelid = 'orleans_memory.memory_expiry'::regclass"));
    }

    /// <summary>A plan that was made over empty tables must not go on to read all of what they hold.</summary>
    [Fact]
    public async Task A_write_reads_what_it_asks_for_and_no_more()
    {
        const int Writes = 1_500;
        var url = await NewAsync();
        var store = await PostgresStore.OpenAsync(url);
        await using (var node = new ClosingNode(store, await MemoryNode.StartAsync(store, new(), TimeProvider.System, new Random())))
        {
            // One plan is kept for statements over several rows; those over one are planned each time.
            foreach (var batch in Enumerable.Range(0, Writes).Chunk(3))
            {
                var outcomes = await node.StoreManyAsync([.. batch.Select(static index => new MemoryDraft { Title = $"t {index}", Content = "x", Namespace = "n" })], new(IdempotencyKey: $"key {batch[0]}"));
                await Task.WhenAll(outcomes.Select(outcome => node.UpdateAsync(outcome.Receipt!.Memory.Id, new() { Content = "y" }, new())));
            }

            await store.ReadLogAsync(0, Writes, int.MaxValue);
            await store.ReadRowsAsync([.. (await store.ReadLogAsync(0, 100, int.MaxValue)).Select(static row => new Core.Replication.RowKey(row.Kind, row.Key))]);
        }

        // What a session counted is told when it ends.
        await Eventually.HoldsAsync("the server has counted", async () => (long)(await RunAsync(
            url, "select sum(n_tup_ins)::bigint from pg_stat_user_tables where relname = 'memory'"))! >= Writes);
        foreach (var table in (string[])["memory", "memory_text", "entry", "tombstone", "mutation_log", "vector", "digest"])
        {
            var read = Convert.ToInt64(await RunAsync(url, $"""
                select t.seq_tup_read + coalesce((select sum(i.idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid), 0)
                from pg_stat_user_tables t where t.relname = '{table}'
                """), System.Globalization.CultureInfo.InvariantCulture);
            Assert.True(read < 20 * Writes, $"{Writes} writes read {read} rows of {table}");
        }
    }

    /// <summary>What jsonb and text cannot hold is held all the same.</summary>
    [Fact]
    public async Task Texts_that_the_server_cannot_hold_come_back_as_they_were()
    {
        var store = await PostgresStore.OpenAsync(await NewAsync());
        await using var node = new ClosingNode(store, await MemoryNode.StartAsync(store, new(), TimeProvider.System, new Random()));
        var metadata = Metadata.Parse("""{"large":1e100000,"nul":"a\u0000b","plain":{"x":[1,2.50]}}""");
        var stored = await node.StoreAsync(new() { Title = "t", Content = "half \ud83d of a character", Namespace = "n", Tags = ["\"quoted\"", "back\\slash", "'"], Metadata = metadata }, new());
        var (memory, _, _) = await node.GetAsync(stored.Memory.Id);
        Assert.Equal(metadata.Json, memory.Metadata.Json);
        Assert.Equal("half \ufffd of a character", memory.Content);
        Assert.Equal(["\"quoted\"", "back\\slash", "'"], memory.Tags);
        Assert.Single((await node.ListAsync(new() { Tag = "back\\slash" })).Memories);
        Assert.Empty((await store.VerifyAsync()).Differences);
        Assert.Equal("a\0b\u0001\u00010", PostgresRows.Unescaped(PostgresRows.Escaped("a\0b\u0001\u00010")));
        Assert.True(string.CompareOrdinal(PostgresRows.Escaped("a\0"), PostgresRows.Escaped("a\u0001")) < 0);
        Assert.True(string.CompareOrdinal(PostgresRows.Escaped("a\u0001z"), PostgresRows.Escaped("a\u0002")) < 0);
    }

    private async Task<PostgresUrl> NewAsync() => PostgresUrl.Parse(await databases.CreateAsync($"schema{Guid.NewGuid():n}"));

    private static async Task<object?> RunAsync(PostgresUrl url, string sql)
    {
        await using var source = NpgsqlDataSource.Create(url.ToConnection());
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync();
    }
}
