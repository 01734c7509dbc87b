using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills.Steps;

/// <summary>Fills a derived column for the rows that lack it or have it in an old form.</summary>
public sealed class DerivedStep(IMemoryStore store, DerivedColumn column) : MemoryStep(store, PendingKind.Derived, column.Name, column.Version)
{
    private readonly bool _isWrittenWithRow = DerivedColumns.AtWrite.Contains(column);

    protected override ValueTask<Func<WriteSession, ValueTask<int>>> ApplyAsync(IReadOnlyList<MemoryRow> rows, List<RowFailure> failures, CancellationToken cancellation)
    {
        var values = new List<(MemoryRow Row, byte[] Value)>(rows.Count);
        foreach (var row in rows)
        {
            try
            {
                values.Add((row, column.Compute(row.View)));
            }
            catch (Exception exception)
            {
                // Pure code over one row: it will fail again.
                failures.Add(new(row.Own.Id, $"{exception.GetType().Name}: {exception.Message}"));
            }
        }

        return new(session => DerivedWrites.PutAsync(session, values, Name, Marker, _isWrittenWithRow));
    }
}

internal static class DerivedWrites
{
    /// <param name="isWrittenWithRow">Whoever changed a row since it was read has written its value: the store keeps that one.</param>
    /// <returns>How many values are of a text that has changed since.</returns>
    public static async ValueTask<int> PutAsync(
        WriteSession session, IReadOnlyList<(MemoryRow Row, byte[] Value)> values, string step, string marker, bool isWrittenWithRow)
    {
        var changed = 0;
        foreach (var (row, value) in values)
        {
            if (isWrittenWithRow)
            {
                session.PutDerived(new(row.Row, step, marker, value));
            }
            else if (await session.FindAsync(row.Own.Id) is { Visibility: RowVisibility.Shown } present)
            {
                // Of a text that is not the memory's any more: the look-up finds the row again.
                var isSame = DerivedColumns.HasSameText(present.View, row.View);
                changed += isSame ? 0 : 1;
                session.PutDerived(new(row.Row, step, isSame ? marker : "", value));
            }
        }

        return changed;
    }
}
