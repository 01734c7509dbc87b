using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests;

public sealed class TextIndexTests
{
    [Fact]
    public async Task Results_are_those_of_the_exhaustive_formula()
    {
        using var store = new TextIndexStore(seed: 1);
        store.Fill(6_000);
        using var index = store.Open();
        using var plain = new PlainFormula(store.Database);
        var random = new Random(2);
        for (var round = 0; round < 300; round++)
        {
            string[] words = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => store.Word())];
            var filter = new RecallQuery
            {
                Context = string.Join(' ', words),
                Limit = random.Next(4) == 0 ? 50 : 10,
                Namespace = random.Next(4) == 0 ? "a/b" : null,
                Tier = random.Next(4) == 0 ? Tier.Mid : null,
                MinPriority = random.Next(4) == 0 ? 7 : null,
                Since = random.Next(5) == 0 ? TextIndexStore.Now.AddSeconds(-60 * 86_400) : null,
                Until = random.Next(5) == 0 ? TextIndexStore.Now.AddSeconds(-10 * 86_400) : null,
                Tag = random.Next(5) == 0 ? "tag-3" : null,
                AgentId = random.Next(5) == 0 ? "agent-1" : null,
                AsAgent = random.Next(4) switch { 0 => "a/b/c/d", 1 => "a/b", _ => null },
            };
            await Same(TextQuery.From(filter, TextIndexStore.Now), filter.AsAgent);
            var search = new SearchQuery
            {
                Text = filter.Context,
                Limit = random.Next(3) == 0 ? int.MaxValue : 20,
                Namespace = filter.Namespace,
                Tier = filter.Tier,
                MinPriority = filter.MinPriority,
                Tag = filter.Tag,
                AsAgent = filter.AsAgent,
            };
            await Same(TextQuery.From(search, TextIndexStore.Now), search.AsAgent);
        }

        async Task Same(TextQuery query, string? asAgent)
        {
            var expected = plain.Rank(query.Words, query.Mode, query.Filter, asAgent, query.Now).Take(query.Limit ?? int.MaxValue).ToArray();
            var actual = await Ranker.RankAsync(index, query, ScoringWeights.Reference, TestContext.Current.CancellationToken);
            Assert.True(actual.IsComplete);
            Assert.Equal(expected.Length, actual.Memories.Count);
            for (var place = 0; place < expected.Length; place++)
            {
                Assert.Equal(expected[place].Score, actual.Memories[place].Score, 1e-7);
                Assert.Equal(expected[place].Memory.Id, actual.Memories[place].Memory.Id);
            }
        }
    }

    [Fact]
    public async Task Any_mix_of_changes_leaves_the_index_exact()
    {
        using var store = new TextIndexStore(seed: 3);
        using var index = store.Open();
        var random = new Random(4);
        for (var round = 0; round < 300; round++)
        {
            store.Commit(() =>
            {
                for (var change = random.Next(1, 30); change > 0; change--)
                {
                    long row = random.Next(1, 400);
                    switch (random.Next(6))
                    {
                        case 0: store.Delete(row); break;
                        case 1: store.SetState(row, random.Next(3)); break;
                        default: store.Put(store.Draw(row), row, random.Next(4) == 0 ? random.Next(3) : SqliteSchema.Shown); break;
                    }
                }
            });

            // A change of rank right behind a change of text, so that both fall into one batch.
            long touched = random.Next(1, 400);
            store.Commit(() => store.Put(store.Draw(touched), touched));
            store.Commit(() => store.Database.Execute($"update memory set access_count = access_count + 1, priority = 3 where row = {touched}"), touched, touched + 1);
            if (round == 150)
            {
                index.Dispose();
                store.Open();
            }
        }

        Assert.Empty(await store.Index!.VerifyAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_long_queue_is_applied_in_exact_steps()
    {
        // Rows change again and again over several batches, so a batch ends between two changes of one row.
        using var store = new TextIndexStore(seed: 5);
        store.Open();
        var random = new Random(6);
        store.Commit(() =>
        {
            for (var change = 0; change < 5_500; change++)
            {
                long row = random.Next(1, 300);
                if (random.Next(5) == 0)
                {
                    store.SetState(row, random.Next(2));
                }
                else
                {
                    store.Put(store.Draw(row), row);
                }
            }
        });
        Assert.Empty(await store.Index!.VerifyAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_write_is_found_at_once_and_gone_at_once()
    {
        using var store = new TextIndexStore(seed: 7);
        using var index = store.Open();
        for (long row = 1; row <= 200; row++)
        {
            var memory = store.Draw(row) with { Content = $"needle{row}x in the hay", ExpiresAt = null };
            store.Commit(() => store.Put(memory, row));
            Assert.Equal(memory.Id, Assert.Single((await Recall(index, $"needle{row}x")).Memories).Memory.Id);
            store.Commit(() => store.SetState(row, SqliteSchema.Archived));
            Assert.Empty((await Recall(index, $"needle{row}x")).Memories);
        }

        Assert.Equal(0, index.LagRows);
        Assert.Equal(0, index.LagSeconds);
    }

    [Fact]
    public async Task A_touched_row_moves_up_without_a_queue_entry()
    {
        using var store = new TextIndexStore(seed: 8);
        store.Commit(() =>
        {
            for (long row = 1; row <= 500; row++)
            {
                store.Put(store.Draw(row) with { Content = "common words", Priority = 5, AccessCount = 0, Confidence = 1, Tier = Tier.Mid, ExpiresAt = null }, row);
            }
        });
        using var index = store.Open();
        var last = (await Recall(index, "common", 500)).Memories[^1].Memory.Id;
        var touched = long.Parse(last.AsSpan(3), System.Globalization.CultureInfo.InvariantCulture);
        store.Commit(() => store.Database.Execute($"update memory set priority = 10, access_count = 50 where row = {touched}"), touched);
        Assert.Equal(last, (await Recall(index, "common", 1)).Memories[0].Memory.Id);
        Assert.Empty(await index.VerifyAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("well-known fact", "well-known", true)]
    [InlineData("well known fact", "well-known", true)]
    [InlineData("known well fact", "well-known", false)]
    [InlineData("wellknown", "well-known", false)]
    [InlineData("the Café opened", "cafe", true)]
    [InlineData("running tests", "run", true)]
    [InlineData("zero\u200Bwidth", "zerowidth", true)]
    [InlineData("plain", "content:plain", false)]
    [InlineData("file src/Core.cs here", "src/Core.cs", true)]
    public async Task Words_match_as_their_reader_means_them(string content, string query, bool found)
    {
        using var store = new TextIndexStore(seed: 9);
        store.Commit(() => store.Put(store.Draw(1) with { Content = content, ExpiresAt = null }, 1));
        using var index = store.Open();
        Assert.Equal(found ? 1 : 0, (await Recall(index, query)).Memories.Count);
    }

    [Fact]
    public async Task No_text_breaks_a_query()
    {
        const string Alphabet = "w1q ab9-\"'*():^{}|+\t\n\0\u200B\uD83D\uDE42é\u0301日.\\/ANDORT%_";
        using var store = new TextIndexStore(seed: 10);
        store.Fill(200);
        using var index = store.Open();
        var random = new Random(11);
        for (var round = 0; round < 1_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            try
            {
                await Recall(index, text);
                await Ranker.RankAsync(
                    index, TextQuery.From(new SearchQuery { Text = text }, TextIndexStore.Now), ScoringWeights.Default, TestContext.Current.CancellationToken);
            }
            catch (MemoryException exception)
            {
                Assert.Equal(ErrorKind.QueryEmpty, exception.Kind);
            }
        }
    }

    [Fact]
    public async Task Rows_that_match_are_found_page_by_page()
    {
        using var store = new TextIndexStore(seed: 12);
        store.Fill(2_000);
        using var index = store.Open();
        using var plain = new PlainFormula(store.Database);
        using var reader = await index.ReadAsync(TestContext.Current.CancellationToken);
        var found = new List<long>();
        IReadOnlyList<long> page;
        do
        {
            page = await reader.FindAsync(["w1q", "w7q"], "a/b", found.Count == 0 ? 0 : found[^1], 7, TestContext.Current.CancellationToken);
            found.AddRange(page);
        }
        while (page.Count == 7);

        var early = new Timestamp(0);
        var expected = plain.Rank(["w1q", "w7q"], MatchMode.Any, new() { Namespace = "a/b" }, null, early).Select(each => each.Memory.Id);
        Assert.Equal(expected.Order(StringComparer.Ordinal), found.Select(row => $"id-{row}").Order(StringComparer.Ordinal));
        Assert.True(found.Count > 20);
    }

    [Fact]
    public async Task Queries_run_beside_each_other_and_beside_writes()
    {
        using var store = new TextIndexStore(seed: 13);
        store.Fill(1_000);
        using var index = store.Open();
        using var stop = new CancellationTokenSource();
        var queries = new int[6];
        var readers = Enumerable.Range(0, queries.Length).Select(number => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                var word = $"w{(Interlocked.Increment(ref queries[number]) % 40) + 1}q";
                foreach (var ranked in (await Recall(index, word)).Memories)
                {
                    Assert.Contains(word, string.Join(' ', ranked.Memory.Title, ranked.Memory.Content), StringComparison.Ordinal);
                }
            }
        })).ToArray();
        await Eventually.HoldsAsync("every reader asks", () => Task.FromResult(queries.All(static count => count > 0)));

        // New rows, and rows that go: a row that keeps its number keeps its text.
        for (long row = 1_001; row < 4_000; row++)
        {
            store.Commit(() =>
            {
                store.Put(store.Draw(row), row);
                store.SetState(row - 1_000, SqliteSchema.Archived);
            });
        }

        await stop.CancelAsync();
        await Task.WhenAll(readers);
        Assert.Empty(await index.VerifyAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_scan_of_too_many_takes_the_newest_and_stops_when_told()
    {
        using var store = new TextIndexStore(seed: 14);
        store.Fill(500);
        using var index = store.Open();
        using var reader = await index.ReadAsync(TestContext.Current.CancellationToken);
        var newest = new FirstMatches(20);
        await reader.ScanAsync(new(["w1q", "w2q"], MatchMode.Any, [], null, NewestFirst: true), newest, TestContext.Current.CancellationToken);
        Assert.Equal(20, newest.Rows.Count);
        Assert.Equal(newest.Rows.OrderDescending(), newest.Rows);
        var all = new FirstMatches(int.MaxValue);
        await reader.ScanAsync(new(["w1q", "w2q"], MatchMode.Any, [], null, NewestFirst: false), all, TestContext.Current.CancellationToken);
        Assert.Equal(all.Rows.OrderDescending().Take(20), newest.Rows);
        Assert.All(all.Frequencies, each => Assert.True(each[0] + each[1] > 0));

        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Ranker.RankAsync(
            index, TextQuery.From(new RecallQuery { Context = "w1q" }, TextIndexStore.Now), ScoringWeights.Default, cancelled.Token));
    }

    private sealed class FirstMatches(int limit) : ICandidates
    {
        public List<long> Rows { get; } = [];

        public List<int[]> Frequencies { get; } = [];

        public Interest Judge(long row, in RankInputs inputs) => Rows.Count == limit ? Interest.Stop : Interest.Take;

        public void Take(long row, in RankInputs inputs, ReadOnlySpan<int> frequencies)
        {
            Rows.Add(row);
            Frequencies.Add(frequencies.ToArray());
        }
    }

    internal static Task<Ranking> Recall(SqliteTextIndex index, string text, int limit = 10) => Ranker.RankAsync(
        index, TextQuery.From(new RecallQuery { Context = text, Limit = limit }, TextIndexStore.Now), ScoringWeights.Default, TestContext.Current.CancellationToken);
}
