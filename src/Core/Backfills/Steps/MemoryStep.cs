using System.Globalization;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills.Steps;

/// <summary>A step over the shown memories of a store, in the order of their rows.</summary>
public abstract class MemoryStep(IMemoryStore store, PendingKind kind, string name, int version) : IBackfillStep
{
    public string Name => name;

    public int Version => version;

    public virtual string Marker => version.ToString(CultureInfo.InvariantCulture);

    public virtual IReadOnlyList<string> DependsOn => [];

    protected IMemoryStore Store => store;

    public async ValueTask<BackfillPage> PendingAsync(string cursor, int limit, CancellationToken cancellation = default)
    {
        var found = await store.FindPendingAsync(Scan(cursor.Length == 0 ? 0 : long.Parse(cursor, CultureInfo.InvariantCulture), limit), cancellation);
        return new(found.Rows, found.Through.ToString(CultureInfo.InvariantCulture), found.IsLast);
    }

    public async ValueTask<BackfillBatch> ApplyAsync(IReadOnlyList<BackfillRow> rows, CancellationToken cancellation = default)
    {
        var failures = new List<RowFailure>();
        var memories = new List<MemoryRow>(rows.Count);
        foreach (var row in rows)
        {
            if (row.Memory is { } memory)
            {
                memories.Add(memory);
            }
            else
            {
                failures.Add(new(row.Key, row.Error ?? "it cannot be read"));
            }
        }

        return new(await ApplyAsync(memories, failures, cancellation), failures);
    }

    public ValueTask<long> RemainingAsync(CancellationToken cancellation = default) => store.CountPendingAsync(Scan(0, int.MaxValue), cancellation);

    /// <inheritdoc cref="IBackfillStep.ApplyAsync"/>
    /// <param name="failures">Takes the rows that cannot be converted.</param>
    protected abstract ValueTask<Func<WriteSession, ValueTask<int>>> ApplyAsync(IReadOnlyList<MemoryRow> rows, List<RowFailure> failures, CancellationToken cancellation);

    private PendingScan Scan(long after, int limit) => new(kind, name, version, Marker, after, limit);
}
