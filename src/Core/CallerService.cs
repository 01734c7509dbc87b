using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Models;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// A node as the bearer of a credential has it: reads show what it may see, writes are its own and within its role. Everything that a front end does
/// for such a caller goes through here.
/// </summary>
internal sealed class CallerService(MemoryNode node, Principal principal) : INodeService
{
    private readonly Visibility _visibility = Visibility.Of(principal);

    /// <summary>A credential is not exchanged for another.</summary>
    public INodeService As(Principal other) => throw new InvalidOperationException("the caller is known already");

    public Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context)
    {
        RequireWrite();
        return node.StoreAsync(Own(draft), Own(context));
    }

    public Task<IReadOnlyList<RowOutcome>> StoreManyAsync(IReadOnlyList<MemoryDraft> drafts, WriteContext context)
    {
        RequireWrite();
        return node.StoreManyAsync([.. drafts.Select(Own)], Own(context));
    }

    /// <summary>The author is the caller, unless it may speak for others.</summary>
    public Task<IReadOnlyList<RowOutcome>> ImportAsync(IReadOnlyList<Memory> memories, IReadOnlyList<Link> links, ImportOptions options, WriteContext context)
    {
        RequireWrite();
        return node.ImportAsync(memories, links, principal.SeesEverything ? options : options with { TrustSource = false }, Own(context));
    }

    public Task<WriteReceipt> UpdateAsync(string idOrPrefix, MemoryPatch patch, WriteContext context)
    {
        RequireWrite();
        return node.UpdateAsync(idOrPrefix, patch, Own(context));
    }

    public Task<WriteReceipt> DeleteAsync(string idOrPrefix, WriteContext context)
    {
        RequireWrite();
        return node.DeleteAsync(idOrPrefix, Own(context));
    }

    public Task<WriteReceipt> PromoteAsync(string idOrPrefix, WriteContext context)
    {
        RequireWrite();
        return node.PromoteAsync(idOrPrefix, Own(context));
    }

    public Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, WriteContext context)
    {
        RequireWrite();
        return node.LinkAsync(sourceId, targetId, relation, Own(context));
    }

    public Task<long> ForgetAsync(ForgetQuery query, WriteContext context)
    {
        RequireWrite();
        return node.ForgetAsync(query, Own(context));
    }

    public async Task<long> CollectGarbageAsync(bool dryRun = false)
    {
        RequireWrite();
        var collected = await node.CollectGarbageAsync(dryRun);
        return principal.SeesEverything ? collected : 0;
    }

    public Task<MemoryWithLinks> GetAsync(string idOrPrefix, CancellationToken cancellation = default) => node.GetAsync(idOrPrefix, _visibility, cancellation);

    public Task<MemoryPage> ListAsync(ListQuery query, CancellationToken cancellation = default) => node.ListAsync(query, _visibility, cancellation);

    public Task<Ranking> SearchAsync(SearchQuery query, CancellationToken cancellation = default) => node.SearchAsync(query, principal, cancellation);

    public Task<RecallResult> RecallAsync(RecallQuery query, CancellationToken cancellation = default) => node.RecallAsync(query, principal, cancellation);

    public Task<IReadOnlyList<Link>> LinksAsync(string id, CancellationToken cancellation = default) => node.LinksAsync(id, _visibility, cancellation);

    public async Task<IReadOnlyList<NamespaceCount>> NamespacesAsync(CancellationToken cancellation = default) =>
        principal.SeesEverything ? await node.NamespacesAsync(cancellation) : (await node.StatisticsAsync(_visibility, cancellation)).ByNamespace;

    public Task<StoreStatistics> StatisticsAsync(CancellationToken cancellation = default) =>
        principal.SeesEverything ? node.StatisticsAsync(cancellation) : node.StatisticsAsync(_visibility, cancellation);

    public IAsyncEnumerable<Memory> ExportMemoriesAsync(CancellationToken cancellation = default) => node.ExportMemoriesAsync(_visibility, cancellation);

    public IAsyncEnumerable<Link> ExportLinksAsync(CancellationToken cancellation = default) => node.ExportLinksAsync(_visibility, cancellation);

    public ServiceHealth Health() => node.Health();

    public Task WaitForAsync(LogPosition token, CancellationToken cancellation = default) => node.WaitForAsync(token, cancellation);

    public Task<MemoryWithLinks> GetAtQuorumAsync(string idOrPrefix, CancellationToken cancellation = default) => node.GetAtQuorumAsync(idOrPrefix, _visibility, cancellation);

    public Task<QuorumPolicy> SetQuorumAsync(string @namespace, int? writes, WriteContext context)
    {
        Principal.Require(principal.Role is Role.Admin, "say how many nodes must hold a write");
        return node.SetQuorumAsync(@namespace, writes, Own(context));
    }

    public Task<QuorumPolicy> QuorumAsync(string @namespace, CancellationToken cancellation = default) => node.QuorumAsync(@namespace, cancellation);

    public ReplicaSetSettings Replication => node.Replication;

    public Task<ReplicaSetStatus> ClusterAsync(CancellationToken cancellation = default) => node.ClusterAsync(cancellation);

    public BackfillRunner? Backfills
    {
        get
        {
            Principal.Require(principal.SeesEverything, "see to backfills");
            return node.Backfills;
        }
    }

    public Task<Digest> DigestAsync(CancellationToken cancellation = default)
    {
        Principal.Require(principal.SeesEverything, "see a digest of everything");
        return node.DigestAsync(cancellation);
    }

    public Task<DeadLetters> DeadLettersAsync(int limit, CancellationToken cancellation = default) =>
        principal.SeesEverything ? node.DeadLettersAsync(limit, cancellation) : Task.FromResult(new DeadLetters(0, []));

    public Task<IReadOnlyList<SyncOutcome>> SyncAsync(IReadOnlyList<Memory> memories, WriteContext context)
    {
        Principal.Require(principal.SeesEverything, "push memories of other systems");
        return node.SyncAsync(memories, Own(context));
    }

    public Task<IReadOnlyList<Memory>> ChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default) => node.ChangesAsync(after, limit, _visibility, cancellation);

    public Task<IReadOnlyList<ArchivedMemory>> ArchivedAsync(ArchiveQuery query, CancellationToken cancellation = default) => node.ArchivedAsync(query, _visibility, cancellation);

    public Task<ArchiveStatistics> ArchiveStatisticsAsync(CancellationToken cancellation = default) => node.ArchiveStatisticsAsync(_visibility, cancellation);

    public Task<WriteReceipt> RestoreAsync(string id, WriteContext context)
    {
        RequireWrite();
        return node.RestoreAsync(id, Own(context));
    }

    public Task<long> PurgeAsync(long? olderThanDays, WriteContext context)
    {
        Principal.Require(principal.Role is Role.Admin, "purge the archive");
        return node.PurgeAsync(olderThanDays, Own(context));
    }

    public Task<RegisteredAgent> RegisterAgentAsync(string agentId, string agentType, IReadOnlyList<string> capabilities, WriteContext context)
    {
        RequireWrite();
        RequireSelf(agentId);
        return node.RegisterAgentAsync(agentId, agentType, capabilities, Own(context));
    }

    /// <summary>Itself, unless it sees everything.</summary>
    public async Task<IReadOnlyList<RegisteredAgent>> AgentsAsync(CancellationToken cancellation = default) =>
        [.. (await node.AgentsAsync(cancellation)).Where(agent => principal.SeesEverything || agent.AgentId == principal.AgentId)];

    public Task SetStandardAsync(string @namespace, string standardId, string? parent, GovernancePolicy? policy, WriteContext context)
    {
        RequireWrite();
        return node.SetStandardAsync(@namespace, standardId, parent, policy, Own(context));
    }

    public Task<bool> ClearStandardAsync(string @namespace, WriteContext context)
    {
        RequireWrite();
        return node.ClearStandardAsync(@namespace, Own(context));
    }

    public Task<NamespaceStandard> StandardAsync(string @namespace, CancellationToken cancellation = default) => node.StandardAsync(@namespace, _visibility, cancellation);

    public Task<StandardChain> StandardChainAsync(string @namespace, CancellationToken cancellation = default) => node.StandardChainAsync(@namespace, _visibility, cancellation);

    /// <summary>What the caller asked for itself, or all when it decides.</summary>
    public Task<IReadOnlyList<PendingAction>> PendingAsync(string? status, int limit, CancellationToken cancellation = default) =>
        node.PendingAsync(status, limit, action => principal.SeesEverything || principal.MayDecide || action.RequestedBy == principal.AgentId, cancellation);

    public Task<VoteOutcome> VoteAsync(string id, bool approve, WriteContext context)
    {
        Principal.Require(principal.MayDecide, "decide pending actions");
        return node.VoteAsync(id, approve, Own(context));
    }

    public Task<Message> NotifyAsync(MessageDraft draft, WriteContext context)
    {
        RequireWrite();
        return node.NotifyAsync(draft, Own(context));
    }

    /// <summary>Its own, unless it sees everything.</summary>
    public Task<Inbox> InboxAsync(InboxQuery query, WriteContext context, CancellationToken cancellation = default)
    {
        RequireInbox(query.AgentId);
        return node.InboxAsync(query, Own(context), cancellation);
    }

    public Task<long> ReadMessagesAsync(string agentId, IReadOnlyList<string> ids, bool take, WriteContext context)
    {
        RequireWrite();
        RequireInbox(agentId);
        return node.ReadMessagesAsync(agentId, ids, take, Own(context));
    }

    public Task<Consolidated> ConsolidateAsync(ConsolidationDraft draft, WriteContext context)
    {
        RequireWrite();
        return node.ConsolidateAsync(draft, Own(context));
    }

    public Task<WriteReceipt> SupersedeAsync(string winnerId, string loserId, WriteContext context)
    {
        RequireWrite();
        return node.SupersedeAsync(winnerId, loserId, Own(context));
    }

    public Task<IReadOnlyList<CurationRecord>> CurationsAsync(int limit, CancellationToken cancellation = default) => node.CurationsAsync(limit, _visibility, cancellation);

    public Task<CurationRecord> UndoAsync(string curationId, WriteContext context)
    {
        RequireWrite();
        return node.UndoAsync(curationId, Own(context));
    }

    public Task<CuratorReport> CurateAsync(CuratorOrder order, WriteContext context)
    {
        RequireCurator();
        return node.CurateAsync(order, Own(context));
    }

    public Task<CuratorStatus> CuratorAsync(CancellationToken cancellation = default)
    {
        RequireCurator();
        return node.CuratorAsync(cancellation);
    }

    public Task<UndoneRuns> UndoRunsAsync(string? runId, int? last, WriteContext context)
    {
        RequireCurator();
        return node.UndoRunsAsync(runId, last, Own(context));
    }

    public Task<Subscription> SubscribeAsync(SubscriptionDraft draft, WriteContext context)
    {
        RequireWrite();
        return node.SubscribeAsync(draft, Own(context));
    }

    /// <summary>Its own, unless it sees everything.</summary>
    public Task<IReadOnlyList<Subscription>> SubscriptionsAsync(string? owner, CancellationToken cancellation = default) =>
        node.SubscriptionsAsync(principal.SeesEverything ? owner : principal.AgentId, cancellation);

    public Task<bool> UnsubscribeAsync(string id, string? owner, WriteContext context)
    {
        RequireWrite();
        return node.UnsubscribeAsync(id, principal.SeesEverything ? owner : principal.AgentId, Own(context));
    }

    public Task<SessionStart> StartSessionAsync(string? @namespace, int limit, CancellationToken cancellation = default) =>
        node.StartSessionAsync(@namespace, limit, _visibility, cancellation);

    public Task<ModelFeatures> ModelsAsync(CancellationToken cancellation = default) => node.ModelsAsync(cancellation);

    public Task<QueryExpansion> ExpandQueryAsync(string query, CancellationToken cancellation = default) => node.ExpandQueryAsync(query, cancellation);

    public Task<AutoTags> AutoTagAsync(string idOrPrefix, WriteContext context)
    {
        RequireWrite();
        return node.AutoTagAsync(idOrPrefix, Own(context));
    }

    public Task<ContradictionCheck> CompareAsync(string oneId, string otherId, CancellationToken cancellation = default) =>
        node.CompareAsync(oneId, otherId, _visibility, cancellation);

    public Task<string> SummariseAsync(IReadOnlyList<string> ids, CancellationToken cancellation = default) => node.SummariseAsync(ids, _visibility, cancellation);

    public Task<Grant> GrantAsync(string idOrPrefix, string agentId, Permission permission, WriteContext context)
    {
        RequireWrite();
        return node.GrantAsync(idOrPrefix, agentId, permission, Own(context));
    }

    public Task<bool> RevokeAsync(string idOrPrefix, string agentId, WriteContext context)
    {
        RequireWrite();
        return node.RevokeAsync(idOrPrefix, agentId, Own(context));
    }

    public Task<IReadOnlyList<Grant>> GrantsAsync(string idOrPrefix, CancellationToken cancellation = default) => node.GrantsAsync(idOrPrefix, principal, cancellation);

    public Task<SimilarMemories> SimilarAsync(string @namespace, string title, CancellationToken cancellation = default) =>
        node.SimilarAsync(@namespace, title, principal, cancellation);

    public Task<Contradictions> ContradictionsAsync(ContradictionQuery query, CancellationToken cancellation = default) =>
        node.ContradictionsAsync(query, _visibility, cancellation);

    private void RequireInbox(string? agentId) => Principal.Require(principal.SeesEverything || agentId is null || agentId == principal.AgentId, "open another agent's inbox");

    private void RequireCurator() => Principal.Require(principal.Role is Role.Admin, "run the curator, which changes everybody's memories");

    private void RequireWrite() => Principal.Require(principal.MayWrite, "write");

    /// <summary>A credential that is bound to an agent speaks for no other.</summary>
    private void RequireSelf(string? agentId)
    {
        // The name of a caller that gave none is no claim.
        if (principal.AgentId is { } own && agentId is not null && agentId != own && !agentId.StartsWith(AgentIdentity.AnonymousPrefix, StringComparison.Ordinal))
        {
            throw new MemoryException(ErrorKind.Forbidden, $"this credential is bound to the agent {own}");
        }
    }

    private WriteContext Own(WriteContext context)
    {
        RequireSelf(context.AgentId);
        return context with { AgentId = principal.AgentId ?? context.AgentId, Principal = principal };
    }

    private MemoryDraft Own(MemoryDraft draft)
    {
        RequireSelf(draft.AgentId);
        return draft with { AgentId = principal.AgentId ?? draft.AgentId };
    }
}
