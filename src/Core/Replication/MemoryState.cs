using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>A value and the stamp of the write that set it.</summary>
public readonly record struct Stamped<T>(T Value, Stamp Stamp);

/// <summary>The place of a memory: unique among the live ones, as a view and not as a constraint.</summary>
public readonly record struct MemoryName(string Namespace, string Title);

/// <summary>What is remembered. Set together, so that a text never carries another text's tags.</summary>
public sealed record MemoryBody(string Content, IReadOnlyList<string> Tags, string Source)
{
    public bool Equals(MemoryBody? other) =>
        other is not null && Content == other.Content && Source == other.Source && Tags.SequenceEqual(other.Tags);

    public override int GetHashCode() => Content.Length;
}

/// <summary>That a memory was put away, when, and why.</summary>
/// <param name="ActedOn">The expiry that an expiry archive acted on; a larger expiry brings the memory back. Null for other reasons.</param>
public sealed record ArchiveMark(Timestamp At, string Reason, Timestamp? ActedOn)
{
    public const string Expired = "ttl_expired";
    public const string Forgotten = "forget";
    public const string Consolidated = "consolidate";
}

/// <summary>A field that a newer node wrote and this one does not know: kept, merged by stamp, passed on.</summary>
public sealed record UnknownField(int Tag, Stamp Stamp, ReadOnlyMemory<byte> Value);

/// <summary>
/// What is replicated of one memory: a join-semilattice of field groups (see <see cref="MemoryMerge"/>). Readers never see it;
/// they see the <see cref="Memory"/> that <see cref="MemoryView"/> derives from it.
/// </summary>
public sealed record MemoryState
{
    public required string Id { get; init; }

    public required Stamped<MemoryName> Name { get; init; }

    public required Stamped<MemoryBody> Body { get; init; }

    public required Stamped<Metadata> Metadata { get; init; }

    public required Stamped<int> Priority { get; init; }

    public required Stamped<double> Confidence { get; init; }

    /// <summary>Only rises.</summary>
    public required Tier Tier { get; init; }

    /// <summary>The stamp is that of the last explicit set; a touch raises the value under the same stamp. Null is the largest value.</summary>
    public required Stamped<Timestamp?> Expiry { get; init; }

    /// <summary>Null in the value: brought back. Null as a whole: never archived.</summary>
    public Stamped<ArchiveMark?>? Archive { get; init; }

    /// <summary>The earliest that any node saw.</summary>
    public required Timestamp CreatedAt { get; init; }

    /// <summary>The latest that any node saw.</summary>
    public required Timestamp UpdatedAt { get; init; }

    /// <summary>The epoch of the activation that created the id; 0 outside the Orleans host.</summary>
    public long CreatedEpoch { get; init; }

    /// <summary>The stamp of the first write of the id, when it is not the oldest that a group carries; else null.</summary>
    public Stamp? FirstStamp { get; init; }

    /// <summary>Ascending by tag.</summary>
    public IReadOnlyList<UnknownField> Unknown { get; init; } = [];

    /// <summary>The stamp of the first write of the id.</summary>
    public Stamp BornAt => FirstStamp ?? OldestOfGroups;

    /// <summary>The oldest stamp that a group carries.</summary>
    internal Stamp OldestOfGroups => Stamp.Min(
        Stamp.Min(Stamp.Min(Name.Stamp, Body.Stamp), Stamp.Min(Metadata.Stamp, Priority.Stamp)), Stamp.Min(Confidence.Stamp, Expiry.Stamp));

    /// <summary>The same with another stamp of the first write.</summary>
    public MemoryState Born(Stamp at)
    {
        Stamp? first = at == OldestOfGroups ? null : at;
        return first == FirstStamp ? this : this with { FirstStamp = first };
    }

    /// <summary>The newest stamp that a caller's write set; touches do not move it.</summary>
    public Stamp NewestStamp
    {
        get
        {
            var newest = Stamp.Max(Stamp.Max(Name.Stamp, Body.Stamp), Stamp.Max(Metadata.Stamp, Priority.Stamp));
            newest = Stamp.Max(newest, Stamp.Max(Confidence.Stamp, Expiry.Stamp));
            return Archive is { } archive ? Stamp.Max(newest, archive.Stamp) : newest;
        }
    }
}

/// <summary>A deleted id. Final: nothing that arrives later brings it back.</summary>
public sealed record Tombstone(string Id, string Namespace, Stamp Stamp, Timestamp DeletedAt);
