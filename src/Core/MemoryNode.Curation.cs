using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    private const int ExpiredCounted = 10_000;

    /// <summary>Idle until somebody asks for a run.</summary>
    public Curator Curator { get; }

    public Task<CuratorReport> CurateAsync(CuratorOrder order, WriteContext context) => Curator.RunAsync(order, context);

    public Task<CuratorStatus> CuratorAsync(CancellationToken cancellation = default) => Task.FromResult(Curator.Status(_store.Log.Node));

    public async Task<UndoneRuns> UndoRunsAsync(string? runId, int? last, WriteContext context)
    {
        if (runId is null == last is null || last is < 1)
        {
            throw new MemoryException(ErrorKind.InvalidCuration, "say either which run, or how many of the last changes");
        }

        // The latest first: what was told as one twice comes apart in that order.
        var found = new List<CurationRecord>();
        await foreach (var entry in EntriesAsync(MutationKind.Curation, owner: null, CancellationToken.None))
        {
            var record = CurationRecord.Of(entry);
            if (record is { RunId: { } run, UndoneAt: null } && (runId is null || run == runId))
            {
                found.Add(record);
            }
        }

        var (reversed, errors) = (0, new List<string>());
        foreach (var record in found.OrderByDescending(static record => record.At).ThenBy(static record => record.Id, StringComparer.Ordinal).Take(last ?? int.MaxValue))
        {
            try
            {
                await UndoAsync(record.Id, context with { IfMatch = null, IdempotencyKey = null });
                reversed++;
            }
            catch (MemoryException exception) when (exception.Kind.HttpStatus < 500)
            {
                errors.Add($"{record.Id}: {exception.Message}");
            }
        }

        return new(reversed, errors);
    }

    /// <summary>Names a run of the curator.</summary>
    internal string RunId() => MemoryIds.Derived(_store.Log.Node, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"curator:{Now().Nanoseconds}"));

    internal async Task<long> CountExpiredAsync() => (await _store.FindExpiredAsync(Now(), ExpiredCounted)).Count;

    internal async Task<IReadOnlySet<string>> StandardIdsAsync(CancellationToken cancellation)
    {
        var ids = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var entry in EntriesAsync(MutationKind.Standard, owner: null, cancellation))
        {
            ids.Add(EntryBodies.Decode(entry.Body, EntryJson.Default.StandardBody).StandardId);
        }

        return ids;
    }

    /// <summary>The priority that was set, without what accesses add to it, and when that was.</summary>
    internal async Task<(int Value, Timestamp SetAt)?> OwnPriorityAsync(string id, CancellationToken cancellation) =>
        await _store.FindAsync(id, cancellation) is { Own.Priority: var priority } ? (priority.Value, Timestamp.FromUnixMilliseconds(priority.Stamp.UnixMilliseconds)) : null;

    internal Task<CommandResult> RunAsync(string @namespace, NamespaceCommand command, WriteContext context) => Engine(@namespace).RunAsync(command, context);

    public Task<Consolidated> ConsolidateAsync(ConsolidationDraft draft, WriteContext context) => ConsolidateAsync(draft, context, versions: null, run: null);

    internal async Task<Consolidated> ConsolidateAsync(ConsolidationDraft draft, WriteContext context, IReadOnlyList<string>? versions, string? run)
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

        var result = await Engine(clean.Namespace).RunAsync(new ConsolidateCommand(clean, [.. links], versions, run), context);
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
