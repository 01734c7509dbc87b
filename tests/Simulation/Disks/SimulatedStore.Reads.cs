using System.Globalization;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Simulation.Disks;

public sealed partial class SimulatedStore
{
    public ValueTask<StoreHead> ReadHeadAsync() => Read(static tables => new StoreHead(tables.Vector.GetValueOrDefault(tables.LogId)?.Through ?? 0, tables.Clock));

    public ValueTask<MemoryRow?> FindAsync(string id, CancellationToken cancellation = default) => Read(tables => tables.Memories.GetValueOrDefault(id));

    public ValueTask<MemoryRow?> FindShownAsync(MemoryName name, CancellationToken cancellation = default) => Read(tables =>
        tables.Names.TryGetValue(name, out var ids) ? ids.Select(id => tables.Memories[id]).FirstOrDefault(static row => row.Visibility == RowVisibility.Shown) : null);

    public ValueTask<IReadOnlyList<string>> FindIdsAsync(string prefix, int limit, CancellationToken cancellation = default) => Read<IReadOnlyList<string>>(tables =>
        [.. tables.Memories.Values.Where(row => row.Visibility != RowVisibility.Archived && row.Own.Id.StartsWith(prefix, StringComparison.Ordinal))
            .Select(static row => row.Own.Id).Order(StringComparer.Ordinal).Take(limit)]);

    public ValueTask<IReadOnlyList<Memory>> ListAsync(ListScan scan, CancellationToken cancellation = default) => Read<IReadOnlyList<Memory>>(tables =>
    {
        var rows = Live(tables, scan.Filter, scan.Now).Where(memory => scan.Seen is null || scan.Seen.Shows(memory))
            .OrderByDescending(static memory => memory.Priority).ThenByDescending(static memory => memory.UpdatedAt).ThenBy(static memory => memory.Id, StringComparer.Ordinal);
        var rest = scan.After is not { } after
            ? rows
            : rows.SkipWhile(memory => memory.Priority > after.Priority || (memory.Priority == after.Priority
                && (memory.UpdatedAt > after.UpdatedAt || (memory.UpdatedAt == after.UpdatedAt && string.CompareOrdinal(memory.Id, after.Id) <= 0))));
        return [.. rest.Skip((int)scan.Offset).Take(scan.Limit)];
    });

    public ValueTask<IReadOnlyList<EntryState>> ListEntriesAsync(EntryScan scan, CancellationToken cancellation = default) => Read<IReadOnlyList<EntryState>>(tables =>
    {
        var rows = tables.Entries.Values.Where(entry => entry.Key.Kind == scan.Kind && entry.Live);
        if (scan.Owner is null)
        {
            return [.. rows.Where(entry => string.CompareOrdinal(entry.Key.Key, scan.After?.Key ?? "") > 0).OrderBy(static entry => entry.Key.Key, StringComparer.Ordinal).Take(scan.Limit)];
        }

        return [.. rows.Where(entry => (scan.ByTarget ? entry.Target : entry.Owner) == scan.Owner)
            .Where(entry => scan.After is not { } after || entry.Stamp.Clock > after.Clock
                || (entry.Stamp.Clock == after.Clock && string.CompareOrdinal(entry.Key.Key, after.Key) > 0))
            .OrderBy(static entry => entry.Stamp.Clock).ThenBy(static entry => entry.Key.Key, StringComparer.Ordinal).Take(scan.Limit)];
    });

    public ValueTask<IReadOnlyList<string>> FindExpiredAsync(Timestamp now, int limit, CancellationToken cancellation = default) => Read<IReadOnlyList<string>>(tables =>
        [.. Shown(tables).Where(memory => memory.IsExpired(now)).OrderBy(static memory => memory.ExpiresAt!.Value).ThenBy(static memory => memory.Id, StringComparer.Ordinal)
            .Select(static memory => memory.Id).Take(limit)]);

