using System.Text.Json.Serialization;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Models;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>What a front end asks of a node's service. Names and fields are sent, as those of a <see cref="WriteCommand"/>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "ask")]
[JsonDerivedType(typeof(HealthQuestion), "health")]
[JsonDerivedType(typeof(GetQuestion), "get")]
[JsonDerivedType(typeof(QuorumGetQuestion), "quorum_get")]
[JsonDerivedType(typeof(ListQuestion), "list")]
[JsonDerivedType(typeof(SearchQuestion), "search")]
[JsonDerivedType(typeof(RecallQuestion), "recall")]
[JsonDerivedType(typeof(LinksQuestion), "links")]
[JsonDerivedType(typeof(NamespacesQuestion), "namespaces")]
[JsonDerivedType(typeof(StatisticsQuestion), "statistics")]
[JsonDerivedType(typeof(QuorumQuestion), "quorum")]
[JsonDerivedType(typeof(ClusterQuestion), "cluster")]
[JsonDerivedType(typeof(DigestQuestion), "digest")]
[JsonDerivedType(typeof(DeadLettersQuestion), "dead_letters")]
[JsonDerivedType(typeof(ChangesQuestion), "changes")]
[JsonDerivedType(typeof(ExportQuestion), "export")]
[JsonDerivedType(typeof(StoreManyQuestion), "store_many")]
[JsonDerivedType(typeof(ImportQuestion), "import")]
[JsonDerivedType(typeof(UpdateQuestion), "update")]
[JsonDerivedType(typeof(DeleteQuestion), "delete")]
[JsonDerivedType(typeof(PromoteQuestion), "promote")]
[JsonDerivedType(typeof(LinkQuestion), "link")]
[JsonDerivedType(typeof(ForgetQuestion), "forget")]
[JsonDerivedType(typeof(CollectGarbageQuestion), "collect_garbage")]
[JsonDerivedType(typeof(SyncQuestion), "sync")]
[JsonDerivedType(typeof(ArchivedQuestion), "archived")]
[JsonDerivedType(typeof(ArchiveStatisticsQuestion), "archive_statistics")]
[JsonDerivedType(typeof(AgentsQuestion), "agents")]
[JsonDerivedType(typeof(StandardQuestion), "standard")]
[JsonDerivedType(typeof(StandardChainQuestion), "standard_chain")]
[JsonDerivedType(typeof(PendingQuestion), "pending")]
[JsonDerivedType(typeof(InboxQuestion), "inbox")]
[JsonDerivedType(typeof(CurationsQuestion), "curations")]
[JsonDerivedType(typeof(SessionQuestion), "session")]
[JsonDerivedType(typeof(StoreQuestion), "store")]
[JsonDerivedType(typeof(SetQuorumQuestion), "set_quorum")]
[JsonDerivedType(typeof(RestoreQuestion), "restore")]
[JsonDerivedType(typeof(PurgeQuestion), "purge")]
[JsonDerivedType(typeof(RegisterAgentQuestion), "register_agent")]
[JsonDerivedType(typeof(SetStandardQuestion), "set_standard")]
[JsonDerivedType(typeof(ClearStandardQuestion), "clear_standard")]
[JsonDerivedType(typeof(VoteQuestion), "vote")]
[JsonDerivedType(typeof(NotifyQuestion), "notify")]
[JsonDerivedType(typeof(ReadMessagesQuestion), "read_messages")]
[JsonDerivedType(typeof(ConsolidateQuestion), "consolidate")]
[JsonDerivedType(typeof(UndoQuestion), "undo")]
[JsonDerivedType(typeof(SupersedeQuestion), "supersede")]
[JsonDerivedType(typeof(SubscribeQuestion), "subscribe")]
[JsonDerivedType(typeof(SubscriptionsQuestion), "subscriptions")]
[JsonDerivedType(typeof(UnsubscribeQuestion), "unsubscribe")]
[JsonDerivedType(typeof(ModelsQuestion), "models")]
[JsonDerivedType(typeof(ExpandQueryQuestion), "expand_query")]
[JsonDerivedType(typeof(AutoTagQuestion), "auto_tag")]
[JsonDerivedType(typeof(CompareQuestion), "compare")]
[JsonDerivedType(typeof(SummariseQuestion), "summarise")]
[JsonDerivedType(typeof(GrantQuestion), "grant")]
[JsonDerivedType(typeof(RevokeQuestion), "revoke")]
[JsonDerivedType(typeof(GrantsQuestion), "grants")]
[JsonDerivedType(typeof(SimilarQuestion), "similar")]
[JsonDerivedType(typeof(ContradictionsQuestion), "contradictions")]
[JsonDerivedType(typeof(CurateQuestion), "curate")]
[JsonDerivedType(typeof(CuratorQuestion), "curator")]
[JsonDerivedType(typeof(UndoRunsQuestion), "undo_runs")]
internal abstract record Question
{
    /// <summary>What the node must hold before it answers.</summary>
    public IReadOnlyList<LogPosition>? Seen { get; init; }

