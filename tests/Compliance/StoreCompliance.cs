using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Compliance;

/// <summary>
/// What every store promises. A store's test project inherits this and gives a way to make one, to close it and to open it again.
/// </summary>
public abstract partial class StoreCompliance
{
    private static readonly WriteContext Alice = new("alice");

    /// <summary>Opens a store under a name that is new to this run, or the one that was opened under it before.</summary>
    protected abstract ValueTask<IMemoryStore> OpenAsync(string name, string nodeId);

    [Fact]
    public async Task A_stored_memory_is_read_back_as_it_was_given()
    {
        await using var node = await NodeAsync();
        var draft = Draft("Deploy window") with
        {
            Content = "Tuesdays 10:00 UTC\n\té 日本 🚀 \"quoted\" \\ back",
            Tags = ["deploy", "ops"],
            Tier = Tier.Long,
            Priority = 9,
            Confidence = 0.25,
            Source = "user",
            Metadata = Metadata.Parse("""{"z":1,"a":{"y":[1,2.50,null],"b":"é"}}"""),
            AgentId = "alice",
            Scope = "team",
        };
        var stored = await node.StoreAsync(draft, Alice);
        var (memory, links, version) = await node.GetAsync(stored.Memory.Id);
        AssertEqual(stored.Memory, memory);
        Assert.Equal(stored.Version, version);
        Assert.Empty(links);
        Assert.Equal((draft.Title, draft.Content, draft.Tier, draft.Priority, draft.Confidence, draft.Source),
            (memory.Title, memory.Content, memory.Tier, memory.Priority, memory.Confidence, memory.Source));
        Assert.Equal(draft.Tags, memory.Tags);
        Assert.Equal("""{"a":{"b":"é","y":[1,2.50,null]},"agent_id":"alice","scope":"team","z":1}""", memory.Metadata.Json);
        Assert.Null(memory.ExpiresAt);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_store_of_a_held_title_updates_it_and_never_lowers_it()
    {
        await using var node = await NodeAsync();
        var first = await node.StoreAsync(Draft("t") with { Priority = 8, Confidence = 0.9, Tier = Tier.Long, AgentId = "alice" }, Alice);
        var second = await node.StoreAsync(Draft("t") with { Content = "new", Priority = 3, Confidence = 0.1, Tier = Tier.Short, Tags = ["b"], AgentId = "bob" }, new("bob"));
        Assert.True(first.Created);
        Assert.False(second.Created);
        Assert.Equal(first.Memory.Id, second.Memory.Id);
        Assert.Equal(("new", 8, 0.9, Tier.Long), (second.Memory.Content, second.Memory.Priority, second.Memory.Confidence, second.Memory.Tier));
        Assert.Equal("alice", second.Memory.Metadata.Text("agent_id"));
        Assert.Equal(first.Memory.CreatedAt, second.Memory.CreatedAt);
        Assert.True(second.Memory.UpdatedAt > first.Memory.UpdatedAt);
        Assert.NotEqual(first.Version, second.Version);
        Assert.Single((await node.ListAsync(new())).Memories);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task Concurrent_creates_of_one_title_end_as_one_memory()
    {
        await using var node = await NodeAsync();
        var receipts = await Task.WhenAll(Enumerable.Range(0, 2_000).Select(index => Task.Run(() => node.StoreAsync(Draft("one") with { Content = $"v{index}" }, Alice))));
        Assert.Single(receipts.Select(receipt => receipt.Memory.Id).Distinct());
        Assert.Single(receipts, receipt => receipt.Created);
        Assert.Single((await node.ListAsync(new())).Memories);
        Assert.Equal(2_000, receipts.Select(receipt => receipt.Position.Sequence).Distinct().Count());
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_failing_command_of_a_group_fails_alone()
    {
        await using var node = await NodeAsync();
        var held = await node.StoreAsync(Draft("held"), Alice);
        var other = await node.StoreAsync(Draft("other"), Alice);
        var tasks = new List<Task<WriteReceipt>>();
        for (var index = 0; index < 50; index++)
        {
            tasks.Add(node.StoreAsync(Draft($"new {index}"), Alice));
            tasks.Add(node.UpdateAsync(other.Memory.Id, new() { Title = "held" }, Alice));
        }

        var outcomes = await Task.WhenAll(tasks.Select(static async task =>
        {
            try
            {
                await task;
                return null;
            }
            catch (MemoryException exception)
            {
                return exception.Kind;
            }
        }));
        Assert.Equal(50, outcomes.Count(kind => kind == ErrorKind.TitleTaken));
        Assert.Equal(50, outcomes.Count(kind => kind is null));
        Assert.Equal(52, (await node.ListAsync(new() { Limit = 100 })).Memories.Count);
        Assert.Equal(held.Memory.Title, (await node.GetAsync(held.Memory.Id)).Memory.Title);

        // Sequence numbers have no gap where a command failed.
        var log = await node.Store.ReadLogAsync(0, 1_000, int.MaxValue);
        Assert.Equal(Enumerable.Range(1, log.Count).Select(static number => (long)number), log.Select(mutation => mutation.Position.Sequence));
        await AssertSoundAsync(node);
    }

    [Fact]
    [Trait(Campaign.Trait, "undo")]
    public async Task A_failing_decision_leaves_no_trace_among_those_around_it()
    {
        for (var seed = 0; seed < Campaign.Count("undo", reduced: 10, full: 1_000); seed++)
        {
            var plain = await DecideAsync(seed, disturbed: false);
            var disturbed = await DecideAsync(seed, disturbed: true);
            Assert.Equal(plain.Log, disturbed.Log);
            Assert.Equal(plain.Digests, disturbed.Digests);
            Assert.Equal(plain.Vector, disturbed.Vector);
            Assert.Equal(plain.DeadLetters, disturbed.DeadLetters);
        }
    }

    [Fact]
    public async Task A_row_dropped_and_put_again_in_one_transaction_stays()
    {
        await using var store = await OpenAsync(NewName(), "test");
        await using var writer = await CommandWriter.StartAsync(store, new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, TimeProvider.System, new Random(1));
        var rows = new States(new Random(1)).Mutations(60).Where(static row => row.Kind == MutationKind.Link).ToList();
        await writer.RunAsync(async session =>
        {
            foreach (var row in rows)
            {
                await session.JoinAsync(row.Kind, row.Body);
            }

            return 0;
        });
        var before = await store.ReadDigestsAsync();
        await writer.RunAsync(async session =>
        {
            foreach (var row in rows)
            {
                await session.DropAsync(new(row.Kind, row.Key));
            }

            foreach (var row in rows)
            {
                await session.JoinAsync(row.Kind, row.Body);
            }

            return 0;
        });
        Assert.Equal(before, await store.ReadDigestsAsync());
        Assert.Empty((await store.VerifyAsync()).Differences);
        await writer.RunAsync(async session =>
        {
            foreach (var row in rows)
            {
                await session.DropAsync(new(row.Kind, row.Key));
            }

            return 0;
        });
        Assert.Empty(await store.ReadDigestsAsync());
        Assert.Empty((await store.VerifyAsync()).Differences);
    }

    [Fact]
    public async Task What_nobody_foresaw_in_a_decision_fails_its_caller_alone()
    {
        await using var store = await OpenAsync(NewName(), "test");
        await using var writer = await CommandWriter.StartAsync(store, new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, TimeProvider.System, new Random(1));
        var random = new Random(1);
        var writes = Enumerable.Range(0, 50).Select(index => writer.RunAsync(async session =>
        {
            await session.JoinAsync(MutationKind.Memory, MemoryCodec.Encode(new States(random).State($"id {index}")));
            return index % 2 == 0 ? index : throw new InvalidOperationException($"{index}");
        })).ToList();
        for (var index = 0; index < writes.Count; index++)
        {
            if (index % 2 == 0)
            {
                Assert.Equal(index, await writes[index]);
            }
            else
            {
                Assert.Equal($"{index}", (await Assert.ThrowsAsync<InvalidOperationException>(() => writes[index])).Message);
            }
        }

        Assert.False(writer.Fatal.IsCompleted);
        Assert.Equal(25, (await store.ReadDigestsAsync()).Values.Sum(static digest => digest.Rows));
        Assert.Empty((await store.VerifyAsync()).Differences);
    }

    [Fact]
    public async Task A_writer_that_cannot_go_on_says_so_and_lets_nobody_wait()
    {
        await using var store = await OpenAsync(NewName(), "test");
        await using var writer = await CommandWriter.StartAsync(store, new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, TimeProvider.System, new Random(1));
        writer.Committed = static (_, _) => throw new InvalidOperationException("the listener broke");
        var writes = Enumerable.Range(0, 20).Select(_ => writer.RunAsync(static session =>
        {
            session.Relog(MutationKind.Memory, "x");
            return ValueTask.FromResult(0);
        })).ToList();
        foreach (var write in writes)
        {
            Assert.Equal(ErrorKind.StoreFailed, (await Assert.ThrowsAnyAsync<MemoryException>(() => write)).Kind);
        }

        Assert.Equal("the listener broke", (await writer.Fatal).InnerException?.Message);
        Assert.Equal(ErrorKind.StoreFailed, (await Assert.ThrowsAnyAsync<MemoryException>(() => writer.DrawClockAsync())).Kind);
    }

    [Fact]
    public async Task A_clock_that_goes_back_draws_rising_stamps_and_instants()
    {
        var time = new ManualTime();
        var name = NewName();
        WriteReceipt before;
        await using (var node = await NodeAsync(time, name))
        {
            before = await node.StoreAsync(Draft("t"), Alice);
            time.Advance(TimeSpan.FromHours(-2));
            for (var round = 0; round < 20; round++)
            {
                var after = await node.UpdateAsync(before.Memory.Id, new() { Content = $"round {round}" }, Alice);
                Assert.True(after.Stamp > before.Stamp);
                Assert.True(after.Memory.UpdatedAt > before.Memory.UpdatedAt);
                before = after;
            }
        }

        time.Advance(TimeSpan.FromHours(-2));
        await using var again = await NodeAsync(time, name);
        Assert.True((await again.UpdateAsync(before.Memory.Id, new() { Content = "after a restart" }, Alice)).Stamp > before.Stamp);
        Assert.Equal("after a restart", (await again.GetAsync(before.Memory.Id)).Memory.Content);
        await AssertSoundAsync(again);
    }

    [Fact]
    public async Task Updates_change_what_is_given_and_nothing_else()
    {
        await using var node = await NodeAsync();
        var stored = await node.StoreAsync(Draft("t") with { Metadata = Metadata.Parse("""{"k":1}"""), AgentId = "alice" }, Alice);
        var id = stored.Memory.Id;
        var renamed = await node.UpdateAsync(id[..8], new() { Title = "u", Namespace = "a/b" }, Alice);
        Assert.Equal((id, "u", "a/b", stored.Memory.Content), (renamed.Memory.Id, renamed.Memory.Title, renamed.Memory.Namespace, renamed.Memory.Content));
        var cleared = await node.UpdateAsync(id, new() { ExpiresAt = "" }, Alice);
        Assert.Null(cleared.Memory.ExpiresAt);
        var replaced = await node.UpdateAsync(id, new() { Metadata = Metadata.Parse("""{"n":2,"agent_id":"mallory"}"""), Priority = 1, Tags = ["x"] }, Alice);
        Assert.Equal("""{"agent_id":"alice","n":2}""", replaced.Memory.Metadata.Json);
        var lowered = await node.UpdateAsync(id, new() { Tier = Tier.Short }, Alice);
        Assert.Equal(Tier.Mid, lowered.Memory.Tier);
        var stale = await Assert.ThrowsAsync<MemoryException>(() => node.UpdateAsync(id, new() { Content = "x" }, Alice with { IfMatch = stored.Version }));
        Assert.Equal(ErrorKind.PreconditionFailed, stale.Kind);
        var matched = await node.UpdateAsync(id, new() { Content = "x" }, Alice with { IfMatch = lowered.Version });
        Assert.Equal("x", matched.Memory.Content);
        Assert.Equal(1, matched.Memory.Priority);
        var promoted = await node.PromoteAsync(id, Alice);
        Assert.Equal((Tier.Long, (Timestamp?)null), (promoted.Memory.Tier, promoted.Memory.ExpiresAt));

        // The old name is free again.
        Assert.True((await node.StoreAsync(Draft("t"), Alice)).Created);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_deleted_id_is_gone_and_its_title_free()
    {
        await using var node = await NodeAsync();
        var first = await node.StoreAsync(Draft("t"), Alice);
        await node.DeleteAsync(first.Memory.Id, Alice);
        await AssertNotFoundAsync(() => node.GetAsync(first.Memory.Id));
        await AssertNotFoundAsync(() => node.DeleteAsync(first.Memory.Id, Alice));
        await AssertNotFoundAsync(() => node.UpdateAsync(first.Memory.Id, new() { Title = "x" }, Alice));
        var second = await node.StoreAsync(Draft("t"), Alice);
        Assert.NotEqual(first.Memory.Id, second.Memory.Id);

        // Bringing a deleted memory in from an export makes a new one.
        await node.DeleteAsync(second.Memory.Id, Alice);
        var imported = Assert.Single(await node.ImportAsync([second.Memory], [], new(), Alice)).Receipt;
        Assert.NotEqual(second.Memory.Id, imported!.Memory.Id);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task An_idempotency_key_answers_a_retry_as_the_first_request()
    {
        await using var node = await NodeAsync();
        var context = Alice with { IdempotencyKey = "k1" };
        var receipts = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => node.StoreAsync(Draft("t"), context)));
        var id = Assert.Single(receipts.Select(receipt => receipt.Memory.Id).Distinct());
        var changed = await Assert.ThrowsAsync<MemoryException>(() => node.StoreAsync(Draft("t") with { Content = "other" }, context));
        Assert.Equal(ErrorKind.IdempotencyMismatch, changed.Kind);
        Assert.NotEqual(id, (await node.StoreAsync(Draft("t2"), context with { AgentId = "bob" })).Memory.Id);

        // A key that merged into a held title answers with that memory again.
        var upsert = await node.StoreAsync(Draft("t") with { Content = "x" }, Alice with { IdempotencyKey = "k2" });
        Assert.Equal(id, upsert.Memory.Id);
        Assert.Equal(id, (await node.StoreAsync(Draft("t") with { Content = "x" }, Alice with { IdempotencyKey = "k2" })).Memory.Id);

        // The key lives as long as the tombstone.
        await node.DeleteAsync(id, Alice);
        Assert.Equal(id, (await node.StoreAsync(Draft("t"), context)).Memory.Id);
        await AssertNotFoundAsync(() => node.GetAsync(id));
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task Expired_memories_are_not_shown_then_archived_and_their_title_is_free()
    {
        var time = new ManualTime();
        await using var node = await NodeAsync(time);
        var stored = await node.StoreAsync(Draft("t") with { TtlSeconds = 60 }, Alice);
        time.Advance(TimeSpan.FromSeconds(61));
        await AssertNotFoundAsync(() => node.GetAsync(stored.Memory.Id));
        Assert.Empty((await node.ListAsync(new())).Memories);
        Assert.Empty(await node.NamespacesAsync());
        var again = await node.StoreAsync(Draft("t") with { TtlSeconds = 60 }, Alice);
        Assert.True(again.Created);
        time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(1, await node.CollectGarbageAsync());
        Assert.Equal(0, await node.CollectGarbageAsync());
        Assert.Equal(0, (await node.StatisticsAsync()).Total);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task Every_list_pages_by_key_to_the_last_row_while_rows_are_written()
    {
        await using var node = await NodeAsync();
        var drafts = Enumerable.Range(0, 700).Select(index => Draft($"row {index}") with { Priority = 1 + (index % 10), Namespace = index % 2 == 0 ? "even" : "odd" });
        foreach (var batch in drafts.Chunk(100))
        {
            Assert.All(await node.StoreManyAsync(batch, Alice), outcome => Assert.Null(outcome.Error));
        }

        foreach (var filter in (string?[])[null, "even", "odd"])
        {
            var seen = new List<Memory>();
            string? cursor = null;
            do
            {
                var page = await node.ListAsync(new() { Namespace = filter, Limit = 37, Cursor = cursor });
                seen.AddRange(page.Memories);
                cursor = page.NextCursor;
                await node.StoreAsync(Draft($"late {filter} {seen.Count}") with { Priority = 10, Namespace = "late" }, Alice);
            }
            while (cursor is not null);

            var expected = filter is null ? 700 : 350;
            Assert.Equal(expected, seen.Where(memory => memory.Namespace != "late").Select(memory => memory.Id).Distinct().Count());
            Assert.Equal(seen.Count, seen.Select(memory => memory.Id).Distinct().Count());
            Assert.Equal(seen.OrderByDescending(memory => memory.Priority).ThenByDescending(memory => memory.UpdatedAt).Select(memory => memory.Id), seen.Select(memory => memory.Id));
        }

        var exported = await node.ExportMemoriesAsync().ToListAsync();
        Assert.Equal((await node.StatisticsAsync()).Total, exported.Count);
        Assert.Equal(exported.OrderBy(memory => memory.CreatedAt).Select(memory => memory.Id), exported.Select(memory => memory.Id));
    }

    [Fact]
    public async Task Filters_select_what_they_say()
    {
        await using var node = await NodeAsync();
        var first = await node.StoreAsync(Draft("a") with { Tags = ["x", "y"], Tier = Tier.Long, Priority = 9, AgentId = "alice" }, Alice);
        var second = await node.StoreAsync(Draft("b") with { Tags = ["x,y"], Namespace = "n", AgentId = "bob" }, new("bob"));
        await AssertListAsync(new() { Tag = "x" }, first);
        await AssertListAsync(new() { Tag = "x,y" }, second);
        await AssertListAsync(new() { Tier = Tier.Mid }, second);
        await AssertListAsync(new() { MinPriority = 6 }, first);
        await AssertListAsync(new() { AgentId = "bob" }, second);
        await AssertListAsync(new() { Namespace = "n" }, second);
        await AssertListAsync(new() { Since = second.Memory.CreatedAt }, second);
        await AssertListAsync(new() { Until = first.Memory.CreatedAt }, first);
        await AssertListAsync(new() { Limit = 0 });
        await AssertListAsync(new() { Offset = 1 }, second);

        async Task AssertListAsync(ListQuery query, params WriteReceipt[] expected) =>
            Assert.Equal(expected.Select(receipt => receipt.Memory.Id), (await node.ListAsync(query)).Memories.Select(memory => memory.Id));
    }

    [Fact]
    public async Task Prefixes_find_one_memory_or_say_which_they_might_mean()
    {
        await using var node = await NodeAsync();
        await node.ImportAsync([.. Enumerable.Range(0, 30).Select(index => Imported($"abc-{index:00}", $"t{index}"))], [], new(), Alice);
        Assert.Equal("abc-07", (await node.GetAsync("abc-07")).Memory.Id);
        Assert.Equal("abc-07", (await node.GetAsync("abc-07")).Memory.Id);
        var ambiguous = await Assert.ThrowsAsync<MemoryException>(() => node.GetAsync("abc-"));
        Assert.Equal(ErrorKind.AmbiguousId, ambiguous.Kind);
        Assert.Contains("ambiguous ID prefix", ambiguous.Message, StringComparison.Ordinal);
        await node.ImportAsync([Imported("solo-1", "solo")], [], new(), Alice);
        Assert.Equal("solo-1", (await node.GetAsync("so")).Memory.Id);
        await AssertNotFoundAsync(() => node.GetAsync("%"));
    }

    [Fact]
    public async Task Links_show_while_both_ends_live()
    {
        await using var node = await NodeAsync();
        var a = (await node.StoreAsync(Draft("a"), Alice)).Memory.Id;
        var b = (await node.StoreAsync(Draft("b"), Alice)).Memory.Id;
        Assert.True((await node.LinkAsync(a, b, "supersedes", Alice)).Linked);
        Assert.False((await node.LinkAsync(a, b, "supersedes", Alice)).Linked);
        Assert.Equal(a, Assert.Single(await node.LinksAsync(b)).SourceId);
        Assert.Single((await node.GetAsync(a)).Links);
        Assert.Single(await node.ExportLinksAsync().ToListAsync());
        await AssertNotFoundAsync(() => node.LinkAsync(a, "nobody", "related_to", Alice));
        Assert.Equal(ErrorKind.SelfLink, (await Assert.ThrowsAsync<MemoryException>(() => node.LinkAsync(a, a, "related_to", Alice))).Kind);
        await node.DeleteAsync(b, Alice);
        Assert.Empty(await node.LinksAsync(a));
        Assert.Empty(await node.ExportLinksAsync().ToListAsync());
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task An_export_imported_elsewhere_is_the_same_export()
    {
        await using var source = await NodeAsync();
        await source.StoreAsync(Draft("a") with { Tags = ["x"], Metadata = Metadata.Parse("""{"k":[1]}"""), AgentId = "alice" }, Alice);
        await source.StoreAsync(Draft("b") with { Tier = Tier.Long }, Alice);
        await source.ImportAsync([Imported("legacy", "old") with { AccessCount = 7, Priority = 6, LastAccessedAt = new(5_000_000_000) }], [], new(), Alice);
        var ids = (await source.ListAsync(new())).Memories.Select(memory => memory.Id).ToList();
        await source.LinkAsync(ids[0], ids[1], "derived_from", Alice);
        var memories = await source.ExportMemoriesAsync().ToListAsync();
        var links = await source.ExportLinksAsync().ToListAsync();
        await using var target = await NodeAsync();
        for (var round = 0; round < 2; round++)
        {
            Assert.All(await target.ImportAsync(memories, links, new(), Alice), outcome => Assert.Null(outcome.Error));
            var copied = await target.ExportMemoriesAsync().ToListAsync();
            Assert.Equal(memories.Count, copied.Count);
            foreach (var (expected, actual) in memories.Zip(copied))
            {
                AssertEqual(expected, actual);
            }

            Assert.Equal(links, await target.ExportLinksAsync().ToListAsync());
        }

        await AssertSoundAsync(target);
    }

    [Fact]
    public async Task What_was_acknowledged_is_there_after_the_store_was_opened_again()
    {
        var name = NewName();
        string id;
        StoreHead head;
        IReadOnlyDictionary<DigestKey, Digest> digests;
        await using (var node = await NodeAsync(name: name))
        {
            id = (await node.StoreAsync(Draft("t"), Alice)).Memory.Id;
            await node.DeleteAsync((await node.StoreAsync(Draft("gone"), Alice)).Memory.Id, Alice);
            head = await node.Store.ReadHeadAsync();
            digests = await node.Store.ReadDigestsAsync();
        }

        await using var again = await NodeAsync(name: name);
        Assert.Equal(id, Assert.Single((await again.ListAsync(new())).Memories).Id);
        Assert.Equal(head, await again.Store.ReadHeadAsync());
        Assert.Equal(digests, await again.Store.ReadDigestsAsync());
        Assert.True((await again.StoreAsync(Draft("u"), Alice)).Position.Sequence > head.Sequence);
        await AssertSoundAsync(again);
    }

    [Fact]
    public async Task Any_order_batching_and_repetition_of_mutations_gives_one_digest()
    {
        for (var seed = 1; seed <= 12; seed++)
        {
            var random = new Random(seed);
            var mutations = new States(random).Mutations(120);
            IReadOnlyDictionary<DigestKey, Digest>? first = null;
            List<Memory>? shown = null;
            for (var run = 0; run < 3; run++)
            {
                await using var node = await NodeAsync();
                var order = mutations.Concat(mutations.Where(_ => random.Next(3) == 0)).ToArray();
                if (run > 0)
                {
                    random.Shuffle(order);
                }

                await ApplyAsync(node, order, random);
                await AssertSoundAsync(node);
                var digests = await node.Store.ReadDigestsAsync();
                var listed = (await node.ListAsync(new() { Limit = 1_000 })).Memories.OrderBy(memory => memory.Id, StringComparer.Ordinal).ToList();
                first ??= digests;
                shown ??= listed;
                Assert.Equal(first, digests);
                Assert.Equal(shown.Count, listed.Count);
                foreach (var (expected, actual) in shown.Zip(listed))
                {
                    AssertEqual(expected, actual);
                }

                Assert.All(await node.Store.ReadVectorAsync(), entry => Assert.Empty(entry.Value.Above));
            }
        }
    }

    [Fact]
    public async Task A_log_replayed_on_another_node_gives_the_same_digest()
    {
        await using var source = await NodeAsync(nodeId: "source");
        var random = new Random(5);
        var ids = new List<string>();
        for (var index = 0; index < 300; index++)
        {
            switch (random.Next(6))
            {
                case 0 when ids.Count > 2:
                    await IgnoreMissingAsync(() => source.DeleteAsync(ids[random.Next(ids.Count)], Alice));
                    break;
                case 1 when ids.Count > 2:
                    await IgnoreMissingAsync(() => source.UpdateAsync(ids[random.Next(ids.Count)], new() { Content = $"u{index}", Priority = 1 + (index % 10) }, Alice));
                    break;
                case 2 when ids.Count > 2:
                    await IgnoreMissingAsync(() => source.LinkAsync(ids[random.Next(ids.Count)], ids[random.Next(ids.Count)], "related_to", Alice));
                    break;
                case 3 when ids.Count > 2:
                    await source.ForgetAsync(new($"ns{random.Next(40)}", null, null), Alice);
                    break;
                default:
                    ids.Add((await source.StoreAsync(Draft($"t{random.Next(80)}") with { Namespace = $"ns{random.Next(40)}" }, Alice)).Memory.Id);
                    break;
            }
        }

        await using var target = await NodeAsync(nodeId: "target");
        var after = 0L;
        while (await source.Store.ReadLogAsync(after, rows: 40, bytes: 20_000) is { Count: > 0 } page)
        {
            await target.Replica.ApplyAsync(page);
            after = page[^1].Position.Sequence;
        }

        Assert.Equal(await source.Store.ReadDigestsAsync(), await target.Store.ReadDigestsAsync());
        Assert.Equal((await source.Store.ReadHeadAsync()).Sequence, (await target.Store.ReadVectorAsync())[source.Store.Log].Through);
        Assert.All(await target.Replica.ApplyAsync(await source.Store.ReadLogAsync(0, 10, int.MaxValue)), outcome => Assert.Equal(ApplyOutcome.Already, outcome));
        await AssertSoundAsync(target);
    }

    [Fact]
    public async Task A_trimmed_log_goes_on_where_it_was()
    {
        var name = NewName();
        var links = new States(new Random(1)).Mutations(300).Where(static row => row.Kind == MutationKind.Link).Select(static row => EntryState.Decode(row.Body)).ToList();
        for (var run = 0; run < 2; run++)
        {
            await using var store = await OpenAsync(name, "test");
            await using var writer = await CommandWriter.StartAsync(store, new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, TimeProvider.System, new Random(1));
            var head = (await store.ReadHeadAsync()).Sequence;
            Assert.Equal(10 * run, head);
            await writer.RunAsync(async session =>
            {
                foreach (var link in links.Take(10))
                {
                    await session.PutAsync(link);
                }

                return 0;
            });
            foreach (var (through, left) in new[] { (head + 7, new[] { head + 8, head + 9, head + 10 }), (head + 10, []) })
            {
                await writer.RunAsync(session =>
                {
                    session.TrimLog(new(store.Log, through));
                    return ValueTask.FromResult(0);
                });
                Assert.Equal(left, (await store.ReadLogAsync(0, 100, int.MaxValue)).Select(static mutation => mutation.Position.Sequence));
            }

            Assert.Equal(head + 10, (await store.ReadHeadAsync()).Sequence);
            Assert.Empty((await store.VerifyAsync()).Differences);
        }
    }

    [Fact]
    public async Task Two_ids_of_one_title_are_shown_as_one_and_commands_reach_both()
    {
        await using var a = await NodeAsync(nodeId: "a");
        await using var b = await NodeAsync(nodeId: "b");
        var onA = await a.StoreAsync(Draft("same") with { Content = "from a" }, Alice);
        var onB = await b.StoreAsync(Draft("same") with { Content = "from b" }, Alice);
        await a.Replica.ApplyAsync(await b.Store.ReadLogAsync(0, 100, int.MaxValue));
        await b.Replica.ApplyAsync(await a.Store.ReadLogAsync(0, 100, int.MaxValue));
        Assert.Equal(await a.Store.ReadDigestsAsync(), await b.Store.ReadDigestsAsync());
        var shown = Assert.Single((await a.ListAsync(new())).Memories);
        AssertEqual(shown, Assert.Single((await b.ListAsync(new())).Memories));
        Assert.Equal(string.CompareOrdinal(onA.Memory.Id, onB.Memory.Id) < 0 ? onA.Memory.Id : onB.Memory.Id, shown.Id);
        Assert.Equal(onA.Stamp > onB.Stamp ? "from a" : "from b", shown.Content);

        // Both ids resolve to the one that is shown, and an update of either is seen under both.
        Assert.Equal(shown.Id, (await a.GetAsync(onA.Memory.Id)).Memory.Id);
        Assert.Equal(shown.Id, (await a.GetAsync(onB.Memory.Id)).Memory.Id);
        await a.UpdateAsync(onB.Memory.Id, new() { Content = "agreed" }, Alice);
        Assert.Equal("agreed", (await a.GetAsync(onA.Memory.Id)).Memory.Content);
        await a.DeleteAsync(onA.Memory.Id, Alice);
        await AssertNotFoundAsync(() => a.GetAsync(onB.Memory.Id));
        await AssertSoundAsync(a);
        await AssertSoundAsync(b);
    }

    [Fact]
    public async Task Rows_stamped_in_the_future_or_malformed_are_kept_as_dead_letters()
    {
        await using var node = await NodeAsync();
        var log = new LogId("peer", 1);
        var state = new States(new Random(1)).State();
        var future = new Stamp(DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds() << Stamp.CounterBits, log);
        var outcomes = await node.Replica.ApplyAsync([
            States.Of(new(log, 1), future, state),
            new(new(log, 2), new(5, log), 0, MutationKind.Memory, "x", new byte[] { 9, 9 }),
            States.Of(new(log, 3), new(6, log), state),
        ]);
        Assert.Equal([ApplyOutcome.RefusedFutureStamp, ApplyOutcome.RefusedMalformed, ApplyOutcome.Applied], outcomes);
        Assert.Equal(2, (await node.Store.ReadDeadLettersAsync(10)).Count);
        Assert.Equal([new LogPosition(log, 2)], await node.Store.ReadHighestRefusedAsync());
        var applied = (await node.Store.ReadVectorAsync())[log];
        Assert.Equal((0, "3-3"), (applied.Through, applied.FormatAbove()));
    }

    [Fact]
    public async Task A_second_opener_is_refused()
    {
        var name = NewName();
        await using var node = await NodeAsync(name: name, nodeId: "n1");
        var refused = await Assert.ThrowsAsync<MemoryException>(async () => await OpenAsync(name, "n1"));
        Assert.Equal(ErrorKind.StoreInUse, refused.Kind);
    }

    [Fact]
    public async Task A_store_of_another_node_is_refused()
    {
        var name = NewName();
        await (await NodeAsync(name: name, nodeId: "n1")).DisposeAsync();
        var refused = await Assert.ThrowsAsync<MemoryException>(async () => await OpenAsync(name, "n2"));
        Assert.Equal(ErrorKind.StoreNotOurs, refused.Kind);
        Assert.Contains("n1", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Touches_extend_a_life_count_and_promote()
    {
        var time = new ManualTime();
        await using var node = await NodeAsync(time);
        var stored = await node.StoreAsync(Draft("needle") with { Content = "haystack", TtlSeconds = 600 }, Alice);
        for (var count = 1; count <= Lifetimes.PromotionAccesses; count++)
        {
            Assert.Single((await node.RecallAsync(new() { Context = "haystack" })).Memories);
            await node.FlushAsync();
            var memory = (await node.GetAsync(stored.Memory.Id)).Memory;
            Assert.Equal(count, memory.AccessCount);
            Assert.Equal(count < Lifetimes.PromotionAccesses ? Timestamp.Now(time).AddSeconds(86_400) : null, memory.ExpiresAt);
            Assert.Equal(count < Lifetimes.PromotionAccesses ? Tier.Mid : Tier.Long, memory.Tier);
            Assert.Equal(stored.Memory.UpdatedAt, memory.UpdatedAt);
        }

        // A life that is longer than the extension is not shortened.
        var week = await node.StoreAsync(Draft("week") with { Content = "sevenday" }, Alice);
        await node.RecallAsync(new() { Context = "sevenday" });
        await node.FlushAsync();
        Assert.Equal(week.Memory.ExpiresAt, (await node.GetAsync(week.Memory.Id)).Memory.ExpiresAt);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_search_sees_every_write_that_was_answered_before_it()
    {
        await using var node = await NodeAsync();
        for (var index = 0; index < 100; index++)
        {
            var stored = await node.StoreAsync(Draft($"title {index}") with { Content = $"unique{index} common" }, Alice);
            Assert.Equal(stored.Memory.Id, Assert.Single((await node.RecallAsync(new() { Context = $"unique{index}" })).Memories).Memory.Id);
            await node.UpdateAsync(stored.Memory.Id, new() { Content = $"changed{index} common" }, Alice);
            Assert.Empty((await node.RecallAsync(new() { Context = $"unique{index}" })).Memories);
            Assert.Single(await node.SearchAsync(new() { Text = $"common changed{index}" }));
        }

        Assert.Equal(100, await node.ForgetAsync(new(null, "common", null), Alice));
        Assert.Empty((await node.RecallAsync(new() { Context = "common" })).Memories);
        Assert.Equal(ErrorKind.QueryEmpty, (await Assert.ThrowsAsync<MemoryException>(() => node.ForgetAsync(new(null, "AND *", null), Alice))).Kind);
        await AssertSoundAsync(node);
    }

    protected static MemoryDraft Draft(string title) => new() { Title = title, Content = $"content of {title}", Namespace = "test" };

    protected static Memory Imported(string id, string title) => new()
    {
        Id = id,
        Tier = Tier.Long,
        Namespace = "test",
        Title = title,
        Content = $"content of {title}",
        Source = "import",
        CreatedAt = new(1_000_000_000),
        UpdatedAt = new(2_000_000_000),
    };

    protected async Task<ClosingNode> NodeAsync(TimeProvider? time = null, string? name = null, string nodeId = "test")
    {
        var store = await OpenAsync(name ?? NewName(), nodeId);
        return new(store, await MemoryNode.StartAsync(store, new NodeSettings { TouchInterval = TimeSpan.FromHours(1) }, time ?? TimeProvider.System, new Random()));
    }

    protected static string NewName() => Guid.NewGuid().ToString("N");

    protected static void AssertEqual(Memory expected, Memory actual)
    {
        Assert.Equal(expected.Tags, actual.Tags);
        Assert.Equal(expected, actual with { Tags = expected.Tags });
    }

    private sealed record Outcome(
        IReadOnlyList<(long, MutationKind, string)> Log, SortedDictionary<string, Digest> Digests, SortedDictionary<string, long> Vector, IReadOnlyList<(LogPosition, ApplyOutcome)> DeadLetters);

    /// <summary>Runs a random walk of decisions; disturbed ones have others between them that change rows and then fail.</summary>
    private async Task<Outcome> DecideAsync(int seed, bool disturbed)
    {
        await using var store = await OpenAsync(NewName(), "test");
        await using var writer = await CommandWriter.StartAsync(store, new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, new ManualTime(), new Random(seed));
        var random = new Random(~seed);
        var others = new States(random);
        var running = new List<Task>();
        foreach (var mutation in new States(new Random(seed)).Mutations(150))
        {
            while (disturbed && random.Next(3) > 0)
            {
                var changes = others.Mutations(random.Next(1, 6));
                var foreseen = random.Next(2) == 0;
                running.Add(Assert.ThrowsAnyAsync<Exception>(() => writer.RunAsync<int>(async session =>
                {
                    foreach (var change in changes)
                    {
                        await ChangeAsync(session, change, drops: true);
                    }

                    throw foreseen ? new MemoryException(ErrorKind.TitleTaken, "no") : new InvalidOperationException("unforeseen");
                })));
            }

            running.Add(writer.RunAsync(async session =>
            {
                await ChangeAsync(session, mutation, drops: false);
                return 0;
            }));
            if (mutation.Stamp.Clock % 8 == 0)
            {
                await Task.WhenAll(running);
            }
        }

        await Task.WhenAll(running);
        Assert.Empty((await store.VerifyAsync()).Differences);
        return new(
            (await store.ReadLogAsync(0, 1_000, int.MaxValue)).Select(static row => (row.Position.Sequence, row.Kind, row.Key)).ToList(),
            new((await store.ReadDigestsAsync()).ToDictionary(static pair => $"{pair.Key}", static pair => pair.Value)),
            new((await store.ReadVectorAsync()).ToDictionary(pair => pair.Key == store.Log ? "own" : $"{pair.Key}", static pair => pair.Value.Through)),
            (await store.ReadDeadLettersAsync(1_000)).Select(static letter => (letter.Mutation.Position, letter.Reason)).OrderBy(static letter => letter.Position.ToString(), StringComparer.Ordinal).ToList());
    }

    /// <summary>One of the ways in which a decision changes rows.</summary>
    /// <param name="drops">Also takes rows out, which a log that still names them does not survive.</param>
    private static async Task ChangeAsync(WriteSession session, Mutation mutation, bool drops)
    {
        switch ((mutation.Position.Sequence + mutation.Stamp.Clock) % 4)
        {
            case 0:
                await session.ApplyAsync(mutation);
                break;
            case 1:
                await session.JoinAsync(mutation.Kind, mutation.Body);
                session.Relog(mutation.Kind, mutation.Key);
                break;
            case 2 when mutation.Kind == MutationKind.Memory && await session.FindTombstoneAsync(mutation.Key) is null:
                await session.PutAsync(MemoryCodec.Decode(mutation.Body), mutation.Stamp);
                break;
            case 2 when mutation.Kind == MutationKind.MemoryDelete:
                await session.DeleteAsync(MemoryCodec.DecodeTombstone(mutation.Body));
                break;
            case 2 when mutation.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete):
                await session.PutAsync(EntryState.Decode(mutation.Body));
                break;
            case 3 when drops && mutation.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete):
                await session.DropAsync(new(mutation.Kind, mutation.Key));
                break;
            default:
                session.Resolve(mutation.Position);
                session.Refuse(new(mutation, ApplyOutcome.RefusedFutureStamp, 1, new(1), new(2)));
                break;
        }
    }

    private static async Task AssertSoundAsync(ClosingNode node) => Assert.Empty((await node.Store.VerifyAsync()).Differences);

    private static async Task AssertNotFoundAsync(Func<Task> action) =>
        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<MemoryException>(action)).Kind);

    private static async Task IgnoreMissingAsync(Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound || exception.Kind == ErrorKind.SelfLink)
        {
            // The walk is random: what it picks may be gone.
        }
    }

    private static async Task ApplyAsync(ClosingNode node, Mutation[] order, Random random)
    {
        for (var start = 0; start < order.Length;)
        {
            var size = Math.Min(random.Next(1, 40), order.Length - start);
            await node.Replica.ApplyAsync(order[start..(start + size)]);
            start += size;
        }
    }
}
