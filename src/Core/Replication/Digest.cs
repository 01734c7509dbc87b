namespace OrleansMemory.Core.Replication;

/// <summary>
/// A digest over a set of rows: their number and the exclusive or of their hashes. Order does not matter, and adding or taking
/// away a row is one operation. Rows fall into 256 buckets of their namespace by a hash of their key, so two nodes that differ
/// exchange only the buckets that do.
/// </summary>
public readonly record struct Digest(long Rows, UInt128 Hash)
{
    public const int Buckets = 256;

    public Digest With(UInt128 row) => new(Rows + 1, Hash ^ row);

    public Digest Without(UInt128 row) => new(Rows - 1, Hash ^ row);

    public static Digest operator +(Digest left, Digest right) => new(left.Rows + right.Rows, left.Hash ^ right.Hash);

    public static Digest Sum(IEnumerable<Digest> digests) => digests.Aggregate(default(Digest), static (sum, digest) => sum + digest);

    /// <summary>FNV-1a over the UTF-16 code units, folded to a byte.</summary>
    public static int BucketOf(string key)
    {
        var hash = 2166136261u;
        foreach (var unit in key)
        {
            hash = (hash ^ unit) * 16777619u;
        }

        return (int)((hash ^ (hash >> 8) ^ (hash >> 16) ^ (hash >> 24)) & 0xff);
    }

    public override string ToString() => $"{Rows}:{Hash:x32}";
}

/// <summary>Names one digest. Rows that belong to no namespace of memories are under <c>@kind</c>.</summary>
public readonly record struct DigestKey(string Namespace, int Bucket)
{
    /// <summary>All tombstones: there are few, and they go when every node has them.</summary>
    public static DigestKey Tombstones { get; } = new("@tombstones", 0);

    public static DigestKey Of(MemoryState state) => new(state.Name.Value.Namespace, Digest.BucketOf(state.Id));

    public static DigestKey Of(EntryState entry) => Of(entry.Key.Kind, entry.Key.Key);

    /// <summary>Of an entry.</summary>
    public static DigestKey Of(MutationKind kind, string key) => new($"@{(int)kind}", Digest.BucketOf(key));
}
