using System.Collections.Concurrent;
using Npgsql;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Storage.Tests.Postgres;

/// <summary>What becomes of a node whose server goes away, comes back, answers no more, or serves somebody else.</summary>
public sealed class PostgresFaultTests(PostgresDatabases databases)
{
    private const int Writers = 16;
    private const int MostConnections = 13;

    [Theory]
    [InlineData("fast")]
    [InlineData("immediate")]
    [Trait(Campaign.Trait, "postgres-restart")]
    public async Task A_server_that_stops_and_starts_under_load_loses_nothing(string mode)
    {
        Assert.SkipWhen(LocalPostgres.FindBinaries() is null, LocalPostgres.HowToInstall);
        await using var server = await LocalPostgres.StartAsync();
        await using var node = await StartAsync(await server.CreateDatabaseAsync("restart"));
        var ledger = new Ledger();
        using var stop = new CancellationTokenSource();
        var writing = Enumerable.Range(0, Writers).Select(writer => ledger.WriteAsync(node, $"w{writer}", stop.Token)).ToList();
        for (var round = 0; round < Campaign.Count("postgres-restart", reduced: 2, full: 20); round++)
        {
            await ledger.ReachAsync(ledger.Answered.Count + 200);
            await server.StopAsync(mode);
            await Eventually.HoldsAsync("the node says that its store is away", () => Task.FromResult(!node.Health().Ready));
            Assert.False(string.IsNullOrEmpty(node.Health().Reason));
            Assert.Equal(ErrorKind.StoreFailed, (await Assert.ThrowsAsync<MemoryException>(() => node.StatisticsAsync())).Kind);
            await server.StartAgainAsync();
            await Eventually.HoldsAsync("the node is ready again", () => Task.FromResult(node.Health().Ready));
            Assert.InRange(await ConnectionsAsync(server, "restart"), 1, MostConnections);
        }

        await stop.CancelAsync();
        await Task.WhenAll(writing);
        await ledger.AssertHeldAsync(node);
        Assert.True(ledger.NotStored > 0, "no write met a server that was away");
        TestContext.Current.SendDiagnosticMessage($"{mode}: {ledger.Answered.Count} answered, {ledger.NotStored} not stored, {ledger.Unknown} unknown");
        Assert.False(node.Fatal.IsCompleted);
    }

    [Fact]
    [Trait(Campaign.Trait, "postgres-doubt")]
    public async Task A_commit_whose_answer_is_lost_is_found_out()
    {
        var name = $"doubt{Guid.NewGuid():n}";
        await databases.CreateAsync(name);
        await using var proxy = new ServerProxy(databases.Server.SocketPath);
        await using var node = await StartAsync(proxy.UrlOf(name));
        var ledger = new Ledger();
        using var stop = new CancellationTokenSource();
        var writing = Enumerable.Range(0, Writers).Select(writer => ledger.WriteAsync(node, $"w{writer}", stop.Token)).ToList();
        var random = new Random(5);
        for (var round = 0; round < Campaign.Count("postgres-doubt", reduced: 8, full: 300); round++)
        {
            await ledger.ReachAsync(ledger.Answered.Count + random.Next(20, 80));
            if (round % 2 == 0)
            {
                proxy.SwallowAnswers();
                await Task.Delay(random.Next(0, 10));
            }

            proxy.Break(andRefuse: false);
            proxy.Mend();
            await Eventually.HoldsAsync("the node is ready again", () => Task.FromResult(node.Health().Ready));
        }

        await stop.CancelAsync();
        await Task.WhenAll(writing);
        await ledger.AssertHeldAsync(node);
        TestContext.Current.SendDiagnosticMessage($"{ledger.Answered.Count} answered, {ledger.NotStored} not stored, {ledger.Unknown} unknown");
        Assert.False(node.Fatal.IsCompleted);
    }

