using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    public async Task<Consolidated> ConsolidateAsync(ConsolidationDraft draft, WriteContext context)
    {
        var clean = draft.Check();
        var links = new HashSet<string>(StringComparer.Ordinal);
        foreach (var id in clean.Ids)
        {
            if (_directory is not null)
            {
                await FindAnywhereAsync(id);
            }

            foreach (var byTarget in (bool[])[false, true])
            {
                await foreach (var entry in EntriesAsync(MutationKind.Link, id, CancellationToken.None, byTarget))
                {
                    links.Add(entry.Key.Key);
                }
            }
        }

        var result = await Engine(clean.Namespace).RunAsync(new ConsolidateCommand(clean, [.. links]), context);
        return new(result.Memory! with { Quorum = result.Quorum, Durability = result.Durability }, (int)result.Count, result.Entry!.Key.Key);
    }

    public async Task<WriteReceipt> SupersedeAsync(string winnerId, string loserId, WriteContext context)
    {
        MemoryRules.Id(winnerId);
        MemoryRules.Id(loserId);
        if (winnerId == loserId)
        {
            throw new MemoryException(ErrorKind.SelfLink, "cannot link a memory to itself");
        }

        var result = await Engine(await NamespaceOfAsync(winnerId, context)).RunAsync(new SupersedeCommand(winnerId, loserId), context);
        return result.Memory! with { Quorum = result.Quorum, Durability = result.Durability };
    }

    public Task<IReadOnlyList<CurationRecord>> CurationsAsync(int limit, CancellationToken cancellation = default) => CurationsAsync(limit, Visibility.Everything, cancellation);

    internal async Task<IReadOnlyList<CurationRecord>> CurationsAsync(int limit, Visibility visibility, CancellationToken cancellation)
    {
        RequireLimit(limit);
        var found = new List<CurationRecord>();
        await foreach (var entry in EntriesAsync(MutationKind.Curation, owner: null, cancellation))
        {
            var curation = CurationRecord.Of(entry);
            if (visibility.IsEverything || (await _store.FindAsync(curation.ResultId, cancellation) is { } row && visibility.Shows(row.View)))
            {
                found.Add(curation);
            }
        }

        return [.. found.OrderByDescending(static curation => curation.At).ThenBy(static curation => curation.Id, StringComparer.Ordinal).Take(limit)];
    }

    public async Task<CurationRecord> UndoAsync(string curationId, WriteContext context)
    {
        MemoryRules.Id(curationId);
        var key = EntryBodies.CurationKey(curationId);
        if (await EntryAsync(key, CancellationToken.None) is null)
        {
            await _replicas.ReadThroughAsync([new(key.Kind, key.Key)]);
        }

        var entry = await EntryAsync(key, CancellationToken.None) ?? throw new MemoryException(ErrorKind.NotFound, $"no curation {curationId}");
        var body = EntryBodies.Decode(entry.Body, EntryJson.Default.CurationBody);
        var result = await Engine(entry.Owner).RunAsync(new UndoCurationCommand(curationId, [body.ResultId, .. body.ArchivedIds]), context);
        return CurationRecord.Of(result.Entry!);
    }
}
