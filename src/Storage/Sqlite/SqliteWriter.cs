using System.Globalization;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>The writing connection: its prepared statements and its one transaction at a time.</summary>
internal sealed class SqliteWriter
{
    private const int ReplicaSet = 0;
    private const int CachedDigests = 65_536;
    private const int TrimmedRows = 1_000;

    /// <summary>Rows of table <c>floor</c>; a number sign is in no node id.</summary>
    public const string OwnFloor = "#own";
    public const string CommonFloor = "#common";

    private readonly SqliteDatabase _database;
    private readonly SqliteTextIndex _index;
    private readonly SqliteStatement _begin;
    private readonly SqliteStatement _commit;
    private readonly SqliteStatement _rollback;
    private readonly SqliteStatement _findMemory;
    private readonly SqliteStatement _findGroup;
    private readonly SqliteStatement _findTombstone;
    private readonly SqliteStatement _findEntry;
    private readonly SqliteStatement _findByOwner;
    private readonly SqliteStatement _findApplied;
    private readonly SqliteStatement _findDigest;
    private readonly SqliteStatement _insertMemory;
    private readonly SqliteStatement _updateMemory;
    private readonly SqliteStatement _deleteMemory;
    private readonly SqliteStatement _putTombstone;
    private readonly SqliteStatement _putEntry;
    private readonly SqliteStatement _appendLog;
    private readonly SqliteStatement _trimLog;
    private readonly SqliteStatement _putApplied;
    private readonly SqliteStatement _putDigest;
    private readonly SqliteStatement _putDeadLetter;
    private readonly SqliteStatement _resolveDeadLetter;
    private readonly SqliteStatement _collectTombstone;
    private readonly SqliteStatement _dropEntry;
    private readonly SqliteStatement _putFloor;
    private readonly SqliteStatement _forgetVector;
    private readonly SqliteStatement _putClock;
    private readonly SqliteStatement _queueIndex;
    private readonly SqliteStatement _trimIndex;
    private readonly SqliteStatement _findBackfill;
    private readonly SqliteStatement _putBackfill;
    private readonly SqliteStatement _release;
    private readonly SqliteStatement _quarantine;
    private readonly SqliteStatement _fillDerived;
    private readonly SqliteStatement _putDerived;
    private readonly SqliteStatement _ageDerived;
    private readonly SqliteStatement _dropDerived;
    private readonly SqliteStatement _markDerived;
    private readonly Dictionary<DigestKey, Digest> _digests = [];
    private readonly List<long> _rankChanged = [];
    private long _queued;
    private long _trimmed;
    private long _lastRow;
    private DerivedMark _derivedThrough;
    private (long Queued, long Trimmed, long LastRow, DerivedMark DerivedThrough) _atBegin;
    private bool _open;

