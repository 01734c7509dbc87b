using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills.Steps;

/// <summary>
/// Puts accesses that a row counts in its column alone under the shared counter <c>legacy</c>. Every replica that holds the row writes
/// the same counter, and counters join by maximum, so the sum that readers see stays.
/// </summary>
public sealed class AccessSplitStep(IMemoryStore store) : MemoryStep(store, PendingKind.UnsplitAccess, "access-counters", 1)
{
    protected override ValueTask<Func<WriteSession, ValueTask<int>>> ApplyAsync(IReadOnlyList<MemoryRow> rows, List<RowFailure> failures, CancellationToken cancellation) =>
        new(async session =>
        {
            foreach (var row in rows)
            {
                await session.SplitAccessAsync(row.Own.Id);
            }

            return 0;
        });
}
