using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// Finds the memories near a query by words and by vectors, as <see cref="HybridWeights"/> joins them. A namespace below others is asked with those
/// above it, whose memories fall behind by their distance.
/// </summary>
internal sealed class HybridRanker(ITextIndex index, IVectorIndex vectors, ScoringWeights weights)
{
    /// <summary>So many times as many as are wanted are ranked once more.</summary>
    private const int RerankShare = 3;

    /// <param name="unit">The query's vector, of length 1.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: the index cannot be read.</exception>
    public async Task<HybridRanking> RankAsync(RecallQuery query, Func<RecallQuery, TextQuery> parse, float[] unit, CancellationToken cancellation)
    {
        // Counted before anything is looked for: a vector that comes meanwhile is counted, but may not have been compared.
        var embedded = await vectors.CountAsync(cancellation);
        using var reader = await index.ReadAsync(cancellation);
        var found = new Dictionary<long, Found>();
        var now = default(Timestamp);
        var isComplete = reader.IsComplete;
        foreach (var @namespace in Chain(query.Namespace))
        {
            var words = parse(query with { Namespace = @namespace, Limit = Math.Max(3 * query.Limit, 30) });
            now = words.Now;
            var ranked = await Ranker.RankAsync(reader, words, weights, cancellation);
            isComplete &= ranked.IsComplete;
            var cosines = await vectors.CosinesAsync(unit, [.. ranked.Memories.Select(static each => each.Row)], cancellation);
            foreach (var (memory, score, row) in ranked.Memories)
            {
                found[row] = new(memory, score, cosines.GetValueOrDefault(row));
            }

            foreach (var (near, memory) in await NearestAsync(new(unit, Math.Max(5 * query.Limit, 50), weights.Hybrid.LeastCosine, words, reader), cancellation))
            {
                found.TryAdd(near.Row, new(memory, 0, near.Cosine));
            }
        }

        var best = found.Values.Select(static each => each.TextScore).Append(1.0).Max();
        var depth = Depth(query.Namespace);
        var joined = found
            .Select(pair => (Ranked: new RankedMemory(pair.Value.Memory, Join(pair.Value, best, now) / (1 + (weights.Hybrid.Distance * Distance(pair.Value.Memory)))), pair.Key))
            .OrderByDescending(static each => each.Ranked.Score).ThenBy(static each => each.Key)
            .Select(static each => each.Ranked);
        if (weights.Rerank)
        {
            joined = LexicalReranker.Rank(query.Context, [.. joined.Take(RerankShare * query.Limit)]);
        }

        return new([.. joined.Take(query.Limit)], isComplete, embedded >= reader.Documents);

        int Distance(Memory memory) => query.Namespace is null ? 0 : depth - Depth(memory.Namespace);
    }

    /// <summary>The nearest that pass every filter exactly. One that only seemed to, as tags and authors are known by hashes, takes nobody's place.</summary>
    private async Task<List<(NearRow Near, Memory Memory)>> NearestAsync(VectorScan scan, CancellationToken cancellation)
    {
        var filter = new RowFilter(scan.Query, scan.Reader);
        for (var wanted = scan.Count; ; scan = scan with { Count = checked(2 * scan.Count) })
        {
            var nearest = await vectors.NearestAsync(scan, cancellation);
            var memories = await scan.Reader.FetchAsync([.. nearest.Select(static near => near.Row)], cancellation);
            var held = nearest.Zip(memories).Where(pair => pair.Second is { } memory && filter.Holds(memory)).Select(static pair => (pair.First, pair.Second!)).Take(wanted).ToList();
            if (held.Count == wanted || nearest.Count < scan.Count)
            {
                return held;
            }
        }
    }

    private double Join(Found found, double best, Timestamp now)
    {
        var hybrid = weights.Hybrid;
        var share = hybrid.Share(System.Text.Encoding.UTF8.GetByteCount(found.Memory.Content));
        return ((share * found.Cosine) + ((1 - share) * found.TextScore / best)) * hybrid.Aged(found.Memory, now);
    }

    /// <summary>The namespace and those above it.</summary>
    private static IEnumerable<string?> Chain(string? @namespace)
    {
        yield return @namespace;
        for (var end = @namespace?.LastIndexOf('/') ?? -1; end > 0; end = @namespace!.LastIndexOf('/', end - 1))
        {
            yield return @namespace![..end];
        }
    }

    private static int Depth(string? @namespace) => @namespace.AsSpan().Count('/');

    private readonly record struct Found(Memory Memory, double TextScore, double Cosine);
}

/// <param name="IsEmbedded">Every memory of the store has a vector.</param>
internal sealed record HybridRanking(IReadOnlyList<RankedMemory> Memories, bool IsComplete, bool IsEmbedded);
