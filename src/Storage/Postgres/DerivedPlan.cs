using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Postgres;

/// <summary>What becomes of derived values as memories change: gone with rows that are not shown any more, old, or written anew.</summary>
internal sealed class DerivedPlan
{
    public List<long> Gone { get; } = [];

    public List<long> Old { get; } = [];

    public List<DerivedValue> Put { get; } = [];

    public void Add(long row, Memory? old, Memory? present)
    {
        if (present is null)
        {
            Gone.Add(row);
            return;
        }

        if (old is not null)
        {
            Old.Add(row);
        }

        foreach (var column in DerivedColumns.AtWrite)
        {
            Put.Add(new(row, column.Name, column.Marker, column.Compute(present)));
        }
    }
}