    [Fact]
    public async Task A_commit_in_doubt_is_answered_as_unknown_and_told_later()
    {
        var name = $"unknown{Guid.NewGuid():n}";
        await databases.CreateAsync(name);
        await using var proxy = new ServerProxy(databases.Server.SocketPath);
        await using var store = await PostgresStore.OpenAsync(PostgresUrl.Parse(proxy.UrlOf(name)), "n");
        await using var writer = await CommandWriter.StartAsync(store, new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, TimeProvider.System, new Random(1));
        var committed = new ConcurrentQueue<long>();
        writer.Committed = (_, changes) => committed.Enqueue(changes.Head.Sequence);
        await WriteAsync(writer, "a");

        // The server commits; its answer and every way to it are lost.
        var lost = WriteAsync(writer, "b", decided: proxy.SwallowAnswers);
        await Eventually.HoldsAsync("the commit is done on the server", async () => await CommitsAsync(name) == 2);
        proxy.Break(andRefuse: true);
        Assert.IsType<UncertainWriteException>(await Assert.ThrowsAnyAsync<MemoryException>(() => lost));
        Assert.Equal(ErrorKind.StoreFailed, (await Assert.ThrowsAnyAsync<MemoryException>(() => WriteAsync(writer, "c"))).Kind);
        Assert.NotNull(store.Problem);
        proxy.Mend();

        // Told without another write, and then the log goes on without a gap.
        await Eventually.HoldsAsync("what was in doubt is told", () => Task.FromResult(committed.Count == 2));
        await WriteAsync(writer, "d");
        Assert.Equal([1, 2, 3], committed);
        Assert.Equal(["a", "b", "d"], (await store.ReadLogAsync(0, 10, int.MaxValue)).Select(static row => row.Key));
        Assert.Empty((await store.VerifyAsync()).Differences);
        Assert.False(writer.Fatal.IsCompleted);
    }

    [Fact]
    public async Task A_node_that_lost_its_lock_writes_nothing_and_ends_when_another_wrote()
    {
        var name = $"fence{Guid.NewGuid():n}";
        var url = await databases.CreateAsync(name);
        await using var node = await StartAsync(url);
        await node.StoreAsync(new() { Title = "before", Content = "x", Namespace = "n" }, new());
        await using var other = NpgsqlDataSource.Create(PostgresUrl.Parse(url).ToConnection());
        await using (var connection = await other.OpenConnectionAsync())
        {
            // The network parts: the server ends the session, and another node is quicker.
            await using var take = new NpgsqlCommand(
                "select pg_terminate_backend(l.pid, 5000), pg_advisory_lock(l.classid::int, l.objid::int) from pg_locks l join pg_database d on d.oid = l.database where d.datname = current_database() and l.locktype = 'advisory'",
                connection);
            await take.ExecuteNonQueryAsync();
            await Eventually.HoldsAsync("the node knows that another holds the store", () => Task.FromResult(node.Health().Reason?.Contains("in use", StringComparison.Ordinal) == true));
            Assert.Equal(ErrorKind.StoreFailed, (await Assert.ThrowsAsync<MemoryException>(() => node.StoreAsync(new() { Title = "fenced", Content = "x", Namespace = "n" }, new()))).Kind);
            await using var write = new NpgsqlCommand("update orleans_memory.head set commits = commits + 1", connection);
            await write.ExecuteNonQueryAsync();
            await using var release = new NpgsqlCommand("select pg_advisory_unlock_all()", connection);
            await release.ExecuteNonQueryAsync();
        }

        await Eventually.HoldsAsync("the node ends", async () =>
        {
            await Assert.ThrowsAnyAsync<MemoryException>(() => node.StoreAsync(new() { Title = "later", Content = "x", Namespace = "n" }, new()));
            return node.Fatal.IsCompleted;
        });
    }

    [Fact]
    public async Task A_write_behind_the_nodes_back_is_refused_by_the_server()
    {
        var name = $"back{Guid.NewGuid():n}";
        var url = await databases.CreateAsync(name);
        await using var node = await StartAsync(url);
        await using var other = NpgsqlDataSource.Create(PostgresUrl.Parse(url).ToConnection());
        await using var write = other.CreateCommand("update orleans_memory.head set commits = commits + 1");
        await write.ExecuteNonQueryAsync();
        await Assert.ThrowsAnyAsync<MemoryException>(() => node.StoreAsync(new() { Title = "t", Content = "x", Namespace = "n" }, new()));
        Assert.Contains("another process", (await node.Fatal).Message, StringComparison.Ordinal);
        await using var count = other.CreateCommand("select count(*) from orleans_memory.memory");
        Assert.Equal(0L, await count.ExecuteScalarAsync());
    }

