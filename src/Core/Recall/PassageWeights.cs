namespace OrleansMemory.Core.Recall;

/// <summary>
/// How recall ranks its best matches once more, each as part of the passage in which it was stored: a turn of a conversation, a step of a
/// log. The text part of the score becomes BM25 over the memory's words and a share of the words of those stored next to it
/// (<see cref="PassageRanking"/>), so that a memory is found by what was said around it. Weights are zero or more.
/// </summary>
public sealed record PassageWeights
{
    /// <summary>Matches that are ranked again: the best by <see cref="ScoringWeights"/>; more when the caller wants more.</summary>
    public int Pool { get; init; } = 512;

    /// <summary>Saturation of repeated words: low, since the words of neighbours repeat.</summary>
    public double K1 { get; init; } = 0.6;

    /// <summary>How far long memories are marked down, 0 to 1.</summary>
    public double B { get; init; } = 0.2;

    /// <summary>The weight of a word like "the" or "what" beside 1 for any other, when the query has others.</summary>
    public double StopWord { get; init; } = 0.1;

    /// <summary>The share that the words of the memory stored just before, and of that just after, have in a memory's own.</summary>
    public double Next { get; init; } = 0.4;

    /// <summary>The same of the ones beyond those.</summary>
    public double Second { get; init; } = 0.2;

    /// <summary>Seconds that may lie between the creation of two memories of one passage.</summary>
    public double GapSeconds { get; init; } = 3_600;

    /// <summary>What a word adds when the title holds it, as a share of its inverse document frequency: names of speakers and topics stand there.</summary>
    public double Title { get; init; } = 0.5;

    /// <summary>What a memory gains that was created in the days that the query names, or within a week of them.</summary>
    public double Date { get; init; } = 2.0;
}
