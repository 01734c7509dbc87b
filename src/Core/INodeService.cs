using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Models;

namespace OrleansMemory.Core;

public partial interface INodeService
{
    /// <summary>The node as the bearer of a credential has it.</summary>
    INodeService As(Principal principal);

    /// <summary>Latest first.</summary>
    Task<IReadOnlyList<ArchivedMemory>> ArchivedAsync(ArchiveQuery query, CancellationToken cancellation = default);

    Task<ArchiveStatistics> ArchiveStatisticsAsync(CancellationToken cancellation = default);

    /// <summary>Brings an archived memory back as it was, now long-lived.</summary>
    /// <exception cref="MemoryException">
    /// <see cref="ErrorKind.NotFound"/>: it is not archived; <see cref="ErrorKind.AlreadyExists"/>: it is live; <see cref="ErrorKind.TitleTaken"/>.
    /// </exception>
    Task<WriteReceipt> RestoreAsync(string id, WriteContext context);

    /// <summary>Deletes archived memories for good.</summary>
    /// <param name="olderThanDays">Only those archived at least so long ago; null: all.</param>
    /// <returns>How many.</returns>
    Task<long> PurgeAsync(long? olderThanDays, WriteContext context);

    /// <summary>Registers an agent, or refreshes its registration.</summary>
    Task<RegisteredAgent> RegisterAgentAsync(string agentId, string agentType, IReadOnlyList<string> capabilities, WriteContext context);

    /// <summary>By the time of the first registration.</summary>
    Task<IReadOnlyList<RegisteredAgent>> AgentsAsync(CancellationToken cancellation = default);

    /// <summary>Says which memory is the standard of a namespace. <c>*</c> stands for all of them.</summary>
    /// <param name="parent">The namespace whose standards come before; null: none but those of the path.</param>
    /// <param name="policy">Null leaves the policy as it is.</param>
    Task SetStandardAsync(string @namespace, string standardId, string? parent, GovernancePolicy? policy, WriteContext context);

    /// <returns>False: there was none.</returns>
    Task<bool> ClearStandardAsync(string @namespace, WriteContext context);

    Task<NamespaceStandard> StandardAsync(string @namespace, CancellationToken cancellation = default);

    /// <summary>
    /// The namespaces whose standards hold in one, the most general first: <c>*</c>, the parents that are named, those of the path, and itself. With those
    /// of them that have one.
    /// </summary>
    Task<StandardChain> StandardChainAsync(string @namespace, CancellationToken cancellation = default);

    /// <summary>Latest first.</summary>
    /// <param name="status">One of <see cref="PendingStatuses"/>; null: any.</param>
    Task<IReadOnlyList<PendingAction>> PendingAsync(string? status, int limit, CancellationToken cancellation = default);

    /// <summary>
    /// Consents to a pending action, or refuses it. The consent that was missing carries it out; asked again, it carries out what was decided and not done.
    /// </summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.Forbidden"/>: the caller does not decide this, or it is decided.</exception>
    Task<VoteOutcome> VoteAsync(string id, bool approve, WriteContext context);

    /// <summary>Sends a message from the caller; two of one subject are two.</summary>
    Task<Message> NotifyAsync(MessageDraft draft, WriteContext context);

    /// <summary>Messages of an agent that have not ended. Reading them so marks none as read.</summary>
    Task<Inbox> InboxAsync(InboxQuery query, WriteContext context, CancellationToken cancellation = default);

    /// <summary>Marks messages of an agent as read, or takes them away; at most 1,000.</summary>
    /// <returns>How many were not before.</returns>
    Task<long> ReadMessagesAsync(string agentId, IReadOnlyList<string> ids, bool take, WriteContext context);

    /// <summary>Makes one memory of several: they are archived, it takes over their links, and the record undoes it. All of it, or nothing.</summary>
    Task<Consolidated> ConsolidateAsync(ConsolidationDraft draft, WriteContext context);

    /// <summary>Latest first.</summary>
    Task<IReadOnlyList<CurationRecord>> CurationsAsync(int limit, CancellationToken cancellation = default);

    /// <summary>Undoes a curation; one that is undone stays so.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.TitleTaken"/>: of a memory that would come back.</exception>
    Task<CurationRecord> UndoAsync(string curationId, WriteContext context);

