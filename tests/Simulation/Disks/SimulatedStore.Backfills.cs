using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Simulation.Disks;

public sealed partial class SimulatedStore
{
    public ValueTask<IReadOnlyList<BackfillRecord>> ReadBackfillsAsync(CancellationToken cancellation = default) =>
        Read<IReadOnlyList<BackfillRecord>>(static tables => [.. tables.Backfills.Values.OrderBy(static record => record.Step, StringComparer.Ordinal).ThenBy(static record => record.Version)]);

    public ValueTask<IReadOnlyList<QuarantinedRow>> ReadQuarantineAsync(int limit, CancellationToken cancellation = default) =>
        Read<IReadOnlyList<QuarantinedRow>>(tables => [.. tables.Quarantine.OrderBy(static pair => pair.Key).Take(limit).Select(static pair => pair.Value)]);

    public ValueTask<PendingRows> FindPendingAsync(PendingScan scan, CancellationToken cancellation = default) => Read(tables =>
    {
        var pending = Pending(tables, scan);
        var old = pending.Where(row => row.Row <= scan.AfterRow && scan.Kind == PendingKind.Derived && tables.MarkerOf(row.Row, scan.Step) == "").Take(scan.Limit).ToList();
        if (old.Count > 0)
        {
            return new([.. old.Select(static row => new BackfillRow(row.Own.Id, row))], scan.AfterRow, IsLast: false);
        }

        var rows = pending.Where(row => row.Row > scan.AfterRow).Take(scan.Limit).ToList();
        var isLast = rows.Count < scan.Limit;
        var through = isLast ? tables.Memories.Values.Select(static row => row.Row).DefaultIfEmpty().Max() : rows[^1].Row;
        return new PendingRows([.. rows.Select(static row => new BackfillRow(row.Own.Id, row))], Math.Max(through, scan.AfterRow), isLast);
    });

    public ValueTask<IReadOnlyList<DerivedValue>> ReadDerivedAsync(string step, string marker, long afterRow, int limit, CancellationToken cancellation = default) =>
        Read(tables => (IReadOnlyList<DerivedValue>)[.. tables.Derived
            .Where(row => row.Key > afterRow && row.Value.TryGetValue(step, out var value) && value.Marker == marker)
            .OrderBy(static row => row.Key).Take(limit).Select(row => row.Value[step])]);

    public ValueTask<long> CountPendingAsync(PendingScan scan, CancellationToken cancellation = default) => Read(tables => Pending(tables, scan).LongCount(row => row.Row > scan.AfterRow));

    private static IEnumerable<MemoryRow> Pending(Tables tables, PendingScan scan) => tables.Memories.Values
        .Where(row => row.Visibility == RowVisibility.Shown && !tables.Quarantine.ContainsKey((scan.Step, scan.Version, row.Own.Id)) && scan.Kind switch
        {
            PendingKind.Derived => tables.MarkerOf(row.Row, scan.Step) != scan.Marker,
            PendingKind.UnsplitAccess => row.Access.Count > row.Access.Touches && !tables.Entries.ContainsKey(EntryBodies.LegacyAccessKey(row.Own.Id)),
            _ => false,
        })
        .OrderBy(static row => row.Row);
}
