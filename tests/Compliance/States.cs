using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Compliance;

/// <summary>
/// Random replicated states over few ids, names, logs and values, so that everything collides with everything. A stamp names its
/// value, as it does in the product: the same stamp never comes with two values.
/// </summary>
public sealed class States(Random random)
{
    private static readonly LogId[] Logs = [new("a", 1), new("a", 2), new("b", 7), new("c", ulong.MaxValue)];

    private readonly Dictionary<LogId, long> _sequences = [];

    /// <summary>A set of mutations of all kinds, gapless in each log.</summary>
    public IReadOnlyList<Mutation> Mutations(int count)
    {
        var mutations = new List<Mutation>(count);
        for (var index = 0; index < count; index++)
        {
            var stamp = NextStamp();
            var sequence = _sequences[stamp.Log] = _sequences.GetValueOrDefault(stamp.Log) + 1;
            var position = new LogPosition(stamp.Log, sequence);
            mutations.Add(random.Next(10) switch
            {
                < 6 => Of(position, stamp, State()),
                6 => Of(position, stamp, new Tombstone(Id(), Namespace(), stamp, new(stamp.Clock))),
                7 => Of(position, stamp, Link(stamp)),
                8 => Of(position, stamp, Access(stamp)),
                _ => Of(position, stamp, Other(stamp)),
            });
        }

        return mutations;
    }

    public MemoryState State() => State(Id());

    public MemoryState State(string id)
    {
        var archive = NextStamp();
        var state = new MemoryState
        {
            Id = id,
            Name = Stamped(stamp => new MemoryName(Pick(stamp, 2) == 0 ? "ns" : "ns/b", $"title {Pick(stamp, 3)}")),
            Body = Stamped(stamp => new MemoryBody($"content {stamp} é 日本", Pick(stamp, 2) == 0 ? [] : [$"t{stamp.Clock}", "x"], "api")),
            Metadata = Stamped(stamp => Metadata.Parse($$"""{"b":{{stamp.Clock}},"agent_id":"ai:{{stamp.Log.Node}}"}""")),
            Priority = Stamped(stamp => 1 + (int)Pick(stamp, 10)),
            Confidence = Stamped(stamp => Pick(stamp, 11) / 10.0),
            Tier = (Tier)random.Next(3),
            Expiry = Expiry(),
            Archive = random.Next(4) == 0 ? new(Pick(archive, 3) == 0 ? null : new(new(archive.Clock), Pick(archive, 2) == 0 ? ArchiveMark.Forgotten : ArchiveMark.Expired, Pick(archive, 2) == 0 ? null : new Timestamp(1000 + Pick(archive, 5))), archive) : null,
            CreatedAt = new(random.Next(1, 5)),
            UpdatedAt = new(random.Next(5, 9)),
            CreatedEpoch = random.Next(3) == 0 ? random.Next(3) : 0,
            Unknown = random.Next(4) == 0 ? [Unknown(MemoryCodec.FirstUnknownTag + random.Next(3))] : [],
        };
        return random.Next(4) == 0 ? state.Born(NextStamp()) : state;
    }

    public Stamp NextStamp() => new(random.Next(1, 40), Logs[random.Next(Logs.Length)]);

    public static Mutation Of(LogPosition position, Stamp stamp, MemoryState state) =>
        new(position, stamp, 0, MutationKind.Memory, state.Id, MemoryCodec.Encode(state));

    private static Mutation Of(LogPosition position, Stamp stamp, Tombstone tombstone) =>
        new(position, stamp, 0, MutationKind.MemoryDelete, tombstone.Id, MemoryCodec.Encode(tombstone));

    private static Mutation Of(LogPosition position, Stamp stamp, EntryState entry) =>
        new(position, stamp, 0, entry.Key.Kind, entry.Key.Key, entry.Encode());

    private static uint Pick(Stamp stamp, uint count) => (uint)((ulong)(stamp.Clock * 2654435761L) + stamp.Log.Incarnation + stamp.Log.Node[0]) % 1009 % count;

    private string Id() => $"id-{random.Next(6)}";

    private string Namespace() => random.Next(2) == 0 ? "ns" : "ns/b";

    private Stamped<T> Stamped<T>(Func<Stamp, T> value)
    {
        var stamp = NextStamp();
        return new(value(stamp), stamp);
    }

    /// <summary>The one group where a stamp has several values: a touch raises it.</summary>
    private Stamped<Timestamp?> Expiry() => Stamped(_ => random.Next(3) == 0 ? (Timestamp?)null : new Timestamp(1000 + random.Next(5)));

    private UnknownField Unknown(int tag)
    {
        var stamp = NextStamp();
        return new(tag, stamp, new[] { (byte)stamp.Clock, (byte)tag });
    }

    private EntryState Link(Stamp stamp)
    {
        var (source, target) = (Id(), Id());
        return new(EntryBodies.LinkKey(source, "related_to", target), source, target, Pick(stamp, 3) > 0, stamp, EntryBodies.Encode(new LinkBody(stamp.Clock)));
    }

    private EntryState Access(Stamp stamp)
    {
        var id = Id();
        var key = random.Next(4) == 0 ? EntryBodies.LegacyAccessKey(id) : EntryBodies.AccessKey(id, stamp.Log);
        return new(key, id, null, Live: true, stamp, EntryBodies.Encode(new AccessBody(random.Next(20), random.Next(3) == 0 ? null : random.Next(100))));
    }

    private EntryState Other(Stamp stamp) =>
        new(new((MutationKind)(5 + random.Next(40)), $"key-{random.Next(3)}"), "owner", null, Live: true, stamp, new[] { (byte)'{', (byte)('0' + Pick(stamp, 10)), (byte)'}' });
}
