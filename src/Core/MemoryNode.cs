using System.Globalization;
using System.Runtime.CompilerServices;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// The engines of one node over one store: what every front end talks to. Owns the writer and the touch recorder; the store is
/// the caller's.
/// </summary>
public sealed partial class MemoryNode : INodeService, IAsyncDisposable
{
    private const int ScanRows = 500;
    private const int ForgetRows = 200;

    private readonly IMemoryStore _store;
    private readonly CommandWriter _writer;
    private readonly ReplicaSet _replicas;
    private readonly AccessRecorder _accesses;
    private readonly INamespaceDirectory? _directory;
    private readonly NodeSettings _settings;
    private readonly TimeProvider _time;
    private readonly PendingWatch _pending;
    private readonly CommitSignal _commits;
    private bool _draining;
    private int _disposed;

    private MemoryNode(
        IMemoryStore store,
        CommandWriter writer,
        ReplicaSet replicas,
        BackfillRunner backfills,
        NodeSettings settings,
        TimeProvider time,
        TaskScheduler scheduler,
        INamespaceDirectory? directory,
        PendingWatch pending,
        GrantTable granted,
        CommitSignal commits,
        IVectorIndex? vectors,
        string? vectorsProblem)
    {
        _vectors = vectors;
        VectorsProblem = vectorsProblem;
        _commits = commits;
        Granted = granted;
        Curator = new(this, time);
        Backfills = backfills;
        _pending = pending;
        _directory = directory;
        _store = store;
        _writer = writer;
        _settings = settings;
        _time = time;
        _replicas = replicas;
        _accesses = new(writer, () => replicas.MayWrite, settings, time, scheduler);
    }

    /// <summary>Ends when the store can no longer be trusted; the host must then end the process at once.</summary>
    public Task<StoreFatalException> Fatal => _writer.Fatal;

    public IMemoryStore Store => _store;

    /// <summary>Where other nodes' mutations come in.</summary>
    public Replica Replica => _replicas.Replica;

    /// <summary>Idle until <see cref="StartBackfills"/>; it tells and takes commands before.</summary>
    public BackfillRunner Backfills { get; }

    /// <summary>Why vectors are not kept in the store although that is asked for; null when they are, or it is not.</summary>
    public string? VectorsProblem { get; }

    /// <summary>What answers other nodes.</summary>
    public ReplicaEndpoint Endpoint => _replicas.Endpoint;

    /// <param name="links">One for each peer.</param>
    /// <param name="scheduler">Exclusive, for the writer; null takes a new exclusive one over the thread pool.</param>
    /// <param name="directory">Where each namespace is decided; null: here, whatever other nodes decide.</param>
    public static async Task<MemoryNode> StartAsync(
        IMemoryStore store,
        NodeSettings settings,
        TimeProvider time,
        Random random,
        IReadOnlyList<IReplicaLink>? links = null,
        TaskScheduler? scheduler = null,
        INamespaceDirectory? directory = null)
    {
        scheduler ??= new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;
        var writer = await CommandWriter.StartAsync(store, scheduler, time, random);
        var pending = new PendingWatch(time);
        var granted = new GrantTable();
        var commits = new CommitSignal();
        writer.Committed += (_, changes) =>
        {
            pending.Notice(changes);
            granted.Notice(changes);
            commits.Notice(changes);
        };
        var replicas = await ReplicaSet.StartAsync(store, writer, links ?? [], settings.ReplicaSet, time, random);
        var opening = time.GetUtcNow().UtcTicks.ToString("x", CultureInfo.InvariantCulture);
        var backfills = new BackfillRunner(store, writer, BackfillSteps.Of(store, settings.Models.Embedder), settings.Backfills, opening, store.Log.Node, time);
        var (vectors, vectorsProblem) = await VectorsOfAsync(store, settings.Models);
        if (vectors is not null)
        {
            writer.Committed += (_, changes) =>
            {
                vectors.Apply(changes);
                if (VectorTable.NeedsVectors(changes))
                {
                    backfills.Notice();
                }
            };
        }

        var node = new MemoryNode(store, writer, replicas, backfills, settings, time, scheduler, directory, pending, granted, commits, vectors, vectorsProblem);
        await node.LoadGrantsAsync();
        pending.Start(node.ResolvePendingAsync, scheduler);
        return node;
    }