    /// <summary>One run of the curator, on the node that is asked.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.AlreadyRunning"/>; <see cref="ErrorKind.InvalidCuration"/></exception>
    Task<CuratorReport> CurateAsync(CuratorOrder order, WriteContext context);

    Task<CuratorStatus> CuratorAsync(CancellationToken cancellation = default);

    /// <summary>Undoes what runs of the curator did and nobody undid yet, the latest first, each change by itself.</summary>
    /// <param name="runId">All of that run; or else <paramref name="last"/>.</param>
    /// <param name="last">So many of the last changes, of whatever run; at least 1.</param>
    Task<UndoneRuns> UndoRunsAsync(string? runId, int? last, WriteContext context);

    /// <summary>Tells a registered agent of changes from now on, wherever they are made.</summary>
    Task<Subscription> SubscribeAsync(SubscriptionDraft draft, WriteContext context);

    /// <summary>Latest first.</summary>
    /// <param name="owner">Null: anybody's.</param>
    Task<IReadOnlyList<Subscription>> SubscriptionsAsync(string? owner, CancellationToken cancellation = default);

    /// <returns>False: there is none of that owner.</returns>
    Task<bool> UnsubscribeAsync(string id, string? owner, WriteContext context);

    /// <summary>Lets an agent with a credential of its own see or change one memory, whatever its scope; a grant that there is already is replaced.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.Forbidden"/>: it is not the caller's to give.</exception>
    Task<Grant> GrantAsync(string idOrPrefix, string agentId, Permission permission, WriteContext context);

    /// <returns>False: there was none.</returns>
    Task<bool> RevokeAsync(string idOrPrefix, string agentId, WriteContext context);

    /// <summary>By agent; to who did not write the memory only its own.</summary>
    Task<IReadOnlyList<Grant>> GrantsAsync(string idOrPrefix, CancellationToken cancellation = default);

    /// <summary>What a memory of this title may contradict. Waits for the index, and for nothing else.</summary>
    Task<SimilarMemories> SimilarAsync(string @namespace, string title, CancellationToken cancellation = default);

    /// <summary>Memories that say different things of one topic.</summary>
    Task<Contradictions> ContradictionsAsync(ContradictionQuery query, CancellationToken cancellation = default);

    /// <summary>What an agent begins its session with: the standards of a namespace, and its memories by priority.</summary>
    /// <param name="namespace">Null: any.</param>
    Task<SessionStart> StartSessionAsync(string? @namespace, int limit, CancellationToken cancellation = default);

    /// <summary>Which models the node asks.</summary>
    Task<ModelFeatures> ModelsAsync(CancellationToken cancellation = default);

    /// <summary>Words near a query, from the text model.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.QueryEmpty"/>; <see cref="ErrorKind.ModelMissing"/>; <see cref="ErrorKind.ModelFailed"/>.</exception>
    Task<QueryExpansion> ExpandQueryAsync(string query, CancellationToken cancellation = default);

    /// <summary>Adds tags that the text model finds to a memory: at most 8, and no more than a memory may have. An update, governed as one.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.ModelMissing"/>; <see cref="ErrorKind.ModelFailed"/>.</exception>
    Task<AutoTags> AutoTagAsync(string idOrPrefix, WriteContext context);

    /// <summary>Whether two memories contradict each other, in the eyes of the text model. A memory does not contradict itself.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.ModelMissing"/>; <see cref="ErrorKind.ModelFailed"/>.</exception>
    Task<ContradictionCheck> CompareAsync(string oneId, string otherId, CancellationToken cancellation = default);

    /// <summary>What memories say, as one text by the text model: the summary of a consolidation. It changes nothing.</summary>
    /// <param name="ids">As of a <see cref="ConsolidationDraft"/>.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.ModelMissing"/>; <see cref="ErrorKind.ModelFailed"/>.</exception>
    Task<string> SummariseAsync(IReadOnlyList<string> ids, CancellationToken cancellation = default);
}

/// <param name="Count">Memories that were put away.</param>
public sealed record Consolidated(WriteReceipt Receipt, int Count, string CurationId);

/// <param name="Standards">Of those in the chain that have one.</param>
public sealed record StandardChain(IReadOnlyList<string> Chain, IReadOnlyList<NamespaceStandard> Standards);

/// <param name="Memories">Without the standards.</param>
public sealed record SessionStart(IReadOnlyList<Memory> Memories, IReadOnlyList<Memory> Standards);