    /// <summary>Who asks; null: a caller without a credential of its own.</summary>
    public Principal? Principal { get; init; }

    /// <summary>Asked again, it changes nothing more: another node may be asked when one does not answer.</summary>
    [JsonIgnore]
    public virtual bool IsRepeatable => true;

    /// <returns>The answer's bytes.</returns>
    public abstract Task<byte[]> AnswerAsync(INodeService node);
}

/// <typeparam name="T">Of the answer.</typeparam>
internal abstract record Question<T> : Question
{
    public sealed override async Task<byte[]> AnswerAsync(INodeService node) => WireJson.EncodeAnswer(await AskAsync(node));

    protected abstract Task<T> AskAsync(INodeService node);
}

internal sealed record HealthQuestion : Question<ServiceHealth>
{
    protected override Task<ServiceHealth> AskAsync(INodeService node) => Task.FromResult(node.Health());
}

internal sealed record GetQuestion(string Id) : Question<MemoryWithLinks>
{
    protected override Task<MemoryWithLinks> AskAsync(INodeService node) => node.GetAsync(Id);
}

internal sealed record QuorumGetQuestion(string Id) : Question<MemoryWithLinks>
{
    protected override Task<MemoryWithLinks> AskAsync(INodeService node) => node.GetAtQuorumAsync(Id);
}

internal sealed record ListQuestion(ListQuery Query) : Question<MemoryPage>
{
    protected override Task<MemoryPage> AskAsync(INodeService node) => node.ListAsync(Query);
}

internal sealed record SearchQuestion(SearchQuery Query) : Question<Ranking>
{
    protected override Task<Ranking> AskAsync(INodeService node) => node.SearchAsync(Query);
}

internal sealed record RecallQuestion(RecallQuery Query) : Question<RecallResult>
{
    protected override Task<RecallResult> AskAsync(INodeService node) => node.RecallAsync(Query);
}

internal sealed record LinksQuestion(string Id) : Question<IReadOnlyList<Link>>
{
    protected override Task<IReadOnlyList<Link>> AskAsync(INodeService node) => node.LinksAsync(Id);
}

internal sealed record NamespacesQuestion : Question<IReadOnlyList<NamespaceCount>>
{
    protected override Task<IReadOnlyList<NamespaceCount>> AskAsync(INodeService node) => node.NamespacesAsync();
}

internal sealed record StatisticsQuestion : Question<StoreStatistics>
{
    protected override Task<StoreStatistics> AskAsync(INodeService node) => node.StatisticsAsync();
}

internal sealed record QuorumQuestion(string Namespace) : Question<QuorumPolicy>
{
    protected override Task<QuorumPolicy> AskAsync(INodeService node) => node.QuorumAsync(Namespace);
}

internal sealed record ClusterQuestion : Question<ReplicaSetStatus>
{
    protected override Task<ReplicaSetStatus> AskAsync(INodeService node) => node.ClusterAsync();
}

internal sealed record DigestQuestion : Question<Digest>
{
    protected override Task<Digest> AskAsync(INodeService node) => node.DigestAsync();
}

internal sealed record DeadLettersQuestion(int Limit) : Question<DeadLetters>
{
    protected override Task<DeadLetters> AskAsync(INodeService node) => node.DeadLettersAsync(Limit);
}

