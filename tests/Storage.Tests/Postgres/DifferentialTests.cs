using System.Globalization;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Postgres;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Postgres;

/// <summary>One random walk of commands and questions on two stores, with one clock and one chance: every answer is the same.</summary>
public sealed class DifferentialTests(PostgresDatabases databases) : IDisposable
{
    private static readonly string[] Words =
    [
        "deploy", "deploys", "deployed", "deploying", "the", "a", "on", "Tuesday", "tuesdays", "well-known", "known", "well", "Café", "cafe", "naïve", "running", "runs",
        "ran", "日本", "日本語", "Ünïcode", "src/Core.cs", "core", "zero\u200Bwidth", "x-y-z", "relational", "conditional", "happy", "happiness", "caresses", "ponies",
        "1,024", "v10.0.0", "naïveté", "ß", "İstanbul", "e\u0301clair", "AND", "don't", "O'Neil", "C#", "🚀", "agent", "memory", "memories", "flies", "dying", "skies", "sky",
    ];

    private static readonly string[] Agents = ["alice", "bob", "ai:claude"];

    private readonly string _folder = Directory.CreateTempSubdirectory("om-differential-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait(Campaign.Trait, "differential")]
    public async Task The_same_commands_end_in_the_same_answers()
    {
        for (var seed = 1; seed <= Campaign.Count("differential", reduced: 3, full: 60); seed++)
        {
            var url = await databases.CreateAsync($"differential{seed}");
            await WalkAsync(seed, 400, SqliteStore.Open(Path.Combine(_folder, $"{seed}.db"), "n"), await PostgresStore.OpenAsync(PostgresUrl.Parse(url), "n"));
        }
    }

    private static async Task WalkAsync(int seed, int steps, IMemoryStore sqlite, IMemoryStore postgres)
    {
        await using var one = await Side.StartAsync(sqlite, seed);
        await using var other = await Side.StartAsync(postgres, seed);
        var random = new Random(seed);
        var ids = new List<string>();
        for (var step = 0; step < steps; step++)
        {
            var (what, run) = Draw(random, ids);
            var (first, second) = (await one.AnswerAsync(run), await other.AnswerAsync(run));
            Assert.True(first == second, $"seed {seed}, step {step}, {what}:\nSQLite     {first}\nPostgreSQL {second}");
            if (step % 40 == 0)
            {
                var advance = TimeSpan.FromHours(random.Next(1, 100));
                one.Time.Advance(advance);
                other.Time.Advance(advance);
            }
        }

        Assert.Empty((await sqlite.VerifyAsync()).Differences);
        Assert.Empty((await postgres.VerifyAsync()).Differences);
    }

    private static (string What, Func<Side, Task<string>> Run) Draw(Random random, List<string> ids)
    {
        var id = ids.Count > 0 && random.Next(20) > 0 ? ids[random.Next(ids.Count)] : "nobody";
        if (random.Next(6) == 0 && id.Length > 8)
        {
            id = id[..random.Next(1, 8)];
        }

        var other = ids.Count > 0 ? ids[random.Next(ids.Count)] : "nobody";
        var context = new WriteContext(Agents[random.Next(Agents.Length)], random.Next(8) == 0 ? $"key {random.Next(20)}" : null);
        var filter = Filter(random);
        switch (random.Next(18))
        {
            case 0 or 1 or 2 or 3:
                var draft = Draft(random);
                return ($"store {draft}", async side => Remember(ids, Say(await side.Node.StoreAsync(draft, context))));
            case 4 or 5:
                var patch = Patch(random);
                return ($"update {id} {patch}", async side => Say(await side.Node.UpdateAsync(id, patch, context)));
            case 6:
                return ($"delete {id}", async side => Say(await side.Node.DeleteAsync(id, context)));
            case 7:
                return ($"promote {id}", async side => Say(await side.Node.PromoteAsync(id, context)));
            case 8:
                return ($"link {id} {other}", async side => $"{(await side.Node.LinkAsync(id, other, "related_to", context)).Linked}");
            case 9:
                var imported = new Memory
                {
                    Id = random.Next(2) == 0 ? id : $"imported-{random.Next(30)}",
                    Tier = Tier.Long,
                    Namespace = "ns/b",
                    Title = $"title {random.Next(10)}",
                    Content = Text(random),
                    Source = "import",
                    AccessCount = random.Next(5),
                    CreatedAt = new(1_000_000 + random.Next(5)),
                    UpdatedAt = new(2_000_000 + random.Next(5)),
                    Metadata = Metadata.Parse($$"""{"n":{{random.Next(3)}},"e":1e400,"z":"\u0000"}"""),
                };
                return ($"import {imported}", async side => string.Join('\n', (await side.Node.ImportAsync([imported], [new(id, imported.Id, "derived_from", new(5))], new(), context))
                    .Select(outcome => outcome.Error?.Kind.Code ?? (outcome.Receipt is { } receipt ? Remember(ids, Say(receipt)) : "linked"))));
            case 10:
                var pattern = random.Next(3) == 0 ? Words[random.Next(Words.Length)] : null;
                var forget = new ForgetQuery(random.Next(2) == 0 ? "ns" : null, pattern, random.Next(4) == 0 ? Tier.Short : null);
                return ($"forget {forget}", async side => $"{await side.Node.ForgetAsync(forget, context)}");
            case 11:
                return ("gc", async side => $"{await side.Node.CollectGarbageAsync()}");
            case 12 or 13:
                var recall = new RecallQuery
                {
                    Context = Text(random, 3),
                    Limit = random.Next(1, 20),
                    Namespace = filter.Namespace,
                    Tier = filter.Tier,
                    MinPriority = filter.MinPriority,
                    Tag = filter.Tag,
                    AgentId = filter.AgentId,
                    AsAgent = random.Next(3) == 0 ? "ns/b/c" : null,
                    BudgetTokens = random.Next(3) == 0 ? 60 : null,
                };
                return ($"recall {recall}", async side =>
                {
                    var found = await side.Node.RecallAsync(recall);
                    await side.Node.FlushAsync();
                    return $"{found.TokensUsed} {found.IsComplete}\n" + string.Join('\n', found.Memories.Select(static ranked => $"{ranked.Score:R} {Say(ranked.Memory)}"));
                }
                );
            case 14:
                var search = new SearchQuery { Text = Text(random, 2), Limit = random.Next(1, 20), Namespace = filter.Namespace, Tag = filter.Tag, Since = filter.Since };
                return ($"search {search}", async side => string.Join('\n', (await side.Node.SearchAsync(search)).Memories.Select(static ranked => $"{ranked.Score:R} {Say(ranked.Memory)}")));
            case 15:
                var list = new ListQuery
                {
                    Namespace = filter.Namespace,
                    Tier = filter.Tier,
                    MinPriority = filter.MinPriority,
                    Tag = filter.Tag,
                    AgentId = filter.AgentId,
                    Since = filter.Since,
                    Until = filter.Until,
                    Limit = random.Next(1, 9),
                    Offset = random.Next(3),
                };
                return ($"list {list}", side => PagesAsync(side.Node, list));
            case 16:
                return ($"get {id}", async side =>
                {
                    var (memory, links, _) = await side.Node.GetAsync(id);
                    return $"{Say(memory)}\n{string.Join('\n', links.Select(static link => link.ToString()).Order(StringComparer.Ordinal))}";
                }
                );
            default:
                return ("overview", async side =>
                {
                    var statistics = await side.Node.StatisticsAsync();
                    var exported = await side.Node.ExportMemoriesAsync().ToListAsync();
                    var changes = await side.Node.ChangesAsync(default, 50);
                    return string.Join('\n', new[]
                    {
                        $"{statistics.Total} {statistics.ExpiringSoon} {statistics.LinksCount} {string.Join(',', statistics.ByTier)} {string.Join(',', statistics.ByNamespace)}",
                        string.Join(',', await side.Node.NamespacesAsync()),
                        string.Join('\n', exported.Select(Say)),
                        string.Join('\n', changes.Select(static memory => memory.Id)),
                        string.Join('\n', (await side.Node.ExportLinksAsync().ToListAsync()).Select(static link => link.ToString())),
                    });
                }
                );
        }
    }

    private static async Task<string> PagesAsync(MemoryNode node, ListQuery query)
    {
        var lines = new List<string>();
        string? cursor = null;
        do
        {
            var page = await node.ListAsync(query with { Cursor = cursor, Offset = cursor is null ? query.Offset : 0 });
            lines.AddRange(page.Memories.Select(Say));
            lines.Add(page.NextCursor ?? "end");
            cursor = page.NextCursor;
        }
        while (cursor is not null);
        return string.Join('\n', lines);
    }

    private static string Remember(List<string> ids, string said)
    {
        var id = said.Split(' ')[0];
        if (!ids.Contains(id))
        {
            ids.Add(id);
        }

        return said;
    }

    private static string Say(WriteReceipt receipt) => $"{Say(receipt.Memory)} {receipt.Created} {receipt.Position.Sequence} {receipt.Stamp.Clock}";

    private static string Say(Memory memory) => string.Create(
        CultureInfo.InvariantCulture, $"{memory.Id} {memory with { Tags = [] }} [{string.Join('|', memory.Tags)}] {memory.Metadata.Json}");

    private static MemoryDraft Draft(Random random) => new()
    {
        Title = $"{Words[random.Next(8)]} {random.Next(4)}",
        Content = Text(random),
        Namespace = random.Next(3) switch { 0 => "ns", 1 => "ns/b", _ => "ns/b/c" },
        Tags = [.. Enumerable.Range(0, random.Next(3)).Select(_ => $"t{random.Next(4)}").Distinct()],
        Tier = (Tier)random.Next(3),
        Priority = random.Next(1, 11),
        Confidence = random.Next(11) / 10.0,
        TtlSeconds = random.Next(4) == 0 ? random.Next(1, 500_000) : null,
        AgentId = Agents[random.Next(Agents.Length)],
        Scope = random.Next(4) == 0 ? "team" : null,
        Metadata = random.Next(2) == 0 ? Metadata.Empty : Metadata.Parse($$"""{"k":[{{random.Next(3)}},2.50],"é":"\u0001\ud83d\ude80"}"""),
    };

    private static MemoryPatch Patch(Random random) => new()
    {
        Title = random.Next(3) == 0 ? $"{Words[random.Next(8)]} {random.Next(4)}" : null,
        Content = random.Next(2) == 0 ? Text(random) : null,
        Namespace = random.Next(5) == 0 ? "ns" : null,
        Tags = random.Next(4) == 0 ? ["x", "t1"] : null,
        Tier = random.Next(4) == 0 ? (Tier)random.Next(3) : null,
        Priority = random.Next(3) == 0 ? random.Next(1, 11) : null,
        ExpiresAt = random.Next(8) == 0 ? "" : null,
    };

    private static MemoryFilter Filter(Random random) => new()
    {
        Namespace = random.Next(3) == 0 ? "ns/b" : null,
        Tier = random.Next(5) == 0 ? Tier.Long : null,
        MinPriority = random.Next(5) == 0 ? 5 : null,
        Tag = random.Next(5) == 0 ? "t1" : null,
        AgentId = random.Next(5) == 0 ? "alice" : null,
        Since = random.Next(6) == 0 ? Timestamp.Now(new ManualTime()) : null,
    };

    private static string Text(Random random, int words = 12) => string.Join(' ', Enumerable.Range(0, random.Next(1, words + 1)).Select(_ => Words[random.Next(Words.Length)]));

    private sealed class Side(IMemoryStore store, MemoryNode node, ManualTime time) : IAsyncDisposable
    {
        public MemoryNode Node => node;

        public ManualTime Time => time;

        public static async Task<Side> StartAsync(IMemoryStore store, int seed)
        {
            var time = new ManualTime();
            return new(store, await MemoryNode.StartAsync(store, new() { TouchInterval = TimeSpan.FromDays(1) }, time, new Random(seed)), time);
        }

        public async Task<string> AnswerAsync(Func<Side, Task<string>> run)
        {
            try
            {
                return await run(this);
            }
            catch (MemoryException exception)
            {
                return $"{exception.Kind}: {exception.Message}";
            }
        }

        public async ValueTask DisposeAsync()
        {
            await node.DisposeAsync();
            await store.DisposeAsync();
        }
    }
}