    [Fact]
    public async Task A_second_node_on_one_database_is_refused()
    {
        var url = PostgresUrl.Parse(await databases.CreateAsync($"second{Guid.NewGuid():n}"));
        await using var first = await PostgresStore.OpenAsync(url, "n");
        Assert.Equal(ErrorKind.StoreInUse, (await Assert.ThrowsAsync<MemoryException>(() => PostgresStore.OpenAsync(url, "n"))).Kind);
    }

    private static async Task<RunningNode> StartAsync(string url)
    {
        var store = await PostgresStore.OpenAsync(PostgresUrl.Parse(url), "n");
        return new(store, await MemoryNode.StartAsync(store, new(), TimeProvider.System, new Random()));
    }

    private static Task<int> WriteAsync(CommandWriter writer, string id, Action? decided = null) => writer.RunAsync(async session =>
    {
        var stamp = session.NextStamp();
        await session.PutAsync(new States(new Random(1)).State(id) with { Name = new(new("n", id), stamp) }, stamp);
        decided?.Invoke();
        return 0;
    });

    private async Task<long> CommitsAsync(string database)
    {
        await using var source = NpgsqlDataSource.Create(PostgresUrl.Parse(databases.Server.UrlOf(database)).ToConnection());
        await using var command = source.CreateCommand("select commits from orleans_memory.head");
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private static async Task<long> ConnectionsAsync(LocalPostgres server, string database)
    {
        await using var source = NpgsqlDataSource.Create(PostgresUrl.Parse(server.UrlOf("postgres")).ToConnection());
        await using var command = source.CreateCommand("select count(*) from pg_stat_activity where datname = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = database });
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private sealed class RunningNode(PostgresStore store, MemoryNode node) : IAsyncDisposable
    {
        public IMemoryStore Store => store;

        public Task<StoreFatalException> Fatal => node.Fatal;

        public ServiceHealth Health() => node.Health();

        public Task<StoreStatistics> StatisticsAsync() => node.StatisticsAsync();

        public Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context) => node.StoreAsync(draft, context);

        public IAsyncEnumerable<Memory> ExportAsync() => node.ExportMemoriesAsync();

        public async ValueTask DisposeAsync()
        {
            await node.DisposeAsync();
            await store.DisposeAsync();
        }
    }

    /// <summary>What each write was answered; contents say who wrote them.</summary>
    private sealed class Ledger
    {
        private readonly ConcurrentDictionary<string, string> _answered = new(StringComparer.Ordinal);
        private readonly ConcurrentDictionary<string, bool> _notStored = new(StringComparer.Ordinal);
        private readonly ConcurrentDictionary<string, bool> _unknown = new(StringComparer.Ordinal);

        public IReadOnlyDictionary<string, string> Answered => _answered;

        public int NotStored => _notStored.Count;

        public int Unknown => _unknown.Count;

        public async Task WriteAsync(RunningNode node, string writer, CancellationToken stop)
        {
            await Task.Yield();
            for (var number = 0; !stop.IsCancellationRequested; number++)
            {
                var title = $"{writer}-{number}";
                try
                {
                    await node.StoreAsync(new() { Title = title, Content = $"v-{title}", Namespace = "ledger" }, new(writer));
                    _answered[title] = $"v-{title}";
                }
                catch (UncertainWriteException)
                {
                    _unknown[title] = true;
                }
                catch (MemoryException exception) when (exception.Kind == ErrorKind.StoreFailed)
                {
                    _notStored[title] = true;
                    await Task.Delay(1, CancellationToken.None);
                }
            }
        }

        public Task ReachAsync(int answered) => Eventually.HoldsAsync($"{answered} writes are answered", () => Task.FromResult(_answered.Count >= answered));

        /// <summary>Every write that was answered is there, none of those that were said not to be stored is.</summary>
        public async Task AssertHeldAsync(RunningNode node)
        {
            var held = (await node.ExportAsync().ToListAsync()).ToDictionary(static memory => memory.Title, static memory => memory.Content);
            Assert.DoesNotContain(_answered, pair => held.GetValueOrDefault(pair.Key) != pair.Value);
            Assert.DoesNotContain(_notStored.Keys, held.ContainsKey);
            Assert.DoesNotContain(held.Keys, title => !_answered.ContainsKey(title) && !_unknown.ContainsKey(title));
            Assert.Empty((await node.Store.VerifyAsync()).Differences);
        }
    }
}