    public SqliteWriter(SqliteDatabase database, LogId log, SqliteTextIndex index, DerivedMark derivedThrough)
    {
        _derivedThrough = derivedThrough;
        _lastRow = derivedThrough.LastRow;
        _database = database;
        Log = log;
        _index = index;
        _begin = database.Prepare("begin immediate");
        _commit = database.Prepare("commit");
        _rollback = database.Prepare("rollback");
        _findMemory = database.Prepare($"select {MemoryRows.RowColumns} from memory where id = ?1");
        _findGroup = database.Prepare($"select {MemoryRows.RowColumns} from memory where namespace = ?1 and title = ?2 and state < {SqliteSchema.Archived}");
        _findTombstone = database.Prepare("select body from tombstone where id = ?1");
        _findEntry = database.Prepare("select body from entry where kind = ?1 and key = ?2");
        // Without the word SQLite takes the primary key, and reads every entry of the kind.
        _findByOwner = database.Prepare("select body from entry indexed by entry_owner where kind = ?1 and owner = ?2");
        _findApplied = database.Prepare("select applied, ranges from vector where set_id = ?1 and node = ?2 and incarnation = ?3");
        _findDigest = database.Prepare("select rows, hash from digest where set_id = ?1 and namespace = ?2 and bucket = ?3");
        _insertMemory = database.Prepare("""
            insert into memory(state, tier, priority, confidence, access_count, touches, created_at, updated_at, last_accessed_at, expires_at, archived_at,
                id, namespace, agent_id, scope, source, archive_reason, hash, title, tags, metadata, own, content)
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)
            """);
        _updateMemory = database.Prepare("""
            update memory set state = ?1, tier = ?2, priority = ?3, confidence = ?4, access_count = ?5, touches = ?6, created_at = ?7, updated_at = ?8,
                last_accessed_at = ?9, expires_at = ?10, archived_at = ?11, id = ?12, namespace = ?13, agent_id = ?14, scope = ?15, source = ?16,
                archive_reason = ?17, hash = ?18, title = ?19, tags = ?20, metadata = ?21, own = ?22, content = ?23
            where row = ?24
            """);
        _deleteMemory = database.Prepare("delete from memory where row = ?1");
        _putTombstone = database.Prepare("insert or replace into tombstone(id, namespace, clock, hash, body) values (?1, ?2, ?3, ?4, ?5)");
        _putEntry = database.Prepare("insert or replace into entry(kind, key, owner, target, live, clock, hash, body) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        _appendLog = database.Prepare("insert into mutation_log(set_id, incarnation, seq, clock, epoch, kind, key, idempotency_key) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        _trimLog = database.Prepare("delete from mutation_log where set_id = ?1 and incarnation = ?2 and seq <= ?3");
        _putApplied = database.Prepare("insert or replace into vector(set_id, node, incarnation, applied, ranges) values (?1, ?2, ?3, ?4, ?5)");
        _putDigest = database.Prepare("insert or replace into digest(set_id, namespace, bucket, rows, hash) values (?1, ?2, ?3, ?4, ?5)");
        _putDeadLetter = database.Prepare("""
            insert or replace into dead_letter(set_id, node, incarnation, seq, clock, kind, key, reason, attempts, refused_at, next_attempt_at, body)
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
            """);
        _resolveDeadLetter = database.Prepare("delete from dead_letter where set_id = ?1 and node = ?2 and incarnation = ?3 and seq = ?4");
        _collectTombstone = database.Prepare("delete from tombstone where id = ?1");
        _dropEntry = database.Prepare("delete from entry where kind = ?1 and key = ?2");
        _putFloor = database.Prepare("insert or replace into floor(set_id, node, clock) values (?1, ?2, ?3)");
        _forgetVector = database.Prepare("delete from vector where set_id = ?1");
        _putClock = database.Prepare("update meta set value = ?1 where key = 'clock'");
        _queueIndex = database.Prepare("insert into index_queue(row, old_namespace, old_title, old_tags, old_content) values (?1, ?2, ?3, ?4, ?5)");
        _trimIndex = database.Prepare("delete from index_queue where n <= ?1");
        _findBackfill = database.Prepare($"select {BackfillRows.Columns} from backfill where step = ?1 and version = ?2");
        _putBackfill = database.Prepare($"insert or replace into backfill({BackfillRows.Columns}) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)");
        _release = database.Prepare("delete from backfill_quarantine where step = ?1 and version = ?2");
        _quarantine = database.Prepare("insert or replace into backfill_quarantine(step, version, key, error, at) values (?1, ?2, ?3, ?4, ?5)");
        _fillDerived = database.Prepare($"""
            insert into derived(row, step, marker, value) select ?1, ?2, ?3, ?4 where exists (select 1 from memory where row = ?1 and state = {SqliteSchema.Shown})
            on conflict(row, step) do update set marker = excluded.marker, value = excluded.value where marker <> excluded.marker
            """);
        _putDerived = database.Prepare("insert or replace into derived(row, step, marker, value) values (?1, ?2, ?3, ?4)");
        _ageDerived = database.Prepare("update derived set marker = '' where row = ?1");
        _dropDerived = database.Prepare("delete from derived where row = ?1");
        _markDerived = database.Prepare($"update meta set value = ?1 where key = '{SqliteSchema.DerivedThrough}'");
        _queued = database.QueryInteger("select seq from sqlite_sequence where name = 'index_queue'") ?? 0;
        _trimmed = (database.QueryInteger("select min(n) from index_queue") ?? (_queued + 1)) - 1;
    }

    public LogId Log { get; private set; }

    public void RenewLog(ReadOnlySpan<byte> incarnation)
    {
        var log = new LogId(Log.Node, System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(incarnation));
        using var update = _database.Prepare("update meta set value = ?1 where key = 'incarnation'");
        update.Bind(1, StoredLog.FormatIncarnation(log)).Run();
        Log = log;
        using var forget = _database.Prepare("delete from mutation_log where set_id = ?1 and incarnation <> ?2");
        forget.Bind(1, ReplicaSet).Bind(2, StoredLog.FormatIncarnation(log)).Run();
    }

    /// <exception cref="MemoryException">The store cannot be written now.</exception>
    public IStoreTransaction Begin()
    {
        Guarded(() => _begin.Run());
        _atBegin = (_queued, _trimmed, _lastRow, _derivedThrough);
        _open = true;
        return new Transaction(this);
    }

    private void Commit(ChangeSet changes)
    {
        _rankChanged.Clear();
        Guarded(() => Write(changes));
        _index.Notify(_queued, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_rankChanged));
    }

