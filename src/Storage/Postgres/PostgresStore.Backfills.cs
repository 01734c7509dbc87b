using Npgsql;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Postgres;

public sealed partial class PostgresStore
{
    private const string BackfillColumns = "step, version, state, marker, cursor, rows_done, rows_total, quarantined, attempts, next_attempt_at, last_error, "
        + "lease_owner, lease_epoch, lease_expires_at, started_at, updated_at, completed_at, code_version";

    private const string NotQuarantined = $"not exists (select 1 from {Schema}.backfill_quarantine q where q.step = $1 and q.version = $2 and q.key = m.id)";

    public ValueTask<IReadOnlyList<BackfillRecord>> ReadBackfillsAsync(CancellationToken cancellation = default) =>
        ListAsync($"select {BackfillColumns} from {Schema}.backfill order by step, version", [], ReadBackfill, cancellation);

    public ValueTask<IReadOnlyList<QuarantinedRow>> ReadQuarantineAsync(int limit, CancellationToken cancellation = default) => ListAsync(
        $"select step, version, key, error, at from {Schema}.backfill_quarantine order by step, version, key limit $1",
        [(long)limit],
        static row => new QuarantinedRow(PostgresRows.Text(row, 0), row.GetInt32(1), PostgresRows.Text(row, 2), PostgresRows.Text(row, 3), new Timestamp(row.GetInt64(4))),
        cancellation);

    public ValueTask<PendingRows> FindPendingAsync(PendingScan scan, CancellationToken cancellation = default) => Snapshot(
        async (connection, token) =>
        {
            if (scan.Kind == PendingKind.Derived)
            {
                await using var aged = Command(
                    connection,
                    $"""
                    select {PostgresRows.RowColumns} from (select row as n from {Schema}.derived where step = $1 and marker = '' and row <= $3 order by row offset 0) d
                    cross join lateral (select * from {Schema}.memory x where x.row = d.n and x.state = 0 offset 0) m
                    where {NotQuarantined} order by d.n limit $4
                    """,
                    PostgresRows.Escaped(scan.Step), scan.Version, scan.AfterRow, (long)scan.Limit);
                var old = await AllAsync(aged, ReadPending, token);
                if (old.Count > 0)
                {
                    return new PendingRows([.. old.Select(static row => row.Row)], scan.AfterRow, IsLast: false);
                }
            }

            await using var command = Command(
                connection,
                $"select {PostgresRows.RowColumns} from {Schema}.memory m where m.row > $3 and {Pending(scan)} order by m.row limit $5",
                PostgresRows.Escaped(scan.Step), scan.Version, scan.AfterRow, PostgresRows.Escaped(scan.Marker), (long)scan.Limit);
            var rows = await AllAsync(command, ReadPending, token);
            var isLast = rows.Count < scan.Limit;
            await using var last = Command(connection, $"select coalesce(max(row), 0) from {Schema}.memory");
            var through = isLast ? await FirstAsync(last, static row => row.GetInt64(0), token) : rows[^1].Number;
            return new PendingRows([.. rows.Select(static row => row.Row)], Math.Max(through, scan.AfterRow), isLast);
        },
        cancellation);

    public ValueTask<IReadOnlyList<DerivedValue>> ReadDerivedAsync(string step, string marker, long afterRow, int limit, CancellationToken cancellation = default) => ListAsync(
        $"select row, value from {Schema}.derived where step = $1 and marker = $2 and row > $3 order by row limit $4",
        [PostgresRows.Escaped(step), PostgresRows.Escaped(marker), afterRow, (long)limit],
        row => new DerivedValue(row.GetInt64(0), step, marker, row.GetFieldValue<byte[]>(1)),
        cancellation);

    public ValueTask<long> CountPendingAsync(PendingScan scan, CancellationToken cancellation = default) => Read(
        async (connection, token) =>
        {
            await using var command = Command(
                connection,
                $"select count(*) from {Schema}.memory m where m.row > $3 and {Pending(scan)}",
                PostgresRows.Escaped(scan.Step), scan.Version, scan.AfterRow, PostgresRows.Escaped(scan.Marker));
            return await FirstAsync(command, static row => row.GetInt64(0), token);
        },
        cancellation);

    internal static async Task<BackfillRecord?> FindBackfillAsync(NpgsqlConnection connection, string step, int version)
    {
        await using var command = Command(connection, $"select {BackfillColumns} from {Schema}.backfill where step = $1 and version = $2", PostgresRows.Escaped(step), version);
        return await FirstAsync(command, ReadBackfill, CancellationToken.None);
    }

    private static string Pending(PendingScan scan) => "m.state = 0 and " + scan.Kind switch
    {
        PendingKind.Derived => $"not exists (select 1 from {Schema}.derived d where d.row = m.row and d.step = $1 and d.marker = $4)",
        PendingKind.UnsplitAccess =>
            $"m.access_count > m.touches and $4::text is not null and not exists (select 1 from {Schema}.entry e where e.kind = {(int)MutationKind.Access} and e.key = m.id || chr(10) || '{EntryBodies.LegacyCounter}')",
        _ => $"not exists (select 1 from {Schema}.memory_text t where t.row = m.row and t.version = $4::integer)",
    } + $" and {NotQuarantined}";

    /// <summary>A row that cannot be read is one to put aside, and no reason to stop.</summary>
    private static (BackfillRow Row, long Number) ReadPending(NpgsqlDataReader row)
    {
        var id = PostgresRows.Text(row, 0);
        var number = row.GetInt64(PostgresRows.ColumnCount);
        try
        {
            return (new(id, PostgresRows.ReadRow(row)), number);
        }
        catch (Exception exception) when (exception is not (NpgsqlException or IOException))
        {
            return (new(id, null, $"{exception.GetType().Name}: {exception.Message}"), number);
        }
    }

    private static BackfillRecord ReadBackfill(NpgsqlDataReader row) => new(PostgresRows.Text(row, 0), row.GetInt32(1))
    {
        State = (BackfillState)row.GetInt16(2),
        Marker = PostgresRows.Text(row, 3),
        Cursor = PostgresRows.Text(row, 4),
        RowsDone = row.GetInt64(5),
        RowsTotal = row.GetInt64(6),
        Quarantined = row.GetInt64(7),
        Attempts = row.GetInt32(8),
        NextAttemptAt = InstantOrNull(row, 9),
        LastError = PostgresRows.TextOrNull(row, 10),
        LeaseOwner = PostgresRows.TextOrNull(row, 11),
        LeaseEpoch = row.GetInt64(12),
        LeaseExpiresAt = InstantOrNull(row, 13),
        StartedAt = InstantOrNull(row, 14),
        UpdatedAt = new(row.GetInt64(15)),
        CompletedAt = InstantOrNull(row, 16),
        CodeVersion = PostgresRows.Text(row, 17),
    };

    private static Timestamp? InstantOrNull(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : new Timestamp(row.GetInt64(column));
}
