using System.Globalization;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// Everything a front end can ask for. Below it nothing knows HTTP, MCP or a terminal. Every method throws
/// <see cref="MemoryException"/> for a request that breaks a rule, and stores nothing then. An id argument is an exact id or,
/// where a parameter is named <c>idOrPrefix</c>, a prefix that only one memory has.
/// Writes take no CancellationToken: a caller that goes away cancels nothing.
/// </summary>
public interface IMemoryService
{
    /// <summary>Creates the memory, or updates the live one that has its title in its namespace.</summary>
    Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context);

    /// <summary>At most 1,000 drafts, each judged alone: one outcome for each, in order.</summary>
    Task<IReadOnlyList<RowOutcome>> StoreManyAsync(IReadOnlyList<MemoryDraft> drafts, WriteContext context);

    /// <summary>
    /// Takes complete memories as they are, ids included, then links; at most 1,000 of each. One outcome for each memory, then one
    /// for each link (without a receipt), in order. A link follows its memories to the ids under which they were taken.
    /// </summary>
    Task<IReadOnlyList<RowOutcome>> ImportAsync(IReadOnlyList<Memory> memories, IReadOnlyList<Link> links, ImportOptions options, WriteContext context);

    Task<WriteReceipt> UpdateAsync(string idOrPrefix, MemoryPatch patch, WriteContext context);

    /// <summary>Final: the id never comes back.</summary>
    Task<WriteReceipt> DeleteAsync(string idOrPrefix, WriteContext context);

    /// <summary>Makes the memory long-lived.</summary>
    Task<WriteReceipt> PromoteAsync(string idOrPrefix, WriteContext context);

    /// <summary>Idempotent: an existing link is left as it is.</summary>
    Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, WriteContext context);

    /// <summary>Archives every live memory that matches all given filters, or counts them. At least one filter.</summary>
    /// <returns>How many were archived, or would be.</returns>
    Task<long> ForgetAsync(ForgetQuery query, WriteContext context);

    /// <summary>Archives what has expired, or counts it.</summary>
    Task<long> CollectGarbageAsync(bool dryRun = false);

    Task<MemoryWithLinks> GetAsync(string idOrPrefix, CancellationToken cancellation = default);

    /// <summary>By priority, then by update time, both descending.</summary>
    Task<MemoryPage> ListAsync(ListQuery query, CancellationToken cancellation = default);

    /// <summary>Memories that hold every word, best first.</summary>
    Task<Ranking> SearchAsync(SearchQuery query, CancellationToken cancellation = default);

    /// <summary>Memories that hold any word, best first. Writes nothing on its path; the touches follow in batches.</summary>
    Task<RecallResult> RecallAsync(RecallQuery query, CancellationToken cancellation = default);

    /// <summary>Both directions, oldest first. An unknown id has none.</summary>
    Task<IReadOnlyList<Link>> LinksAsync(string id, CancellationToken cancellation = default);

    /// <summary>Live memories of each namespace, most first.</summary>
    Task<IReadOnlyList<NamespaceCount>> NamespacesAsync(CancellationToken cancellation = default);

    Task<StoreStatistics> StatisticsAsync(CancellationToken cancellation = default);

    /// <summary>Every live memory, oldest first, streamed in bounded memory.</summary>
    IAsyncEnumerable<Memory> ExportMemoriesAsync(CancellationToken cancellation = default);

    /// <summary>Every link whose ends are live, streamed in bounded memory.</summary>
    IAsyncEnumerable<Link> ExportLinksAsync(CancellationToken cancellation = default);

    /// <summary>Ready to take reads and writes; else why not.</summary>
    ServiceHealth Health();
}

/// <summary>What a node among nodes answers beyond <see cref="IDomainService"/>.</summary>
public partial interface INodeService : IDomainService
{
    /// <summary>Waits until this node holds what the token names, for a bounded time.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotYet"/></exception>
    Task WaitForAsync(LogPosition token, CancellationToken cancellation = default);

    /// <summary>As <see cref="IMemoryService.GetAsync"/>, after asking as many other replicas as make the answer no older than any acknowledged write.</summary>
    Task<MemoryWithLinks> GetAtQuorumAsync(string idOrPrefix, CancellationToken cancellation = default);

    /// <summary>Says how many nodes must hold a write of a namespace, and of those below it that say nothing themselves.</summary>
    /// <param name="writes">1 to N; less than the set's W changes nothing. Null: as the namespace above.</param>
    Task<QuorumPolicy> SetQuorumAsync(string @namespace, int? writes, WriteContext context);

    Task<QuorumPolicy> QuorumAsync(string @namespace, CancellationToken cancellation = default);

    /// <summary>How many nodes there are, and how many must hold a write.</summary>
    ReplicaSetSettings Replication { get; }

    /// <summary>The backfills of this node's own store; null where there is none, as in a front end.</summary>
    BackfillRunner? Backfills { get; }