internal sealed record ChangesQuestion(ChangePlace After, int Limit) : Question<IReadOnlyList<Memory>>
{
    protected override Task<IReadOnlyList<Memory>> AskAsync(INodeService node) => node.ChangesAsync(After, Limit);
}

/// <summary>Says only what the node must hold; <see cref="IServiceGrain"/> has calls of their own for exports.</summary>
internal sealed record ExportQuestion : Question<ServiceHealth>
{
    protected override Task<ServiceHealth> AskAsync(INodeService node) => Task.FromResult(node.Health());
}

internal sealed record StoreManyQuestion(IReadOnlyList<MemoryDraft> Drafts, WriteContext Context) : Question<IReadOnlyList<RowOutcome>>
{
    public override bool IsRepeatable => Context.IdempotencyKey is not null;

    protected override Task<IReadOnlyList<RowOutcome>> AskAsync(INodeService node) => node.StoreManyAsync(Drafts, Context);
}

internal sealed record ImportQuestion(IReadOnlyList<Memory> Memories, IReadOnlyList<Link> Links, ImportOptions Options, WriteContext Context)
    : Question<IReadOnlyList<RowOutcome>>
{
    public override bool IsRepeatable => false;

    protected override Task<IReadOnlyList<RowOutcome>> AskAsync(INodeService node) => node.ImportAsync(Memories, Links, Options, Context);
}

internal sealed record UpdateQuestion(string Id, MemoryPatch Patch, WriteContext Context) : Question<WriteReceipt>
{
    public override bool IsRepeatable => false;

    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.UpdateAsync(Id, Patch, Context);
}

internal sealed record DeleteQuestion(string Id, WriteContext Context) : Question<WriteReceipt>
{
    public override bool IsRepeatable => false;

    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.DeleteAsync(Id, Context);
}

internal sealed record PromoteQuestion(string Id, WriteContext Context) : Question<WriteReceipt>
{
    public override bool IsRepeatable => Context.IfMatch is null;

    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.PromoteAsync(Id, Context);
}

internal sealed record LinkQuestion(string SourceId, string TargetId, string Relation, WriteContext Context) : Question<LinkReceipt>
{
    protected override Task<LinkReceipt> AskAsync(INodeService node) => node.LinkAsync(SourceId, TargetId, Relation, Context);
}

internal sealed record ForgetQuestion(ForgetQuery Query, WriteContext Context) : Question<long>
{
    public override bool IsRepeatable => false;

    protected override Task<long> AskAsync(INodeService node) => node.ForgetAsync(Query, Context);
}

internal sealed record CollectGarbageQuestion(bool DryRun = false) : Question<long>
{
    public override bool IsRepeatable => false;

    protected override Task<long> AskAsync(INodeService node) => node.CollectGarbageAsync(DryRun);
}

internal sealed record SyncQuestion(IReadOnlyList<Memory> Memories, WriteContext Context) : Question<IReadOnlyList<SyncOutcome>>
{
    protected override Task<IReadOnlyList<SyncOutcome>> AskAsync(INodeService node) => node.SyncAsync(Memories, Context);
}

internal sealed record ArchivedQuestion(ArchiveQuery Query) : Question<IReadOnlyList<ArchivedMemory>>
{
    protected override Task<IReadOnlyList<ArchivedMemory>> AskAsync(INodeService node) => node.ArchivedAsync(Query);
}

internal sealed record ArchiveStatisticsQuestion : Question<ArchiveStatistics>
{
    protected override Task<ArchiveStatistics> AskAsync(INodeService node) => node.ArchiveStatisticsAsync();
}

internal sealed record AgentsQuestion : Question<IReadOnlyList<RegisteredAgent>>
{
    protected override Task<IReadOnlyList<RegisteredAgent>> AskAsync(INodeService node) => node.AgentsAsync();
}

internal sealed record StandardQuestion(string Namespace) : Question<NamespaceStandard>
{
    protected override Task<NamespaceStandard> AskAsync(INodeService node) => node.StandardAsync(Namespace);
}

internal sealed record StandardChainQuestion(string Namespace) : Question<StandardChain>
{
    protected override Task<StandardChain> AskAsync(INodeService node) => node.StandardChainAsync(Namespace);
}

