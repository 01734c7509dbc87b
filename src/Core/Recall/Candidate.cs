namespace OrleansMemory.Core.Recall;

/// <summary>A match that may be shown.</summary>
/// <param name="Score">The full formula.</param>
/// <param name="TextScore">The part of it that depends on the words.</param>
/// <param name="Match">What ranking it as part of a passage needs; null when it is not.</param>
internal readonly record struct Candidate(long Row, double Score, double TextScore, PassageMatch? Match);

/// <param name="Frequencies">For each word that was scanned for, rare ones first.</param>
internal sealed record PassageMatch(RankInputs Inputs, int[] Frequencies);
