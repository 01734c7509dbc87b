using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills.Steps;

/// <summary>
/// Rebuilds the full-text index in the form of this version. An index in a file of its own rebuilds itself, with its own place in its
/// own transactions: there the step follows it. One that stands beside the rows is written by the step's batches.
/// </summary>
public sealed class TextIndexStep(IMemoryStore store) : MemoryStep(store, PendingKind.Unindexed, "text-index", CurrentVersion)
{
    /// <summary>Of the words and of how they are kept; rises when either changes.</summary>
    public const int CurrentVersion = 1;

    protected override async ValueTask<Func<WriteSession, ValueTask<int>>> ApplyAsync(IReadOnlyList<MemoryRow> rows, List<RowFailure> failures, CancellationToken cancellation)
    {
        if (!Store.Index.IsBesideRows)
        {
            await Store.Index.CoverAsync(rows.Count == 0 ? 0 : rows[^1].Row, cancellation);
            return static _ => new(0);
        }

        return async session =>
        {
            foreach (var row in rows)
            {
                // As it is now: the text may have changed since it was read.
                if (await session.FindAsync(row.Own.Id) is { Visibility: RowVisibility.Shown } present)
                {
                    session.Reindex(present);
                }
            }

            return 0;
        };
    }
}
