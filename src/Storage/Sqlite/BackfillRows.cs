using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>A row of table <c>backfill</c> as a value and back.</summary>
internal static class BackfillRows
{
    /// <summary>What <see cref="Read"/> reads and <see cref="Bind"/> binds, in their order.</summary>
    public const string Columns = "step, version, state, marker, cursor, rows_done, rows_total, quarantined, attempts, next_attempt_at, last_error, "
        + "lease_owner, lease_epoch, lease_expires_at, started_at, updated_at, completed_at, code_version";

    public static BackfillRecord Read(SqliteStatement row) => new(row.Text(0), (int)row.Integer(1))
    {
        State = (BackfillState)row.Integer(2),
        Marker = row.Text(3),
        Cursor = row.Text(4),
        RowsDone = row.Integer(5),
        RowsTotal = row.Integer(6),
        Quarantined = row.Integer(7),
        Attempts = (int)row.Integer(8),
        NextAttemptAt = Instant(row, 9),
        LastError = row.TextOrNull(10),
        LeaseOwner = row.TextOrNull(11),
        LeaseEpoch = row.Integer(12),
        LeaseExpiresAt = Instant(row, 13),
        StartedAt = Instant(row, 14),
        UpdatedAt = new(row.Integer(15)),
        CompletedAt = Instant(row, 16),
        CodeVersion = row.Text(17),
    };

    public static SqliteStatement Bind(SqliteStatement statement, BackfillRecord record) => statement
        .Bind(1, record.Step)
        .Bind(2, record.Version)
        .Bind(3, (long)record.State)
        .Bind(4, record.Marker)
        .Bind(5, record.Cursor)
        .Bind(6, record.RowsDone)
        .Bind(7, record.RowsTotal)
        .Bind(8, record.Quarantined)
        .Bind(9, record.Attempts)
        .Bind(10, record.NextAttemptAt?.Nanoseconds)
        .Bind(11, record.LastError)
        .Bind(12, record.LeaseOwner)
        .Bind(13, record.LeaseEpoch)
        .Bind(14, record.LeaseExpiresAt?.Nanoseconds)
        .Bind(15, record.StartedAt?.Nanoseconds)
        .Bind(16, record.UpdatedAt.Nanoseconds)
        .Bind(17, record.CompletedAt?.Nanoseconds)
        .Bind(18, record.CodeVersion);

    private static Timestamp? Instant(SqliteStatement row, int column) => row.IntegerOrNull(column) is { } nanoseconds ? new Timestamp(nanoseconds) : null;
}
