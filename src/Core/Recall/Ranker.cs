using System.Diagnostics;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>What a query found, best first; equal scores by row.</summary>
/// <param name="IsComplete">False when the index may have lacked memories, or work was cut at <see cref="Ranker.MaxVisits"/>.</param>
public sealed record Ranking(IReadOnlyList<RankedMemory> Memories, bool IsComplete);

/// <param name="Row">The store's own number of the memory.</param>
internal readonly record struct RankedRow(Memory Memory, double Score, long Row);

/// <inheritdoc cref="Ranking"/>
internal sealed record RowRanking(IReadOnlyList<RankedRow> Memories, bool IsComplete);

/// <summary>
/// Finds the best matches by the full formula without scoring every match. Words are taken rare ones first (MaxScore: Turtle and
/// Flood, 1995): once the matches that hold a rare word fill the answer, what a match of common words alone can reach is bounded
/// by its static part and the most its words can add, and most are passed over unscored. The static parts are at hand for every
/// row, so the result is the exhaustive one, up to the precision of the document frequencies.
/// </summary>
public static class Ranker
{
    /// <summary>
    /// Matches that one query looks at. Beyond it, once the answer is full, the rest is left: newest matches come first then.
    /// </summary>
    public const int MaxVisits = 300_000;

    /// <summary>Rare words are those whose matches together are at most one in this many of all.</summary>
    private const int RareShare = 8;

    /// <summary>Fewer matches than this are scanned in one go.</summary>
    private const int OneScan = 2_000;

    /// <summary>Candidates kept beyond the limit, for those that turn out to be gone or filtered.</summary>
    private const int Spare = 16;

    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: the index cannot be read.</exception>
    public static async Task<Ranking> RankAsync(ITextIndex index, TextQuery query, ScoringWeights weights, CancellationToken cancellation)
    {
        using var reader = await index.ReadAsync(cancellation);
        var (memories, isComplete) = await RankAsync(reader, query, weights, cancellation);
        return new([.. memories.Select(static each => new RankedMemory(each.Memory, each.Score))], isComplete);
    }

    /// <inheritdoc cref="RankAsync(ITextIndex, TextQuery, ScoringWeights, CancellationToken)"/>
    internal static async Task<RowRanking> RankAsync(ITextReader reader, TextQuery query, ScoringWeights weights, CancellationToken cancellation)
    {
        if (query.Limit == 0)
        {
            return new([], reader.IsComplete);
        }

        var counts = await reader.CountAsync(query.Words, cancellation);
        var words = new Words(query, counts, reader, weights);
        if (words.Scanned.Count == 0)
        {
            return new([], reader.IsComplete);
        }

        // Changes to many, and searches, which hold every word, are ranked by the formula alone.
        var passages = weights.Passage is { } passage && query is { Mode: MatchMode.Any, Limit: not null }
            ? new PassageRanking(query, weights, passage, reader, words.Scanned, words.Counts)
            : null;

        // Candidates that are gone or fail an exact filter are replaced by asking again for more; each round at least doubles.
        var capacity = query.Limit is null ? int.MaxValue : FirstPage(query);
        for (capacity = passages is null ? capacity : Math.Max(capacity, weights.Passage!.Pool); ; capacity *= 4)
        {
            var candidates = new Candidates(query, weights, words, reader, passages is not null, (int)Math.Min(capacity, int.MaxValue));
            await ScanAsync(reader, query, words, candidates, cancellation);
            var best = passages is null ? candidates.Best() : passages.Rank(candidates.Best());
            var ranked = await FetchAsync(reader, query, weights, passages, best, cancellation);
            if (!candidates.Overflowed || ranked.Count >= query.Limit)
            {
                return new(ranked, reader.IsComplete && !candidates.WasCut);
            }
        }
    }

