using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// One node's durable rows. A store reads and writes rows and decides nothing: merge, views, digests and stamps are computed
/// above it. One node for each store, held by a lock; one transaction at a time; any number of concurrent reads, each of which
/// sees one committed state.
/// </summary>
public interface IMemoryStore : IBackfillStore, IAsyncDisposable
{
    /// <summary>The log that this store writes. Changes only by <see cref="RenewLogAsync"/>.</summary>
    LogId Log { get; }

    /// <summary>Where files are, or the server is; no secrets.</summary>
    string Description { get; }

    /// <summary>The full-text index over the shown memories.</summary>
    ITextIndex Index { get; }

    /// <summary>The vectors of a model in the store itself, which every commit keeps up from now on; null and why, when it keeps none.</summary>
    /// <param name="marker">Of the derived values that hold them.</param>
    ValueTask<(IVectorIndex? Index, string? Why)> OpenVectorsAsync(string marker, int dimension) => new((null, "this store has no type for vectors"));

    /// <summary>What the next decision continues from.</summary>
    ValueTask<StoreHead> ReadHeadAsync();

    /// <summary>Why the store cannot be used now; null when it can. It may come back by itself.</summary>
    string? Problem => null;

    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: it cannot be written now.</exception>
    ValueTask<IStoreTransaction> BeginAsync();

    /// <summary>
    /// What became of a commit that ended in <see cref="CommitUncertainException"/>: true when it is stored. Until this has
    /// answered, no transaction begins.
    /// </summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: it cannot be told yet.</exception>
    /// <exception cref="StoreFatalException">The store is not what it was.</exception>
    ValueTask<bool> SettleAsync() => throw new InvalidOperationException("every commit of this store has told how it ended");

    /// <summary>Draws a new incarnation: the log begins anew at 1, the rows of the old one are gone. No transaction is open.</summary>
    ValueTask RenewLogAsync();

    /// <summary>A memory as readers see it, with what is replicated of it; null when the id is not held or deleted.</summary>
    ValueTask<MemoryRow?> FindAsync(string id, CancellationToken cancellation = default);

    /// <summary>The shown memory of a name, expired or not.</summary>
    ValueTask<MemoryRow?> FindShownAsync(MemoryName name, CancellationToken cancellation = default);

    /// <summary>Ids of shown and shadowed memories that start with the prefix, ascending.</summary>
    ValueTask<IReadOnlyList<string>> FindIdsAsync(string prefix, int limit, CancellationToken cancellation = default);

    /// <summary>Shown, unexpired memories by (priority, update time) descending, then id, after the given key.</summary>
    ValueTask<IReadOnlyList<Memory>> ListAsync(ListScan scan, CancellationToken cancellation = default);

    /// <summary>
    /// Live entries of an owner (or, by target, of the other end), oldest first; of every owner, by key. After the given (clock, key).
    /// </summary>
    ValueTask<IReadOnlyList<EntryState>> ListEntriesAsync(EntryScan scan, CancellationToken cancellation = default);

    /// <summary>Ids of shown memories whose expiry is at or before the instant.</summary>
    ValueTask<IReadOnlyList<string>> FindExpiredAsync(Timestamp now, int limit, CancellationToken cancellation = default);

    /// <summary>Ids of shown, unexpired memories that pass the filter, ascending, after the given id.</summary>
    ValueTask<IReadOnlyList<string>> FindIdsAsync(MemoryFilter filter, Timestamp now, string afterId, int limit, CancellationToken cancellation = default);

    /// <summary>Shown, unexpired memories by (creation time, id), after the given key.</summary>
    ValueTask<IReadOnlyList<Memory>> ExportAsync(Timestamp now, (Timestamp CreatedAt, string Id)? after, int limit, CancellationToken cancellation = default);

