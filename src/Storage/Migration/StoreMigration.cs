using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Backup;

namespace OrleansMemory.Storage.Migration;

/// <summary>
/// Brings rows from a source into a store: each is joined with what the target holds, as replication does it. So a second run
/// writes nothing, a run that was killed goes on where it was, and what is newer in the target stays. Afterwards both sides are read
/// once more, and every row of the source must be in the target.
/// </summary>
public sealed class StoreMigration(IRowSource source, MemoryNode target, MigrationOptions options, TimeProvider time)
{
    private const int ReportedErrors = 100;

    /// <summary>Guards the errors: the source reports while rows are written.</summary>
    private readonly Lock _gate = new();
    private readonly List<string> _errors = [];
    private long _unreported;

    /// <exception cref="MemoryException">A store failed; what was written stays, and another run goes on.</exception>
    public async Task<MigrationReport> RunAsync(Action<MigrationProgress>? progress = null)
    {
        var started = time.GetTimestamp();
        var total = progress is null ? 0 : await source.CountAsync();
        long batches = 0, rowsRead = 0, rowsWritten = 0, memoriesRead = 0, memoriesWritten = 0;
        var written = Task.CompletedTask;
        try
        {
            await foreach (var batch in ReadAsync(Report))
            {
                var lacking = await LackingAsync(batch);
                batches++;
                rowsRead += batch.Count;
                memoriesRead += batch.LongCount(IsMemory);
                rowsWritten += lacking.Count;
                memoriesWritten += lacking.LongCount(IsMemory);

                // Batches share no key: what the next one lacks is found while this one is written.
                await written;
                written = options.DryRun || lacking.Count == 0 ? Task.CompletedTask : WriteAsync(lacking);
                progress?.Invoke(new("copy", rowsRead, total));
            }
        }
        finally
        {
            await written;
        }

        var counts = new SortedDictionary<string, KindCount>(StringComparer.Ordinal);
        var (sourceDigest, targetDigest) = (default(Digest), default(Digest));
        long checkedRows = 0;
        await foreach (var batch in ReadAsync(static _ => { }))
        {
            var held = await HeldAsync(batch);
            foreach (var row in batch)
            {
                var present = held.GetValueOrDefault(KeyOf(row));
                var count = counts.GetValueOrDefault(KindOf(row)) ?? new(0, 0, 0);
                var missing = Adds(row, present);
                counts[KindOf(row)] = new(count.Source + 1, count.Target + (present is null ? 0 : 1), count.Missing + (missing ? 1 : 0));
                sourceDigest = sourceDigest.With(MemoryCodec.Hash(row.Body.Span));
                targetDigest = present is null ? targetDigest : targetDigest.With(MemoryCodec.Hash(present.Body.Span));
            }

            checkedRows += batch.Count;
            progress?.Invoke(new("check", checkedRows, rowsRead));
        }

        if (!options.DryRun && counts.Values.Sum(static count => count.Missing) is > 0 and var lost)
        {
            Report($"{lost} rows of the source are not in the target");
        }

        if (_unreported > 0)
        {
            _errors.Add($"and {_unreported} more");
        }

        return new()
        {
            From = source.Description,
            To = target.Store.Description,
            DryRun = options.DryRun,
            Batches = batches,
            MemoriesRead = memoriesRead,
            MemoriesWritten = options.DryRun ? 0 : memoriesWritten,
            RowsRead = rowsRead,
            RowsWritten = options.DryRun ? 0 : rowsWritten,
            Counts = counts,
            SourceDigest = sourceDigest,
            TargetDigest = targetDigest,
            LeftBehind = source.LeftBehind,
            Errors = _errors,
            Elapsed = time.GetElapsedTime(started),
        };
    }

    private async Task WriteAsync(IReadOnlyList<ReplicatedRow> rows)
    {
        if (await target.Replica.JoinAsync(rows) is var joined && joined < rows.Count)
        {
            Report($"{rows.Count - joined} of {rows.Count} rows were refused: stamped in the future, or not of a form that this version reads; the first of them is {rows[0].Key.Key} or comes after it");
        }
    }

    private void Report(string error)
    {
        lock (_gate)
        {
            if (_errors.Count < ReportedErrors)
            {
                _errors.Add(error);
            }
            else
            {
                _unreported++;
            }
        }
    }

    private static bool IsMemory(ReplicatedRow row) => row.Key.Kind == MutationKind.Memory;

