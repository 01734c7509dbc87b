using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>Whether readers find an id under its own name.</summary>
public enum RowVisibility
{
    /// <summary>It is the memory of its (namespace, title). Expiry is judged at each read.</summary>
    Shown = 0,

    /// <summary>Another id of the same (namespace, title) is shown, and this id resolves to it.</summary>
    Shadowed = 1,

    /// <summary>Put away.</summary>
    Archived = 2,
}

/// <summary>Accesses of one memory, summed over all nodes.</summary>
/// <param name="Count">What readers see.</param>
/// <param name="Touches">Those that this product counted itself; an imported count brings no boost a second time.</param>
public readonly record struct AccessTotals(long Count, long Touches, Timestamp? LastAt)
{
    public AccessTotals Add(long count, bool counted, Timestamp? at) => new(
        Math.Min(Count + count, MemoryLimits.MaxAccessCount),
        counted ? Touches + count : Touches,
        at is null || (LastAt is { } last && last >= at) ? LastAt : at);
}

/// <summary>
/// Derives what readers see from what is replicated. Pure: every node that holds the same rows derives the same view, whatever
/// the order in which they arrived.
/// </summary>
public static class MemoryView
{
    /// <summary>The memory of an id that shares its name with no other.</summary>
    public static Memory Of(MemoryState state, AccessTotals access) => Of(state, state, access);

    /// <summary>
    /// The memory of a name that several live ids carry: the id and creation time of the shown one, and of each field group the
    /// newest among them.
    /// </summary>
    public static Memory OfGroup(MemoryState shown, IEnumerable<MemoryState> others, AccessTotals access)
    {
        var fields = shown;
        foreach (var other in others)
        {
            fields = MemoryMerge.Merge(fields, other with { Id = shown.Id });
        }

        return Of(shown, fields, access);
    }

    /// <summary>Of several live ids with one name, the highest epoch wins, then the smallest id.</summary>
    public static MemoryState ShownOf(IEnumerable<MemoryState> group) =>
        group.Aggregate(static (best, next) =>
            next.CreatedEpoch > best.CreatedEpoch || (next.CreatedEpoch == best.CreatedEpoch && string.CompareOrdinal(next.Id, best.Id) < 0) ? next : best);

    /// <summary>An expiry archive gives way to a larger expiry; every other archive holds until it is undone.</summary>
    public static bool IsArchived(MemoryState state, AccessTotals access)
    {
        if (state.Archive is not { Value: { } mark })
        {
            return false;
        }

        return mark.ActedOn is not { } actedOn || MemoryMerge.Compare(ExpiryOf(state, access), actedOn) <= 0;
    }

    private static Memory Of(MemoryState identity, MemoryState fields, AccessTotals access) => new()
    {
        Id = identity.Id,
        Tier = TierOf(fields, access),
        Namespace = identity.Name.Value.Namespace,
        Title = identity.Name.Value.Title,
        Content = fields.Body.Value.Content,
        Tags = fields.Body.Value.Tags,
        Priority = (int)Math.Min(MemoryLimits.MaxPriority, fields.Priority.Value + (access.Touches / Lifetimes.AccessesPerPriority)),
        Confidence = fields.Confidence.Value,
        Source = fields.Body.Value.Source,
        AccessCount = access.Count,
        CreatedAt = identity.CreatedAt,
        UpdatedAt = fields.UpdatedAt,
        LastAccessedAt = access.LastAt,
        ExpiresAt = ExpiryOf(fields, access),
        Metadata = fields.Metadata.Value,
    };

    private static bool IsPromotedByAccess(MemoryState state, AccessTotals access) =>
        state.Tier == Tier.Mid && access.Touches >= Lifetimes.PromotionAccesses;

    private static Tier TierOf(MemoryState state, AccessTotals access) => IsPromotedByAccess(state, access) ? Tier.Long : state.Tier;

    private static Timestamp? ExpiryOf(MemoryState state, AccessTotals access) => IsPromotedByAccess(state, access) ? null : state.Expiry.Value;
}