    public ValueTask<IReadOnlyList<string>> FindIdsAsync(MemoryFilter filter, Timestamp now, string afterId, int limit, CancellationToken cancellation = default) =>
        Read<IReadOnlyList<string>>(tables => [.. Live(tables, filter, now).Select(static memory => memory.Id)
            .Where(id => string.CompareOrdinal(id, afterId) > 0).Order(StringComparer.Ordinal).Take(limit)]);

    public ValueTask<IReadOnlyList<Memory>> ExportAsync(Timestamp now, (Timestamp CreatedAt, string Id)? after, int limit, CancellationToken cancellation = default) =>
        Read<IReadOnlyList<Memory>>(tables => [.. Live(tables, new(), now)
            .Where(memory => after is not { } key || memory.CreatedAt > key.CreatedAt || (memory.CreatedAt == key.CreatedAt && string.CompareOrdinal(memory.Id, key.Id) > 0))
            .OrderBy(static memory => memory.CreatedAt).ThenBy(static memory => memory.Id, StringComparer.Ordinal).Take(limit)]);

    public ValueTask<IReadOnlyList<Memory>> ListChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default) => Read<IReadOnlyList<Memory>>(tables =>
        [.. Shown(tables)
            .Where(memory => memory.UpdatedAt > after.UpdatedAt || (memory.UpdatedAt == after.UpdatedAt && after.Id is { } id && string.CompareOrdinal(memory.Id, id) > 0))
            .OrderBy(static memory => memory.UpdatedAt).ThenBy(static memory => memory.Id, StringComparer.Ordinal).Take(limit)]);

    public ValueTask<IReadOnlyList<MemoryRow>> ListArchivedAsync(ArchiveScan scan, CancellationToken cancellation = default) => Read<IReadOnlyList<MemoryRow>>(tables =>
        [.. tables.Memories.Values.Where(row => row.Visibility == RowVisibility.Archived && (scan.Namespace is null || row.View.Namespace == scan.Namespace))
            .Where(row => scan.After is not { } after || ArchivedAt(row) < after.ArchivedAt || (ArchivedAt(row) == after.ArchivedAt && string.CompareOrdinal(row.Own.Id, after.Id) > 0))
            .OrderByDescending(ArchivedAt).ThenBy(static row => row.Own.Id, StringComparer.Ordinal).Take(scan.Limit)]);

    private static Timestamp ArchivedAt(MemoryRow row) => row.Own.Archive!.Value.Value!.At;

    public ValueTask<StoreStatistics> ReadStatisticsAsync(Timestamp now, CancellationToken cancellation = default) => Read(tables =>
    {
        var shown = Shown(tables).ToList();
        return new StoreStatistics(
            shown.Count,
            [.. shown.CountBy(static memory => memory.Tier).OrderByDescending(static tier => tier.Value).ThenBy(static tier => tier.Key).Select(static tier => new TierCount(tier.Key, tier.Value))],
            Count(shown),
            shown.LongCount(memory => !memory.IsExpired(now) && memory.IsExpired(now.AddSeconds(3600))),
            tables.Entries.Values.LongCount(static entry => entry.Key.Kind == MutationKind.Link && entry.Live),
            DatabaseSizeBytes: 0);
    });

    public ValueTask<IReadOnlyList<NamespaceCount>> ReadNamespacesAsync(Timestamp now, CancellationToken cancellation = default) => Read(tables => Count(Live(tables, new(), now)));

    public ValueTask<IReadOnlyDictionary<DigestKey, Digest>> ReadDigestsAsync(CancellationToken cancellation = default) =>
        Read(static tables => tables.DigestsOfRows);

    public ValueTask<StoreVerification> VerifyAsync(CancellationToken cancellation = default) => Read(static tables => Verification.Of(tables));

    public ValueTask<IReadOnlyList<Mutation>> ReadLogAsync(long afterSequence, int rows, int bytes, CancellationToken cancellation = default) => Read<IReadOnlyList<Mutation>>(tables =>
    {
        var mutations = new List<Mutation>();
        var size = 0;
        var first = tables.Log.Count == 0 ? 0 : (int)Math.Max(0, afterSequence + 1 - tables.Log[0].Sequence);
        for (var next = first; next < tables.Log.Count && mutations.Count < rows; next++)
        {
            var row = tables.Log[next];
            var present = Present(tables, new(row.Kind, row.Key)) ?? throw new MemoryException(ErrorKind.StoreFailed, $"log row {row.Sequence} names a row that is not there");
            size += present.Body.Length;
            if (mutations.Count > 0 && size > bytes)
            {
                break;
            }

            mutations.Add(new(new(tables.LogId, row.Sequence), new(row.Clock, tables.LogId), row.Epoch, present.Key.Kind, row.Key, present.Body, row.IdempotencyKey));
        }

        return mutations;
    });

    public ValueTask<DigestSnapshot> ReadDigestSnapshotAsync(long floor = 0, CancellationToken cancellation = default) => Read(tables =>
        new DigestSnapshot(tables.ReadDigests(floor), tables.ReadVector));

    public ValueTask<IReadOnlyList<Tombstone>> ReadTombstonesAsync(long floor, Timestamp before, int limit, CancellationToken cancellation = default) =>
        Read<IReadOnlyList<Tombstone>>(tables => [.. tables.Tombstones.Values.Where(tombstone => tombstone.Stamp.Clock < floor)
            .OrderBy(static tombstone => tombstone.Stamp.Clock).ThenBy(static tombstone => tombstone.Id, StringComparer.Ordinal).Take(limit)
            .Where(tombstone => tombstone.DeletedAt < before)]);

    public ValueTask<Floors> ReadFloorsAsync(CancellationToken cancellation = default) => Read(static tables => tables.Floors);

    /// <summary>One table after the other, each in the order of its key; the place is the table's letter and the last key.</summary>
    public ValueTask<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey>? buckets, string? after, int limit, CancellationToken cancellation = default) => Read(tables =>
    {
        var wanted = buckets?.ToHashSet();
        var place = after ?? "m0";
        switch (place[0])
        {
            case 'm':
                var number = long.Parse(place.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture);
                var memories = tables.Memories.Values.Where(row => row.Row > number).OrderBy(static row => row.Row).Take(limit).ToList();
                return new RowHashPage(
                    [.. memories.Where(row => IsWanted(DigestKey.Of(row.Own))).Select(static row => (new RowKey(MutationKind.Memory, row.Own.Id), row.Hash))],
                    memories.Count == limit ? string.Create(CultureInfo.InvariantCulture, $"m{memories[^1].Row}") : "t");
            case 't':
                var id = place[1..];
                var tombstones = tables.Tombstones.Values.Where(tombstone => string.CompareOrdinal(tombstone.Id, id) > 0)
                    .OrderBy(static tombstone => tombstone.Id, StringComparer.Ordinal).Take(limit).ToList();
                return new(
                    [.. tombstones.Where(_ => IsWanted(DigestKey.Tombstones))
                        .Select(static tombstone => (new RowKey(MutationKind.MemoryDelete, tombstone.Id), MemoryCodec.Hash(MemoryCodec.Encode(tombstone))))],
                    tombstones.Count == limit ? $"t{tombstones[^1].Id}" : "e0/");
            default:
                var end = place.IndexOf('/', StringComparison.Ordinal);
                var kind = int.Parse(place.AsSpan(1, end - 1), NumberStyles.None, CultureInfo.InvariantCulture);
                var key = place[(end + 1)..];
                var entries = tables.Entries.Values
                    .Where(entry => (int)entry.Key.Kind > kind || ((int)entry.Key.Kind == kind && string.CompareOrdinal(entry.Key.Key, key) > 0))
                    .OrderBy(static entry => entry.Key.Kind).ThenBy(static entry => entry.Key.Key, StringComparer.Ordinal).Take(limit).ToList();
                return new(
                    [.. entries.Where(entry => IsWanted(DigestKey.Of(entry))).Select(static entry => (new RowKey(entry.Key.Kind, entry.Key.Key), MemoryCodec.Hash(entry.Encode())))],
                    entries.Count == limit ? string.Create(CultureInfo.InvariantCulture, $"e{(int)entries[^1].Key.Kind}/{entries[^1].Key.Key}") : null);
        }

        bool IsWanted(DigestKey bucket) => wanted?.Contains(bucket) != false;
    });

    public ValueTask<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation = default) =>
        Read<IReadOnlyList<ReplicatedRow>>(tables => [.. keys.Select(key => Present(tables, key)).OfType<ReplicatedRow>()]);

    public ValueTask<IReadOnlyDictionary<LogId, AppliedSet>> ReadVectorAsync(CancellationToken cancellation = default) =>
        Read(static tables => tables.ReadVector);

    public ValueTask<IReadOnlyList<DeadLetter>> ReadDeadLettersAsync(int limit, CancellationToken cancellation = default) =>
        Read<IReadOnlyList<DeadLetter>>(tables => [.. tables.DeadLetters.Values.OrderBy(static letter => letter.RefusedAt).Take(limit)]);

    public ValueTask<long> CountDeadLettersAsync(CancellationToken cancellation = default) => Read(static tables => (long)tables.DeadLetters.Count);

    public ValueTask<IReadOnlyList<LogPosition>> ReadHighestRefusedAsync(CancellationToken cancellation = default) =>
        Read<IReadOnlyList<LogPosition>>(static tables => [.. tables.DeadLetters.Keys.GroupBy(static row => row.Log).Select(static log => log.MaxBy(static row => row.Sequence))]);

    public StoreGauges ReadGauges() => new(0, 0, 0, IndexComplete: true);

    internal ValueTask<T> Read<T>(Func<Tables, T> read)
    {
        _disk.Faults?.BeforeRead();
        lock (_gate)
        {
            return new(read(Tables));
        }
    }

    internal static IEnumerable<Memory> Shown(Tables tables) =>
        tables.Memories.Values.Where(static row => row.Visibility == RowVisibility.Shown).Select(static row => row.View);

    private static IEnumerable<Memory> Live(Tables tables, MemoryFilter filter, Timestamp now) => Shown(tables).Where(memory =>
        !memory.IsExpired(now)
        && (filter.Namespace is null || memory.Namespace == filter.Namespace)
        && (filter.Tier is null || memory.Tier == filter.Tier)
        && !(memory.Priority < filter.MinPriority)
        && !(filter.Since is { } since && memory.CreatedAt < since)
        && !(filter.Until is { } until && memory.CreatedAt > until)
        && (filter.Tag is null || memory.Tags.Contains(filter.Tag))
        && (filter.AgentId is null || memory.Metadata.Text("agent_id") == filter.AgentId));

    private static IReadOnlyList<NamespaceCount> Count(IEnumerable<Memory> memories) => [.. memories.CountBy(static memory => memory.Namespace)
        .OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key, StringComparer.Ordinal).Select(static pair => new NamespaceCount(pair.Key, pair.Value))];

    private static ReplicatedRow? Present(Tables tables, RowKey key)
    {
        if (key.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete))
        {
            return tables.Entries.TryGetValue(new(key.Kind, key.Key), out var entry) ? new(key, entry.Encode()) : null;
        }

        if (tables.Memories.TryGetValue(key.Key, out var row))
        {
            return new(new(MutationKind.Memory, key.Key), MemoryCodec.Encode(row.Own));
        }

        return tables.Tombstones.TryGetValue(key.Key, out var tombstone) ? new(new(MutationKind.MemoryDelete, key.Key), MemoryCodec.Encode(tombstone)) : null;
    }
}