    private void Write(ChangeSet changes)
    {
        WriteBackfills(changes);
        foreach (var change in changes.Memories)
        {
            Write(change);
        }

        Span<byte> hash = stackalloc byte[16];
        foreach (var tombstone in changes.Tombstones)
        {
            var body = MemoryCodec.Encode(tombstone);
            MemoryRows.FormatHash(MemoryCodec.Hash(body), hash);
            _putTombstone.Bind(1, tombstone.Id).Bind(2, tombstone.Namespace).Bind(3, tombstone.Stamp.Clock).Bind(4, hash).Bind(5, body).Run();
        }

        foreach (var entry in changes.Entries)
        {
            var body = entry.Encode();
            MemoryRows.FormatHash(MemoryCodec.Hash(body), hash);
            _putEntry.Bind(1, (long)entry.Key.Kind).Bind(2, entry.Key.Key).Bind(3, entry.Owner).Bind(4, entry.Target)
                .Bind(5, entry.Live ? 1L : 0L).Bind(6, entry.Stamp.Clock).Bind(7, hash).Bind(8, body).Run();
        }

        foreach (var row in changes.Log)
        {
            _appendLog.Bind(1, ReplicaSet).Bind(2, StoredLog.FormatIncarnation(Log)).Bind(3, row.Sequence).Bind(4, row.Clock).Bind(5, row.Epoch)
                .Bind(6, (long)row.Kind).Bind(7, row.Key).Bind(8, row.IdempotencyKey).Run();
        }

        if (changes.LogTrimmedThrough is { } through)
        {
            _trimLog.Bind(1, ReplicaSet).Bind(2, StoredLog.FormatIncarnation(Log)).Bind(3, through).Run();
        }

        if (changes.ForgetVector)
        {
            _forgetVector.Bind(1, ReplicaSet).Run();
        }

        foreach (var (log, applied) in changes.Vector)
        {
            _putApplied.Bind(1, ReplicaSet).Bind(2, log.Node).Bind(3, StoredLog.FormatIncarnation(log)).Bind(4, applied.Through).Bind(5, applied.FormatAbove()).Run();
        }

        foreach (var (key, added) in changes.Digests)
        {
            var digest = FindDigest(key) + added;
            MemoryRows.FormatHash(digest.Hash, hash);
            _putDigest.Bind(1, ReplicaSet).Bind(2, key.Namespace).Bind(3, key.Bucket).Bind(4, digest.Rows).Bind(5, hash).Run();
            _digests[key] = digest;
        }

        foreach (var letter in changes.DeadLetters)
        {
            Write(letter);
        }

        foreach (var position in changes.ResolvedDeadLetters)
        {
            _resolveDeadLetter.Bind(1, ReplicaSet).Bind(2, position.Log.Node).Bind(3, StoredLog.FormatIncarnation(position.Log)).Bind(4, position.Sequence).Run();
        }

        foreach (var id in changes.CollectedTombstones)
        {
            _collectTombstone.Bind(1, id).Run();
        }

        foreach (var entry in changes.DroppedEntries)
        {
            _dropEntry.Bind(1, (long)entry.Key.Kind).Bind(2, entry.Key.Key).Run();
        }

        if (changes.Floors is { } floors)
        {
            _putFloor.Bind(1, ReplicaSet).Bind(2, OwnFloor).Bind(3, floors.Own).Run();
            _putFloor.Bind(1, ReplicaSet).Bind(2, CommonFloor).Bind(3, floors.Common).Run();
        }

        TrimIndexQueue();
        MarkDerived();
        _putClock.Bind(1, changes.Head.Clock.ToString(CultureInfo.InvariantCulture)).Run();
        _commit.Run();
        _open = false;
    }

    /// <summary>Lets go of what the index holds for good, a bounded part in each transaction.</summary>
    private void TrimIndexQueue()
    {
        var end = Math.Min(_index.DurableWatermark, _trimmed + TrimmedRows);
        if (end - _trimmed >= TrimmedRows || (end > _trimmed && end == _queued))
        {
            _trimIndex.Bind(1, end).Run();
            _trimmed = end;
        }
    }

