using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>For every kind of mutation: whatever the order, the batches and the repetitions, a set of them folds to one digest.</summary>
public sealed class KindMergeTests
{
    private const int Sets = 200;
    private const int Mutations = 14;
    private const int Orders = 5;

    /// <summary>Beside the kinds that there are, one that this code does not know.</summary>
    public static TheoryData<MutationKind> Kinds => [.. Enum.GetValues<MutationKind>(), (MutationKind)99];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Any_order_batching_and_repetition_gives_one_digest(MutationKind kind)
    {
        for (var seed = 0; seed < Sets; seed++)
        {
            var random = new Random(seed);
            var rows = Rows(kind, new States(random), random);
            var expected = new Fold().Take(rows).Digest();
            for (var order = 0; order < Orders; order++)
            {
                // Some rows twice, in another order; each batch joined on its own before it is joined with the rest, as a node passes on what it was sent.
                var shuffled = rows.Concat(rows.Where(_ => random.Next(3) == 0)).OrderBy(_ => random.Next()).ToList();
                var fold = new Fold();
                foreach (var batch in shuffled.Chunk(random.Next(1, 6)))
                {
                    fold.Take(random.Next(2) == 0 ? batch : new Fold().Take(batch).Rows());
                }

                Assert.True(fold.Digest() == expected, $"{kind}, seed {seed}, order {order}");
            }
        }
    }

    private static List<object> Rows(MutationKind kind, States states, Random random) => kind switch
    {
        MutationKind.Memory => [.. Enumerable.Range(0, Mutations).Select(_ => states.State($"id-{random.Next(3)}"))],

        // Deletes mean nothing without what they overrule.
        MutationKind.MemoryDelete =>
        [
            .. Enumerable.Range(0, Mutations).Select(_ => random.Next(2) == 0
                ? (object)states.State($"id-{random.Next(3)}")
                : new Tombstone($"id-{random.Next(3)}", $"ns{random.Next(2)}", states.NextStamp(), new(random.Next(5)))),
        ],
        _ => [.. Enumerable.Range(0, Mutations).Select(_ => Entry(kind, states.NextStamp(), random))],
    };

    /// <summary>A stamp names its value.</summary>
    private static EntryState Entry(MutationKind kind, Stamp stamp, Random random)
    {
        var value = (stamp.Clock * 31) + stamp.Log.Node[0] + (long)(stamp.Log.Incarnation % 7);
        var id = $"id-{random.Next(2)}";
        return kind switch
        {
            MutationKind.Access => new(EntryBodies.AccessKey(id, stamp.Log), id, null, Live: true, stamp, EntryBodies.Encode(new AccessBody(random.Next(50), random.Next(3) == 0 ? null : random.Next(9)))),
            MutationKind.Link => new(EntryBodies.LinkKey(id, "related_to", "to"), id, "to", value % 2 == 0, stamp, EntryBodies.Encode(new LinkBody(value))),
            MutationKind.Grant => new(EntryBodies.GrantKey(id, "bob"), id, "bob", value % 2 == 0, stamp, EntryBodies.Encode(new GrantBody(value % 3 == 0 ? "read" : "write", "alice", value), EntryJson.Default.GrantBody)),
            _ => new(new(kind, id), $"owner-{id}", null, value % 3 != 0, stamp, System.Text.Encoding.UTF8.GetBytes($$"""{"value":{{value}}}""")),
        };
    }

    /// <summary>What a store holds: each key joined.</summary>
    private sealed class Fold
    {
        private readonly Dictionary<string, MemoryState> _memories = new(StringComparer.Ordinal);
        private readonly Dictionary<string, Tombstone> _tombstones = new(StringComparer.Ordinal);
        private readonly Dictionary<EntryKey, EntryState> _entries = [];

        public Fold Take(IEnumerable<object> rows)
        {
            foreach (var row in rows)
            {
                switch (row)
                {
                    case MemoryState state when _tombstones.TryGetValue(state.Id, out var tombstone):
                        _tombstones[state.Id] = MemoryMerge.Merge(tombstone, state);
                        break;
                    case MemoryState state:
                        _memories[state.Id] = _memories.TryGetValue(state.Id, out var held) ? MemoryMerge.Merge(held, state) : state;
                        break;
                    case Tombstone tombstone:
                        var joined = _tombstones.TryGetValue(tombstone.Id, out var known) ? MemoryMerge.Merge(known, tombstone) : tombstone;
                        _tombstones[tombstone.Id] = _memories.Remove(tombstone.Id, out var overruled) ? MemoryMerge.Merge(joined, overruled) : joined;
                        break;
                    case EntryState entry:
                        _entries[entry.Key] = _entries.TryGetValue(entry.Key, out var before) ? EntryState.Merge(before, entry) : entry;
                        break;
                    default:
                        break;
                }
            }

            return this;
        }

        public IEnumerable<object> Rows() => [.. _memories.Values, .. _tombstones.Values, .. _entries.Values];

        public Digest Digest() => Rows().Select(static row => row switch
        {
            MemoryState state => MemoryCodec.Hash(state),
            Tombstone tombstone => MemoryCodec.Hash(MemoryCodec.Encode(tombstone)),
            _ => MemoryCodec.Hash(((EntryState)row).Encode()),
        }).Aggregate(default(Digest), static (digest, hash) => digest.With(hash));
    }
}
