using System.Globalization;
using OrleansMemory.Core.Backfills;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// How far derived values were kept with the rows that they are of: each commit of this program says so. When rows are there that the
/// last mark does not cover, an older program wrote to the store in between.
/// </summary>
/// <param name="Queued">The last change of a shown text, by its number in <c>index_queue</c>.</param>
/// <param name="LastRow">The highest row that was inserted.</param>
/// <param name="Versions">Of the derived values that are written with each row.</param>
internal readonly record struct DerivedMark(long Queued, long LastRow, string Versions)
{
    public static (DerivedMark? Kept, DerivedMark Present) Read(SqliteDatabase database)
    {
        var kept = database.QueryText($"select value from meta where key = '{SqliteSchema.DerivedThrough}'")?.Split(' ', 3);
        var present = new DerivedMark(
            database.QueryInteger("select seq from sqlite_sequence where name = 'index_queue'") ?? 0,
            database.QueryInteger("select max(row) from memory") ?? 0,
            DerivedColumns.Versions);
        return kept is [var queued, var row, var versions]
            ? (new(long.Parse(queued, CultureInfo.InvariantCulture), long.Parse(row, CultureInfo.InvariantCulture), versions), present)
            : (null, present);
    }

    public bool CoversRowsOf(DerivedMark present) => Queued == present.Queued && LastRow >= present.LastRow;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Queued} {LastRow} {Versions}");
}
