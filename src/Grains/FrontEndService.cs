using System.Runtime.CompilerServices;
using OrleansMemory.Core;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Models;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>
/// The whole service for a process without a store: a store goes to the grain that decides for its namespace, everything else to the
/// service of some node. What one node cannot answer another is asked, as long as asking again changes nothing more.
/// </summary>
public sealed class FrontEndService : INodeService
{
    private readonly FrontEndNodes _nodes;
    private readonly TimeProvider _time;
    private readonly GrainNamespaces _namespaces;
    private readonly NamespaceTokens _answered = new();

    /// <summary>What the request that runs must see.</summary>
    private readonly AsyncLocal<IReadOnlyList<LogPosition>?> _seen = new();

    /// <summary>As whose bearer each node is asked; null: a caller without a credential of its own.</summary>
    private readonly Principal? _principal;

    /// <param name="settings">Of the cluster.</param>
    public FrontEndService(ClusterConnection cluster, FrontEndNodes nodes, ReplicaSetSettings settings, TimeProvider time)
    {
        _nodes = nodes;
        _time = time;
        _namespaces = new(cluster, settings, time);
        Replication = settings;
    }

    private FrontEndService(FrontEndService front, Principal principal)
    {
        _nodes = front._nodes;
        _time = front._time;
        _namespaces = front._namespaces;
        _answered = front._answered;
        _seen = front._seen;
        _principal = principal;
        Replication = front.Replication;
    }

    public ReplicaSetSettings Replication { get; }

    public BackfillRunner? Backfills => null;

    /// <summary>The node that is asked judges what the bearer may see and do.</summary>
    public INodeService As(Principal principal) => new FrontEndService(this, principal);

    public ServiceHealth Health() => _nodes.Problem is { } problem ? new(false, problem) : new(true, null);

    /// <summary>Waits for nothing here: whoever answers what follows in this request waits.</summary>
    public Task WaitForAsync(LogPosition token, CancellationToken cancellation = default)
    {
        // Not an async method: what one sets is gone when it returns.
        _seen.Value = [.. _seen.Value ?? [], token];
        return Task.CompletedTask;
    }