    /// <summary>Begins with the backfills; a host calls it once it serves.</summary>
    /// <param name="random">Nobody else's.</param>
    /// <param name="scheduler">Exclusive, and not the writer's; null takes a new exclusive one over the thread pool.</param>
    public void StartBackfills(Random random, TaskScheduler? scheduler = null)
    {
        // The first recall asks again when this fails.
        _ = _vectors?.LoadAsync();
        Backfills.Start(random, scheduler ?? new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler);
    }

    public Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context)
    {
        var clean = MemoryRules.Check(draft, Now());
        if (context.IdempotencyKey is { } key)
        {
            MemoryRules.IdempotencyKey(key);
        }

        return Engine(clean.Namespace).StoreAsync(clean with { Metadata = AgentIdentity.Mark(clean.Metadata, context.Principal) }, context);
    }

    public Task<IReadOnlyList<RowOutcome>> StoreManyAsync(IReadOnlyList<MemoryDraft> drafts, WriteContext context)
    {
        RequireBatch(drafts.Count);
        if (context.IdempotencyKey is { } given)
        {
            MemoryRules.IdempotencyKey(given);
        }

        return OutcomesAsync(drafts, async (draft, index) => await StoreAsync(
            draft,
            context.IdempotencyKey is { } key ? context with { IdempotencyKey = MemoryIds.Derived(key, index.ToString(CultureInfo.InvariantCulture)) } : context));
    }

    public async Task<IReadOnlyList<RowOutcome>> ImportAsync(
        IReadOnlyList<Memory> memories, IReadOnlyList<Link> links, ImportOptions options, WriteContext context)
    {
        RequireBatch(memories.Count);
        RequireBatch(links.Count);
        var outcomes = await OutcomesAsync(memories, async (memory, _) =>
        {
            var clean = MemoryRules.Check(options.TrustSource ? memory : Restamp(memory, context));
            return await Engine(clean.Namespace).ImportAsync(clean, context);
        });

        // A link follows its memories to the ids under which they were taken.
        var ids = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var index = 0; index < memories.Count; index++)
        {
            if (outcomes[index].Receipt is { } receipt)
            {
                ids[memories[index].Id] = receipt.Memory.Id;
            }
        }

        var linked = await OutcomesAsync(links, async (link, _) =>
        {
            await LinkAsync(ids.GetValueOrDefault(link.SourceId, link.SourceId), ids.GetValueOrDefault(link.TargetId, link.TargetId), link.Relation, link.CreatedAt, context);
            return (WriteReceipt?)null;
        });
        return [.. outcomes, .. linked];
    }

    public async Task<WriteReceipt> UpdateAsync(string idOrPrefix, MemoryPatch patch, WriteContext context)
    {
        var clean = MemoryRules.Check(patch);
        var row = await ResolveForWriteAsync(idOrPrefix, context);
        return await Engine(clean.Namespace ?? row.View.Namespace).UpdateAsync(row.View.Id, clean, context);
    }

    public async Task<WriteReceipt> DeleteAsync(string idOrPrefix, WriteContext context)
    {
        var row = await ResolveForWriteAsync(idOrPrefix, context);
        return await Engine(row.View.Namespace).DeleteAsync(row.View.Id, context);
    }

    public async Task<WriteReceipt> PromoteAsync(string idOrPrefix, WriteContext context)
    {
        var row = await ResolveForWriteAsync(idOrPrefix, context);
        return await Engine(row.View.Namespace).PromoteAsync(row.View.Id, context);
    }

    public Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, WriteContext context) =>
        LinkAsync(sourceId, targetId, relation, createdAt: null, context);

    public async Task<long> ForgetAsync(ForgetQuery query, WriteContext context)
    {
        if (query is { Namespace: null, Pattern: null, Tier: null })
        {
            throw new MemoryException(ErrorKind.FilterMissing, "at least one of namespace, pattern and tier is required");
        }

        var filter = new MemoryFilter { Namespace = query.Namespace is null ? null : MemoryRules.Namespace(query.Namespace), Tier = query.Tier };
        if (query.DryRun)
        {
            return await CountAsync(filter, query.Pattern, context);
        }

        long forgotten = 0;
        if (query.Pattern is { } pattern)
        {
            // What was forgotten is not found again, so each round finds the next ones.
            var matches = new RecallQuery { Context = pattern, Namespace = filter.Namespace, Tier = filter.Tier, Limit = ForgetRows };
            while (true)
            {
                var ranking = await RankAsync(TextQuery.From(matches, Now(), context.Principal), _settings.Scoring with { Passage = null }, CancellationToken.None);
                var archived = ranking.Memories.Count == 0 ? 0 : await ForgetAsync([.. ranking.Memories.Select(static ranked => ranked.Memory.Id)], context);
                forgotten += archived;
                if (archived == 0)
                {
                    // A count that leaves out what the index lacks would say that the rest is gone too.
                    return ranking.IsComplete
                        ? forgotten
                        : throw new MemoryException(ErrorKind.NotYet, $"the full-text index is still being built; {forgotten} memories were forgotten so far; try again later");
                }
            }
        }

        var after = "";
        while (true)
        {
            var ids = await _store.FindIdsAsync(filter, Now(), after, ForgetRows);
            if (ids.Count == 0)
            {
                return forgotten;
            }

            forgotten += await ForgetAsync(ids, context);
            after = ids[^1];
        }
    }

    public async Task<long> CollectGarbageAsync(bool dryRun = false)
    {
        if (dryRun)
        {
            return (await _store.FindExpiredAsync(Now(), int.MaxValue)).Count;
        }

        long collected = 0;
        while (true)
        {
            var ids = await _store.FindExpiredAsync(Now(), ForgetRows);
            if (ids.Count == 0)
            {
                await CollectMessagesAsync();
                return collected;
            }

            var expired = await new NamespaceEngine(ClosedSets.DefaultNamespace, _replicas.Writer, _settings).ExpireAsync(ids);
            collected += expired;
            if (expired == 0)
            {
                // Their lives were extended since they were found.
                return collected;
            }
        }
    }

    public Task<MemoryWithLinks> GetAsync(string idOrPrefix, CancellationToken cancellation = default) => GetAsync(idOrPrefix, Visibility.Everything, cancellation);

    internal async Task<MemoryWithLinks> GetAsync(string idOrPrefix, Visibility visibility, CancellationToken cancellation)
    {
        var row = await ResolveAsync(idOrPrefix, visibility, cancellation);
        return new(row.View, await LinksAsync(row.View.Id, visibility, cancellation), NamespaceEngine.VersionOf(row.Own));
    }

    public Task<MemoryPage> ListAsync(ListQuery query, CancellationToken cancellation = default) => ListAsync(query, Visibility.Everything, cancellation);

    internal async Task<MemoryPage> ListAsync(ListQuery query, Visibility visibility, CancellationToken cancellation)
    {
        if (query.Limit < 0 || query.Offset < 0)
        {
            throw new MemoryException(ErrorKind.InvalidLimit, "limit and offset cannot be negative");
        }

        if (query.Limit == 0)
        {
            return new([], null);
        }

        var memories = await _store.ListAsync(
            new(query, Now(), ParseCursor(query.Cursor), query.Offset, query.Limit + 1, SeenBy(visibility)), cancellation);
        return memories.Count <= query.Limit
            ? new(memories, null)
            : new([.. memories.Take(query.Limit)], FormatCursor(memories[query.Limit - 1]));
    }

    /// <summary>For a store that judges its rows itself.</summary>
    private static Visibility? SeenBy(Visibility visibility) =>
        visibility.IsEverything ? null : visibility.Rows is not null ? visibility : throw new InvalidOperationException("a store cannot judge by a place that a caller only names");

    public Task<Ranking> SearchAsync(SearchQuery query, CancellationToken cancellation = default) => SearchAsync(query, principal: null, cancellation);

    internal async Task<Ranking> SearchAsync(SearchQuery query, Principal? principal, CancellationToken cancellation)
    {
        RequireLimit(query.Limit);
        return await RankAsync(TextQuery.From(query, Now(), principal), _settings.Scoring, cancellation);
    }

    public Task<IReadOnlyList<Link>> LinksAsync(string id, CancellationToken cancellation = default) => LinksAsync(id, Visibility.Everything, cancellation);

    internal async Task<IReadOnlyList<Link>> LinksAsync(string id, Visibility visibility, CancellationToken cancellation)
    {
        MemoryRules.Id(id);
        var links = new List<Link>();
        await CollectLinksAsync(links, id, byTarget: false, visibility, cancellation);
        await CollectLinksAsync(links, id, byTarget: true, visibility, cancellation);
        links.Sort(static (a, b) => a.CreatedAt.CompareTo(b.CreatedAt));
        return links;
    }

    public async Task<IReadOnlyList<NamespaceCount>> NamespacesAsync(CancellationToken cancellation = default) =>
        await _store.ReadNamespacesAsync(Now(), cancellation);

    public async Task<StoreStatistics> StatisticsAsync(CancellationToken cancellation = default) => await _store.ReadStatisticsAsync(Now(), cancellation);

    /// <summary>Over what is seen; the size of the store is everybody's, and not told.</summary>
    internal async Task<StoreStatistics> StatisticsAsync(Visibility visibility, CancellationToken cancellation)
    {
        var now = Now();
        var seen = new List<(string Namespace, Tier Tier, bool ExpiresSoon)>();
        await foreach (var memory in ExportMemoriesAsync(visibility, cancellation))
        {
            seen.Add((memory.Namespace, memory.Tier, memory.IsExpired(now.AddSeconds(3600))));
        }

        var links = 0L;
        await foreach (var _ in ExportLinksAsync(visibility, cancellation))
        {
            links++;
        }

        return new(
            seen.Count,
            [.. seen.CountBy(static row => row.Tier).OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key).Select(static pair => new TierCount(pair.Key, pair.Value))],
            [.. seen.CountBy(static row => row.Namespace, StringComparer.Ordinal).OrderByDescending(static pair => pair.Value).ThenBy(static pair => pair.Key, StringComparer.Ordinal)
                .Select(static pair => new NamespaceCount(pair.Key, pair.Value))],
            seen.LongCount(static row => row.ExpiresSoon),
            links,
            DatabaseSizeBytes: 0);
    }

    public IAsyncEnumerable<Memory> ExportMemoriesAsync(CancellationToken cancellation = default) => ExportMemoriesAsync(Visibility.Everything, cancellation);

    internal async IAsyncEnumerable<Memory> ExportMemoriesAsync(Visibility visibility, [EnumeratorCancellation] CancellationToken cancellation)
    {
        (Timestamp, string)? after = null;
        while (true)
        {
            var page = await _store.ExportAsync(Now(), after, ScanRows, cancellation);
            foreach (var memory in page.Where(visibility.Shows))
            {
                yield return memory;
            }

            if (page.Count < ScanRows)
            {
                yield break;
            }

            after = (page[^1].CreatedAt, page[^1].Id);
        }
    }

    public IAsyncEnumerable<Link> ExportLinksAsync(CancellationToken cancellation = default) => ExportLinksAsync(Visibility.Everything, cancellation);

    internal async IAsyncEnumerable<Link> ExportLinksAsync(Visibility visibility, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (var entry in EntriesAsync(MutationKind.Link, owner: null, cancellation))
        {
            if (await ShownLinkAsync(entry, visibility, cancellation) is { } link)
            {
                yield return link;
            }
        }
    }

    public ServiceHealth Health() =>
        _writer.Fatal.IsCompleted ? new(false, "the store failed; the node is stopping")
        : Volatile.Read(ref _draining) ? new(false, "draining")
        : (_store.Problem ?? _replicas.Problem ?? _directory?.Problem) is { } problem ? new(false, problem)
        : new(true, _directory?.Warning);

    public Task WaitForAsync(LogPosition token, CancellationToken cancellation = default) => _replicas.WaitForAsync(token, cancellation);

    public Task<MemoryWithLinks> GetAtQuorumAsync(string idOrPrefix, CancellationToken cancellation = default) => GetAtQuorumAsync(idOrPrefix, Visibility.Everything, cancellation);

    internal async Task<MemoryWithLinks> GetAtQuorumAsync(string idOrPrefix, Visibility visibility, CancellationToken cancellation)
    {
        MemoryRules.Id(idOrPrefix);
        var known = await _store.FindIdsAsync(idOrPrefix, MemoryLimits.AmbiguousIdsShown + 1, cancellation);
        await _replicas.ReadThroughAsync([.. known.Append(idOrPrefix).Distinct().Select(static id => new RowKey(MutationKind.Memory, id))]);
        return await GetAsync(idOrPrefix, visibility, cancellation);
    }

    public async Task<QuorumPolicy> SetQuorumAsync(string @namespace, int? writes, WriteContext context)
    {
        await Engine(MemoryRules.Namespace(@namespace)).SetQuorumAsync(writes, context);
        return await QuorumAsync(@namespace);
    }

    public async Task<QuorumPolicy> QuorumAsync(string @namespace, CancellationToken cancellation = default)
    {
        var policies = new List<PolicyBody>();
        int? own = null;
        foreach (var name in ReplicatedWriter.Chain(MemoryRules.Namespace(@namespace)))
        {
            if (await _store.ListEntriesAsync(new(MutationKind.Policy, name, ByTarget: false, null, 1), cancellation) is [var entry])
            {
                policies.Add(EntryBodies.Policy(entry.Body));
                own = name == @namespace ? policies[^1].QuorumWrites : own;
            }
        }

        return new(@namespace, own, _replicas.Writer.Standard(policies));
    }

    public ReplicaSetSettings Replication => _replicas.Writer.Settings;

    public ReplicaSetStatus Cluster() => _replicas.Status();

    public Task<ReplicaSetStatus> ClusterAsync(CancellationToken cancellation = default) => Task.FromResult(Cluster());

    public async Task<Digest> DigestAsync(CancellationToken cancellation = default) =>
        Digest.Sum((await _store.ReadDigestsAsync(cancellation)).Values);

    public async Task<DeadLetters> DeadLettersAsync(int limit, CancellationToken cancellation = default) =>
        new(await _store.CountDeadLettersAsync(cancellation), await _store.ReadDeadLettersAsync(limit, cancellation));

    public async Task<IReadOnlyList<SyncOutcome>> SyncAsync(IReadOnlyList<Memory> memories, WriteContext context)
    {
        RequireBatch(memories.Count);
        _replicas.Writer.Parse(context.Quorum);
        return await Task.WhenAll(memories.Select(async memory =>
        {
            try
            {
                var clean = MemoryRules.Check(memory);
                return await Engine(clean.Namespace).SyncAsync(clean, context);
            }
            catch (MemoryException exception)
            {
                return new SyncOutcome(Changed: false, default, exception);
            }
        }));
    }

    public Task<IReadOnlyList<Memory>> ChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default) => ChangesAsync(after, limit, Visibility.Everything, cancellation);

    internal async Task<IReadOnlyList<Memory>> ChangesAsync(ChangePlace after, int limit, Visibility visibility, CancellationToken cancellation)
    {
        RequireLimit(limit);
        if (visibility.IsEverything)
        {
            return await _store.ListChangesAsync(after, limit, cancellation);
        }

        var seen = new List<Memory>();
        while (seen.Count < limit)
        {
            var page = await _store.ListChangesAsync(after, ScanRows, cancellation);
            seen.AddRange(page.Where(visibility.Shows).Take(limit - seen.Count));
            if (page.Count < ScanRows)
            {
                break;
            }

            after = new(page[^1].UpdatedAt, page[^1].Id);
        }

        return seen;
    }

    /// <summary>Makes this node the one that decides for a namespace.</summary>
    /// <exception cref="QuorumException">Too few replicas answered in time; nothing was decided.</exception>
    public Task<NamespaceEpoch> TakeEpochAsync(string @namespace) => _replicas.TakeEpochAsync(@namespace);

    /// <summary>Decides on this node, for the activation of this epoch.</summary>
    public INamespaceEngine Engine(NamespaceEpoch epoch) => new CaughtUpEngine(new(epoch.Namespace, _replicas.Writer, _settings, epoch), _replicas);

    /// <summary>Waits for the first comparison of clocks with a peer, for a bounded time.</summary>
    public Task WaitForFirstComparisonAsync() => _replicas.WaitForFirstComparisonAsync();

    /// <summary>Waits until every peer that answers holds all of this node's writes, for at most the given time.</summary>
    public Task<bool> FlushPeersAsync(TimeSpan atMost) => _replicas.FlushAsync(atMost);

    /// <summary>Writes the touches that wait.</summary>
    public Task FlushAsync() => _accesses.FlushAsync();

    /// <summary>Takes no more writes, writes what waits.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        Volatile.Write(ref _draining, true);
        await Backfills.DisposeAsync();
        await _pending.DisposeAsync();
        await _accesses.DisposeAsync();
        await _replicas.DisposeAsync();
        await _writer.DisposeAsync();
    }

    private async Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, Timestamp? createdAt, WriteContext context)
    {
        MemoryRules.Id(sourceId);
        MemoryRules.Id(targetId);
        MemoryRules.Relation(relation);
        if (sourceId == targetId)
        {
            throw new MemoryException(ErrorKind.SelfLink, "cannot link a memory to itself");
        }

        return await Engine(await NamespaceOfAsync(sourceId, context)).LinkAsync(sourceId, targetId, relation, createdAt, context);
    }

    /// <summary>Where the writes to an exact id are decided; without a directory every place is as good.</summary>
    private async ValueTask<string> NamespaceOfAsync(string id, WriteContext context) =>
        _directory is null ? ClosedSets.DefaultNamespace
        : await FindAnywhereAsync(id) is { } row && Visibility.Of(context.Principal).Shows(row.View) ? row.View.Namespace
        : throw new MemoryException(ErrorKind.NotFound, $"source memory not found: {id}");

    /// <summary>The live memory of an exact id: of this node, or on a miss of others.</summary>
    private async ValueTask<MemoryRow?> FindAnywhereAsync(string id)
    {
        if (await FindLiveAsync(id, Visibility.Everything, CancellationToken.None) is { } held)
        {
            return held;
        }

        await _replicas.ReadThroughAsync([new(MutationKind.Memory, id), new(MutationKind.MemoryDelete, id)]);
        return await FindLiveAsync(id, Visibility.Everything, CancellationToken.None);
    }

    private async Task CollectLinksAsync(List<Link> links, string id, bool byTarget, Visibility visibility, CancellationToken cancellation)
    {
        await foreach (var entry in EntriesAsync(MutationKind.Link, id, cancellation, byTarget))
        {
            if (await ShownLinkAsync(entry, visibility, cancellation) is { } link)
            {
                links.Add(link);
            }
        }
    }

    /// <summary>A link shows when both its ends do.</summary>
    private async ValueTask<Link?> ShownLinkAsync(EntryState entry, Visibility visibility, CancellationToken cancellation)
    {
        if (!entry.Live)
        {
            return null;
        }

        var link = EntryBodies.Link(entry);
        return await FindLiveAsync(link.SourceId, visibility, cancellation) is not null && await FindLiveAsync(link.TargetId, visibility, cancellation) is not null ? link : null;
    }

    /// <summary>The live memory of an id, or the one that it resolves to, if it is seen.</summary>
    private async ValueTask<MemoryRow?> FindLiveAsync(string id, Visibility visibility, CancellationToken cancellation)
    {
        var row = await _store.FindAsync(id, cancellation);
        if (row is { Visibility: RowVisibility.Shadowed })
        {
            row = await _store.FindShownAsync(row.Own.Name.Value, cancellation);
        }

        return row is null or { Visibility: RowVisibility.Archived } || row.View.IsExpired(Now()) || !visibility.Shows(row.View) ? null : row;
    }

    /// <summary>A write may come to another node than the one that decided what it is about.</summary>
    private async ValueTask<MemoryRow> ResolveForWriteAsync(string idOrPrefix, WriteContext context)
    {
        if (_directory is not null)
        {
            MemoryRules.Id(idOrPrefix);
            if ((await _store.FindIdsAsync(idOrPrefix, 1)).Count == 0)
            {
                await FindAnywhereAsync(idOrPrefix);
            }
        }

        return await ResolveAsync(idOrPrefix, Visibility.Of(context.Principal), CancellationToken.None);
    }

    private async ValueTask<MemoryRow> ResolveAsync(string idOrPrefix, Visibility visibility, CancellationToken cancellation)
    {
        MemoryRules.Id(idOrPrefix);
        if (await FindLiveAsync(idOrPrefix, visibility, cancellation) is { } exact)
        {
            return exact;
        }

        // Ids that resolve to one memory are one hit.
        var found = new Dictionary<string, MemoryRow>(StringComparer.Ordinal);
        foreach (var id in await _store.FindIdsAsync(idOrPrefix, MemoryLimits.AmbiguousIdsShown + 1, cancellation))
        {
            if (await FindLiveAsync(id, visibility, cancellation) is { } row)
            {
                found[row.View.Id] = row;
            }
        }

        if (found.Count > 1)
        {
            var shown = found.Keys.Order(StringComparer.Ordinal).Take(MemoryLimits.AmbiguousIdsShown);
            var count = found.Count > MemoryLimits.AmbiguousIdsShown ? $"more than {MemoryLimits.AmbiguousIdsShown}" : found.Count.ToString(CultureInfo.InvariantCulture);
            throw new MemoryException(ErrorKind.AmbiguousId, $"ambiguous ID prefix '{idOrPrefix}': {count} matches\n{string.Join('\n', shown)}");
        }

        return found.Count == 1 ? found.Values.First() : throw NamespaceEngine.NotFound();
    }

    /// <summary>What a caller sees of what a forget would take.</summary>
    private async Task<long> CountAsync(MemoryFilter filter, string? pattern, WriteContext context)
    {
        if (pattern is not null)
        {
            var matches = new RecallQuery { Context = pattern, Namespace = filter.Namespace, Tier = filter.Tier, Limit = MemoryLimits.CountedMatches };
            return (await Ranker.RankAsync(_store.Index, TextQuery.From(matches, Now(), context.Principal), _settings.Scoring, CancellationToken.None)).Memories.Count;
        }

        var visibility = context.Principal is { } principal ? Visibility.Of(principal) : Visibility.Everything;
        var page = new MemoryPage([], null);
        long counted = 0;
        do
        {
            var query = new ListQuery { Namespace = filter.Namespace, Tier = filter.Tier, Limit = ScanRows, Cursor = page.NextCursor };
            page = await ListAsync(query, visibility, CancellationToken.None);
            counted += page.Memories.Count;
        }
        while (page.NextCursor is not null);

        return counted;
    }

    private async Task<long> ForgetAsync(IReadOnlyList<string> ids, WriteContext context)
    {
        if (_directory is null)
        {
            return await Engine(ClosedSets.DefaultNamespace).ForgetAsync(ids, context);
        }

        var byNamespace = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var id in ids)
        {
            if (await FindLiveAsync(id, Visibility.Of(context.Principal), CancellationToken.None) is { } row)
            {
                (byNamespace.TryGetValue(row.View.Namespace, out var known) ? known : byNamespace[row.View.Namespace] = []).Add(id);
            }
        }

        return (await Task.WhenAll(byNamespace.Select(pair => Engine(pair.Key).ForgetAsync(pair.Value, context)))).Sum();
    }

    private static async Task<IReadOnlyList<RowOutcome>> OutcomesAsync<T>(IReadOnlyList<T> rows, Func<T, int, Task<WriteReceipt?>> write)
    {
        // All rows queue at once and share commits; each is judged alone.
        var tasks = new Task<WriteReceipt?>[rows.Count];
        var outcomes = new RowOutcome[rows.Count];
        for (var index = 0; index < rows.Count; index++)
        {
            try
            {
                tasks[index] = write(rows[index], index);
            }
            catch (MemoryException exception)
            {
                tasks[index] = Task.FromException<WriteReceipt?>(exception);
            }
        }

        for (var index = 0; index < rows.Count; index++)
        {
            try
            {
                outcomes[index] = new(await tasks[index], null);
            }
            catch (MemoryException exception)
            {
                outcomes[index] = exception;
            }
        }

        return outcomes;
    }

    private static Memory Restamp(Memory memory, WriteContext context)
    {
        var author = memory.Metadata.Text("agent_id");
        var marked = AgentIdentity.Mark(memory.Metadata, context.Principal);
        if (context.AgentId is not { } agentId || author == agentId)
        {
            return memory with { Metadata = marked };
        }

        var metadata = marked.With("agent_id", agentId);
        return memory with { Metadata = author is null ? metadata : metadata.With("imported_from_agent_id", author) };
    }

    private static void RequireLimit(int limit)
    {
        if (limit < 0)
        {
            throw new MemoryException(ErrorKind.InvalidLimit, "limit cannot be negative");
        }
    }

    private static void RequireBatch(int rows)
    {
        if (rows > MemoryLimits.BatchRows)
        {
            throw new MemoryException(ErrorKind.BatchTooLarge, $"a batch is limited to {MemoryLimits.BatchRows} rows");
        }
    }

    private static string FormatCursor(Memory last) =>
        Cursors.Format(string.Create(CultureInfo.InvariantCulture, $"{last.Priority}/{last.UpdatedAt.Nanoseconds}/{last.Id}"));

    private static (int Priority, Timestamp UpdatedAt, string Id)? ParseCursor(string? cursor)
    {
        if (cursor is null)
        {
            return null;
        }

        var parts = Cursors.Parse(cursor, 3);
        return int.TryParse(parts[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var priority)
            && long.TryParse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var nanoseconds)
            ? (priority, new(nanoseconds), parts[2])
            : throw Cursors.Invalid();
    }

    private INamespaceEngine Engine(string @namespace) => _directory?.Find(@namespace) ?? new NamespaceEngine(@namespace, _replicas.Writer, _settings);

    private Timestamp Now() => Timestamp.Now(_time);
}
