using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests;

public sealed class PassageRankingTests
{
    [Fact]
    public async Task Results_are_those_of_the_formula_over_every_match()
    {
        using var store = new TextIndexStore(seed: 31);
        var everything = new List<Memory>();
        store.Commit(() =>
        {
            for (var row = 1; row <= 400; row++)
            {
                // A minute apart, so that rows of one namespace are a passage; some of them hours later.
                var at = TextIndexStore.Now.AddSeconds(-1_000_000 + (60 * row) + (row > 200 ? 20_000 : 0));
                everything.Add(store.Draw(row) with { CreatedAt = at, UpdatedAt = at, ExpiresAt = null, Tags = [] });
                store.Put(everything[^1], row);
            }
        });
        using var index = store.Open();
        using var plain = new PlainFormula(store.Database);
        var random = new Random(32);
        for (var round = 0; round < 40; round++)
        {
            string[] words = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => store.Word()).Append("the").Distinct()];
            var query = TextQuery.From(new RecallQuery { Context = string.Join(' ', words), Limit = 20 }, TextIndexStore.Now);
            var matches = plain.Rank(words, MatchMode.Any, new(), null, TextIndexStore.Now).Select(static ranked => ranked.Memory).ToList();
            var expected = Passages(words, matches, everything).Take(20).ToList();
            var actual = await Ranker.RankAsync(index, query, ScoringWeights.Default, TestContext.Current.CancellationToken);
            Assert.Equal(expected.Select(static each => Math.Round(each.Score, 6)), actual.Memories.Select(static ranked => Math.Round(ranked.Score, 6)));
            Assert.Equal(expected.Select(static each => each.Memory.Id), actual.Memories.Select(static ranked => ranked.Memory.Id));
        }
    }

    [Fact]
    public async Task An_answer_is_found_by_the_question_before_it()
    {
        using var store = new TextIndexStore(seed: 33);
        var turns = new[]
        {
            "Which city did the museum visit take you to, was the museum good", "It was in Lisbon", "Nothing of the sort", "We talked of cats", "And of dogs", "Of birds too", "The weather is fine",
        };
        Talk(store, turns, "talk", seconds: 60);
        using var index = store.Open();
        var found = await RecallAsync(index, "Which city was the museum visit in");
        Assert.Equal(turns[0], found[0].Memory.Content);
        Assert.Equal(turns[1], found[1].Memory.Content);

        // By the formula of ai-memory alone it is one of many that hold "was" and "in".
        var alone = await Ranker.RankAsync(
            index, TextQuery.From(new RecallQuery { Context = "museum" }, TextIndexStore.Now), ScoringWeights.Reference, TestContext.Current.CancellationToken);
        Assert.Single(alone.Memories);
    }

    [Fact]
    public async Task Neighbours_are_of_one_namespace_one_hour_and_shown_to_the_caller()
    {
        using var store = new TextIndexStore(seed: 34);
        store.Commit(() =>
        {
            // Between the rows of one talk lie those of another; its last turn came a day later, and a private one of somebody else.
            Put(1, "mine", "budget meeting on the roof", 0);
            Put(2, "other", "budget meeting elsewhere", 30);
            Put(3, "mine", "the plan was approved", 60);
            Put(4, "mine", "budget meeting again", 86_400);
            Put(5, "mine", "the cat was asleep", 86_400 + 7_200);
        });
        using var index = store.Open();
        var scores = (await RecallAsync(index, "was the budget meeting", "mine")).ToDictionary(static ranked => ranked.Memory.Content, static ranked => ranked.Score, StringComparer.Ordinal);
        Assert.True(scores["the plan was approved"] > scores["the cat was asleep"] + 0.5, string.Join(", ", scores));

        void Put(long row, string @namespace, string content, int seconds) => store.Put(Plain(store, row, @namespace, content, seconds), row);
    }

    [Fact]
    public async Task Days_titles_and_possessives_count()
    {
        using var store = new TextIndexStore(seed: 35);
        store.Commit(() =>
        {
            for (var row = 1; row <= 30; row++)
            {
                store.Put(Plain(store, row, "n", "we played some games", Day(row)) with { Title = $"{(row % 2 == 0 ? "Anna" : "Ben")} says {row}" }, row);
            }
        });
        using var index = store.Open();
        var day = Plain(store, 1, "n", "x", Day(20)).CreatedAt.ToString()[..10];
        Assert.Equal("Anna says 20", (await RecallAsync(index, $"which games did Anna play on {day}?"))[0].Memory.Title);
        Assert.All((await RecallAsync(index, "Anna's games")).Take(10), static ranked => Assert.StartsWith("Anna", ranked.Memory.Title, StringComparison.Ordinal));

        // So far apart that a week after one ends before the next.
        static int Day(int row) => (row - 30) * 8 * 86_400;
    }

    private static void Talk(TextIndexStore store, IReadOnlyList<string> turns, string @namespace, int seconds) => store.Commit(() =>
    {
        for (var turn = 0; turn < turns.Count; turn++)
        {
            store.Put(Plain(store, turn + 1, @namespace, turns[turn], turn * seconds), turn + 1);
        }
    });

    private static Memory Plain(TextIndexStore store, long row, string @namespace, string content, int seconds)
    {
        var at = TextIndexStore.Now.AddSeconds(-90 * 86_400 + seconds);
        return store.Draw(row) with
        {
            Namespace = @namespace,
            Title = $"entry {row}",
            Content = content,
            Tags = [],
            Tier = Tier.Mid,
            Priority = 5,
            Confidence = 1,
            AccessCount = 0,
            CreatedAt = at,
            UpdatedAt = at,
            ExpiresAt = null,
            Metadata = Metadata.Empty,
        };
    }

    private static async Task<IReadOnlyList<RankedMemory>> RecallAsync(SqliteTextIndex index, string text, string? @namespace = null) => (await Ranker.RankAsync(
        index, TextQuery.From(new RecallQuery { Context = text, Namespace = @namespace, Limit = 10 }, TextIndexStore.Now), ScoringWeights.Default, TestContext.Current.CancellationToken)).Memories;

    /// <summary>The formula as it is written down, over all rows.</summary>
    private static IEnumerable<(Memory Memory, double Score)> Passages(IReadOnlyList<string> words, List<Memory> matches, List<Memory> rows)
    {
        var weights = new PassageWeights();
        var tokens = rows.ToDictionary(static memory => memory.Id, static memory => $"{memory.Title} {memory.Content}".Split(' '), StringComparer.Ordinal);
        var average = tokens.Values.Average(static each => each.Length);
        var matching = matches.Select(static memory => memory.Id).ToHashSet(StringComparer.Ordinal);
        var terms = words.Select(word => (Word: word, Weight: (word == "the" ? weights.StopWord : 1) * Idf(tokens.Values.Count(each => each.Contains(word))))).ToList();

        // Titles are looked at among those that are read for the answer.
        return Ordered(Ordered(matches.Select(memory => (memory, Score(memory)))).Take(20 + (20 / 2) + 16).Select(each => (each.Memory, each.Score + TitleScore(each.Memory))));

        static IEnumerable<(Memory Memory, double Score)> Ordered(IEnumerable<(Memory Memory, double Score)> scored) =>
            scored.OrderByDescending(static each => Math.Round(each.Score, 9)).ThenBy(static each => RowOf(each.Memory));

        double TitleScore(Memory memory) => terms.Where(term => term.Word != "the" && memory.Title.Split(' ').Contains(term.Word)).Sum(term => weights.Title * term.Weight);

        double Idf(int holding) => Math.Log(1 + ((rows.Count - holding + 0.5) / (holding + 0.5)));

        double Score(Memory memory)
        {
            double score = ScoringWeights.Default.Static(memory, MatchMode.Any, TextIndexStore.Now);
            var near = Near(memory);
            foreach (var (word, weight) in terms)
            {
                var frequency = Count(memory, word) + near.Sum(each => each.Share * Count(each.Memory, word));
                score += frequency == 0 ? 0 : weight * frequency * (weights.K1 + 1)
                    / (frequency + (weights.K1 * (1 - weights.B + (weights.B * tokens[memory.Id].Length / average))));
            }

            return score;
        }

        int Count(Memory memory, string word) => tokens[memory.Id].Count(token => token == word);

        List<(Memory Memory, double Share)> Near(Memory memory)
        {
            var near = new List<(Memory, double)>();
            foreach (var side in (int[])[-1, 1])
            {
                var found = 0;
                for (var place = rows.IndexOf(memory) + side; place >= 0 && place < rows.Count && found < 2 && Math.Abs(RowOf(rows[place]) - RowOf(memory)) <= 24; place += side)
                {
                    if (rows[place].Namespace == memory.Namespace)
                    {
                        if (Math.Abs(rows[place].CreatedAt.SecondsSince(memory.CreatedAt)) > weights.GapSeconds)
                        {
                            break;
                        }

                        if (matching.Contains(rows[place].Id))
                        {
                            near.Add((rows[place], found == 0 ? weights.Next : weights.Second));
                        }

                        found++;
                    }
                }
            }

            return near;
        }
    }

    private static long RowOf(Memory memory) => long.Parse(memory.Id.AsSpan(3), System.Globalization.CultureInfo.InvariantCulture);
}
