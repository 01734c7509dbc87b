using System.Runtime.InteropServices;

namespace OrleansMemory.Cli.Bench;

/// <summary>
/// What recall is measured against: BM25 (k1 1.2, b 0.75) over words as they are written, folded to lower case, with every word of the
/// query counting; no stemming, no stop words.
/// </summary>
internal sealed class PlainBm25
{
    private const double K1 = 1.2;
    private const double B = 0.75;

    private readonly List<(string Id, Dictionary<string, int> Words, int Length)> _documents = [];
    private readonly Dictionary<string, int> _holding = new(StringComparer.Ordinal);
    private double _tokens;

    public void Add(string id, string text)
    {
        var frequencies = new Dictionary<string, int>(StringComparer.Ordinal);
        var length = 0;
        foreach (var word in Words(text))
        {
            CollectionsMarshal.GetValueRefOrAddDefault(frequencies, word, out _)++;
            length++;
        }

        foreach (var word in frequencies.Keys)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(_holding, word, out _)++;
        }

        _documents.Add((id, frequencies, length));
        _tokens += length;
    }

    /// <summary>Ids, best first; equal ones in the order in which they were added.</summary>
    public IReadOnlyList<string> Rank(string query, int limit)
    {
        var average = _tokens / Math.Max(_documents.Count, 1);
        var words = Words(query).Distinct()
            .Select(word => (Word: word, Weight: Math.Log(1 + ((_documents.Count - _holding.GetValueOrDefault(word) + 0.5) / (_holding.GetValueOrDefault(word) + 0.5)))))
            .ToList();
        return [.. _documents
            .Select(document => (document.Id, Score: words.Sum(word => document.Words.GetValueOrDefault(word.Word) is var frequency and > 0
                ? word.Weight * frequency * (K1 + 1) / (frequency + (K1 * (1 - B + (B * document.Length / average))))
                : 0)))
            .Where(static document => document.Score > 0)
            .OrderByDescending(static document => document.Score)
            .Take(limit)
            .Select(static document => document.Id)];
    }

    private static IEnumerable<string> Words(string text)
    {
        var start = -1;
        for (var index = 0; index <= text.Length; index++)
        {
            var inside = index < text.Length && char.IsLetterOrDigit(text[index]);
            if (inside && start < 0)
            {
                start = index;
            }
            else if (!inside && start >= 0)
            {
                yield return text[start..index].ToLowerInvariant();
                start = -1;
            }
        }
    }
}