    /// <summary>Shown memories, expired ones included, by (update time, id), after the given place.</summary>
    ValueTask<IReadOnlyList<Memory>> ListChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default);

    /// <summary>Archived rows of every id, by (archive time descending, id), after the given key.</summary>
    ValueTask<IReadOnlyList<MemoryRow>> ListArchivedAsync(ArchiveScan scan, CancellationToken cancellation = default);

    ValueTask<StoreStatistics> ReadStatisticsAsync(Timestamp now, CancellationToken cancellation = default);

    ValueTask<IReadOnlyList<NamespaceCount>> ReadNamespacesAsync(Timestamp now, CancellationToken cancellation = default);

    /// <summary>The digests that are kept up with each write.</summary>
    ValueTask<IReadOnlyDictionary<DigestKey, Digest>> ReadDigestsAsync(CancellationToken cancellation = default);

    /// <summary>The digests computed from the rows themselves, and every way in which rows, views and index disagree. For checks; reads everything.</summary>
    ValueTask<StoreVerification> VerifyAsync(CancellationToken cancellation = default);

    /// <summary>Rows of this store's log after <paramref name="afterSequence"/>, ascending, with the present state of what they name, up to a number of rows and of bytes.</summary>
    ValueTask<IReadOnlyList<Mutation>> ReadLogAsync(long afterSequence, int rows, int bytes, CancellationToken cancellation = default);

    /// <summary>
    /// Digests, with one for the tombstones stamped at or above the floor under <see cref="DigestKey.Tombstones"/>, and the vector of the same instant.
    /// </summary>
    ValueTask<DigestSnapshot> ReadDigestSnapshotAsync(long floor = 0, CancellationToken cancellation = default);

    /// <summary>Tombstones stamped below the floor and deleted before the instant, oldest first.</summary>
    ValueTask<IReadOnlyList<Tombstone>> ReadTombstonesAsync(long floor, Timestamp before, int limit, CancellationToken cancellation = default);

    ValueTask<Floors> ReadFloorsAsync(CancellationToken cancellation = default);

    /// <summary>Keys and hashes of replicated rows in the given buckets (null: in all), after the given place; about <paramref name="limit"/> rows are looked at.</summary>
    ValueTask<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey>? buckets, string? after, int limit, CancellationToken cancellation = default);

    /// <summary>The present state of rows; those that are not there are left out.</summary>
    ValueTask<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation = default);

    ValueTask<IReadOnlyDictionary<LogId, AppliedSet>> ReadVectorAsync(CancellationToken cancellation = default);

    /// <summary>Oldest first.</summary>
    ValueTask<IReadOnlyList<DeadLetter>> ReadDeadLettersAsync(int limit, CancellationToken cancellation = default);

    ValueTask<long> CountDeadLettersAsync(CancellationToken cancellation = default);

    /// <summary>Of each log, the highest number of its dead letters.</summary>
    ValueTask<IReadOnlyList<LogPosition>> ReadHighestRefusedAsync(CancellationToken cancellation = default);

    /// <summary>Bytes on disk and rows not yet in the index, for metrics.</summary>
    StoreGauges ReadGauges();
}

/// <summary>
/// A transaction of the one writer. Reads see the state before it; the caller keeps what it changed and hands it over at the end.
/// Disposing it without a commit undoes it.
/// </summary>
public interface IStoreTransaction : IAsyncDisposable
{
    /// <summary>Names rows that will most likely be read, so that a store far away can fetch them together. It may do nothing.</summary>
    ValueTask PrefetchAsync(ReadHints hints) => ValueTask.CompletedTask;

    ValueTask<MemoryRow?> FindMemoryAsync(string id);

    ValueTask<Tombstone?> FindTombstoneAsync(string id);

    /// <summary>All shown and shadowed rows of a name.</summary>
    ValueTask<IReadOnlyList<MemoryRow>> FindGroupAsync(MemoryName name);

    ValueTask<EntryState?> FindEntryAsync(EntryKey key);

    /// <summary>The access counters of a memory.</summary>
    ValueTask<IReadOnlyList<EntryState>> FindAccessAsync(string memoryId);

    ValueTask<AppliedSet> FindAppliedAsync(LogId log);

    /// <summary>The ledger's row of a backfill; null before it began.</summary>
    ValueTask<BackfillRecord?> FindBackfillAsync(string step, int version);

    /// <summary>Writes everything and returns when it is on stable storage (fsync).</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/> or <see cref="ErrorKind.StoreFull"/>: nothing was written.</exception>
    /// <exception cref="CommitUncertainException">The outcome is not known yet; <see cref="IMemoryStore.SettleAsync"/> tells.</exception>
    /// <exception cref="StoreFatalException">The outcome is unknown; the process must stop and recover from disk.</exception>
    ValueTask CommitAsync(ChangeSet changes);
}

/// <summary>An fsync failed: what is on disk is not known, and asking again would only hide it.</summary>
public sealed class StoreFatalException(string message, Exception inner) : Exception(message, inner);

/// <summary>The store went away in the middle of a commit. It may be stored or not; nothing else is in doubt.</summary>
public sealed class CommitUncertainException(string message, Exception inner) : Exception(message, inner);

/// <summary>Rows that a decision will most likely read.</summary>
/// <param name="Ids">Memories, with their tombstones and access counters.</param>
public sealed record ReadHints(IReadOnlyList<string> Ids, IReadOnlyList<MemoryName> Names, IReadOnlyList<EntryKey> Entries)
{
    public static ReadHints OfMemory(string id) => new([id], [], []);

    public static ReadHints Of(IReadOnlyCollection<RowKey> rows) => new(
        [.. rows.Where(static row => row.Kind is MutationKind.Memory or MutationKind.MemoryDelete).Select(static row => row.Key)],
        [],
        [.. rows.Where(static row => row.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete)).Select(static row => new EntryKey(row.Kind, row.Key))]);
}

/// <summary>The last sequence number and clock reading that the store drew or saw.</summary>
public readonly record struct StoreHead(long Sequence, long Clock);