    /// <summary>The next batch is read while this one is written.</summary>
    private async IAsyncEnumerable<IReadOnlyList<ReplicatedRow>> ReadAsync(Action<string> report)
    {
        await using var batches = source.ReadAsync(options.Batch, report).GetAsyncEnumerator();
        var next = batches.MoveNextAsync();
        while (await next)
        {
            var batch = options.Namespace is { } wanted ? await OfNamespaceAsync(batches.Current, wanted) : batches.Current;
            next = batches.MoveNextAsync();
            yield return batch;
        }
    }

    /// <summary>Rows that would change the target.</summary>
    private async Task<IReadOnlyList<ReplicatedRow>> LackingAsync(IReadOnlyList<ReplicatedRow> batch)
    {
        var held = await HeldAsync(batch);
        return [.. batch.Where(row => Adds(row, held.GetValueOrDefault(KeyOf(row))))];
    }

    private async Task<Dictionary<RowKey, ReplicatedRow>> HeldAsync(IReadOnlyList<ReplicatedRow> batch) =>
        (await target.Store.ReadRowsAsync([.. batch.Select(static row => row.Key)])).ToDictionary(KeyOf);

    /// <summary>A memory and its tombstone have one key: an id is either.</summary>
    private static RowKey KeyOf(ReplicatedRow row) => row.Key.Kind == MutationKind.MemoryDelete ? new(MutationKind.Memory, row.Key.Key) : row.Key;

    private static string KindOf(ReplicatedRow row) => IsMemory(row) && MemoryCodec.Decode(row.Body).Archive is { Value: not null }
        ? RowKinds.NameOf(RowVisibility.Archived)
        : RowKinds.NameOf(row.Key.Kind);

    /// <summary>Whether the join of both differs from what is held.</summary>
    private static bool Adds(ReplicatedRow row, ReplicatedRow? held)
    {
        if (held is null)
        {
            return true;
        }

        if (row.Body.Span.SequenceEqual(held.Body.Span) && row.Key.Kind == held.Key.Kind)
        {
            return false;
        }

        ReadOnlySpan<byte> joined;
        switch (row.Key.Kind, held.Key.Kind)
        {
            case (MutationKind.Memory, MutationKind.MemoryDelete):
                return false;
            case (MutationKind.MemoryDelete, MutationKind.Memory):
                return true;
            case (MutationKind.Memory, _):
                joined = MemoryCodec.Encode(MemoryMerge.Merge(MemoryCodec.Decode(held.Body), MemoryCodec.Decode(row.Body)));
                break;
            case (MutationKind.MemoryDelete, _):
                joined = MemoryCodec.Encode(MemoryMerge.Merge(MemoryCodec.DecodeTombstone(held.Body), MemoryCodec.DecodeTombstone(row.Body)));
                break;
            default:
                joined = EntryState.Merge(EntryState.Decode(held.Body), EntryState.Decode(row.Body)).Encode();
                break;
        }

        return !joined.SequenceEqual(held.Body.Span);
    }

    /// <summary>Rows that belong to a namespace: its memories and what hangs on them, its standard, its policy, its pending actions.</summary>
    private async Task<IReadOnlyList<ReplicatedRow>> OfNamespaceAsync(IReadOnlyList<ReplicatedRow> batch, string wanted)
    {
        var entries = batch.Where(static row => row.Key.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete)).ToDictionary(static row => row, static row => EntryState.Decode(row.Body));
        var owners = entries.Values.Where(static entry => HangsOnMemory(entry.Key.Kind)).SelectMany(static entry => (string?[])[entry.Owner, entry.Target]).OfType<string>().ToHashSet(StringComparer.Ordinal);
        var namespaces = owners.Count == 0 ? new Dictionary<string, string>() : await source.FindNamespacesAsync(owners);
        return [.. batch.Where(row => row.Key.Kind switch
        {
            MutationKind.Memory => MemoryCodec.Decode(row.Body).Name.Value.Namespace == wanted,
            MutationKind.MemoryDelete => MemoryCodec.DecodeTombstone(row.Body).Namespace == wanted,
            MutationKind.Standard or MutationKind.Policy or MutationKind.PendingAction => entries[row].Owner == wanted,
            var kind when HangsOnMemory(kind) => namespaces.GetValueOrDefault(entries[row].Owner) == wanted
                && (kind == MutationKind.Grant || entries[row].Target is not { } target || namespaces.GetValueOrDefault(target) == wanted),
            _ => false,
        })];
    }

    private static bool HangsOnMemory(MutationKind kind) => kind is MutationKind.Link or MutationKind.Access or MutationKind.IdempotencyReceipt or MutationKind.Grant;
}
