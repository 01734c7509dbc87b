using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>Rows as a peer would send them, and its greeting.</summary>
internal static class Rows
{
    public static Mutation Put(string id, long sequence, long clock, string from = "b", string @namespace = "ns")
    {
        var stamp = new Stamp(clock, new(from, 1));
        var state = new MemoryState
        {
            Id = id,
            Name = new(new(@namespace, id), stamp),
            Body = new(new("content", [], "api"), stamp),
            Metadata = new(Metadata.Empty, stamp),
            Priority = new(5, stamp),
            Confidence = new(1, stamp),
            Tier = Tier.Mid,
            Expiry = new(null, stamp),
            CreatedAt = new(1),
            UpdatedAt = new(1),
        };
        return new(new(stamp.Log, sequence), stamp, 0, MutationKind.Memory, id, MemoryCodec.Encode(state), null);
    }

    /// <summary>What one of three nodes says of itself that holds nothing and knows of nothing.</summary>
    public static PeerHello Hello(LogId log, TimeProvider? time = null) => new(
        log,
        HeadSequence: 0,
        Clock: 0,
        time?.GetUtcNow().ToUnixTimeMilliseconds() ?? 0,
        Nodes: 3,
        QuorumWrites: 2,
        Members: [],
        Recovering: false,
        Readable: true,
        Floor: 0,
        CommonFloor: 0,
        new Dictionary<LogId, AppliedSet>(),
        new Dictionary<LogId, long>());

    /// <summary>The clock of a stamp that is drawn now, or so much later.</summary>
    public static long ClockAt(TimeProvider time, TimeSpan ahead = default) => (time.GetUtcNow() + ahead).ToUnixTimeMilliseconds() << Stamp.CounterBits;

    /// <summary>An entry as the writer of its log would ship it.</summary>
    public static Mutation Logged(long sequence, EntryState entry) =>
        new(new(entry.Stamp.Log, sequence), entry.Stamp, 0, entry.Key.Kind, entry.Key.Key, entry.Encode(), null);

    public static Mutation Delete(string id, long sequence, long clock, string from = "b")
    {
        var stamp = new Stamp(clock, new(from, 1));
        return new(new(stamp.Log, sequence), stamp, 0, MutationKind.MemoryDelete, id, MemoryCodec.Encode(new Tombstone(id, "ns", stamp, new(1))), null);
    }
}
