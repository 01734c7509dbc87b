using System.Globalization;
using System.Text.Json;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

[assembly: AssemblyFixture(typeof(PostgresDatabases))]

namespace OrleansMemory.Cli.Tests;

/// <summary>All rows of one store in another, whatever happens on the way.</summary>
public sealed class MigrationTests(PostgresDatabases databases) : IDisposable
{
    private const long MemoryBound = 300L << 20;

    private static readonly WriteContext Alice = new("alice");

    private readonly Om _om = new();

    public void Dispose() => _om.Dispose();

    [Fact]
    [Trait(Campaign.Trait, "migrate")]
    public async Task There_and_back_is_the_same_however_often_it_is_killed()
    {
        var rows = Campaign.Count("migrate", reduced: 3_000, full: 100_000);
        var kills = rows >= 100_000 ? 20 : 3;
        var server = await databases.CreateAsync("migrate");
        var (first, last) = ($"sqlite://{_om.PathTo("first.db")}", $"sqlite://{_om.PathTo("last.db")}");
        await FillAsync(_om.PathTo("first.db"), rows);
        var random = new Random(3);
        var killed = 0;
        foreach (var (from, to) in ((string, string)[])[(first, server), (server, last)])
        {
            for (var kill = 0; kill < kills; kill++)
            {
                // After the start, each brings its share at most, so that the next one finds something to do.
                var share = TimeSpan.FromMilliseconds(100 + (rows / (10.0 * kills) * 2));
                killed += await KillAsync(TimeSpan.FromMilliseconds(200) + (share * random.NextDouble()), from, to) ? 1 : 0;
            }

            var report = (await MigrateAsync(from, to)).Exits(0).Json;
            Assert.Equal(report.GetProperty("source_digest").GetString(), report.GetProperty("target_digest").GetString());
            Assert.All(report.GetProperty("counts").EnumerateObject(), static kind =>
                Assert.Equal(kind.Value.GetProperty("source").GetInt64(), kind.Value.GetProperty("target").GetInt64()));
            var again = (await MigrateAsync(from, to)).Exits(0).Json;
            Assert.Equal((0, 0), (again.GetProperty("rows_written").GetInt64(), again.GetProperty("memories_written").GetInt64()));
            TestContext.Current.TestOutputHelper!.WriteLine(
                $"{report.GetProperty("rows_read")} rows, {killed} kills so far; nothing to write, reading twice: {again.GetProperty("rows_per_second")} rows/s");
        }

        await AssertEqualAsync(_om.PathTo("first.db"), _om.PathTo("last.db"));

        // A whole run at once, for its speed and its memory.
        var (outcome, peak) = await MeasureAsync(first, $"sqlite://{_om.PathTo("measured.db")}");
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"SQLite to SQLite, copied and checked: {outcome.Json.GetProperty("rows_per_second")} rows/s, peak {peak >> 20} MiB");
        Assert.True(peak < MemoryBound, $"{peak >> 20} MiB resident");
        (outcome, peak) = await MeasureAsync(first, await databases.CreateAsync("measured"));
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"SQLite to PostgreSQL, copied and checked: {outcome.Json.GetProperty("rows_per_second")} rows/s, peak {peak >> 20} MiB");
        Assert.True(peak < MemoryBound, $"{peak >> 20} MiB resident");
    }

    [Fact]
    public async Task A_newer_change_in_the_target_stays()
    {
        await using (var store = SqliteStore.Open(_om.PathTo("a.db")))
        await using (var node = await NodeAsync(store))
        {
            await node.StoreAsync(Draft("both") with { Content = "old" }, Alice);
            await node.StoreAsync(Draft("gone"), Alice);
        }

        (await MigrateAsync(Sqlite("a.db"), Sqlite("b.db"))).Exits(0);
        await using (var store = SqliteStore.Open(_om.PathTo("b.db")))
        await using (var node = await NodeAsync(store))
        {
            var memories = (await node.ListAsync(new())).Memories;
            await node.UpdateAsync(memories.Single(static memory => memory.Title == "both").Id, new() { Content = "new" }, Alice);
            await node.DeleteAsync(memories.Single(static memory => memory.Title == "gone").Id, Alice);
        }

        Assert.Equal(0, (await MigrateAsync(Sqlite("a.db"), Sqlite("b.db"))).Exits(0).Json.GetProperty("rows_written").GetInt64());
        Assert.Equal(["both=new"], await ShownAsync("b.db"));
        Assert.True((await MigrateAsync(Sqlite("b.db"), Sqlite("a.db"))).Exits(0).Json.GetProperty("rows_written").GetInt64() > 0);
        Assert.Equal(["both=new"], await ShownAsync("a.db"));
    }

    [Fact]
    public async Task One_namespace_comes_with_what_hangs_on_it()
    {
        await using (var store = SqliteStore.Open(_om.PathTo("a.db")))
        await using (var node = await NodeAsync(store))
        {
            var ids = new List<string>();
            foreach (var name in (string[])["ops", "ops", "dev"])
            {
                ids.Add((await node.StoreAsync(Draft($"t{ids.Count}") with { Namespace = name }, Alice)).Memory.Id);
            }

            await node.LinkAsync(ids[0], ids[1], "related_to", Alice);
            await node.LinkAsync(ids[0], ids[2], "related_to", Alice);
            await node.SetQuorumAsync("ops", 1, Alice);
            await node.SetQuorumAsync("dev", 1, Alice);
        }

        var dry = (await MigrateAsync(Sqlite("a.db"), Sqlite("a2.db"), "--dry-run")).Exits(1);
        Assert.Contains("a2.db", dry.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_om.PathTo("a2.db")));
        (await _om.RunAsync("list", "--db", "b.db")).Exits(0);
        Assert.Equal(0, (await MigrateAsync(Sqlite("a.db"), Sqlite("b.db"), "--dry-run")).Exits(0).Json.GetProperty("rows_written").GetInt64());
        Assert.Empty(await ShownAsync("b.db"));
        var counts = (await MigrateAsync(Sqlite("a.db"), Sqlite("b.db"), "--namespace", "ops", "--batch", "2")).Exits(0).Json.GetProperty("counts");
        Assert.Equal((2, 1, 1), (Target("memories"), Target("links"), Target("policies")));

        long Target(string kind) => counts.GetProperty(kind).GetProperty("target").GetInt64();
    }

    [Fact]
    public async Task What_cannot_be_used_is_refused_without_a_secret_in_the_answer()
    {
        (await _om.RunAsync("store", "--db", "a.db", "-T", "t", "-c", "c")).Exits(0);
        Assert.Contains("unrecognised store URL", (await MigrateAsync("mysql://u:hidden@h/d", Sqlite("b.db"))).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("nothing.db", (await MigrateAsync(Sqlite("nothing.db"), Sqlite("b.db"))).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("both", (await MigrateAsync(Sqlite("a.db"), Sqlite("a.db"))).Exits(1).Error, StringComparison.Ordinal);
        var away = (await MigrateAsync(Sqlite("a.db"), "postgres://u:hidden@127.0.0.1:1/d")).Exits(1);
        Assert.DoesNotContain("hidden", away.Error + away.Output, StringComparison.Ordinal);
        await using var node = await _om.ServeAsync("--db", "a.db");
        Assert.Contains("in use", (await MigrateAsync(Sqlite("a.db"), Sqlite("b.db"))).Exits(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_ai_memory_database_comes_over_whole()
    {
        var path = _om.PathTo("ai-memory.db");
        WriteAiMemory(path);
        var before = await File.ReadAllBytesAsync(path);
        var report = (await MigrateAsync($"sqlite://{path}", Sqlite("ours.db"))).Exits(1).Json;
        Assert.Contains("m-broken", Assert.Single(report.GetProperty("errors").EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Equal(2, report.GetProperty("left_behind").GetProperty("embeddings").GetInt64());
        Assert.Equal(before, await File.ReadAllBytesAsync(path));
        Assert.Equal(0, (await MigrateAsync($"sqlite://{path}", Sqlite("ours.db"))).Json.GetProperty("rows_written").GetInt64());

        await using var store = SqliteStore.Open(_om.PathTo("ours.db"));
        Assert.Empty((await store.VerifyAsync()).Differences);
        await using var node = await NodeAsync(store);
        var (memory, links, _) = await node.GetAsync("m-1");
        Assert.Equal(("Deploy window", "Tuesdays at ten", "ops", Tier.Mid, 7, 0.75, "cli", 7L), (memory.Title, memory.Content, memory.Namespace, memory.Tier, memory.Priority, memory.Confidence, memory.Source, memory.AccessCount));
        Assert.Equal(["deploy", "ops"], memory.Tags);
        Assert.Equal("ai:claude", memory.Metadata.Text("agent_id"));
        Assert.Equal("2026-04-20T09:00:00+00:00 2026-04-20T08:30:00.250+00:00 2099-05-01T00:00:00+00:00", $"{memory.CreatedAt} {memory.UpdatedAt} {memory.ExpiresAt}");
        Assert.Equal("2026-04-21T10:00:00+00:00", $"{memory.LastAccessedAt}");
        Assert.Equal("m-2", Assert.Single(links).TargetId);
        await Assert.ThrowsAsync<MemoryException>(() => node.GetAsync("m-archived"));

        // What no command shows yet is there all the same.
        var archived = (await store.FindAsync("m-archived"))!;
        Assert.Equal(("forget", "2026-04-22T00:00:00+00:00"), (archived.Own.Archive!.Value.Value!.Reason, $"{archived.Own.Archive.Value.Value.At}"));
        Assert.Equal(RowVisibility.Shown, (await store.FindAsync("m-2"))!.Visibility);
        var standard = EntryBodies.Decode((await OneAsync(MutationKind.Standard)).Body, EntryJson.Default.StandardBody);
        Assert.Equal(("m-1", "parent"), (standard.StandardId, standard.ParentNamespace));
        var policy = EntryBodies.Policy((await OneAsync(MutationKind.Policy)).Body);
        Assert.Equal(("approve", "owner", """{"consensus":2}"""), (policy.Write, policy.Delete, policy.Approver!.Value.GetRawText()));
        var pending = EntryBodies.Decode((await OneAsync(MutationKind.PendingAction)).Body, EntryJson.Default.PendingActionBody);
        Assert.Equal(("store", "pending", "bob", store.Log.Node), (pending.ActionType, pending.Status, pending.RequestedBy, pending.OriginNode));
        Assert.Equal("p-1\ncarol", (await OneAsync(MutationKind.Vote)).Key.Key);
        var agent = EntryBodies.Decode((await OneAsync(MutationKind.Agent)).Body, EntryJson.Default.AgentBody);
        Assert.Equal(("human", "write"), (agent.AgentType, Assert.Single(agent.Capabilities)));
        var subscription = EntryBodies.Decode((await OneAsync(MutationKind.Subscription)).Body, EntryJson.Default.SubscriptionBody);
        Assert.Equal(("https://example.org/hook", "memory_store", "abc"), (subscription.Url, Assert.Single(subscription.Events), subscription.SecretHash));

        async Task<EntryState> OneAsync(MutationKind kind) => Assert.Single(await store.ListEntriesAsync(new(kind, null, ByTarget: false, null, 10)));
    }

    [Fact]
    public async Task A_database_that_is_only_alike_says_what_it_lacks()
    {
        using (var database = SqliteDatabase.Open(_om.PathTo("other.db")))
        {
            database.Execute("create table memories(id text, title text)");
        }

        Assert.Contains("content", (await MigrateAsync(Sqlite("other.db"), Sqlite("ours.db"))).Exits(1).Error, StringComparison.Ordinal);
    }

    private string Sqlite(string name) => $"sqlite://{_om.PathTo(name)}";

    private Task<Outcome> MigrateAsync(string from, string to, params string[] more) => _om.RunAsync(["migrate", "--from", from, "--to", to, "--json", .. more]);

    private static Task<MemoryNode> NodeAsync(IMemoryStore store) => MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random());

    private static MemoryDraft Draft(string title) => new() { Title = title, Content = $"c-{title}", Namespace = "test", Tier = Tier.Long };

    private async Task<bool> KillAsync(TimeSpan after, string from, string to)
    {
        using var process = _om.Start("migrate", "--from", from, "--to", to, "--batch", "100");
        try
        {
            await process.WaitForExitAsync().WaitAsync(after);
            return false;
        }
        catch (TimeoutException)
        {
            process.Kill();
            await process.WaitForExitAsync();
            return true;
        }
    }

    private async Task<(Outcome Outcome, long Peak)> MeasureAsync(string from, string to)
    {
        using var process = _om.Start("migrate", "--from", from, "--to", to, "--json");
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        long peak = 0;
        while (!process.HasExited)
        {
            process.Refresh();
            peak = process.HasExited ? peak : Math.Max(peak, process.PeakWorkingSet64);
            await Task.WhenAny(process.WaitForExitAsync(), Task.Delay(20));
        }

        return (new Outcome(process.ExitCode, await output, await error).Exits(0), peak);
    }

    private async Task<List<string>> ShownAsync(string name)
    {
        await using var store = SqliteStore.Open(_om.PathTo(name));
        await using var node = await NodeAsync(store);
        return [.. (await node.ListAsync(new())).Memories.Select(static memory => $"{memory.Title}={memory.Content}")];
    }

    /// <summary>Memories of all tiers with metadata, links, archived and deleted ones, policies and counters.</summary>
    private static async Task FillAsync(string path, int rows)
    {
        await using var store = SqliteStore.Open(path);
        await using var node = await NodeAsync(store);
        var ids = new List<string>(rows);
        foreach (var batch in Enumerable.Range(0, rows).Chunk(1_000))
        {
            var drafts = batch.Select(static number => new MemoryDraft
            {
                Title = $"t-{number}",
                Content = $"content {number} é 日本 " + new string((char)('a' + (number % 26)), 200 + (number % 600)),
                Namespace = $"ns{number % 7}/b",
                Tags = number % 3 == 0 ? [] : [$"tag{number % 5}", "x"],
                Priority = 1 + (number % 10),
                Confidence = (number % 11) / 10.0,
                Tier = (Tier)(number % 3),
                Metadata = Metadata.Parse($$$"""{"n":{{{number}}},"deep":{"a":[1,2.5,null,"ü"]}}"""),
            }).ToList();
            ids.AddRange((await node.StoreManyAsync(drafts, Alice)).Select(static outcome => outcome.Receipt!.Memory.Id));
        }

        var links = Enumerable.Range(0, rows / 4).Select(number => new Link(ids[number], ids[(number * 7) + 1 < rows ? (number * 7) + 1 : 0], number % 2 == 0 ? "related_to" : "supersedes", Timestamp.Now(TimeProvider.System)))
            .Where(static link => link.SourceId != link.TargetId).ToList();
        foreach (var batch in links.Chunk(1_000))
        {
            await node.ImportAsync([], batch, new(), Alice);
        }

        await Task.WhenAll(ids.Where(static (_, index) => index % 50 == 7).Select(id => node.DeleteAsync(id, Alice)));
        await node.ForgetAsync(new("ns3/b", null, Tier.Short), Alice);
        await node.SetQuorumAsync("ns1", 1, Alice);
        foreach (var word in Enumerable.Range(0, 20))
        {
            await node.RecallAsync(new() { Context = $"content {word.ToString(CultureInfo.InvariantCulture)}" });
        }

        await node.FlushAsync();
    }

    private static async Task AssertEqualAsync(string first, string last)
    {
        await using var a = SqliteStore.Open(first);
        await using var b = SqliteStore.Open(last);
        Assert.Empty((await b.VerifyAsync()).Differences);
        Assert.Equal(await a.ReadDigestsAsync(), await b.ReadDigestsAsync());
        await using var left = await NodeAsync(a);
        await using var right = await NodeAsync(b);
        await using var others = right.ExportMemoriesAsync().GetAsyncEnumerator();
        var count = 0;
        await foreach (var memory in left.ExportMemoriesAsync())
        {
            Assert.True(await others.MoveNextAsync());
            Assert.Equal(JsonSerializer.Serialize(memory), JsonSerializer.Serialize(others.Current));
            count++;
        }

        Assert.False(await others.MoveNextAsync());
        Assert.True(count > 1_000, $"only {count} memories were compared");
        Assert.Equal(await left.ExportLinksAsync().ToListAsync(), await right.ExportLinksAsync().ToListAsync());
    }

    /// <summary>A file with the tables of ai-memory 0.6.0 and a row of each kind.</summary>
    private static void WriteAiMemory(string path)
    {
        using var database = SqliteDatabase.Open(path);
        const string Columns = """
            id text primary key, tier text not null, namespace text not null, title text not null, content text not null, tags text not null,
            priority integer not null, confidence real not null, source text not null, access_count integer not null, created_at text not null,
            updated_at text not null, last_accessed_at text, expires_at text, metadata text not null
            """;
        database.Execute($"create table memories({Columns}, embedding blob); create table archived_memories({Columns}, archived_at text not null, archive_reason text not null)");
        database.Execute("""
            create table memory_links(source_id text, target_id text, relation text, created_at text, primary key (source_id, target_id, relation));
            create table namespace_meta(namespace text primary key, standard_id text, parent_namespace text, updated_at text);
            create table pending_actions(id text primary key, action_type text, memory_id text, namespace text, payload text, requested_by text,
                requested_at text, status text, decided_by text, decided_at text, approvals text);
            create table sync_state(agent_id text, peer_id text, last_seen_at text);
            create table subscriptions(id text primary key, url text, events text, secret_hash text, namespace_filter text, agent_filter text,
                created_by text, created_at text, dispatch_count integer);
            insert into memories values
                ('m-1', 'mid', 'ops', 'Deploy window', 'Tuesdays at ten', '["deploy","ops"]', 7, 0.75, 'cli', 7, '2026-04-20T09:00:00+00:00',
                    '2026-04-20T10:30:00.25+02:00', '2026-04-21T10:00:00Z', '2099-05-01T00:00:00Z',
                    '{"agent_id":"ai:claude","governance":{"write":"approve","promote":"any","delete":"owner","approver":{"consensus":2}}}', x'0000803f'),
                ('m-2', 'long', 'ops', 'Second', 'c', '[]', 5, 1.0, 'api', 0, '2026-04-20T09:00:00Z', '2026-04-20T09:00:00Z', null, null, '{}', x'00'),
                ('m-broken', 'eternal', 'ops', 'Broken', 'c', '[]', 5, 1.0, 'api', 0, '2026-04-20T09:00:00Z', '2026-04-20T09:00:00Z', null, null, '{}', null),
                ('a-1', 'long', '_agents', 'agent:carol', 'c', '[]', 5, 1.0, 'system', 0, '2026-04-20T09:00:00Z', '2026-04-20T09:00:00Z', null, null,
                    '{"agent_type":"human","capabilities":["write"],"registered_at":"2026-04-20T09:00:00Z"}', null);
            insert into archived_memories values
                ('m-archived', 'short', 'ops', 'Old', 'c', '[]', 5, 1.0, 'api', 3, '2026-04-20T09:00:00Z', '2026-04-20T09:00:00Z', null, '2026-04-20T15:00:00Z', '{}',
                    '2026-04-22T00:00:00Z', 'forget'),
                ('m-2', 'long', 'ops', 'Second', 'stale', '[]', 5, 1.0, 'api', 0, '2026-04-20T09:00:00Z', '2026-04-20T09:00:00Z', null, null, '{}',
                    '2026-04-22T00:00:00Z', 'forget');
            insert into memory_links values ('m-1', 'm-2', 'related_to', '2026-04-20T11:00:00Z');
            insert into namespace_meta values ('ops', 'm-1', 'parent', '2026-04-20T12:00:00Z');
            insert into pending_actions values ('p-1', 'store', null, 'ops', '{"title":"t"}', 'bob', '2026-04-20T12:00:00Z', 'pending', null, null,
                '[{"agent_id":"carol","approved_at":"2026-04-20T12:30:00Z"}]');
            insert into subscriptions values ('s-1', 'https://example.org/hook', 'memory_store', 'abc', null, null, 'alice', '2026-04-20T12:00:00Z', 0);
            """);
    }
}
