using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;

namespace OrleansMemory.Core;

/// <summary>
/// The whole domain: memories, and what agents and operators do around them. A node answers it, and so does whatever reaches a node from afar.
/// </summary>
public interface IDomainService : IMemoryService
{
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

    /// <summary>Undoes what runs of the curator did and nobody undid yet, the latest first, each change by itself.</summary>
    /// <param name="runId">All of that run; or else <paramref name="last"/>.</param>
    /// <param name="last">So many of the last changes, of whatever run; at least 1.</param>
    Task<UndoneRuns> UndoRunsAsync(string? runId, int? last, WriteContext context);

    /// <summary>Settles which of two memories holds: links them, and takes priority and confidence from the other. All of it, or nothing.</summary>
    /// <returns>Of the memory that no longer holds.</returns>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.SelfLink"/>.</exception>
    Task<WriteReceipt> SupersedeAsync(string winnerId, string loserId, WriteContext context);

    /// <summary>What an agent begins its session with: the standards of a namespace, and its memories by priority.</summary>
    /// <param name="namespace">Null: any.</param>
    Task<SessionStart> StartSessionAsync(string? @namespace, int limit, CancellationToken cancellation = default);

    /// <summary>
    /// Takes complete memories from a system that keeps none of our stamps: of each (namespace, title) the newer update time wins, and
    /// what was deleted here stays deleted. At most 1,000, each judged alone: one outcome for each, in order.
    /// </summary>
    Task<IReadOnlyList<SyncOutcome>> SyncAsync(IReadOnlyList<Memory> memories, WriteContext context);

    /// <summary>Shown memories, expired ones included, by (update time, id), after the given place.</summary>
    Task<IReadOnlyList<Memory>> ChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default);
}

/// <param name="Count">Memories that were put away.</param>
public sealed record Consolidated(WriteReceipt Receipt, int Count, string CurationId);

/// <param name="Standards">Of those in the chain that have one.</param>
public sealed record StandardChain(IReadOnlyList<string> Chain, IReadOnlyList<NamespaceStandard> Standards);

/// <param name="Memories">Without the standards.</param>
public sealed record SessionStart(IReadOnlyList<Memory> Memories, IReadOnlyList<Memory> Standards);
