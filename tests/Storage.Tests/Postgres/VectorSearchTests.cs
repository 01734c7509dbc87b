using Microsoft.Extensions.AI;
using Npgsql;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Postgres;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Postgres;

/// <summary>Vectors compared by the database server find what those compared in memory do.</summary>
public sealed class VectorSearchTests(PostgresDatabases databases) : IDisposable
{
    private const int Memories = 300;
    private const string PlainRole = "plain";

    private static readonly string[] Namespaces = ["ns", "ns/b", "ns/b/c", "other"];
    private static readonly string[] Agents = ["alice", "bob", "carol"];
    private static readonly string?[] Scopes = [null, "private", "team", "unit", "org", "collective"];

    private readonly string _folder = Directory.CreateTempSubdirectory("om-vectors-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task The_database_finds_what_memory_finds()
    {
        var url = PostgresUrl.Parse(await databases.CreateAsync("vectors"));
        await RequireExtensionAsync(url);
        var random = new Random(11);
        await using var memory = await StartAsync(await PostgresStore.OpenAsync(PostgresUrl.Parse(await databases.CreateAsync("memoryvectors")), "n"), inStore: false);
        await using (var database = await StartAsync(await PostgresStore.OpenAsync(url, "n"), inStore: true))
        {
            Assert.Null(database.Node.VectorsProblem);
            Assert.True((await database.Node.ModelsAsync()).VectorsInStore);
            await FillAsync(random, memory, database);
            await CompareAsync(random, memory, database);

            // What they say is another, is not shown any more, is seen by others, or stands elsewhere.
            for (var row = 0; row < Memories; row += 5)
            {
                var (id, change) = (IdOf(row), random.Next(5));
                foreach (var node in (ClosingNode[])[memory, database])
                {
                    await (change switch
                    {
                        0 => node.UpdateAsync(id, new() { Content = $"other words {row}" }, new()),
                        1 => node.DeleteAsync(id, new()),
                        2 => node.UpdateAsync(id, new() { Tier = Tier.Long, Priority = 9 }, new()),
                        3 => node.UpdateAsync(id, new() { Namespace = "other" }, new()),
                        _ => (Task)node.Node.GrantAsync(id, "carol", Permission.Read, new("alice")),
                    });
                }
            }

            await CompareAsync(random, memory, database);
            Assert.Empty((await database.Store.VerifyAsync()).Differences);
        }

        // A program that keeps no vectors in the database writes to it; then one that does makes up for it.
        await using (var plain = await StartAsync(await PostgresStore.OpenAsync(url), inStore: false))
        {
            foreach (var node in (ClosingNode[])[memory, plain])
            {
                await node.UpdateAsync(IdOf(1), new() { Content = "changed meanwhile" }, new());
                await node.DeleteAsync(IdOf(2), new());
            }

            await CompareAsync(random, memory, plain);
        }

        await using (var again = await StartAsync(await PostgresStore.OpenAsync(url), inStore: true))
        {
            await CompareAsync(random, memory, again);
            Assert.Empty((await again.Store.VerifyAsync()).Differences);
        }

        // A start that finds all of them takes them as they are.
        await RunAsync(url, "update orleans_memory.memory_vector set value = (select value from orleans_memory.memory_vector order by row desc limit 1) where row = (select min(row) from orleans_memory.memory_vector)");
        await using (var trusting = await StartAsync(await PostgresStore.OpenAsync(url), inStore: true))
        {
            Assert.Single((await trusting.Store.VerifyAsync()).Differences);
        }

        await using (var larger = await StartAsync(await PostgresStore.OpenAsync(url), inStore: true, dimension: 24))
        {
            Assert.Empty((await larger.Store.VerifyAsync()).Differences);
            Assert.Equal(RecallModes.Hybrid, (await larger.RecallAsync(new() { Context = "w1 w2" })).Mode);
        }
    }

    [Fact]
    public async Task Where_there_is_no_extension_vectors_stay_in_memory()
    {
        var url = await databases.CreateAsync("novectors");
        await RunAsync(PostgresUrl.Parse(url), $"create role {PlainRole} login; grant create on database {url[(url.LastIndexOf('/') + 1)..].Split('?')[0]} to {PlainRole}");
        await using var node = await StartAsync(await PostgresStore.OpenAsync(PostgresUrl.Parse(url.Replace("user=om", $"user={PlainRole}", StringComparison.Ordinal))), inStore: true);
        Assert.Matches("pgvector|CREATE EXTENSION vector", node.Node.VectorsProblem);
        Assert.False((await node.Node.ModelsAsync()).VectorsInStore);
        await FillAsync(new Random(1), node);
        Assert.Equal(RecallModes.Hybrid, (await node.RecallAsync(new() { Context = "w1 w2" })).Mode);

        await using var sqlite = await StartAsync(SqliteStore.Open(Path.Combine(_folder, "none.db"), "n"), inStore: true);
        Assert.NotNull(sqlite.Node.VectorsProblem);
    }

    private static async Task CompareAsync(Random random, ClosingNode memory, ClosingNode database)
    {
        await SettleAsync(memory);
        await SettleAsync(database);
        var found = 0;
        for (var round = 0; round < 60; round++)
        {
            var query = new RecallQuery
            {
                // Some hold no word of any memory's text, and are near by their vectors all the same.
                Context = string.Join(' ', Enumerable.Range(0, random.Next(1, 4)).Select(_ => $"{(random.Next(2) == 0 ? "w" : "q")}{random.Next(40)}")),
                Limit = random.Next(1, 15),
                Namespace = random.Next(2) == 0 ? Namespaces[random.Next(Namespaces.Length)] : null,
                Tier = random.Next(5) == 0 ? Tier.Mid : null,
                MinPriority = random.Next(5) == 0 ? 5 : null,
                Tag = random.Next(5) == 0 ? $"t{random.Next(80)}" : null,
                AgentId = random.Next(5) == 0 ? Agents[random.Next(Agents.Length)] : null,
                Since = random.Next(6) == 0 ? new Timestamp(1_700_000_000_000_000_000) : null,
                Until = random.Next(6) == 0 ? new Timestamp(1_800_000_000_000_000_000) : null,
                AsAgent = random.Next(3) == 0 ? Namespaces[random.Next(Namespaces.Length)] : null,
                CountAccess = false,
            };
            Principal? principal = random.Next(3) == 0 ? new(Role.Writer, "carol", Namespaces[random.Next(Namespaces.Length)]) : null;
            var (one, other) = (await AskAsync(memory, principal, query), await AskAsync(database, principal, query));
            Assert.Equal((RecallModes.Hybrid, null), (one.Mode, one.Degraded));
            Assert.Equal((one.Mode, one.Degraded), (other.Mode, other.Degraded));
            Assert.Equal(one.Memories.Select(static ranked => ranked.Memory.Id), other.Memories.Select(static ranked => ranked.Memory.Id));
            Assert.All(one.Memories.Zip(other.Memories), static pair => Assert.Equal(pair.First.Score, pair.Second.Score, 1e-5));
            found += one.Memories.Count;
        }

        Assert.True(found > 100, $"{found} found: too few to tell");
    }

    private static Task<RecallResult> AskAsync(ClosingNode node, Principal? principal, RecallQuery query) =>
        principal is null ? node.RecallAsync(query) : node.Node.As(principal).RecallAsync(query);

    private static async Task FillAsync(Random random, params ClosingNode[] nodes)
    {
        var rows = Enumerable.Range(0, Memories).Select(row => new Memory
        {
            Id = IdOf(row),
            Tier = (Tier)random.Next(3),
            Namespace = Namespaces[random.Next(Namespaces.Length)],
            Title = $"title {row}",
            Content = string.Join(' ', Enumerable.Range(0, 8).Select(_ => $"w{random.Next(40)}")),
            Tags = [.. Enumerable.Range(0, random.Next(4)).Select(_ => $"t{random.Next(80)}").Distinct()],
            Priority = random.Next(1, 11),
            Source = "import",
            CreatedAt = new(1_600_000_000_000_000_000 + (random.Next(300) * 1_000_000_000_000_000)),
            UpdatedAt = new(1_900_000_000_000_000_000),
            ExpiresAt = row % 10 == 3 ? new Timestamp(1_650_000_000_000_000_000) : null,
            Metadata = Metadata.Parse($$"""{"agent_id":"{{Agents[random.Next(Agents.Length)]}}"{{(Scopes[random.Next(Scopes.Length)] is { } scope ? $",\"scope\":\"{scope}\"" : "")}}}"""),
        }).ToList();
        foreach (var node in nodes)
        {
            Assert.All(await node.ImportAsync(rows, [], new() { TrustSource = true }, new()), static outcome => Assert.Null(outcome.Error));
            await SettleAsync(node);
        }
    }

    private static string IdOf(int row) => $"memory-{row:d4}";

    /// <summary>Waits until every memory has a vector.</summary>
    private static async Task SettleAsync(ClosingNode node) => await Eventually.HoldsAsync(
        "every memory has a vector",
        async () => (await node.RecallAsync(new() { Context = "w1", CountAccess = false })) is { Mode: RecallModes.Hybrid, Degraded: null });

    private static async Task<ClosingNode> StartAsync(IMemoryStore store, bool inStore, int dimension = 16)
    {
        var node = await MemoryNode.StartAsync(
            store,
            new() { TouchInterval = TimeSpan.FromDays(1), Models = new() { Embedder = new HashEmbedder(dimension), VectorsInStore = inStore }, Scoring = new() { Hybrid = new() { Decay = false } } },
            TimeProvider.System,
            new Random(7));
        node.StartBackfills(new Random(1));
        var closing = new ClosingNode(store, node);
        await SettleAsync(closing);
        return closing;
    }

    private static async Task RequireExtensionAsync(PostgresUrl url) => Assert.SkipUnless(
        (bool)(await RunAsync(url, "select exists(select 1 from pg_available_extensions where name = 'vector')"))!,
        "the server does not have the extension vector: install pgvector (https://github.com/pgvector/pgvector)");

    private static async Task<object?> RunAsync(PostgresUrl url, string sql)
    {
        await using var source = NpgsqlDataSource.Create(url.ToConnection());
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync();
    }

    /// <summary>A direction for each word, those of "w7" and "q7" near each other; a text is the sum of its words and a little of itself, so that none are equally near.</summary>
    private sealed class HashEmbedder(int dimension) : IEmbeddingGenerator<string, Embedding<float>>
    {
        public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
            IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default) =>
            Task.FromResult(new GeneratedEmbeddings<Embedding<float>>(values.Select(text => new Embedding<float>(Embed(text)))));

        public object? GetService(Type serviceType, object? serviceKey = null) =>
            serviceType == typeof(EmbeddingGeneratorMetadata) ? new EmbeddingGeneratorMetadata("test", null, "hash", dimension) : null;

        public void Dispose()
        {
        }

        private float[] Embed(string text)
        {
            var vector = new float[dimension];
            Add(text, 0.05f);
            foreach (var word in text.Split(' ', '\n'))
            {
                Add(word.Replace('q', 'w'), 1);
                Add(word, 0.1f);
            }

            return vector;

            void Add(string seed, float weight)
            {
                var random = new Random(unchecked((int)RankInputs.Hash(seed)));
                for (var place = 0; place < dimension; place++)
                {
                    vector[place] += weight * (random.NextSingle() - 0.5f);
                }
            }
        }
    }
}
