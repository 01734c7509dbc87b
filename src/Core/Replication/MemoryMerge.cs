using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// The join of two states of one id: commutative, associative, idempotent. Each field group is last-writer-wins by its own stamp;
/// equal stamps mean equal values, and where a broken writer violates that, the larger value wins so that the join stays a join.
/// </summary>
public static class MemoryMerge
{
    public static MemoryState Merge(MemoryState left, MemoryState right)
    {
        if (ReferenceEquals(left, right))
        {
            return left;
        }

        if (!string.Equals(left.Id, right.Id, StringComparison.Ordinal))
        {
            throw new ArgumentException("states of different ids do not merge", nameof(right));
        }

        return new MemoryState
        {
            Id = left.Id,
            Name = Newer(left.Name, right.Name, Compare),
            Body = Newer(left.Body, right.Body, Compare),
            Metadata = Newer(left.Metadata, right.Metadata, static (a, b) => string.CompareOrdinal(a.Json, b.Json)),
            Priority = Newer(left.Priority, right.Priority, static (a, b) => a.CompareTo(b)),
            Confidence = Newer(left.Confidence, right.Confidence, static (a, b) => a.CompareTo(b)),
            Tier = (Tier)Math.Max((int)left.Tier, (int)right.Tier),
            Expiry = Newer(left.Expiry, right.Expiry, Compare),
            Archive = Archive(left.Archive, right.Archive),
            CreatedAt = left.CreatedAt <= right.CreatedAt ? left.CreatedAt : right.CreatedAt,
            UpdatedAt = left.UpdatedAt >= right.UpdatedAt ? left.UpdatedAt : right.UpdatedAt,
            CreatedEpoch = Math.Max(left.CreatedEpoch, right.CreatedEpoch),
            Unknown = Unknown(left.Unknown, right.Unknown),
        }.Born(Stamp.Min(left.BornAt, right.BornAt));
    }

    /// <summary>Two deletes of one id: what is later of each is kept.</summary>
    public static Tombstone Merge(Tombstone left, Tombstone right) => Above(
        left,
        right.Stamp,
        string.CompareOrdinal(left.Namespace, right.Namespace) >= 0 ? left.Namespace : right.Namespace,
        right.DeletedAt);

    /// <summary>
    /// A delete and what it overrules. It is stamped no lower than that: a memory may have been written under the id after all nodes
    /// could forget the delete, and after some did; then it must be remembered for as long again.
    /// </summary>
    public static Tombstone Merge(Tombstone tombstone, MemoryState overruled) =>
        Above(tombstone, overruled.NewestStamp, tombstone.Namespace, Timestamp.FromUnixMilliseconds(overruled.NewestStamp.UnixMilliseconds));

    private static Tombstone Above(Tombstone tombstone, Stamp stamp, string @namespace, Timestamp deletedAt)
    {
        var above = tombstone with
        {
            Stamp = Stamp.Max(tombstone.Stamp, stamp),
            Namespace = @namespace,
            DeletedAt = tombstone.DeletedAt >= deletedAt ? tombstone.DeletedAt : deletedAt,
        };
        return above == tombstone ? tombstone : above;
    }

    public static Stamped<T> Newer<T>(Stamped<T> left, Stamped<T> right, Comparison<T> compare)
    {
        var order = left.Stamp.CompareTo(right.Stamp);
        if (order == 0)
        {
            order = compare(left.Value, right.Value);
        }

        Faults.Replace(Fault.LastArrivalWins, ref order, -1);
        return order >= 0 ? left : right;
    }

    /// <summary>Null, "never expires", is the largest.</summary>
    public static int Compare(Timestamp? left, Timestamp? right) => (left, right) switch
    {
        (null, null) => 0,
        (null, _) => 1,
        (_, null) => -1,
        ({ } a, { } b) => a.CompareTo(b),
    };

    private static int Compare(MemoryName left, MemoryName right)
    {
        var order = string.CompareOrdinal(left.Namespace, right.Namespace);
        return order != 0 ? order : string.CompareOrdinal(left.Title, right.Title);
    }

    private static int Compare(MemoryBody left, MemoryBody right)
    {
        var order = string.CompareOrdinal(left.Content, right.Content);
        if (order == 0)
        {
            order = string.CompareOrdinal(left.Source, right.Source);
        }

        if (order == 0)
        {
            order = left.Tags.Count.CompareTo(right.Tags.Count);
        }

        for (var index = 0; order == 0 && index < left.Tags.Count; index++)
        {
            order = string.CompareOrdinal(left.Tags[index], right.Tags[index]);
        }

        return order;
    }

    private static int Compare(ArchiveMark? left, ArchiveMark? right)
    {
        if (left is null || right is null)
        {
            return (left is null ? 0 : 1) - (right is null ? 0 : 1);
        }

        // Within one stamp the mark that acted on the larger expiry is the later one.
        var order = Nullable.Compare(left.ActedOn?.Nanoseconds, right.ActedOn?.Nanoseconds);
        if (order == 0)
        {
            order = left.At.CompareTo(right.At);
        }

        return order != 0 ? order : string.CompareOrdinal(left.Reason, right.Reason);
    }

    private static Stamped<ArchiveMark?>? Archive(Stamped<ArchiveMark?>? left, Stamped<ArchiveMark?>? right) => (left, right) switch
    {
        (null, _) => right,
        (_, null) => left,
        ({ } a, { } b) => Newer(a, b, Compare),
    };

    private static IReadOnlyList<UnknownField> Unknown(IReadOnlyList<UnknownField> left, IReadOnlyList<UnknownField> right)
    {
        if (left.Count == 0 || right.Count == 0)
        {
            return left.Count == 0 ? right : left;
        }

        var merged = new SortedDictionary<int, UnknownField>();
        foreach (var field in left.Concat(right))
        {
            if (!merged.TryGetValue(field.Tag, out var held))
            {
                merged[field.Tag] = field;
                continue;
            }

            var order = field.Stamp.CompareTo(held.Stamp);
            if (order > 0 || (order == 0 && field.Value.Span.SequenceCompareTo(held.Value.Span) > 0))
            {
                merged[field.Tag] = field;
            }
        }

        return [.. merged.Values];
    }
}
