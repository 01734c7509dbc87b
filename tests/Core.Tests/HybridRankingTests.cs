using System.Runtime.InteropServices;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Core.Tests;

public sealed class HybridRankingTests
{
    private static readonly Timestamp Now = new(1_800_000_000_000_000_000);

    [Theory]
    [InlineData(0, 0.50)]
    [InlineData(500, 0.50)]
    [InlineData(2_750, 0.325)]
    [InlineData(5_000, 0.15)]
    [InlineData(60_000, 0.15)]
    public void Long_texts_are_found_by_their_words(int bytes, double share) => Assert.Equal(share, new HybridWeights().Share(bytes), 12);

    [Theory]
    [InlineData(Tier.Short, 7)]
    [InlineData(Tier.Mid, 30)]
    [InlineData(Tier.Long, 365)]
    public void A_score_halves_with_the_half_life_of_its_tier(Tier tier, int days)
    {
        var memory = Sample("t", "c") with { Tier = tier, CreatedAt = Now.AddSeconds(-days * 86_400L) };
        Assert.Equal(0.5, new HybridWeights().Aged(memory, Now), 9);
        Assert.Equal(1, (new HybridWeights() with { Decay = false }).Aged(memory, Now));
        Assert.Equal(1, new HybridWeights().Aged(memory with { CreatedAt = Now.AddSeconds(60) }, Now));
    }

    [Fact]
    public void A_look_beside_the_query_weighs_words_pairs_and_titles()
    {
        RankedMemory[] ranked = [new(Sample("other", "nothing of it"), 0.5), new(Sample("deploy window", "the deploy window is on Tuesday"), 0.4)];
        var found = LexicalReranker.Rank("Deploy window", ranked);
        Assert.Equal(["deploy window", "other"], found.Select(static each => each.Memory.Title));
        Assert.Equal(0.3, found[1].Score, 12);

        // All words, the pair and the title: 0.3 of 2 of 6 words, 0.2 and 0.2, and the cosine.
        Assert.InRange(found[0].Score, (0.6 * 0.4) + (0.4 * (0.1 + 0.4)), (0.6 * 0.4) + (0.4 * (0.1 + 0.4 + 0.3)));
        Assert.Empty(LexicalReranker.Rank("x", []));
    }

    [Fact]
    public void A_vector_has_a_direction_or_is_none()
    {
        Assert.Null(VectorTable.Unit([0, 0]));
        Assert.Null(VectorTable.Unit([float.NaN, 1]));
        Assert.Equal([0.6f, 0.8f], VectorTable.Unit([3, 4])!);
    }

    [Fact]
    public async Task The_nearest_are_those_that_comparing_all_finds()
    {
        var random = new Random(5);
        var values = Enumerable.Range(1, 3_000).Select(row => (Row: (long)row * 3, Vector: Enumerable.Range(0, 8).Select(_ => (float)random.NextDouble() - 0.5f).ToArray())).ToList();
        var table = new VectorTable(null!, "m/8", 8);
        table.Apply(new() { Head = default!, Derived = [.. values.Select(value => new DerivedValue(value.Row, EmbeddingStep.StepName, "m/8", MemoryMarshal.AsBytes(value.Vector.AsSpan()).ToArray()))] });
        Assert.Equal(3_000, await table.CountAsync(TestContext.Current.CancellationToken));
        for (var round = 0; round < 20; round++)
        {
            var unit = VectorTable.Unit([.. Enumerable.Range(0, 8).Select(_ => (float)random.NextDouble() - 0.5f)])!;
            var expected = values.Where(static value => value.Row % 2 == 0)
                .Select(value => (value.Row, Cosine: value.Vector.Zip(unit, static (one, other) => (double)one * other).Sum() / Math.Sqrt(value.Vector.Sum(static number => (double)number * number))))
                .Where(static value => value.Cosine > 0.3).OrderByDescending(static value => value.Cosine).Take(25).ToList();
            var nearest = table.Nearest(unit, 25, 0.3, static row => row % 2 == 0, TestContext.Current.CancellationToken);
            Assert.Equal(expected.Select(static value => value.Row), nearest.Select(static value => value.Row));
            Assert.All(expected.Zip(nearest), static pair => Assert.Equal(pair.First.Cosine, pair.Second.Cosine, 1e-5));
        }

        // Of another model, or of another length: as good as none.
        table.Apply(new() { Head = default!, Derived = [new(3, EmbeddingStep.StepName, "other/8", new byte[32]), new(6, EmbeddingStep.StepName, "m/8", new byte[16]), new(9, "content-hash", "m/8", new byte[32])] });
        Assert.Equal(2_998, await table.CountAsync(TestContext.Current.CancellationToken));
        Assert.Equal([9], (await table.CosinesAsync([1, 0, 0, 0, 0, 0, 0, 0], [3, 9, 1_000_000], TestContext.Current.CancellationToken)).Keys);
    }

    [Fact]
    public async Task A_vector_that_comes_while_a_query_runs_does_not_make_its_answer_whole()
    {
        var table = new VectorTable(null!, "m/2", 2);
        var late = new OneMemory(whenFetched: () => table.Apply(new()
        {
            Head = default!,
            Derived = [new(1, EmbeddingStep.StepName, "m/2", MemoryMarshal.AsBytes<float>([1, 0]).ToArray())],
        }));
        var ranker = new HybridRanker(late, table, new());
        Assert.False((await AskAsync()).IsEmbedded);
        Assert.True((await AskAsync()).IsEmbedded);

        Task<HybridRanking> AskAsync() =>
            ranker.RankAsync(new() { Context = "word" }, static query => TextQuery.From(query, Now), [1, 0], TestContext.Current.CancellationToken);
    }

    /// <summary>An index of one memory that holds no word that anybody asks for.</summary>
    private sealed class OneMemory(Action whenFetched) : ITextIndex, ITextReader
    {
        public bool IsComplete => true;

        public long Documents => 1;

        public double AverageLength => 1;

        public Task<ITextReader> ReadAsync(CancellationToken cancellation) => Task.FromResult<ITextReader>(this);

        public Task<IReadOnlyList<long>> CountAsync(IReadOnlyList<string> words, CancellationToken cancellation) => Task.FromResult<IReadOnlyList<long>>([.. words.Select(static _ => 0L)]);

        public Task ScanAsync(TextScan scan, ICandidates candidates, CancellationToken cancellation) => Task.CompletedTask;

        public Task<IReadOnlyList<long>> FindAsync(IReadOnlyList<string> words, string? @namespace, long afterRow, int limit, CancellationToken cancellation) =>
            Task.FromResult<IReadOnlyList<long>>([]);

        public bool TryGetInputs(long row, out RankInputs inputs)
        {
            inputs = default;
            return false;
        }

        public string NamespaceName(int number) => "n";

        public Task<IReadOnlyList<Memory?>> FetchAsync(IReadOnlyList<long> rows, CancellationToken cancellation)
        {
            whenFetched();
            return Task.FromResult<IReadOnlyList<Memory?>>([.. rows.Select(static _ => (Memory?)null)]);
        }

        public void Dispose()
        {
        }
    }

    private static Memory Sample(string title, string content) =>
        new() { Id = title, Tier = Tier.Mid, Namespace = "n", Title = title, Content = content, Source = "api", CreatedAt = Now, UpdatedAt = Now };
}
