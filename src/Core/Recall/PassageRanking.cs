using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// Ranks the best matches of a recall once more. The text part of a memory's score becomes
/// <c>sum over the query's words of w idf f (k1 + 1) / (f + k1 (1 - b + b length / average))</c>, where f is how often the memory holds
/// the word, plus a share of how often the memories next to it do: those stored before and after it in its namespace, within
/// <see cref="PassageWeights.GapSeconds"/>, that are matches too. idf is <c>ln(1 + (N - n + 0.5) / (n + 0.5))</c> (Robertson and
/// Zaragoza, 2009), which leaves words of many memories, such as names, some weight; w marks stop words down. Counting the neighbours'
/// words as the memory's own before they saturate is field weighting as in BM25F (Robertson, Zaragoza and Taylor, 2004).
/// Then it adds what dates and the title tell.
/// </summary>
internal sealed class PassageRanking
{
    /// <summary>Rows of other namespaces that may lie between two of a passage, times two neighbours.</summary>
    private const int Reach = 24;

    private readonly PassageWeights _weights;
    private readonly ScoringWeights _scoring;
    private readonly ITextReader _reader;
    private readonly QueryDates? _dates;
    private readonly IReadOnlyList<string> _words;
    private readonly double[] _wordWeights;
    private readonly double _averageLength;

    /// <param name="words">Those of the query that were scanned for.</param>
    /// <param name="counts">How many memories hold each.</param>
    public PassageRanking(TextQuery query, ScoringWeights scoring, PassageWeights weights, ITextReader reader, IReadOnlyList<string> words, IReadOnlyList<long> counts)
    {
        _weights = weights;
        _scoring = scoring;
        _reader = reader;
        _words = words;
        _dates = weights.Date > 0 ? QueryDates.Of(query.Words, query.Now) : null;
        _averageLength = Math.Max(reader.AverageLength, 1);
        var documents = Math.Max(reader.Documents, 1);
        var onlyStopWords = words.All(StopWords.Contains);
        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        _wordWeights = [.. words.Select((word, index) =>
            !seen.Add(word) ? 0
            : scoring.Text * Math.Log(1 + ((Math.Max(documents - counts[index], 0) + 0.5) / (counts[index] + 0.5))) * (StopWords.Contains(word) && !onlyStopWords ? weights.StopWord : 1))];
    }

    /// <summary>The same candidates, scored anew, best first.</summary>
    public Candidate[] Rank(Candidate[] pool)
    {
        var places = new Dictionary<long, int>(pool.Length);
        for (var place = 0; place < pool.Length; place++)
        {
            places.Add(pool[place].Row, place);
        }

        var ranked = new Candidate[pool.Length];
        var neighbours = new List<(int[] Frequencies, double Share)>(4);
        for (var place = 0; place < pool.Length; place++)
        {
            neighbours.Clear();
            Collect(pool, places, place, step: -1, neighbours);
            Collect(pool, places, place, step: 1, neighbours);
            var candidate = pool[place];
            var text = TextScore(candidate.Match!, neighbours) + (_dates?.Fit(candidate.Match!.Inputs.CreatedAt) == true ? _weights.Date : 0);
            ranked[place] = candidate with { Score = candidate.Score - candidate.TextScore + text, TextScore = text };
        }

        Array.Sort(ranked, static (left, right) => left.Score == right.Score ? left.Row.CompareTo(right.Row) : right.Score.CompareTo(left.Score));
        return ranked;
    }

    /// <summary>What the words in the title add.</summary>
    public double TitleScore(Memory memory)
    {
        double score = 0;
        for (var word = 0; word < _words.Count && _weights.Title > 0; word++)
        {
            if (_wordWeights[word] > 0 && !StopWords.Contains(_words[word]) && Holds(memory.Title, _words[word]))
            {
                score += _weights.Title * _wordWeights[word];
            }
        }

        return score;
    }

    /// <summary>As a whole word.</summary>
    private static bool Holds(string title, string word)
    {
        for (var at = title.IndexOf(word, StringComparison.OrdinalIgnoreCase); at >= 0; at = title.IndexOf(word, at + 1, StringComparison.OrdinalIgnoreCase))
        {
            if ((at == 0 || !char.IsLetterOrDigit(title[at - 1])) && (at + word.Length == title.Length || !char.IsLetterOrDigit(title[at + word.Length])))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The two nearest of the passage on one side, as far as they are matches.</summary>
    private void Collect(Candidate[] pool, Dictionary<long, int> places, int place, int step, List<(int[] Frequencies, double Share)> neighbours)
    {
        var own = pool[place].Match!.Inputs;
        var found = 0;
        for (var distance = 1; distance <= Reach && found < 2; distance++)
        {
            var row = pool[place].Row + (step * distance);
            if (!_reader.TryGetInputs(row, out var inputs) || inputs.Namespace != own.Namespace)
            {
                continue;
            }

            if (Math.Abs(own.CreatedAt.SecondsSince(inputs.CreatedAt)) > _weights.GapSeconds)
            {
                return;
            }

            if (places.TryGetValue(row, out var neighbour))
            {
                neighbours.Add((pool[neighbour].Match!.Frequencies, found == 0 ? _weights.Next : _weights.Second));
            }

            found++;
        }
    }

    private double TextScore(PassageMatch match, List<(int[] Frequencies, double Share)> neighbours)
    {
        double score = 0;
        var saturation = _weights.K1 * (1 - _weights.B + (_weights.B * match.Inputs.Length / _averageLength));
        for (var word = 0; word < _wordWeights.Length; word++)
        {
            double frequency = match.Frequencies[word];
            foreach (var (frequencies, share) in neighbours)
            {
                frequency += share * frequencies[word];
            }

            score += frequency > 0 ? _wordWeights[word] * frequency * (_weights.K1 + 1) / (frequency + saturation) : 0;
        }

        return score;
    }
}
