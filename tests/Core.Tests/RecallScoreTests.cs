using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Core.Tests;

public sealed class RecallScoreTests
{
    private static readonly Timestamp Now = new(1_800_000_000_000_000_000);

    [Fact]
    public void The_static_part_is_the_formula()
    {
        var memory = Sample() with { Priority = 7, AccessCount = 70, Confidence = 0.5, Tier = Tier.Long, UpdatedAt = Now.AddSeconds(-10 * 86_400) };
        Assert.Equal(3.5 + 5 + 1 + 3 + 0.5, ScoringWeights.Default.Static(memory, MatchMode.Any, Now), 12);
        Assert.Equal(3.5 + 5 + 1 + 0.5, ScoringWeights.Default.Static(memory, MatchMode.All, Now), 12);
    }

    [Fact]
    public void An_update_from_the_future_counts_as_now() =>
        Assert.Equal(
            ScoringWeights.Default.Static(Sample() with { UpdatedAt = Now }, MatchMode.Any, Now),
            ScoringWeights.Default.Static(Sample() with { UpdatedAt = Now.AddSeconds(3_600) }, MatchMode.Any, Now));

    [Fact]
    public void No_memory_exceeds_the_bound()
    {
        var best = Sample() with { Priority = 10, AccessCount = 1_000_000, Confidence = 1, Tier = Tier.Long, UpdatedAt = Now };
        Assert.Equal(ScoringWeights.Default.MaxStatic(MatchMode.Any), ScoringWeights.Default.Static(best, MatchMode.Any, Now), 12);
    }

    [Fact]
    public void A_word_in_most_memories_counts_next_to_nothing()
    {
        Assert.Equal(1e-6, ScoringWeights.InverseFrequency(100, 60));
        Assert.Equal(Math.Log(98.5 / 2.5), ScoringWeights.InverseFrequency(100, 2), 12);
    }

    [Theory]
    [InlineData(100L, 2, 24L)]
    [InlineData(24L, 2, 24L)]
    [InlineData(23L, 1, 12L)]
    [InlineData(11L, 0, 0L)]
    [InlineData(0L, 0, 0L)]
    [InlineData(null, 2, 24L)]
    public void A_budget_stops_before_what_does_not_fit(long? budget, int shown, long used)
    {
        // Each costs 12: 51 bytes / 4, rounded down.
        var memory = Sample() with { Title = "ä", Content = new string('c', 49) };
        RankedMemory[] ranked = [new(memory, 2), new(memory, 1)];
        var (memories, tokens) = TokenBudget.Fit(ranked, budget);
        Assert.Equal(shown, memories.Count);
        Assert.Equal(used, tokens);
    }

    [Fact]
    public void A_later_memory_that_would_fit_is_not_taken()
    {
        var small = Sample() with { Content = "1234567" };
        RankedMemory[] ranked = [new(small, 3), new(small with { Content = new string('c', 400) }, 2), new(small, 1)];
        var (memories, tokens) = TokenBudget.Fit(ranked, 50);
        Assert.Single(memories);
        Assert.Equal(2, tokens);
    }

    private static Memory Sample() => new() { Id = "id", Tier = Tier.Mid, Namespace = "n", Title = "t", Content = "c", Source = "api", CreatedAt = Now, UpdatedAt = Now };
}