    private void Write(MemoryChange change)
    {
        var row = change.Before?.Row ?? 0;
        switch (change)
        {
            case { After: { } after, Before: null }:
                Bind(_insertMemory, after).Run();
                row = _database.LastInsertRow;
                _lastRow = Math.Max(_lastRow, row);
                break;
            case { After: { } after }:
                Bind(_updateMemory, after).Bind(24, row).Run();
                break;
            default:
                _deleteMemory.Bind(1, row).Run();
                break;
        }

        var old = change.Before is { Visibility: RowVisibility.Shown } before ? before.View : null;
        var present = change.After is { Visibility: RowVisibility.Shown } shown ? shown.View : null;
        if (old is not null && present is not null && DerivedColumns.HasSameText(old, present))
        {
            _rankChanged.Add(row);
        }
        else if (old is not null || present is not null)
        {
            WriteDerived(row, old, present);
            _queueIndex.Bind(1, row).Bind(2, old?.Namespace).Bind(3, old?.Title)
                .Bind(4, old is null ? null : MemoryRows.FormatTags(old.Tags)).Bind(5, old?.Content).Run();
            _queued = _database.LastInsertRow;
        }
    }

    /// <summary>Values that come with the row; what a backfill alone derives is old now.</summary>
    private void WriteDerived(long row, Memory? old, Memory? present)
    {
        if (present is null)
        {
            _dropDerived.Bind(1, row).Run();
            return;
        }

        if (old is not null)
        {
            _ageDerived.Bind(1, row).Run();
        }

        foreach (var column in DerivedColumns.AtWrite)
        {
            _putDerived.Bind(1, row).Bind(2, column.Name).Bind(3, column.Marker).Bind(4, column.Compute(present)).Run();
        }
    }

    private void WriteBackfills(ChangeSet changes)
    {
        foreach (var record in changes.Backfills)
        {
            BackfillRows.Bind(_putBackfill, record).Run();
        }

        foreach (var (step, version) in changes.Released)
        {
            _release.Bind(1, step).Bind(2, version).Run();
        }

        foreach (var row in changes.Quarantined)
        {
            _quarantine.Bind(1, row.Step).Bind(2, row.Version).Bind(3, row.Key).Bind(4, row.Error).Bind(5, row.At.Nanoseconds).Run();
        }

        foreach (var derived in changes.Derived)
        {
            _fillDerived.Bind(1, derived.Row).Bind(2, derived.Step).Bind(3, derived.Marker).Bind(4, derived.Value).Run();
        }
    }

    private void MarkDerived()
    {
        var mark = new DerivedMark(_queued, _lastRow, DerivedColumns.Versions);
        if (mark != _derivedThrough)
        {
            _markDerived.Bind(1, mark.ToString()).Run();
            _derivedThrough = mark;
        }
    }

    private static SqliteStatement Bind(SqliteStatement statement, MemoryRow row)
    {
        Span<byte> hash = stackalloc byte[16];
        MemoryRows.FormatHash(row.Hash, hash);
        var view = row.View;
        var mark = row.Visibility == RowVisibility.Archived ? row.Own.Archive?.Value : null;
        return statement
            .Bind(1, (long)row.Visibility)
            .Bind(2, (long)view.Tier)
            .Bind(3, view.Priority)
            .Bind(4, view.Confidence)
            .Bind(5, view.AccessCount)
            .Bind(6, row.Access.Touches)
            .Bind(7, view.CreatedAt.Nanoseconds)
            .Bind(8, view.UpdatedAt.Nanoseconds)
            .Bind(9, view.LastAccessedAt?.Nanoseconds)
            .Bind(10, view.ExpiresAt?.Nanoseconds)
            .Bind(11, mark?.At.Nanoseconds)
            .Bind(12, view.Id)
            .Bind(13, view.Namespace)
            .Bind(14, view.Metadata.Text("agent_id"))
            .Bind(15, view.Metadata.Text("scope"))
            .Bind(16, view.Source)
            .Bind(17, mark?.Reason)
            .Bind(18, hash)
            .Bind(19, view.Title)
            .Bind(20, MemoryRows.FormatTags(view.Tags))
            .Bind(21, view.Metadata.Json)
            .Bind(22, MemoryCodec.EncodeBeside(row.Own, view))
            .Bind(23, view.Content);
    }

