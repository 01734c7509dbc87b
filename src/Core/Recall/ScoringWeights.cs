using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// The keyword score of ai-memory 0.6.0:
/// <c>bm25 + 0.5 priority + 0.1 min(access_count, 50) + 2 confidence + tier + 1 / (1 + 0.1 age_days(updated_at))</c>,
/// where search has no tier term. bm25 is the one of SQLite's FTS5, with its sign turned so that more is better. Weights are
/// zero or more.
/// </summary>
public sealed record ScoringWeights
{
    private const double SecondsPerDay = 86_400;

    public static ScoringWeights Default { get; } = new();

    /// <summary>The score of ai-memory 0.6.0 and nothing else.</summary>
    public static ScoringWeights Reference { get; } = new() { Passage = null };

    /// <summary>How recall ranks its best matches once more; null: not.</summary>
    public PassageWeights? Passage { get; init; } = new();

    /// <summary>How recall joins words and vectors.</summary>
    public HybridWeights Hybrid { get; init; } = new();

    /// <summary>Recall by words and vectors looks at its best memories once more (<see cref="LexicalReranker"/>).</summary>
    public bool Rerank { get; init; }

    public double Text { get; init; } = 1.0;

    public double Priority { get; init; } = 0.5;

    /// <summary>For each access up to <see cref="AccessCap"/>.</summary>
    public double Access { get; init; } = 0.1;

    public int AccessCap { get; init; } = 50;

    public double Confidence { get; init; } = 2.0;

    public double LongTier { get; init; } = 3.0;

    public double MidTier { get; init; } = 1.0;

    public double ShortTier { get; init; }

    public double Recency { get; init; } = 1.0;

    /// <summary>How fast recency falls, for each day.</summary>
    public double RecencyDecay { get; init; } = 0.1;

    /// <summary>Saturation of repeated words.</summary>
    public double K1 { get; init; } = 1.2;

    /// <summary>How far long texts are marked down, 0 to 1.</summary>
    public double B { get; init; } = 0.75;

    /// <summary>The part of the score that does not depend on the words.</summary>
    public double Static(in RankInputs inputs, MatchMode mode, Timestamp now) =>
        Static(inputs.Priority, inputs.AccessCount, inputs.Confidence, inputs.Tier, inputs.UpdatedAt, mode, now);

    public double Static(Memory memory, MatchMode mode, Timestamp now) =>
        Static(memory.Priority, memory.AccessCount, memory.Confidence, memory.Tier, memory.UpdatedAt, mode, now);

    /// <summary>What the static part of this memory never exceeds at any time.</summary>
    public double MaxStatic(in RankInputs inputs, MatchMode mode) => Timeless(inputs.Priority, inputs.AccessCount, inputs.Confidence, inputs.Tier, mode) + Recency;

    /// <summary>What the static part never exceeds.</summary>
    public double MaxStatic(MatchMode mode) =>
        (Priority * MemoryLimits.MaxPriority) + (Access * AccessCap) + Confidence + Recency
        + (mode == MatchMode.Any ? Math.Max(LongTier, Math.Max(MidTier, ShortTier)) : 0);

    /// <summary>Inverse document frequency as FTS5 has it: a word in more than half of the documents counts next to nothing.</summary>
    public static double InverseFrequency(long documents, long holding)
    {
        var idf = Math.Log((documents - holding + 0.5) / (holding + 0.5));
        return idf > 0 ? idf : 1e-6;
    }

    /// <summary>What one word adds: <paramref name="length"/> is in tokens over all indexed columns.</summary>
    public double TextTerm(double inverseFrequency, int frequency, int length, double averageLength) =>
        Text * inverseFrequency * (frequency * (K1 + 1) / (frequency + (K1 * (1 - B + (B * length / averageLength)))));

    /// <summary>What <see cref="TextTerm"/> never reaches.</summary>
    public double MaxTextTerm(double inverseFrequency) => Text * inverseFrequency * (K1 + 1);

    private double Static(int priority, long accesses, double confidence, Tier tier, Timestamp updatedAt, MatchMode mode, Timestamp now) =>
        Timeless(priority, accesses, confidence, tier, mode) + (Recency / (1 + (RecencyDecay * Math.Max(0, now.SecondsSince(updatedAt)) / SecondsPerDay)));

    private double Timeless(int priority, long accesses, double confidence, Tier tier, MatchMode mode) =>
        (Priority * priority)
        + (Access * Math.Min(accesses, AccessCap))
        + (Confidence * confidence)
        + (mode == MatchMode.Any ? TierTerm(tier) : 0);

    private double TierTerm(Tier tier) => tier switch
    {
        Tier.Long => LongTier,
        Tier.Mid => MidTier,
        _ => ShortTier,
    };
}