/// <summary>One id of a memory as it is stored.</summary>
/// <param name="Row">The store's own number of the row; 0 for one that is not stored yet.</param>
/// <param name="Own">What is replicated.</param>
/// <param name="View">What readers see of this id.</param>
/// <param name="Access">What was counted for this id alone.</param>
/// <param name="Hash">Of the canonical bytes of <paramref name="Own"/>.</param>
public sealed record MemoryRow(long Row, MemoryState Own, Memory View, RowVisibility Visibility, AccessTotals Access, UInt128 Hash);

public sealed record MemoryChange(MemoryRow? Before, MemoryRow? After);

public sealed record LogRow(long Sequence, long Clock, long Epoch, MutationKind Kind, string Key, string? IdempotencyKey);

/// <summary>Everything that one transaction changes.</summary>
public sealed record ChangeSet
{
    public required StoreHead Head { get; init; }

    public IReadOnlyList<MemoryChange> Memories { get; init; } = [];

    public IReadOnlyList<Tombstone> Tombstones { get; init; } = [];

    public IReadOnlyList<EntryState> Entries { get; init; } = [];

    public IReadOnlyList<LogRow> Log { get; init; } = [];

    /// <summary>What to add to each digest.</summary>
    public IReadOnlyDictionary<DigestKey, Digest> Digests { get; init; } = new Dictionary<DigestKey, Digest>();

    public IReadOnlyDictionary<LogId, AppliedSet> Vector { get; init; } = new Dictionary<LogId, AppliedSet>();

    public IReadOnlyList<DeadLetter> DeadLetters { get; init; } = [];

    /// <summary>Dead letters that are no more: applied at last.</summary>
    public IReadOnlyList<LogPosition> ResolvedDeadLetters { get; init; } = [];

    /// <summary>Tombstones that every node holds and nobody needs any more.</summary>
    public IReadOnlyList<string> CollectedTombstones { get; init; } = [];

    /// <summary>Memories that deletes of other nodes take away. Not for the store: it finds them in <see cref="Memories"/>.</summary>
    public IReadOnlyList<string> Overruled { get; init; } = [];

    /// <summary>Entries that are taken out without a trace.</summary>
    public IReadOnlyList<EntryState> DroppedEntries { get; init; } = [];

    /// <summary>Null: as they were.</summary>
    public Floors? Floors { get; init; }

    /// <summary>Rows of the own log up to this number are taken out; null: none.</summary>
    public long? LogTrimmedThrough { get; init; }

    /// <summary>Forget what was known to be held of other logs, before <see cref="Vector"/> is written.</summary>
    public bool ForgetVector { get; init; }

    /// <summary>Rows of the ledger of backfills.</summary>
    public IReadOnlyList<BackfillRecord> Backfills { get; init; } = [];

    /// <summary>Steps whose quarantine is emptied, before <see cref="Quarantined"/> is written.</summary>
    public IReadOnlyList<(string Step, int Version)> Released { get; init; } = [];

    public IReadOnlyList<QuarantinedRow> Quarantined { get; init; } = [];

    /// <summary>
    /// Derived values of backfills, written before <see cref="Memories"/> and what comes of those; not of rows that are not shown, and not
    /// over a value with the same marker.
    /// </summary>
    public IReadOnlyList<DerivedValue> Derived { get; init; } = [];

    /// <summary>Memories whose words are written to the index anew; only of one that stands beside the rows.</summary>
    public IReadOnlyList<MemoryRow> Reindexed { get; init; } = [];
}

/// <param name="Own">The clock below which this store holds every log without a gap.</param>
/// <param name="Common">The lowest floor of all nodes.</param>
public readonly record struct Floors(long Own, long Common);

/// <summary>A row that a peer sent and this node refused: shown, tried again, blocking nothing behind it.</summary>
public sealed record DeadLetter(Mutation Mutation, ApplyOutcome Reason, int Attempts, Timestamp RefusedAt, Timestamp NextAttemptAt);

/// <param name="After">The key of the last row of the page before.</param>
/// <param name="Seen">Only what it shows, which has <see cref="Visibility.Rows"/>; null: everything.</param>
public sealed record ListScan(
    MemoryFilter Filter, Timestamp Now, (int Priority, Timestamp UpdatedAt, string Id)? After, long Offset, int Limit, Visibility? Seen = null);

/// <param name="Namespace">Null: any.</param>
/// <param name="After">The key of the last row of the page before, or an instant and an empty id: archived at or before it.</param>
public sealed record ArchiveScan(string? Namespace, (Timestamp ArchivedAt, string Id)? After, int Limit);

/// <param name="ByTarget">Rows whose <see cref="EntryState.Target"/> is <paramref name="Owner"/>.</param>
public sealed record EntryScan(MutationKind Kind, string? Owner, bool ByTarget, (long Clock, string Key)? After, int Limit);

public sealed record StoreVerification(IReadOnlyDictionary<DigestKey, Digest> Digests, IReadOnlyList<string> Differences);

public readonly record struct StoreGauges(long SizeBytes, long IndexLagRows, double IndexLagSeconds, bool IndexComplete);
