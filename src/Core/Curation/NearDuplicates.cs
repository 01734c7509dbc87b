using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Core.Curation;

/// <summary>
/// Finds memories that say nearly the same: the Jaccard index of the sets of words of their texts is at least 0.55. Two sets that are so alike share one of
/// the rarest words of each (prefix filtering: Bayardo, Ma and Srikant, 2007), so only those that do are compared.
/// </summary>
internal static class NearDuplicates
{
    private const double Alike = 0.55;
    private const double Rounding = 1e-9;
    private const int LargestCluster = 8;
    private const int ShortestWord = 3;

    /// <summary>Texts that one is compared with at most: so many that share a rare word are a form and not a fact.</summary>
    private const int MostCompared = 2_000;

    /// <summary>Clusters of two to eight, each memory in one at most; earlier memories come first and begin the clusters.</summary>
    public static IEnumerable<IReadOnlyList<Memory>> Of(IReadOnlyList<Memory> memories)
    {
        var sets = memories.Select(static memory => WordsOf(memory.Content)).ToList();
        var counts = new Dictionary<uint, int>();
        foreach (var word in sets.SelectMany(static set => set))
        {
            counts[word] = counts.GetValueOrDefault(word) + 1;
        }

        var byRareWord = new Dictionary<uint, List<int>>();
        var rare = new List<uint[]>(sets.Count);
        for (var at = 0; at < sets.Count; at++)
        {
            var ordered = sets[at].OrderBy(word => counts[word]).ThenBy(static word => word).ToArray();
            var common = (int)Math.Ceiling((Alike * ordered.Length) - Rounding);
            rare.Add(ordered[..(ordered.Length - common + Math.Min(1, ordered.Length))]);
            foreach (var word in rare[at])
            {
                (byRareWord.TryGetValue(word, out var known) ? known : byRareWord[word] = []).Add(at);
            }
        }

        var taken = new bool[sets.Count];
        for (var seed = 0; seed < sets.Count; seed++)
        {
            if (taken[seed])
            {
                continue;
            }

            List<Memory> cluster = [memories[seed]];
            foreach (var other in rare[seed].SelectMany(word => byRareWord[word]).Where(other => other > seed && !taken[other]).Distinct().Take(MostCompared).Order().ToList())
            {
                if (cluster.Count < LargestCluster && AreAlike(sets[seed], sets[other]))
                {
                    cluster.Add(memories[other]);
                    taken[other] = true;
                }
            }

            if (cluster.Count > 1)
            {
                taken[seed] = true;
                yield return cluster;
            }
        }
    }

    private static bool AreAlike(HashSet<uint> left, HashSet<uint> right)
    {
        var (small, large) = left.Count <= right.Count ? (left, right) : (right, left);
        if (small.Count < Alike * large.Count)
        {
            return false;
        }

        var common = small.Count(large.Contains);
        return common >= Alike * (small.Count + large.Count - common) && common > 0;
    }

    private static HashSet<uint> WordsOf(string text) => [.. WordRuns.Of(text, ShortestWord).Select(static word => RankInputs.Hash(word.ToLowerInvariant()))];
}
