using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    /// <summary>Rows that one look for contradictions reads at most.</summary>
    private const int ContradictionRows = 10_000;

    /// <summary>Matches that a title is compared with: what more memories hold tells nothing about one of them.</summary>
    private const int SimilarMatches = 1_000;

    private const string Contradicts = "contradicts";

    /// <summary>Only the words count: what a memory is worth says nothing about what it contradicts.</summary>
    private static readonly ScoringWeights WordsAlone =
        ScoringWeights.Default with { Priority = 0, Access = 0, Confidence = 0, LongTier = 0, MidTier = 0, ShortTier = 0, Recency = 0 };

    public Task<SimilarMemories> SimilarAsync(string @namespace, string title, CancellationToken cancellation = default) => SimilarAsync(@namespace, title, principal: null, cancellation);

    internal async Task<SimilarMemories> SimilarAsync(string @namespace, string title, Principal? principal, CancellationToken cancellation)
    {
        var words = WordsOf(title);
        if (words.Count == 0)
        {
            return new([], IsComplete: true);
        }

        var query = new RecallQuery { Context = title, Namespace = MemoryRules.Namespace(@namespace), Limit = SimilarMemories.MostIds + 1 };
        var ranking = await RankAsync(TextQuery.From(query, Now(), principal) with { MostMatches = SimilarMatches }, WordsAlone, cancellation);
        return new([.. ranking.Memories.Select(static ranked => ranked.Memory).Where(memory => memory.Title == title || WordsOf(memory.Title).Overlaps(words)).Select(static memory => memory.Id)], ranking.IsComplete);
    }

    public Task<Contradictions> ContradictionsAsync(ContradictionQuery query, CancellationToken cancellation = default) => ContradictionsAsync(query, Visibility.Everything, cancellation);

    internal async Task<Contradictions> ContradictionsAsync(ContradictionQuery query, Visibility visibility, CancellationToken cancellation)
    {
        RequireLimit(query.Limit);
        if (query.Topic is null && query.Namespace is null)
        {
            throw new MemoryException(ErrorKind.FilterMissing, "a topic or a namespace is required");
        }

        var byTopic = new Dictionary<string, List<Memory>>(StringComparer.OrdinalIgnoreCase);
        var (read, cursor) = (0, (string?)null);
        do
        {
            var page = await ListAsync(new() { Namespace = query.Namespace is null ? null : MemoryRules.Namespace(query.Namespace), Limit = ScanRows, Cursor = cursor }, visibility, cancellation);
            foreach (var memory in page.Memories)
            {
                foreach (var topic in TopicsOf(memory).Where(topic => query.Topic is null || string.Equals(topic, query.Topic, StringComparison.OrdinalIgnoreCase)))
                {
                    (byTopic.TryGetValue(topic, out var known) ? known : byTopic[topic] = []).Add(memory);
                }
            }

            (read, cursor) = (read + page.Memories.Count, page.NextCursor);
        }
        while (cursor is not null && read < ContradictionRows);

        // Of one topic everything is shown; of a whole namespace only what has something that speaks against it.
        var memories = new Dictionary<string, Memory>(StringComparer.Ordinal);
        var pairs = new HashSet<(string, string)>();
        foreach (var group in byTopic.Values)
        {
            foreach (var (left, at) in group.Select(static (memory, at) => (memory, at)))
            {
                foreach (var right in group.Skip(at + 1).Where(right => right.Id != left.Id && right.Content != left.Content))
                {
                    if (memories.Count + 2 <= query.Limit || (memories.ContainsKey(left.Id) && memories.ContainsKey(right.Id)))
                    {
                        (memories[left.Id], memories[right.Id]) = (left, right);
                        pairs.Add((left.Id, right.Id));
                    }
                }
            }

            foreach (var memory in query.Topic is null ? [] : group.Take(query.Limit - Math.Min(query.Limit, memories.Count)))
            {
                memories.TryAdd(memory.Id, memory);
            }
        }

        var links = new List<ContradictionLink>();
        foreach (var id in memories.Keys.ToList())
        {
            foreach (var link in (await LinksAsync(id, visibility, cancellation)).Where(link => link.Relation == Contradicts && link.SourceId == id))
            {
                links.Add(new(link.SourceId, link.TargetId, link.CreatedAt));
                pairs.Remove((link.SourceId, link.TargetId));
                pairs.Remove((link.TargetId, link.SourceId));
            }
        }

        links.AddRange(pairs.Select(static pair => new ContradictionLink(pair.Item1, pair.Item2, null)));
        return new([.. memories.Values], links, cursor is null);
    }

    /// <summary>What a memory says it is about, and what it is called.</summary>
    private static IEnumerable<string> TopicsOf(Memory memory) =>
        memory.Metadata.Text("topic") is { Length: > 0 } topic && !string.Equals(topic, memory.Title, StringComparison.OrdinalIgnoreCase) ? [topic, memory.Title] : [memory.Title];

    private static HashSet<string> WordsOf(string title) => new(WordRuns.Of(title, shortest: 2), StringComparer.OrdinalIgnoreCase);
}

/// <summary>Live memories of a namespace whose title shares a word with another one that tells, best first.</summary>
/// <param name="IsComplete">False when the index may have lacked some.</param>
public sealed record SimilarMemories(IReadOnlyList<string> Ids, bool IsComplete)
{
    /// <summary>Told to who stores a memory; one more is looked for, as the memory itself may be among them.</summary>
    public const int MostIds = 5;
}

/// <summary>What may speak against each other.</summary>
/// <param name="Topic">A <c>metadata.topic</c> or a title, in any case; null: any, each judged alone.</param>
/// <param name="Namespace">Null: any; one of the two is needed.</param>
/// <param name="Limit">Memories.</param>
public sealed record ContradictionQuery(string? Topic, string? Namespace, int Limit = ContradictionQuery.DefaultRows)
{
    public const int DefaultRows = 50;
    public const int MostRows = 100;
}

/// <param name="Memories">Of one topic, or that have something against them.</param>
/// <param name="Links">Those between them that exist, and one for each further pair that says something else of one topic.</param>
/// <param name="IsComplete">False when there were more than were looked at.</param>
public sealed record Contradictions(IReadOnlyList<Memory> Memories, IReadOnlyList<ContradictionLink> Links, bool IsComplete);

/// <param name="CreatedAt">Null: nobody made it; the two differ in what they say.</param>
public sealed record ContradictionLink(string SourceId, string TargetId, Timestamp? CreatedAt);
