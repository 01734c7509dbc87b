using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>The kinds of replicated rows. Numbers are part of the stored and sent form and never change meaning.</summary>
public enum MutationKind
{
    Memory = 1,
    MemoryDelete = 2,
    Link = 3,
    Access = 4,
    Standard = 5,
    Policy = 6,
    PendingAction = 7,
    Vote = 8,
    Agent = 9,
    Subscription = 10,
    Message = 11,
    MessageRead = 12,
    IdempotencyReceipt = 13,
    NamespaceEpoch = 14,
    Curation = 15,
    Delivery = 16,
    Grant = 17,
}

public readonly record struct EntryKey(MutationKind Kind, string Key);

/// <summary>
/// A replicated row of any kind but a memory. Last-writer-wins as a whole, except for access counters, which are maxima.
/// A kind that this code does not know is kept and passed on like any other.
/// </summary>
/// <param name="Owner">What the row belongs to; rows of one owner are found together (see <see cref="EntryBodies"/>).</param>
/// <param name="Target">The other end, where there is one.</param>
/// <param name="Live">False: deleted.</param>
/// <param name="Body">JSON as its writer wrote it; <see cref="EntryBodies"/> gives the shapes.</param>
public sealed record EntryState(EntryKey Key, string Owner, string? Target, bool Live, Stamp Stamp, ReadOnlyMemory<byte> Body)
{
    private const byte Version = 1;

    public static EntryState Merge(EntryState left, EntryState right)
    {
        if (left.Key != right.Key)
        {
            throw new ArgumentException("states of different keys do not merge", nameof(right));
        }

        if (left.Key.Kind == MutationKind.Access)
        {
            var (a, b) = (EntryBodies.Access(left.Body), EntryBodies.Access(right.Body));
            var merged = new AccessBody(Math.Max(a.Count, b.Count), Nullable.Compare(a.LastAccessedAt, b.LastAccessedAt) >= 0 ? a.LastAccessedAt : b.LastAccessedAt);
            var newer = left.Stamp >= right.Stamp ? left : right;
            return newer with { Body = EntryBodies.Encode(merged) };
        }

        var order = left.Stamp.CompareTo(right.Stamp);
        if (order == 0)
        {
            order = left.Live.CompareTo(right.Live);
        }

        if (order == 0)
        {
            order = left.Body.Span.SequenceCompareTo(right.Body.Span);
        }

        return order >= 0 ? left : right;
    }

    public byte[] Encode()
    {
        var writer = new ByteWriter(Body.Length + 256);
        writer.WriteByte(Version);
        writer.WriteNumber((ulong)Key.Kind);
        writer.WriteText(Key.Key);
        writer.WriteText(Owner);
        writer.WriteByte(Target is null ? (byte)0 : (byte)1);
        if (Target is not null)
        {
            writer.WriteText(Target);
        }

        writer.WriteByte(Live ? (byte)1 : (byte)0);
        writer.WriteStamp(Stamp);
        writer.WriteBytes(Body.Span);
        return writer.ToArray();
    }

    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/></exception>
    public static EntryState Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var key = new EntryKey((MutationKind)reader.ReadTag(), reader.ReadText());
        var owner = reader.ReadText();
        var target = reader.ReadByte() == 0 ? null : reader.ReadText();
        var live = reader.ReadByte() != 0;
        return new(key, owner, target, live, reader.ReadStamp(), reader.ReadRest());
    }
}
