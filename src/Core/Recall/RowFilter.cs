using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// A query's filters and what its caller may see, judged by rank inputs: never wrong about a row that it leaves out. Tags and authors are known by
/// hashes, so <see cref="Holds(Memory)"/> judges what is shown once more.
/// </summary>
internal sealed class RowFilter(TextQuery query, ITextReader reader)
{
    private readonly Dictionary<(int Namespace, bool IsOwn), int> _scopesShown = [];
    private readonly Timestamp _since = query.Filter.Since ?? new(long.MinValue);
    private readonly Timestamp _until = query.Filter.Until ?? new(long.MaxValue);
    private readonly int _minPriority = query.Filter.MinPriority ?? 0;
    private readonly uint? _agent = query.Filter.AgentId is { } agent ? RankInputs.Hash(agent) : null;
    private readonly ulong _tag = query.Filter.Tag is { } tag ? RankInputs.TagBit(tag) : 0;
    private readonly uint? _author = query.Visibility.Author is { } author ? RankInputs.Hash(author) : null;
    private readonly bool _everyNamespace = query.Filter.Namespace is null && query.Visibility.IsEverything;

    public bool Holds(long row, in RankInputs inputs) =>
        !(inputs.ExpiresAt <= query.Now || inputs.Priority < _minPriority || inputs.CreatedAt < _since || inputs.CreatedAt > _until
            || (inputs.Tags & _tag) != _tag || (_agent is { } agent && agent != inputs.Agent)
            || (query.Filter.Tier is { } tier && tier != inputs.Tier)
            || !(_everyNamespace || (ScopesShown(inputs.Namespace, inputs.Agent == _author || query.GrantedRows.Contains(row)) & (1 << (int)inputs.Scope)) != 0));

    /// <summary>Every filter, exactly, on the memory itself.</summary>
    public bool Holds(Memory memory)
    {
        var filter = query.Filter;
        return !memory.IsExpired(query.Now)
            && (filter.Namespace is null || memory.Namespace == filter.Namespace)
            && (filter.Tier is null || memory.Tier == filter.Tier)
            && !(memory.Priority < filter.MinPriority)
            && !(filter.Since is { } since && memory.CreatedAt < since)
            && !(filter.Until is { } until && memory.CreatedAt > until)
            && (filter.Tag is null || memory.Tags.Contains(filter.Tag))
            && (filter.AgentId is null || memory.Metadata.Text("agent_id") == filter.AgentId)
            && query.Visibility.Shows(memory);
    }

    private int ScopesShown(int number, bool isOwn)
    {
        if (!_scopesShown.TryGetValue((number, isOwn), out var shown))
        {
            var name = reader.NamespaceName(number);
            shown = query.Filter.Namespace is null || query.Filter.Namespace == name ? query.Visibility.ScopesShown(name, isOwn) : 0;
            _scopesShown.Add((number, isOwn), shown);
        }

        return shown;
    }
}
