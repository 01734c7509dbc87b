using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    private const long SecondsPerDay = 86_400;
    private const long MostDays = 1_000_000;

    public Task<IReadOnlyList<ArchivedMemory>> ArchivedAsync(ArchiveQuery query, CancellationToken cancellation = default) => ArchivedAsync(query, Visibility.Everything, cancellation);

    internal async Task<IReadOnlyList<ArchivedMemory>> ArchivedAsync(ArchiveQuery query, Visibility visibility, CancellationToken cancellation)
    {
        RequireLimit(query.Limit);
        if (query.Offset < 0)
        {
            throw new MemoryException(ErrorKind.InvalidLimit, "limit and offset cannot be negative");
        }

        var found = new List<ArchivedMemory>();
        var passed = 0L;
        await foreach (var row in ArchivedRowsAsync(query.Namespace is null ? null : MemoryRules.Namespace(query.Namespace), after: null, cancellation))
        {
            if (found.Count == query.Limit)
            {
                break;
            }

            if (visibility.Shows(row.View) && passed++ >= query.Offset)
            {
                var mark = row.Own.Archive!.Value.Value!;
                found.Add(new(row.View, mark.At, mark.Reason));
            }
        }

        return found;
    }

    public Task<ArchiveStatistics> ArchiveStatisticsAsync(CancellationToken cancellation = default) => ArchiveStatisticsAsync(Visibility.Everything, cancellation);

    internal async Task<ArchiveStatistics> ArchiveStatisticsAsync(Visibility visibility, CancellationToken cancellation)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        await foreach (var row in ArchivedRowsAsync(@namespace: null, after: null, cancellation))
        {
            if (visibility.Shows(row.View))
            {
                counts[row.View.Namespace] = counts.GetValueOrDefault(row.View.Namespace) + 1;
            }
        }

        return new(
            counts.Values.Sum(),
            [.. counts.OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key, StringComparer.Ordinal).Select(static pair => new NamespaceCount(pair.Key, pair.Value))]);
    }

    public async Task<WriteReceipt> RestoreAsync(string id, WriteContext context)
    {
        MemoryRules.Id(id);
        if (_directory is not null && await _store.FindAsync(id) is null)
        {
            await _replicas.ReadThroughAsync([new(MutationKind.Memory, id), new(MutationKind.MemoryDelete, id)]);
        }

        var row = await _store.FindAsync(id) ?? throw Archive.NotFound();
        var result = await Engine(row.View.Namespace).RunAsync(new RestoreCommand(id), context);
        return result.Memory! with { Quorum = result.Quorum, Durability = result.Durability };
    }

    public async Task<long> PurgeAsync(long? olderThanDays, WriteContext context)
    {
        if (olderThanDays is < 0)
        {
            throw new MemoryException(ErrorKind.InvalidLimit, "older_than_days must not be negative");
        }

        var until = olderThanDays is { } days ? Now().AddSeconds(-Math.Min(days, MostDays) * SecondsPerDay) : new Timestamp(long.MaxValue);
        long purged = 0;
        var batch = new List<MemoryRow>(ForgetRows);
        await foreach (var row in ArchivedRowsAsync(@namespace: null, (until, ""), CancellationToken.None))
        {
            batch.Add(row);
            if (batch.Count == ForgetRows)
            {
                purged += await PurgeAsync(batch, until, context);
                batch.Clear();
            }
        }

        return purged + await PurgeAsync(batch, until, context);
    }

    private async Task<long> PurgeAsync(List<MemoryRow> rows, Timestamp until, WriteContext context)
    {
        var purged = await Task.WhenAll(rows.GroupBy(static row => row.View.Namespace, StringComparer.Ordinal)
            .Select(group => Engine(group.Key).RunAsync(new PurgeCommand([.. group.Select(static row => row.Own.Id)], until), context)));
        return purged.Sum(static result => result.Count);
    }

    private async IAsyncEnumerable<MemoryRow> ArchivedRowsAsync(
        string? @namespace, (Timestamp ArchivedAt, string Id)? after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        while (true)
        {
            var page = await _store.ListArchivedAsync(new(@namespace, after, ScanRows), cancellation);
            foreach (var row in page)
            {
                yield return row;
            }

            if (page.Count < ScanRows)
            {
                yield break;
            }

            after = (page[^1].Own.Archive!.Value.Value!.At, page[^1].Own.Id);
        }
    }
}