internal sealed record PendingQuestion(string? Status, int Limit) : Question<IReadOnlyList<PendingAction>>
{
    protected override Task<IReadOnlyList<PendingAction>> AskAsync(INodeService node) => node.PendingAsync(Status, Limit);
}

internal sealed record InboxQuestion(InboxQuery Query, WriteContext Context) : Question<Inbox>
{
    protected override Task<Inbox> AskAsync(INodeService node) => node.InboxAsync(Query, Context);
}

internal sealed record CurationsQuestion(int Limit) : Question<IReadOnlyList<CurationRecord>>
{
    protected override Task<IReadOnlyList<CurationRecord>> AskAsync(INodeService node) => node.CurationsAsync(Limit);
}

internal sealed record SessionQuestion(string? Namespace, int Limit) : Question<SessionStart>
{
    protected override Task<SessionStart> AskAsync(INodeService node) => node.StartSessionAsync(Namespace, Limit);
}

internal sealed record StoreQuestion(MemoryDraft Draft, WriteContext Context) : Question<WriteReceipt>
{
    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.StoreAsync(Draft, Context);
}

internal sealed record SetQuorumQuestion(string Namespace, int? Writes, WriteContext Context) : Question<QuorumPolicy>
{
    protected override Task<QuorumPolicy> AskAsync(INodeService node) => node.SetQuorumAsync(Namespace, Writes, Context);
}

internal sealed record RestoreQuestion(string Id, WriteContext Context) : Question<WriteReceipt>
{
    public override bool IsRepeatable => false;

    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.RestoreAsync(Id, Context);
}

internal sealed record PurgeQuestion(long? OlderThanDays, WriteContext Context) : Question<long>
{
    public override bool IsRepeatable => false;

    protected override Task<long> AskAsync(INodeService node) => node.PurgeAsync(OlderThanDays, Context);
}

internal sealed record RegisterAgentQuestion(string AgentId, string AgentType, IReadOnlyList<string> Capabilities, WriteContext Context)
    : Question<RegisteredAgent>
{
    protected override Task<RegisteredAgent> AskAsync(INodeService node) => node.RegisterAgentAsync(AgentId, AgentType, Capabilities, Context);
}

internal sealed record SetStandardQuestion(string Namespace, string StandardId, string? Parent, GovernancePolicy? Policy, WriteContext Context)
    : Question<bool>
{
    protected override async Task<bool> AskAsync(INodeService node)
    {
        await node.SetStandardAsync(Namespace, StandardId, Parent, Policy, Context);
        return true;
    }
}

internal sealed record ClearStandardQuestion(string Namespace, WriteContext Context) : Question<bool>
{
    public override bool IsRepeatable => false;

    protected override Task<bool> AskAsync(INodeService node) => node.ClearStandardAsync(Namespace, Context);
}

internal sealed record VoteQuestion(string Id, bool Approve, WriteContext Context) : Question<VoteOutcome>
{
    protected override Task<VoteOutcome> AskAsync(INodeService node) => node.VoteAsync(Id, Approve, Context);
}

internal sealed record NotifyQuestion(MessageDraft Draft, WriteContext Context) : Question<Message>
{
    public override bool IsRepeatable => false;

    protected override Task<Message> AskAsync(INodeService node) => node.NotifyAsync(Draft, Context);
}

internal sealed record ReadMessagesQuestion(string AgentId, IReadOnlyList<string> Ids, bool Take, WriteContext Context) : Question<long>
{
    public override bool IsRepeatable => false;

    protected override Task<long> AskAsync(INodeService node) => node.ReadMessagesAsync(AgentId, Ids, Take, Context);
}

internal sealed record ConsolidateQuestion(ConsolidationDraft Draft, WriteContext Context) : Question<Consolidated>
{
    public override bool IsRepeatable => false;

    protected override Task<Consolidated> AskAsync(INodeService node) => node.ConsolidateAsync(Draft, Context);
}

internal sealed record SupersedeQuestion(string WinnerId, string LoserId, WriteContext Context) : Question<WriteReceipt>
{
    public override bool IsRepeatable => false;

    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.SupersedeAsync(WinnerId, LoserId, Context);
}

