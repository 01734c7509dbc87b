using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Simulation.Disks;

/// <summary>Derives digests, counts and views anew from the replicated rows, and tells where the kept ones differ.</summary>
internal static class Verification
{
    public static StoreVerification Of(Tables tables)
    {
        var differences = new List<string>();
        var digests = new Dictionary<DigestKey, Digest>();
        var access = new Dictionary<string, AccessTotals>(StringComparer.Ordinal);
        foreach (var entry in tables.Entries.Values)
        {
            Add(DigestKey.Of(entry), MemoryCodec.Hash(entry.Encode()));
            if (entry.Key.Kind == MutationKind.Access)
            {
                var body = EntryBodies.Access(entry.Body);
                access[entry.Owner] = access.GetValueOrDefault(entry.Owner)
                    .Add(body.Count, !EntryBodies.IsLegacyCounter(entry.Key), body.LastAccessedAt is { } at ? new Timestamp(at) : null);
            }
        }

        foreach (var row in tables.Memories.Values)
        {
            var hash = MemoryCodec.Hash(row.Own);
            Add(DigestKey.Of(row.Own), hash);
            if (hash != row.Hash)
            {
                differences.Add($"{row.Own.Id}: the kept hash is not that of the row");
            }

            if (row.Access != access.GetValueOrDefault(row.Own.Id))
            {
                differences.Add($"{row.Own.Id}: access totals are not the sum of the counters");
            }

            if (tables.Tombstones.ContainsKey(row.Own.Id))
            {
                differences.Add($"{row.Own.Id}: both a memory and deleted");
            }
        }

        foreach (var group in tables.Memories.Values.GroupBy(static row => row.Own.Name.Value))
        {
            Verify([.. group], differences);
        }

        foreach (var key in tables.Digests.Keys.Union(digests.Keys))
        {
            if (tables.Digests.GetValueOrDefault(key) != digests.GetValueOrDefault(key))
            {
                differences.Add($"digest {key}: kept {tables.Digests.GetValueOrDefault(key)}, computed {digests.GetValueOrDefault(key)}");
            }
        }

        return new(digests, differences);

        void Add(DigestKey key, UInt128 hash) => digests[key] = digests.GetValueOrDefault(key).With(hash);
    }

    public static bool AreEqual(Memory left, Memory right) => left with { Tags = right.Tags } == right && left.Tags.SequenceEqual(right.Tags);

    private static void Verify(List<MemoryRow> group, List<string> differences)
    {
        var live = group.Where(static row => !MemoryView.IsArchived(row.Own, row.Access)).Select(static row => row.Own).ToList();
        var shown = live.Count == 0 ? null : MemoryView.ShownOf(live);
        foreach (var row in group)
        {
            var visibility = !live.Contains(row.Own) ? RowVisibility.Archived
                : row.Own.Id == shown!.Id ? RowVisibility.Shown
                : RowVisibility.Shadowed;
            var view = visibility == RowVisibility.Shown && live.Count > 1
                ? MemoryView.OfGroup(row.Own, live.Where(other => other.Id != row.Own.Id), row.Access)
                : MemoryView.Of(row.Own, row.Access);
            if (row.Visibility != visibility)
            {
                differences.Add($"{row.Own.Id}: is {row.Visibility}, should be {visibility}");
            }
            else if (!AreEqual(view, row.View))
            {
                differences.Add($"{row.Own.Id}: what is shown is not the view of its group");
            }
        }
    }
}