    public async Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context)
    {
        var clean = MemoryRules.Check(draft, Timestamp.Now(_time));
        if (context.IdempotencyKey is { } key)
        {
            MemoryRules.IdempotencyKey(key);
        }

        // The key is drawn here when the caller has none, so that sending the write again makes no second memory.
        context = Keyed(context);
        if (_principal is not null)
        {
            return Note(await AskAsync(new StoreQuestion(draft, context)));
        }

        var command = new StoreCommand(clean) { Context = context, Seen = _seen.Value };
        return Note((await _namespaces.RunAsync(clean.Namespace, command)).Receipt!);
    }

    public async Task<IReadOnlyList<RowOutcome>> StoreManyAsync(IReadOnlyList<MemoryDraft> drafts, WriteContext context) =>
        Note(await AskAsync(new StoreManyQuestion(drafts, Keyed(context))));

    public async Task<IReadOnlyList<RowOutcome>> ImportAsync(
        IReadOnlyList<Memory> memories, IReadOnlyList<Link> links, ImportOptions options, WriteContext context) =>
        Note(await AskAsync(new ImportQuestion(memories, links, options, context)));

    public async Task<WriteReceipt> UpdateAsync(string idOrPrefix, MemoryPatch patch, WriteContext context) =>
        Note(await AskAsync(new UpdateQuestion(idOrPrefix, patch, context)));

    public async Task<WriteReceipt> DeleteAsync(string idOrPrefix, WriteContext context) => Note(await AskAsync(new DeleteQuestion(idOrPrefix, context)));

    public async Task<WriteReceipt> PromoteAsync(string idOrPrefix, WriteContext context) => Note(await AskAsync(new PromoteQuestion(idOrPrefix, context)));

    public Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, WriteContext context) =>
        AskAsync(new LinkQuestion(sourceId, targetId, relation, context));

    public Task<long> ForgetAsync(ForgetQuery query, WriteContext context) => AskAsync(new ForgetQuestion(query, context));

    public Task<long> CollectGarbageAsync(bool dryRun = false) => AskAsync(new CollectGarbageQuestion(dryRun));

    public Task<MemoryWithLinks> GetAsync(string idOrPrefix, CancellationToken cancellation = default) => AskAsync(new GetQuestion(idOrPrefix), null, cancellation);

    public Task<MemoryWithLinks> GetAtQuorumAsync(string idOrPrefix, CancellationToken cancellation = default) =>
        AskAsync(new QuorumGetQuestion(idOrPrefix), null, cancellation);

    public Task<MemoryPage> ListAsync(ListQuery query, CancellationToken cancellation = default) => AskAsync(new ListQuestion(query), query.Namespace, cancellation);

    public Task<Ranking> SearchAsync(SearchQuery query, CancellationToken cancellation = default) => AskAsync(new SearchQuestion(query), query.Namespace, cancellation);

    public Task<RecallResult> RecallAsync(RecallQuery query, CancellationToken cancellation = default) =>
        AskAsync(new RecallQuestion(query), query.Namespace, cancellation);

    public Task<IReadOnlyList<Link>> LinksAsync(string id, CancellationToken cancellation = default) => AskAsync(new LinksQuestion(id), null, cancellation);

    public Task<IReadOnlyList<NamespaceCount>> NamespacesAsync(CancellationToken cancellation = default) => AskAsync(new NamespacesQuestion(), null, cancellation);

    public Task<StoreStatistics> StatisticsAsync(CancellationToken cancellation = default) => AskAsync(new StatisticsQuestion(), null, cancellation);

    public IAsyncEnumerable<Memory> ExportMemoriesAsync(CancellationToken cancellation = default) =>
        ExportAsync<Memory>(static (grain, question) => grain.ExportMemoriesAsync(question), cancellation);

    public IAsyncEnumerable<Link> ExportLinksAsync(CancellationToken cancellation = default) =>
        ExportAsync<Link>(static (grain, question) => grain.ExportLinksAsync(question), cancellation);

    public Task<QuorumPolicy> SetQuorumAsync(string @namespace, int? writes, WriteContext context) => AskAsync(new SetQuorumQuestion(@namespace, writes, context));

    public Task<QuorumPolicy> QuorumAsync(string @namespace, CancellationToken cancellation = default) => AskAsync(new QuorumQuestion(@namespace), @namespace, cancellation);

    public Task<ReplicaSetStatus> ClusterAsync(CancellationToken cancellation = default) => AskAsync(new ClusterQuestion(), null, cancellation);

    public Task<Digest> DigestAsync(CancellationToken cancellation = default) => AskAsync(new DigestQuestion(), null, cancellation);

    public Task<DeadLetters> DeadLettersAsync(int limit, CancellationToken cancellation = default) => AskAsync(new DeadLettersQuestion(limit), null, cancellation);

    public Task<IReadOnlyList<SyncOutcome>> SyncAsync(IReadOnlyList<Memory> memories, WriteContext context) => AskAsync(new SyncQuestion(memories, context));

    public Task<IReadOnlyList<Memory>> ChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default) =>
        AskAsync(new ChangesQuestion(after, limit), null, cancellation);

    public Task<IReadOnlyList<ArchivedMemory>> ArchivedAsync(ArchiveQuery query, CancellationToken cancellation = default) =>
        AskAsync(new ArchivedQuestion(query), query.Namespace, cancellation);

    public Task<ArchiveStatistics> ArchiveStatisticsAsync(CancellationToken cancellation = default) => AskAsync(new ArchiveStatisticsQuestion(), null, cancellation);

    public async Task<WriteReceipt> RestoreAsync(string id, WriteContext context) => Note(await AskAsync(new RestoreQuestion(id, context)));

    public Task<long> PurgeAsync(long? olderThanDays, WriteContext context) => AskAsync(new PurgeQuestion(olderThanDays, context));

    public Task<RegisteredAgent> RegisterAgentAsync(string agentId, string agentType, IReadOnlyList<string> capabilities, WriteContext context) =>
        AskAsync(new RegisterAgentQuestion(agentId, agentType, capabilities, context));

    public Task<IReadOnlyList<RegisteredAgent>> AgentsAsync(CancellationToken cancellation = default) => AskAsync(new AgentsQuestion(), null, cancellation);

    public Task SetStandardAsync(string @namespace, string standardId, string? parent, GovernancePolicy? policy, WriteContext context) =>
        AskAsync(new SetStandardQuestion(@namespace, standardId, parent, policy, context));

    public Task<bool> ClearStandardAsync(string @namespace, WriteContext context) => AskAsync(new ClearStandardQuestion(@namespace, context));

    public Task<NamespaceStandard> StandardAsync(string @namespace, CancellationToken cancellation = default) =>
        AskAsync(new StandardQuestion(@namespace), null, cancellation);

    public Task<StandardChain> StandardChainAsync(string @namespace, CancellationToken cancellation = default) =>
        AskAsync(new StandardChainQuestion(@namespace), null, cancellation);

    public Task<IReadOnlyList<PendingAction>> PendingAsync(string? status, int limit, CancellationToken cancellation = default) =>
        AskAsync(new PendingQuestion(status, limit), null, cancellation);

    public Task<VoteOutcome> VoteAsync(string id, bool approve, WriteContext context) => AskAsync(new VoteQuestion(id, approve, context));

    public Task<Message> NotifyAsync(MessageDraft draft, WriteContext context) => AskAsync(new NotifyQuestion(draft, context));

    public Task<Inbox> InboxAsync(InboxQuery query, WriteContext context, CancellationToken cancellation = default) =>
        AskAsync(new InboxQuestion(query, context), null, cancellation);

    public Task<long> ReadMessagesAsync(string agentId, IReadOnlyList<string> ids, bool take, WriteContext context) =>
        AskAsync(new ReadMessagesQuestion(agentId, ids, take, context));

    public async Task<Consolidated> ConsolidateAsync(ConsolidationDraft draft, WriteContext context)
    {
        var made = await AskAsync(new ConsolidateQuestion(draft, context));
        Note(made.Receipt);
        return made;
    }

    public async Task<WriteReceipt> SupersedeAsync(string winnerId, string loserId, WriteContext context)
    {
        var receipt = await AskAsync(new SupersedeQuestion(winnerId, loserId, context));
        Note(receipt);
        return receipt;
    }

    public Task<IReadOnlyList<CurationRecord>> CurationsAsync(int limit, CancellationToken cancellation = default) =>
        AskAsync(new CurationsQuestion(limit), null, cancellation);

    public Task<CurationRecord> UndoAsync(string curationId, WriteContext context) => AskAsync(new UndoQuestion(curationId, context));

    public Task<Subscription> SubscribeAsync(SubscriptionDraft draft, WriteContext context) => AskAsync(new SubscribeQuestion(draft, context));

    public Task<IReadOnlyList<Subscription>> SubscriptionsAsync(string? owner, CancellationToken cancellation = default) =>
        AskAsync(new SubscriptionsQuestion(owner), null, cancellation);

    public Task<bool> UnsubscribeAsync(string id, string? owner, WriteContext context) => AskAsync(new UnsubscribeQuestion(id, owner, context));

    public Task<SessionStart> StartSessionAsync(string? @namespace, int limit, CancellationToken cancellation = default) =>
        AskAsync(new SessionQuestion(@namespace, limit), @namespace, cancellation);

    public Task<ModelFeatures> ModelsAsync(CancellationToken cancellation = default) => AskAsync(new ModelsQuestion(), null, cancellation);

    public Task<QueryExpansion> ExpandQueryAsync(string query, CancellationToken cancellation = default) => AskAsync(new ExpandQueryQuestion(query), null, cancellation);

    public Task<AutoTags> AutoTagAsync(string idOrPrefix, WriteContext context) => AskAsync(new AutoTagQuestion(idOrPrefix, context));

    public Task<ContradictionCheck> CompareAsync(string oneId, string otherId, CancellationToken cancellation = default) =>
        AskAsync(new CompareQuestion(oneId, otherId), null, cancellation);

    public Task<string> SummariseAsync(IReadOnlyList<string> ids, CancellationToken cancellation = default) => AskAsync(new SummariseQuestion(ids), null, cancellation);

    public Task<Grant> GrantAsync(string idOrPrefix, string agentId, Permission permission, WriteContext context) =>
        AskAsync(new GrantQuestion(idOrPrefix, agentId, permission, context));

    public Task<bool> RevokeAsync(string idOrPrefix, string agentId, WriteContext context) => AskAsync(new RevokeQuestion(idOrPrefix, agentId, context));

    public Task<IReadOnlyList<Grant>> GrantsAsync(string idOrPrefix, CancellationToken cancellation = default) => AskAsync(new GrantsQuestion(idOrPrefix), null, cancellation);

    public Task<SimilarMemories> SimilarAsync(string @namespace, string title, CancellationToken cancellation = default) =>
        AskAsync(new SimilarQuestion(@namespace, title), @namespace, cancellation);

    public Task<Contradictions> ContradictionsAsync(ContradictionQuery query, CancellationToken cancellation = default) =>
        AskAsync(new ContradictionsQuestion(query), query.Namespace, cancellation);

    public Task<CuratorReport> CurateAsync(CuratorOrder order, WriteContext context) => AskAsync(new CurateQuestion(order, context));

    public Task<CuratorStatus> CuratorAsync(CancellationToken cancellation = default) => AskAsync(new CuratorQuestion(), null, cancellation);

    public Task<UndoneRuns> UndoRunsAsync(string? runId, int? last, WriteContext context) => AskAsync(new UndoRunsQuestion(runId, last, context));

    /// <param name="namespace">The only one that is asked about: what this front end was answered of it is seen.</param>
    private Task<T> AskAsync<T>(Question<T> question, string? @namespace = null, CancellationToken cancellation = default) =>
        _nodes.AskAsync<T>(question with { Principal = _principal, Seen = Seen(@namespace) }, cancellation);

    private IReadOnlyList<LogPosition>? Seen(string? @namespace)
    {
        var answered = @namespace is null ? [] : _answered.Of(@namespace);
        return answered.Count == 0 ? _seen.Value : [.. answered.Union(_seen.Value ?? [])];
    }

    private async IAsyncEnumerable<T> ExportAsync<T>(
        Func<IServiceGrain, ServiceQuestion, IAsyncEnumerable<ServiceAnswer>> export, [EnumeratorCancellation] CancellationToken cancellation)
    {
        // One node serves the whole of it: pages of two would not fit together.
        var (grain, question) = _nodes.Export(new ExportQuestion { Principal = _principal, Seen = _seen.Value });
        await using var pages = export(grain, question).WithBatchSize(1).GetAsyncEnumerator(cancellation);
        while (await FrontEndNodes.NextAsync(pages))
        {
            foreach (var row in WireJson.Decode<List<T>>(pages.Current.Answer))
            {
                yield return row;
            }
        }
    }

    private static WriteContext Keyed(WriteContext context) => context.IdempotencyKey is null ? context with { IdempotencyKey = Guid.NewGuid().ToString("n") } : context;

    private WriteReceipt Note(WriteReceipt receipt)
    {
        _answered.Note(receipt.Memory.Namespace, receipt.Position);
        return receipt;
    }

    private IReadOnlyList<RowOutcome> Note(IReadOnlyList<RowOutcome> outcomes)
    {
        foreach (var outcome in outcomes)
        {
            if (outcome.Receipt is { } receipt)
            {
                Note(receipt);
            }
        }

        return outcomes;
    }
}