    private static async Task ScanAsync(ITextReader reader, TextQuery query, Words words, Candidates candidates, CancellationToken cancellation)
    {
        var @namespace = query.Filter.Namespace;
        if (words.Rare == 0)
        {
            candidates.Begin(words.Scanned);
            await reader.ScanAsync(new(words.Scanned, query.Mode, [], @namespace, words.IsMany(0)), candidates, cancellation);
            return;
        }

        candidates.Begin(words.Scanned, remember: true);
        await reader.ScanAsync(new(words.Scanned, MatchMode.Any, [.. Enumerable.Range(0, words.Rare)], @namespace, NewestFirst: false), candidates, cancellation);
        var common = words.Scanned.Skip(words.Rare).ToArray();
        if (candidates.CanGain(words.MaxText(words.Rare)))
        {
            candidates.Begin(common, offset: words.Rare);
            await reader.ScanAsync(new(common, MatchMode.Any, [], @namespace, words.IsMany(words.Rare)), candidates, cancellation);
        }
    }

    /// <summary>Reads candidates, best first, until the limit is filled; judges and scores them as they are now.</summary>
    private static async Task<IReadOnlyList<RankedRow>> FetchAsync(
        ITextReader reader, TextQuery query, ScoringWeights weights, PassageRanking? passages, Candidate[] best, CancellationToken cancellation)
    {
        const int Page = 256;
        var found = new List<RankedRow>();
        var filter = new RowFilter(query, reader);
        var size = passages is null ? Page : (int)Math.Min(FirstPage(query), Page);
        for (var start = 0; start < best.Length && !(found.Count >= query.Limit && start > 0); start += size)
        {
            // All spares of a small answer are read too: what changed since the index saw it may change the order.
            var page = best.Skip(start).Take(size).ToArray();
            var memories = await reader.FetchAsync([.. page.Select(candidate => candidate.Row)], cancellation);
            for (var position = 0; position < page.Length; position++)
            {
                if (memories[position] is { } memory && filter.Holds(memory))
                {
                    var score = page[position].TextScore + (passages?.TitleScore(memory) ?? 0) + weights.Static(memory, query.Mode, query.Now);
                    found.Add(new(memory, score, page[position].Row));
                }
            }
        }

        found.Sort(static (left, right) => left.Score == right.Score ? left.Row.CompareTo(right.Row) : right.Score.CompareTo(left.Score));
        return [.. found.Take(query.Limit ?? int.MaxValue)];
    }

    /// <summary>What is read for an answer, spares included.</summary>
    private static long FirstPage(TextQuery query) => query.Limit!.Value + ((long)query.Limit.Value / 2) + Spare;

    /// <summary>The query's words, rare ones first, with what each can add.</summary>
    private sealed class Words
    {
        private readonly long[] _counts;

        public Words(TextQuery query, IReadOnlyList<long> counts, ITextReader reader, ScoringWeights weights)
        {
            var order = Enumerable.Range(0, counts.Count)
                .Where(word => query.Mode == MatchMode.All || counts[word] > 0)
                .OrderBy(word => counts[word])
                .ToArray();
            if (query.Mode == MatchMode.All && counts.Contains(0))
            {
                order = [];
            }

            if (query.MostMatches is { } most)
            {
                var held = 0L;
                order = [.. order.TakeWhile(word => (held += counts[word]) <= most)];
            }

            Scanned = [.. order.Select(word => query.Words[word])];
            _counts = [.. order.Select(word => counts[word])];
            var documents = Math.Max(reader.Documents, 1);
            InverseFrequencies = [.. _counts.Select(count => ScoringWeights.InverseFrequency(documents, Math.Min(count, documents)))];
            MaxTerms = [.. InverseFrequencies.Select(weights.MaxTextTerm)];
            var total = _counts.Sum();
            long rare = 0;
            while (query.Mode == MatchMode.Any && total > OneScan && Rare < order.Length && (rare + _counts[Rare]) * RareShare <= total)
            {
                rare += _counts[Rare++];
            }
        }

        public IReadOnlyList<string> Scanned { get; }

        public IReadOnlyList<long> Counts => _counts;

        public double[] InverseFrequencies { get; }

        public double[] MaxTerms { get; }

        /// <summary>How many of the first words are scanned before the others; 0 when one scan does.</summary>
        public int Rare { get; }

        public double MaxText(int from) => MaxTerms.Skip(from).Sum();

        /// <summary>A scan of these words may run into the cap.</summary>
        public bool IsMany(int from) => _counts.Skip(from).Sum() > MaxVisits;
    }