    /// <summary>The node among its peers.</summary>
    Task<ReplicaSetStatus> ClusterAsync(CancellationToken cancellation = default);

    /// <summary>Over all live replicated rows: equal on nodes that hold the same. Tombstones, which nodes forget each in its time, are left out.</summary>
    Task<Digest> DigestAsync(CancellationToken cancellation = default);

    /// <summary>Rows of peers that this node refused, oldest first, and how many there are.</summary>
    Task<DeadLetters> DeadLettersAsync(int limit, CancellationToken cancellation = default);
}

/// <param name="Writes">What was set for the namespace itself; null: nothing.</param>
/// <param name="Effective">Nodes that must hold a write of it.</param>
public sealed record QuorumPolicy(string Namespace, int? Writes, int Effective);

/// <param name="Count">All of them.</param>
public sealed record DeadLetters(long Count, IReadOnlyList<DeadLetter> First);

/// <summary>What became of one row of a sync.</summary>
/// <param name="Changed">False: this node holds all that it says, or something newer.</param>
/// <param name="Position">What a token of the row names.</param>
/// <param name="Error">The row breaks a rule, or could not be written; null otherwise.</param>
public sealed record SyncOutcome(bool Changed, LogPosition Position, MemoryException? Error = null);

/// <summary>A place among the changes: after every row of an earlier update time, and of the same one after an id.</summary>
/// <param name="Id">Null: after every id.</param>
public readonly record struct ChangePlace(Timestamp UpdatedAt, string? Id)
{
    /// <summary>Before the first.</summary>
    public static ChangePlace Start { get; } = new(new(long.MinValue), null);

    /// <summary>Text that a client hands back.</summary>
    public string ToCursor() => Cursors.Format(string.Create(CultureInfo.InvariantCulture, $"{UpdatedAt.Nanoseconds}/{Id}"));

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidCursor"/></exception>
    public static ChangePlace FromCursor(string cursor)
    {
        var parts = Cursors.Parse(cursor, 2);
        return long.TryParse(parts[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var nanoseconds)
            ? new(new(nanoseconds), parts[1])
            : throw Cursors.Invalid();
    }
}

/// <param name="AgentId">The claimed caller; null when none was named.</param>
/// <param name="IdempotencyKey">Makes a retry of the same write answer as the first did.</param>
/// <param name="IfMatch">The <see cref="WriteReceipt.Version"/> that the caller saw; a write to any other fails with <see cref="ErrorKind.PreconditionFailed"/>.</param>
/// <param name="Quorum">How many nodes must hold the write: 1, majority, all or a number; null: as configured.</param>
/// <param name="Principal">As the caller's credential says; null: it has none of its own.</param>
public sealed record WriteContext(string? AgentId = null, string? IdempotencyKey = null, string? IfMatch = null, string? Quorum = null, Principal? Principal = null)
{
    /// <summary>The pending action that this carries out; null: none. Only the node itself says so.</summary>
    public string? Approval { get; init; }

    /// <summary>Whether the caller may see a memory, and so change it, by its author and scope alone.</summary>
    internal bool Sees(Memory memory) => Principal is null || Visibility.Of(Principal with { Granted = null }).Shows(memory);
}

/// <summary>What an acknowledged write did.</summary>
/// <param name="Memory">The memory after the write; before it for a delete.</param>
/// <param name="Created">False when the write changed a memory that was there, or was a retry.</param>
/// <param name="Position">Where the write stands in its node's log; the caller's token.</param>
/// <param name="Stamp">Orders this write among all others.</param>
/// <param name="Version">Changes with every change of the memory; the entity tag.</param>
public sealed record WriteReceipt(Memory Memory, bool Created, LogPosition Position, Stamp Stamp, string Version)
{
    /// <summary>How many nodes hold the write, this one included; null before that was asked.</summary>
    public QuorumOutcome? Quorum { get; init; }

    /// <summary>One of <see cref="Durabilities"/>.</summary>
    public string Durability { get; init; } = Durabilities.Local;
}

/// <summary>What a receipt promises.</summary>
public static class Durabilities
{
    /// <summary>On stable storage of the only node there is.</summary>
    public const string Local = "local";

    /// <summary>On stable storage of W nodes.</summary>
    public const string Quorum = "quorum";

    /// <summary>On fewer nodes than configured, because the request asked for fewer.</summary>
    public const string BelowQuorum = "below_quorum";
}

/// <param name="Linked">False when the link existed.</param>
public sealed record LinkReceipt(Link Link, bool Linked, LogPosition Position, Stamp Stamp = default)
{
    /// <summary>How many nodes hold the link, this one included; null on a node alone.</summary>
    public QuorumOutcome? Quorum { get; init; }

    /// <summary>One of <see cref="Durabilities"/>.</summary>
    public string Durability { get; init; } = Durabilities.Local;
}

/// <summary>One row of a batch: a receipt or an error.</summary>
public sealed record RowOutcome(WriteReceipt? Receipt, MemoryException? Error)
{
    public static implicit operator RowOutcome(WriteReceipt receipt) => new(receipt, null);

    public static implicit operator RowOutcome(MemoryException error) => new(null, error);
}

/// <param name="TrustSource">Keep the claimed <c>metadata.agent_id</c>; else the caller's takes its place and it moves to <c>imported_from_agent_id</c>.</param>
public sealed record ImportOptions(bool TrustSource = true);

public sealed record MemoryWithLinks(Memory Memory, IReadOnlyList<Link> Links, string Version);

/// <summary>Filters that reads share; null means: any.</summary>
public record MemoryFilter
{
    public string? Namespace { get; init; }

    public Tier? Tier { get; init; }

    public int? MinPriority { get; init; }

    /// <summary>Created at or after.</summary>
    public Timestamp? Since { get; init; }

    /// <summary>Created at or before.</summary>
    public Timestamp? Until { get; init; }

    /// <summary>One exact tag.</summary>
    public string? Tag { get; init; }

    /// <summary>The memory's <c>metadata.agent_id</c>.</summary>
    public string? AgentId { get; init; }
}

public sealed record ListQuery : MemoryFilter
{
    /// <summary>Rows, 0 or more; the caller's cap applies before.</summary>
    public int Limit { get; init; } = MemoryLimits.DefaultListRows;

    /// <summary>Rows to pass over; costs as much as reading them. Prefer <see cref="Cursor"/>.</summary>
    public long Offset { get; init; }

    /// <summary><see cref="MemoryPage.NextCursor"/> of the page before.</summary>
    public string? Cursor { get; init; }
}

/// <param name="NextCursor">Null on the last page.</param>
public sealed record MemoryPage(IReadOnlyList<Memory> Memories, string? NextCursor);

public sealed record SearchQuery : MemoryFilter
{
    public required string Text { get; init; }

    public int Limit { get; init; } = MemoryLimits.DefaultListRows;

    /// <summary>The caller's place in the namespace tree; null shows everything.</summary>
    public string? AsAgent { get; init; }
}

public sealed record RecallQuery : MemoryFilter
{
    public required string Context { get; init; }

    public int Limit { get; init; } = MemoryLimits.DefaultRecallRows;

    /// <summary>The caller's place in the namespace tree; null shows everything.</summary>
    public string? AsAgent { get; init; }

    /// <summary>Stop before the first memory that would take the sum of costs above this.</summary>
    public long? BudgetTokens { get; init; }

    /// <summary>Words around the query, as of the conversation: they have a share in its vector.</summary>
    public IReadOnlyList<string> ContextTokens { get; init; } = [];

    /// <summary>By words, also where there are vectors.</summary>
    public bool KeywordOnly { get; init; }

    /// <summary>Counts as an access of the memories shown, and extends their lives; false to look without leaving a trace, as measurements do.</summary>
    public bool CountAccess { get; init; } = true;
}

/// <param name="Score">The full formula, unrounded.</param>
public sealed record RankedMemory(Memory Memory, double Score);

/// <param name="TokensUsed">Sum over the shown memories of (bytes of title + bytes of content) / 4, rounded down for each.</param>
/// <param name="Mode">One of <see cref="RecallModes"/>.</param>
/// <param name="IsComplete">False when the index was behind or the query touched too much, so that a match may be missing.</param>
public sealed record RecallResult(IReadOnlyList<RankedMemory> Memories, long TokensUsed, string Mode, bool IsComplete = true)
{
    /// <summary>Why it is less than the models of the node promise, as when one is away or memories have no vectors yet; null: it is not.</summary>
    public string? Degraded { get; init; }
}

/// <summary>How a recall found its memories.</summary>
public static class RecallModes
{
    public const string Keyword = "keyword";

    /// <summary>By words and by vectors.</summary>
    public const string Hybrid = "hybrid";

    /// <summary>The same, and looked at beside the query once more.</summary>
    public const string HybridReranked = "hybrid+rerank";
}

/// <param name="DryRun">Changes nothing: tells how many there are, of those with a pattern at most <see cref="MemoryLimits.CountedMatches"/>.</param>
public sealed record ForgetQuery(string? Namespace, string? Pattern, Tier? Tier, bool DryRun = false);

public sealed record NamespaceCount(string Namespace, long Count);

public sealed record TierCount(Tier Tier, long Count);

/// <param name="ExpiringSoon">Live memories that expire within an hour.</param>
public sealed record StoreStatistics(
    long Total,
    IReadOnlyList<TierCount> ByTier,
    IReadOnlyList<NamespaceCount> ByNamespace,
    long ExpiringSoon,
    long LinksCount,
    long DatabaseSizeBytes);

/// <param name="Reason">Why it is not; of one that is ready, what is wrong all the same; null when nothing is.</param>
public sealed record ServiceHealth(bool Ready, string? Reason);