    private void Write(DeadLetter letter)
    {
        var mutation = letter.Mutation;
        _putDeadLetter.Bind(1, ReplicaSet).Bind(2, mutation.Position.Log.Node).Bind(3, StoredLog.FormatIncarnation(mutation.Position.Log))
            .Bind(4, mutation.Position.Sequence).Bind(5, mutation.Stamp.Clock).Bind(6, (long)mutation.Kind).Bind(7, mutation.Key)
            .Bind(8, letter.Reason.ToString()).Bind(9, letter.Attempts).Bind(10, letter.RefusedAt.Nanoseconds)
            .Bind(11, letter.NextAttemptAt.Nanoseconds).Bind(12, mutation.Body.Span).Run();
    }

    private Digest FindDigest(DigestKey key)
    {
        if (_digests.TryGetValue(key, out var digest))
        {
            return digest;
        }

        if (_digests.Count >= CachedDigests)
        {
            _digests.Clear();
        }

        _findDigest.Bind(1, ReplicaSet).Bind(2, key.Namespace).Bind(3, key.Bucket);
        digest = _findDigest.Step() ? new(_findDigest.Integer(0), MemoryRows.ParseHash(_findDigest.Blob(1))) : default;
        _findDigest.Reset();
        return digest;
    }

    private AppliedSet FindApplied(LogId log)
    {
        _findApplied.Bind(1, ReplicaSet).Bind(2, log.Node).Bind(3, StoredLog.FormatIncarnation(log));
        var applied = _findApplied.Step() ? AppliedSet.Parse(_findApplied.Integer(0), _findApplied.Text(1)) : AppliedSet.None;
        _findApplied.Reset();
        return applied;
    }

    private void Rollback()
    {
        if (_open)
        {
            _open = false;
            _digests.Clear();
            (_queued, _trimmed, _lastRow, _derivedThrough) = _atBegin;

            // SQLite has undone the transaction by itself after some errors; then there is nothing left to undo.
            if (_database.IsInTransaction)
            {
                try
                {
                    _rollback.Run();
                }
                catch (SqliteException exception)
                {
                    throw new StoreFatalException("a transaction that failed cannot be undone", exception);
                }
            }
        }
    }

    private static void Guarded(Action action)
    {
        try
        {
            action();
        }
        catch (SqliteException exception)
        {
            throw SqliteStore.Failure(exception);
        }
    }

    private sealed class Transaction(SqliteWriter writer) : IStoreTransaction
    {
        public ValueTask<MemoryRow?> FindMemoryAsync(string id) => new(Read(() => writer._findMemory.Bind(1, id).First(MemoryRows.ReadRow)));

        public ValueTask<Tombstone?> FindTombstoneAsync(string id) =>
            new(Read(() => writer._findTombstone.Bind(1, id).First(static statement => MemoryCodec.DecodeTombstone(statement.Blob(0).ToArray()))));

        public ValueTask<IReadOnlyList<MemoryRow>> FindGroupAsync(MemoryName name) =>
            new(Read(() => writer._findGroup.Bind(1, name.Namespace).Bind(2, name.Title).All(MemoryRows.ReadRow)));

        public ValueTask<EntryState?> FindEntryAsync(EntryKey key) =>
            new(Read(() => writer._findEntry.Bind(1, (long)key.Kind).Bind(2, key.Key).First(static statement => EntryState.Decode(statement.Blob(0).ToArray()))));

        public ValueTask<IReadOnlyList<EntryState>> FindAccessAsync(string memoryId) =>
            new(Read(() => writer._findByOwner.Bind(1, (long)MutationKind.Access).Bind(2, memoryId).All(static statement => EntryState.Decode(statement.Blob(0).ToArray()))));

        public ValueTask<AppliedSet> FindAppliedAsync(LogId log) => new(writer.FindApplied(log));

        public ValueTask<BackfillRecord?> FindBackfillAsync(string step, int version) =>
            new(Read(() => writer._findBackfill.Bind(1, step).Bind(2, version).First(BackfillRows.Read)));

        public ValueTask CommitAsync(ChangeSet changes)
        {
            writer.Commit(changes);
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync()
        {
            writer.Rollback();
            return ValueTask.CompletedTask;
        }

        private static T Read<T>(Func<T> read)
        {
            try
            {
                return read();
            }
            catch (SqliteException exception)
            {
                throw SqliteStore.Failure(exception);
            }
        }
    }
}