    /// <summary>The best candidates so far, in a heap with the worst at its root.</summary>
    private sealed class Candidates(TextQuery query, ScoringWeights weights, Words words, ITextReader reader, bool forPassages, int capacity) : ICandidates
    {
        private static readonly Comparer<(double Score, long Row)> WorstFirst = Comparer<(double Score, long Row)>.Create(
            (left, right) => left.Score == right.Score ? right.Row.CompareTo(left.Row) : left.Score.CompareTo(right.Score));

        private readonly PriorityQueue<Candidate, (double Score, long Row)> _heap = new(WorstFirst);
        private readonly RowFilter _filter = new(query, reader);
        private readonly double _averageLength = Math.Max(reader.AverageLength, 1);
        private HashSet<long>? _seen;
        private bool _remember;
        private int _offset;
        private double _maxText;
        private double _threshold = double.NegativeInfinity;
        private int _visits;

        /// <summary>A match, filtered or not, was passed over because better ones filled the heap.</summary>
        public bool Overflowed { get; private set; }

        /// <summary>Some matches were not looked at.</summary>
        public bool WasCut { get; private set; }

        /// <summary>Starts a scan.</summary>
        /// <param name="offset">How many of the query's words, rare first, it leaves out.</param>
        /// <param name="remember">A later scan will meet the same rows again.</param>
        public void Begin(IReadOnlyList<string> scanned, int offset = 0, bool remember = false)
        {
            Debug.Assert(scanned.Count + offset == words.Scanned.Count, "frequencies are told for the last words");
            _offset = offset;
            _maxText = words.MaxText(offset);
            _remember = remember;
            _seen ??= remember ? [] : null;
        }

        /// <summary>True while a row that was not seen yet could enter.</summary>
        public bool CanGain(double maxText)
        {
            var can = weights.MaxStatic(query.Mode) + maxText >= _threshold;
            Overflowed |= !can;
            return can;
        }

        public Interest Judge(long row, in RankInputs inputs)
        {
            if (++_visits > MaxVisits && _heap.Count >= capacity)
            {
                WasCut = true;
                return Interest.Stop;
            }

            if (_seen is not null)
            {
                if (_remember)
                {
                    _seen.Add(row);
                }
                else if (_seen.Contains(row))
                {
                    return Interest.Pass;
                }
            }

            // First what most matches fail once the heap is full, in two steps: age costs a division.
            if (_threshold > double.NegativeInfinity
                && (weights.MaxStatic(inputs, query.Mode) + _maxText < _threshold || weights.Static(inputs, query.Mode, query.Now) + _maxText < _threshold))
            {
                Overflowed = true;
                return Interest.Pass;
            }

            return _filter.Holds(row, inputs) ? Interest.Take : Interest.Pass;
        }

        public void Take(long row, in RankInputs inputs, ReadOnlySpan<int> frequencies)
        {
            double text = 0;
            for (var word = 0; word < frequencies.Length; word++)
            {
                if (frequencies[word] > 0)
                {
                    text += weights.TextTerm(words.InverseFrequencies[word + _offset], frequencies[word], inputs.Length, _averageLength);
                }
            }

            var score = text + weights.Static(inputs, query.Mode, query.Now);
            if (_heap.Count == capacity && score < _threshold)
            {
                Overflowed = true;
                return;
            }

            var candidate = new Candidate(row, score, text, forPassages ? new(inputs, Frequencies(frequencies)) : null);
            if (_heap.Count < capacity)
            {
                _heap.Enqueue(candidate, (score, row));
            }
            else
            {
                _heap.EnqueueDequeue(candidate, (score, row));
                Overflowed = true;
            }

            if (_heap.Count == capacity)
            {
                _threshold = _heap.Peek().Score;
            }
        }

        /// <summary>For every word of the query, also those that this scan leaves out: it meets no row that holds one.</summary>
        private int[] Frequencies(ReadOnlySpan<int> scanned)
        {
            var all = new int[words.Scanned.Count];
            scanned.CopyTo(all.AsSpan(_offset));
            return all;
        }

        public Candidate[] Best()
        {
            var best = _heap.UnorderedItems.Select(item => item.Element).ToArray();
            Array.Sort(best, (left, right) => left.Score == right.Score ? left.Row.CompareTo(right.Row) : right.Score.CompareTo(left.Score));
            return best;
        }
    }
}