internal sealed record UndoQuestion(string CurationId, WriteContext Context) : Question<CurationRecord>
{
    protected override Task<CurationRecord> AskAsync(INodeService node) => node.UndoAsync(CurationId, Context);
}

internal sealed record SubscribeQuestion(SubscriptionDraft Draft, WriteContext Context) : Question<Subscription>
{
    public override bool IsRepeatable => false;

    protected override Task<Subscription> AskAsync(INodeService node) => node.SubscribeAsync(Draft, Context);
}

internal sealed record SubscriptionsQuestion(string? Owner) : Question<IReadOnlyList<Subscription>>
{
    protected override Task<IReadOnlyList<Subscription>> AskAsync(INodeService node) => node.SubscriptionsAsync(Owner);
}

internal sealed record UnsubscribeQuestion(string Id, string? Owner, WriteContext Context) : Question<bool>
{
    public override bool IsRepeatable => false;

    protected override Task<bool> AskAsync(INodeService node) => node.UnsubscribeAsync(Id, Owner, Context);
}

internal sealed record ModelsQuestion : Question<ModelFeatures>
{
    protected override Task<ModelFeatures> AskAsync(INodeService node) => node.ModelsAsync();
}

internal sealed record ExpandQueryQuestion(string Query) : Question<QueryExpansion>
{
    protected override Task<QueryExpansion> AskAsync(INodeService node) => node.ExpandQueryAsync(Query);
}

internal sealed record AutoTagQuestion(string IdOrPrefix, WriteContext Context) : Question<AutoTags>
{
    protected override Task<AutoTags> AskAsync(INodeService node) => node.AutoTagAsync(IdOrPrefix, Context);
}

internal sealed record CompareQuestion(string OneId, string OtherId) : Question<ContradictionCheck>
{
    protected override Task<ContradictionCheck> AskAsync(INodeService node) => node.CompareAsync(OneId, OtherId);
}

internal sealed record SummariseQuestion(IReadOnlyList<string> Ids) : Question<string>
{
    protected override Task<string> AskAsync(INodeService node) => node.SummariseAsync(Ids);
}

internal sealed record GrantQuestion(string Id, string AgentId, Permission Permission, WriteContext Context) : Question<Grant>
{
    protected override Task<Grant> AskAsync(INodeService node) => node.GrantAsync(Id, AgentId, Permission, Context);
}

internal sealed record RevokeQuestion(string Id, string AgentId, WriteContext Context) : Question<bool>
{
    public override bool IsRepeatable => false;

    protected override Task<bool> AskAsync(INodeService node) => node.RevokeAsync(Id, AgentId, Context);
}

internal sealed record GrantsQuestion(string Id) : Question<IReadOnlyList<Grant>>
{
    protected override Task<IReadOnlyList<Grant>> AskAsync(INodeService node) => node.GrantsAsync(Id);
}

internal sealed record SimilarQuestion(string Namespace, string Title) : Question<SimilarMemories>
{
    protected override Task<SimilarMemories> AskAsync(INodeService node) => node.SimilarAsync(Namespace, Title);
}

internal sealed record ContradictionsQuestion(ContradictionQuery Query) : Question<Contradictions>
{
    protected override Task<Contradictions> AskAsync(INodeService node) => node.ContradictionsAsync(Query);
}

internal sealed record CurateQuestion(CuratorOrder Order, WriteContext Context) : Question<CuratorReport>
{
    public override bool IsRepeatable => false;

    protected override Task<CuratorReport> AskAsync(INodeService node) => node.CurateAsync(Order, Context);
}

internal sealed record CuratorQuestion : Question<CuratorStatus>
{
    protected override Task<CuratorStatus> AskAsync(INodeService node) => node.CuratorAsync();
}

internal sealed record UndoRunsQuestion(string? RunId, int? Last, WriteContext Context) : Question<UndoneRuns>
{
    public override bool IsRepeatable => false;

    protected override Task<UndoneRuns> AskAsync(INodeService node) => node.UndoRunsAsync(RunId, Last, Context);
}
