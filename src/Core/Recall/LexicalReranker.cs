using System.Runtime.InteropServices;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// Looks at each memory beside the query once more, with the fallback of ai-memory 0.6.0 for a cross-encoder that is not there:
/// <c>0.6 score + 0.4 (0.30 Jaccard + 0.30 cosine of tf-idf + 0.20 shared word pairs + 0.20 words in the title)</c>. Scores are of 0 to 1.
/// </summary>
internal static class LexicalReranker
{
    private const double Kept = 0.6;
    private const double Jaccard = 0.30;
    private const double TfIdf = 0.30;
    private const double Pairs = 0.20;
    private const double Title = 0.20;

    /// <summary>Best first; equal ones as they came.</summary>
    public static IReadOnlyList<RankedMemory> Rank(string query, IReadOnlyList<RankedMemory> ranked)
    {
        var asked = Words(query);
        var texts = ranked.Select(static each => Words($"{each.Memory.Title} {each.Memory.Content}")).ToList();
        var holding = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var word in texts.SelectMany(static text => text.Distinct()))
        {
            CollectionsMarshal.GetValueRefOrAddDefault(holding, word, out _)++;
        }

        var own = Weights(asked);
        return [.. ranked
            .Select((each, place) => each with { Score = (Kept * each.Score) + ((1 - Kept) * Near(each.Memory, texts[place])) })
            .OrderByDescending(static each => each.Score)];

        double Near(Memory memory, List<string> text)
        {
            var (askedSet, textSet) = (asked.ToHashSet(StringComparer.Ordinal), text.ToHashSet(StringComparer.Ordinal));
            var shared = askedSet.Count(textSet.Contains);
            var union = askedSet.Count + textSet.Count - shared;
            var titleWords = Words(memory.Title).ToHashSet(StringComparer.Ordinal);
            return (Jaccard * Share(shared, union)) + (TfIdf * Cosine(own, Weights(text))) + (Pairs * Share(PairsOf(asked).Intersect(PairsOf(text)).Count(), PairsOf(asked).Count))
                + (Title * Share(askedSet.Count(titleWords.Contains), askedSet.Count));
        }

        Dictionary<string, double> Weights(List<string> words) => words.CountBy(static word => word).ToDictionary(
            static pair => pair.Key, pair => pair.Value * Math.Log(1 + ((double)(ranked.Count + 1) / (1 + holding.GetValueOrDefault(pair.Key)))), StringComparer.Ordinal);
    }

    private static double Share(int part, int whole) => whole == 0 ? 0 : (double)part / whole;

    private static double Cosine(Dictionary<string, double> one, Dictionary<string, double> other)
    {
        var dot = one.Sum(pair => pair.Value * other.GetValueOrDefault(pair.Key));
        var lengths = Math.Sqrt(one.Values.Sum(static weight => weight * weight)) * Math.Sqrt(other.Values.Sum(static weight => weight * weight));
        return lengths == 0 ? 0 : dot / lengths;
    }

    private static HashSet<(string, string)> PairsOf(List<string> words) => [.. words.Zip(words.Skip(1))];

    /// <summary>Runs of letters and digits, in lower case.</summary>
    private static List<string> Words(string text)
    {
        var words = new List<string>();
        for (int index = 0, start = -1; index <= text.Length; index++)
        {
            var inside = index < text.Length && char.IsLetterOrDigit(text[index]);
            if (inside && start < 0)
            {
                start = index;
            }
            else if (!inside && start >= 0)
            {
                words.Add(text[start..index].ToLowerInvariant());
                start = -1;
            }
        }

        return words;
    }
}
