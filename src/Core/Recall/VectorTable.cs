using System.Numerics.Tensors;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// The vectors of a store's memories, in memory by row, of one model: 4 bytes a number. Filled from the store, then kept up by every commit: a
/// memory whose text changes has no vector until it is embedded again. Written by one thread at a time, read by any without a lock.
/// </summary>
internal sealed class VectorTable(IMemoryStore store, string marker, int dimension) : IVectorIndex
{
    private const int ChunkBits = 10;
    private const int ChunkRows = 1 << ChunkBits;
    private const int LoadedRows = 500;

    private readonly Lock _gate = new();

    /// <summary>Rows that changed since loading began: what is loaded of them is old. Null once everything is loaded.</summary>
    private HashSet<long>? _changed = [];
    private Task? _loaded;
    private volatile float[]?[]?[] _chunks = [];
    private long _count;

    public int Dimension => dimension;

    public ValueTask<long> CountAsync(CancellationToken cancellation) => new(Volatile.Read(ref _count));

    public Task LoadAsync()
    {
        lock (_gate)
        {
            return _loaded is null or { IsFaulted: true } or { IsCanceled: true } ? _loaded = ReadAsync() : _loaded;
        }
    }

    public void Apply(ChangeSet changes)
    {
        if (changes.Derived.Count == 0 && changes.Memories.Count == 0)
        {
            return;
        }

        lock (_gate)
        {
            foreach (var value in changes.Derived.Where(static value => value.Step == EmbeddingStep.StepName))
            {
                Put(value.Row, value.Marker == marker ? value.Value : null);
            }

            foreach (var change in changes.Memories)
            {
                if (change.Before is { Visibility: RowVisibility.Shown } before
                    && !(change.After is { Visibility: RowVisibility.Shown } after && DerivedColumns.HasSameText(before.View, after.View)))
                {
                    Put(before.Row, null);
                }
            }
        }
    }

    /// <summary>Whether a commit made a memory that has no vector of its text.</summary>
    public static bool NeedsVectors(ChangeSet changes) => changes.Memories.Any(static change => change.After is { Visibility: RowVisibility.Shown } after
        && !(change.Before is { Visibility: RowVisibility.Shown } before && DerivedColumns.HasSameText(before.View, after.View)));

    public ValueTask<IReadOnlyDictionary<long, double>> CosinesAsync(float[] unit, IReadOnlyList<long> rows, CancellationToken cancellation)
    {
        var chunks = _chunks;
        var cosines = new Dictionary<long, double>(rows.Count);
        foreach (var row in rows)
        {
            if (Find(chunks, row) is { } vector)
            {
                cosines[row] = TensorPrimitives.Dot(vector, unit);
            }
        }

        return new(cosines);
    }

    public ValueTask<IReadOnlyList<NearRow>> NearestAsync(VectorScan scan, CancellationToken cancellation)
    {
        var filter = new RowFilter(scan.Query, scan.Reader);
        return new(Nearest(scan.Unit, scan.Count, scan.Least, row => scan.Reader.TryGetInputs(row, out var inputs) && filter.Holds(row, inputs), cancellation));
    }

    /// <summary>Compares every row that <paramref name="holds"/>.</summary>
    internal List<NearRow> Nearest(float[] unit, int count, double least, Func<long, bool> holds, CancellationToken cancellation)
    {
        var best = new PriorityQueue<NearRow, (double Cosine, long Row)>(
            Comparer<(double Cosine, long Row)>.Create(static (left, right) => left.Cosine == right.Cosine ? right.Row.CompareTo(left.Row) : left.Cosine.CompareTo(right.Cosine)));
        var chunks = _chunks;
        for (var number = 0; number < chunks.Length; number++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (chunks[number] is not { } chunk)
            {
                continue;
            }

            for (var place = 0; place < chunk.Length; place++)
            {
                var row = ((long)number << ChunkBits) + place;
                if (Volatile.Read(ref chunk[place]) is not { } vector || !holds(row))
                {
                    continue;
                }

                double cosine = TensorPrimitives.Dot(vector, unit);
                if (!(cosine > least))
                {
                    continue;
                }

                if (best.Count < count)
                {
                    best.Enqueue(new(row, cosine), (cosine, row));
                }
                else
                {
                    best.EnqueueDequeue(new(row, cosine), (cosine, row));
                }
            }
        }

        var nearest = best.UnorderedItems.Select(static item => item.Element).ToList();
        nearest.Sort(static (left, right) => left.Cosine == right.Cosine ? left.Row.CompareTo(right.Row) : right.Cosine.CompareTo(left.Cosine));
        return nearest;
    }

    /// <summary>The vector at length 1; null when it has no direction.</summary>
    public static float[]? Unit(ReadOnlySpan<float> vector)
    {
        var length = TensorPrimitives.Norm(vector);
        if (!float.IsFinite(length) || length == 0)
        {
            return null;
        }

        var unit = new float[vector.Length];
        TensorPrimitives.Divide(vector, length, unit);
        return unit;
    }

    private async Task ReadAsync()
    {
        for (var after = 0L; ;)
        {
            var page = await store.ReadDerivedAsync(EmbeddingStep.StepName, marker, after, LoadedRows);
            lock (_gate)
            {
                foreach (var value in page)
                {
                    if (!_changed!.Contains(value.Row))
                    {
                        Set(value.Row, EmbeddingStep.UnitOf(value.Value, dimension));
                    }
                }

                if (page.Count < LoadedRows)
                {
                    _changed = null;
                    return;
                }
            }

            after = page[^1].Row;
        }
    }

    private void Put(long row, byte[]? value)
    {
        _changed?.Add(row);
        Set(row, value is null ? null : EmbeddingStep.UnitOf(value, dimension));
    }

    private void Set(long row, float[]? vector)
    {
        var number = checked((int)(row >> ChunkBits));
        if (number >= _chunks.Length || _chunks[number] is null)
        {
            if (vector is null)
            {
                return;
            }

            var chunks = _chunks;
            Array.Resize(ref chunks, Math.Max(number + 1, chunks.Length));
            chunks[number] ??= new float[]?[ChunkRows];
            _chunks = chunks;
        }

        // Never counted while it is not there.
        ref var held = ref _chunks[number]![row & (ChunkRows - 1)];
        if (held is not null && vector is null)
        {
            Volatile.Write(ref _count, _count - 1);
        }

        var isNew = held is null && vector is not null;
        Volatile.Write(ref held, vector);
        if (isNew)
        {
            Volatile.Write(ref _count, _count + 1);
        }
    }

    private static float[]? Find(float[]?[]?[] chunks, long row) =>
        row >> ChunkBits is var number && number < chunks.Length && chunks[number] is { } chunk ? Volatile.Read(ref chunk[row & (ChunkRows - 1)]) : null;
}
