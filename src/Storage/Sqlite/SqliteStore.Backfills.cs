using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Sqlite;

public sealed partial class SqliteStore
{
    private const string NotQuarantined = "not exists (select 1 from backfill_quarantine q where q.step = :step and q.version = :version and q.key = m.id)";

    public ValueTask<IReadOnlyList<BackfillRecord>> ReadBackfillsAsync(CancellationToken cancellation = default) => _readers.ReadAsync<IReadOnlyList<BackfillRecord>>(
        static reader => reader.Statement($"select {BackfillRows.Columns} from backfill order by step, version").All(BackfillRows.Read), cancellation);

    public ValueTask<IReadOnlyList<QuarantinedRow>> ReadQuarantineAsync(int limit, CancellationToken cancellation = default) => _readers.ReadAsync<IReadOnlyList<QuarantinedRow>>(
        reader => reader.Statement("select step, version, key, error, at from backfill_quarantine order by step, version, key limit ?1").Bind(1, limit)
            .All(static row => new QuarantinedRow(row.Text(0), (int)row.Integer(1), row.Text(2), row.Text(3), new Timestamp(row.Integer(4)))),
        cancellation);

    public ValueTask<PendingRows> FindPendingAsync(PendingScan scan, CancellationToken cancellation = default) => _readers.ReadAsync(
        reader =>
        {
            if (scan.Kind == PendingKind.Derived)
            {
                var old = Bind(
                    reader.Statement($"""
                        select {MemoryRows.RowColumns} from (select row as n from derived where step = :step and marker = '' and row <= :after) d join memory m on m.row = d.n
                        where m.state = 0 and {NotQuarantined} order by d.n limit :limit
                        """),
                    scan,
                    scan.AfterRow).Bind(":limit", scan.Limit).All(ReadPending);
                if (old.Count > 0)
                {
                    return new PendingRows([.. old.Select(static row => row.Row)], scan.AfterRow, IsLast: false);
                }
            }

            var rows = Bind(reader.Statement($"select {MemoryRows.RowColumns} from memory m not indexed where m.row > :after and {Pending(scan)} order by m.row limit :limit"), scan, After(scan))
                .Bind(":marker", scan.Marker).Bind(":limit", scan.Limit).All(ReadPending);
            var isLast = rows.Count < scan.Limit;
            var last = isLast ? Number(reader.Statement("select coalesce(max(row), 0) from memory")) : rows[^1].Number;
            return new PendingRows([.. rows.Select(static row => row.Row)], Math.Max(last, scan.AfterRow), isLast);
        },
        cancellation);

    public ValueTask<IReadOnlyList<DerivedValue>> ReadDerivedAsync(string step, string marker, long afterRow, int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<DerivedValue>>(
            reader => reader.Statement("select row, value from derived where row > ?1 and step = ?2 and marker = ?3 order by row limit ?4")
                .Bind(1, afterRow).Bind(2, step).Bind(3, marker).Bind(4, limit)
                .All(row => new DerivedValue(row.Integer(0), step, marker, row.Blob(1).ToArray())),
            cancellation);

    public ValueTask<long> CountPendingAsync(PendingScan scan, CancellationToken cancellation = default) => _readers.ReadAsync(
        reader => Number(Bind(
            reader.Statement($"select count(*) from memory m {(scan.Kind == PendingKind.Derived ? "indexed by memory_created" : "not indexed")} where m.row > :after and {Pending(scan)}"),
            scan,
            After(scan)).Bind(":marker", scan.Marker)),
        cancellation);

    /// <summary>What is cheap to tell comes first.</summary>
    private static string Pending(PendingScan scan) => "m.state = 0 and " + scan.Kind switch
    {
        PendingKind.Derived => "not exists (select 1 from derived d where d.row = m.row and d.step = :step and d.marker = :marker)",
        PendingKind.UnsplitAccess => $"m.access_count > m.touches and :marker = :marker and {HasNoSharedCounter}",
        _ => ":marker = :marker",
    } + $" and {NotQuarantined}";

    private static string HasNoSharedCounter { get; } =
        $"not exists (select 1 from entry e where e.kind = {(int)MutationKind.Access} and e.key = m.id || char(10) || '{EntryBodies.LegacyCounter}')";

    /// <summary>An index in its own file says itself how far it was built anew.</summary>
    private long After(PendingScan scan) => scan.Kind == PendingKind.Unindexed ? Math.Max(scan.AfterRow, _index.RebuiltThrough) : scan.AfterRow;

    private static SqliteStatement Bind(SqliteStatement statement, PendingScan scan, long after) =>
        statement.Bind(":step", scan.Step).Bind(":version", scan.Version).Bind(":after", after);

    /// <summary>A row that cannot be read is one to put aside, and no reason to stop.</summary>
    private static (BackfillRow Row, long Number) ReadPending(SqliteStatement row)
    {
        var number = row.Integer(MemoryRows.ColumnCount);
        try
        {
            return (new(row.Text(0), MemoryRows.ReadRow(row)), number);
        }
        catch (Exception exception) when (exception is not SqliteException)
        {
            return (new(row.Text(0), null, $"{exception.GetType().Name}: {exception.Message}"), number);
        }
    }
}
