using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// The state that the decisions of one transaction see: the store's rows with the effects of the decisions before them. A decision
/// that fails is undone alone; what remains is handed to the store at once. Keeps views and title groups right with every change.
/// </summary>
public sealed class WriteSession
{
    private readonly IStoreTransaction _transaction;
    private readonly LogId _log;
    private readonly bool _mayLog;
    private readonly long _unixMilliseconds;
    private readonly Random _random;
    private readonly Dictionary<string, MemorySlot> _memories = new(StringComparer.Ordinal);
    private readonly Dictionary<MemoryName, List<string>> _groups = [];
    private readonly Dictionary<EntryKey, EntrySlot> _entries = [];
    private readonly Dictionary<LogId, AppliedSet> _vector = [];
    private readonly List<LogRow> _logRows = [];
    private readonly List<DeadLetter> _deadLetters = [];
    private readonly List<LogPosition> _resolved = [];
    private readonly List<string> _collected = [];
    private readonly List<string> _overruled = [];
    private readonly Dictionary<(string Step, int Version), BackfillRecord> _backfills = [];
    private readonly List<(string Step, int Version)> _released = [];
    private readonly List<QuarantinedRow> _quarantined = [];
    private readonly List<DerivedValue> _derived = [];
    private readonly List<MemoryRow> _reindexed = [];
    private readonly HashSet<string> _namespaces = new(StringComparer.Ordinal);
    private Floors? _floors;
    private long? _logTrimmedThrough;
    private bool _forgetVector;
    private readonly Stack<Action> _undo = [];
    private StoreHead _head;
    private Timestamp _now;
    private bool _joined;

    /// <param name="mayLog">The numbers of the log are free: nobody knows other rows by them.</param>
    internal WriteSession(IStoreTransaction transaction, LogId log, bool mayLog, StoreHead head, Timestamp now, Random random)
    {
        _transaction = transaction;
        _log = log;
        _mayLog = mayLog;
        _head = head;
        _now = now;
        _unixMilliseconds = now.Nanoseconds / 1_000_000;
        _random = random;
    }

    /// <summary>The instant of the present decision: later than that of every decision before it.</summary>
    public Timestamp Now => _now;

    internal StoreHead Head => _head;

    /// <summary>Namespaces that the present decision writes to.</summary>
    public IReadOnlyCollection<string> Namespaces => _namespaces;

    /// <summary>Where the last mutation of this session stands in the store's log.</summary>
    public LogPosition Position => new(_log, _head.Sequence);

    /// <summary>A decision asked for a new log; the writer begins it after this transaction.</summary>
    internal bool RenewalRequested { get; private set; }

    internal bool HasChanges => _logRows.Count > 0 || _vector.Count > 0 || _deadLetters.Count > 0 || _joined
        || _resolved.Count > 0 || _collected.Count > 0 || _floors is not null || _logTrimmedThrough is not null || _forgetVector
        || _backfills.Count > 0;

    /// <summary>Of the activation whose decision this is; 0 for none.</summary>
    public long Epoch { get; internal set; }

    /// <summary>Says what the session cannot see: changed memories tell by themselves.</summary>
    public void WritesTo(string @namespace) => _namespaces.Add(@namespace);

    /// <summary>Ids are drawn where they are decided, from the chance that the engine was given.</summary>
    public string NewId()
    {
        Span<byte> bytes = stackalloc byte[16];
        _random.NextBytes(bytes);
        return MemoryIds.Version4(bytes);
    }

    /// <summary>The stamp of the next mutation.</summary>
    public Stamp NextStamp()
    {
        _head = _head with { Clock = Stamp.Next(_head.Clock, _unixMilliseconds) };
        return new(_head.Clock, _log);
    }

    /// <summary>The row of an id, archived ones too; null when it is not held or deleted.</summary>
    public async ValueTask<MemoryRow?> FindAsync(string id) => (await SlotAsync(id)).Row;

    public async ValueTask<Tombstone?> FindTombstoneAsync(string id) => (await SlotAsync(id)).Tombstone;

    /// <summary>The rows that share a name, archived ones left out; the shown one first.</summary>
    public async ValueTask<IReadOnlyList<MemoryRow>> FindGroupAsync(MemoryName name)
    {
        var ids = await GroupAsync(name);
        if (ids.Count == 0)
        {
            return [];
        }

        var rows = new List<MemoryRow>(ids.Count);
        foreach (var id in ids)
        {
            var row = _memories[id].Row!;
            rows.Insert(row.Visibility == RowVisibility.Shown ? 0 : rows.Count, row);
        }

        return rows;
    }

    public async ValueTask<EntryState?> FindEntryAsync(EntryKey key)
    {
        if (!_entries.TryGetValue(key, out var slot))
        {
            var stored = await _transaction.FindEntryAsync(key);
            _entries[key] = slot = new EntrySlot { Before = stored, State = stored };
        }

        return slot.State;
    }

    /// <summary>
    /// Writes a state that this node decided, as the next mutation of its log. It is joined with what is held, as every other node
    /// will join it: what only rises, as tier and update time, never falls here and stays elsewhere.
    /// </summary>
    public async ValueTask<MemoryRow> PutAsync(MemoryState state, Stamp stamp, string? idempotencyKey = null)
    {
        WritesTo(state.Name.Value.Namespace);
        var slot = await SlotAsync(state.Id);
        if (slot.Tombstone is not null)
        {
            throw new InvalidOperationException($"{state.Id} is deleted for good");
        }

        var decided = state;
        state = slot.Row is { } held ? MemoryMerge.Merge(held.Own, state) : state.Born(stamp);
        Faults.Replace(Fault.PutNotJoined, ref state, decided);
        await SetAsync(slot, state, slot.Row?.Access ?? await AccessOfNewAsync(state.Id));
        Append(stamp, MutationKind.Memory, state.Id, idempotencyKey);
        return slot.Row!;
    }

    public async ValueTask DeleteAsync(Tombstone tombstone)
    {
        WritesTo(tombstone.Namespace);
        var slot = await SlotAsync(tombstone.Id);
        await BuryAsync(slot, tombstone);
        Append(tombstone.Stamp, MutationKind.MemoryDelete, tombstone.Id, idempotencyKey: null);
    }

    /// <inheritdoc cref="PutAsync(MemoryState, Stamp, string?)"/>
    public async ValueTask PutAsync(EntryState entry)
    {
        await SetAsync(await FindEntryAsync(entry.Key) is { } held ? EntryState.Merge(held, entry) : entry);
        Append(entry.Stamp, entry.Key.Kind, entry.Key.Key, idempotencyKey: null);
    }

    /// <summary>Joins what another node decided into this store. Draws nothing and decides nothing.</summary>
    public async ValueTask<ApplyOutcome> ApplyAsync(Mutation mutation)
    {
        var applied = await AppliedAsync(mutation.Position.Log);
        if (applied.Contains(mutation.Position.Sequence))
        {
            // Whether it came before the delete or was refused for it, the one who waits for it is to hear of the delete.
            return await IsFencedAsync(mutation) ? ApplyOutcome.Fenced
                : mutation.Kind == MutationKind.Memory && (await SlotAsync(mutation.Key)).Tombstone is not null ? ApplyOutcome.RefusedDeleted
                : ApplyOutcome.Already;
        }

        var outcome = await JoinAsync(mutation.Kind, mutation.Body);
        if (outcome is ApplyOutcome.Applied or ApplyOutcome.RefusedDeleted)
        {
            // A row that a tombstone overrules is held by that tombstone: the vector covers it, though it counts toward no quorum.
            var first = mutation.Position.Sequence;
            Faults.Replace(Fault.VectorPastGap, ref first, 1);
            SetApplied(mutation.Position.Log, applied.With(first, mutation.Position.Sequence));
            Observe(mutation.Stamp);
        }

        return outcome == ApplyOutcome.Applied && await IsFencedAsync(mutation) ? ApplyOutcome.Fenced : outcome;
    }

    /// <summary>
    /// An activation later than the one that decided is known here. Whether the row came before it or after is not: then a row that
    /// is held counts for nobody, and the one who waits for it hears that it was fenced.
    /// </summary>
    private async ValueTask<bool> IsFencedAsync(Mutation mutation)
    {
        if (mutation.Epoch == 0)
        {
            return false;
        }

        var slot = mutation.Kind is MutationKind.Memory or MutationKind.MemoryDelete ? await SlotAsync(mutation.Key) : null;
        return (slot?.Row?.Own.Name.Value.Namespace ?? slot?.Tombstone?.Namespace) is { } @namespace
            && await FindEntryAsync(EntryBodies.EpochKey(@namespace)) is { } held
            && NamespaceEpoch.IsLater(held.Stamp, mutation.Epoch, mutation.Position.Log.Node);
    }

    /// <summary>Adds to what is known to be held of another node's log.</summary>
    public async ValueTask JoinAppliedAsync(LogId log, AppliedSet held)
    {
        var applied = await AppliedAsync(log);
        if (log != _log && !applied.Covers(held))
        {
            SetApplied(log, applied.With(held));
        }
    }

    /// <summary>Logs a row again as it is, so that every peer answers for it once more.</summary>
    public void Relog(MutationKind kind, string key) => Append(NextStamp(), kind, key, idempotencyKey: null);

    /// <summary>Logs a row again, unless all of it was decided below the floor.</summary>
    public async ValueTask RelogAsync(RowKey key, long floor)
    {
        if (key.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete))
        {
            if (await FindEntryAsync(new(key.Kind, key.Key)) is { } entry && entry.Stamp.Clock >= floor)
            {
                Relog(key.Kind, key.Key);
            }

            return;
        }

        var slot = await SlotAsync(key.Key);
        if (slot.Row?.Own.NewestStamp.Clock >= floor || slot.Tombstone?.Stamp.Clock >= floor)
        {
            Relog(slot.Row is null ? MutationKind.MemoryDelete : MutationKind.Memory, key.Key);
        }
    }

    /// <summary>Memories that were written to by the last so many rows of the log.</summary>
    internal IReadOnlyList<string> MemoriesOfLast(long rows) => rows == 0 ? [] :
        [.. _logRows.Skip(_logRows.Count - (int)rows).Where(static row => row.Kind == MutationKind.Memory).Select(static row => row.Key).Distinct(StringComparer.Ordinal)];

    internal void RequestRenewal()
    {
        var isRequested = true;
        Faults.Replace(Fault.SequenceReused, ref isRequested, false);
        RenewalRequested = isRequested;
    }

    /// <summary>Keeps a refused row where an operator sees it.</summary>
    public void Refuse(DeadLetter letter)
    {
        _deadLetters.Add(letter);
        _undo.Push(() => _deadLetters.Remove(letter));
    }

    /// <summary>Takes a dead letter away: its row is applied.</summary>
    public void Resolve(LogPosition position)
    {
        _resolved.Add(position);
        _undo.Push(() => _resolved.Remove(position));
    }

    /// <summary>Takes a tombstone away that every node holds, unless it has overruled something since it was read.</summary>
    public async ValueTask CollectAsync(Tombstone tombstone)
    {
        if ((await SlotAsync(tombstone.Id)).Tombstone == tombstone)
        {
            Collect(tombstone.Id);
        }
    }

    private void Collect(string id)
    {
        _collected.Add(id);
        _undo.Push(() => _collected.Remove(id));
    }

    public void SetFloors(Floors floors)
    {
        var before = _floors;
        _floors = floors;
        _undo.Push(() => _floors = before);
    }

    /// <summary>Takes rows of the own log out that no peer will ask for.</summary>
    public void TrimLog(LogPosition through)
    {
        if (through.Log == _log)
        {
            var before = _logTrimmedThrough;
            _logTrimmedThrough = through.Sequence;
            _undo.Push(() => _logTrimmedThrough = before);
        }
    }

    /// <summary>Takes a row out without a trace, as if it had never come: only for a store that rejoins.</summary>
    public async ValueTask DropAsync(RowKey key)
    {
        switch (key.Kind)
        {
            case MutationKind.Memory:
            case MutationKind.MemoryDelete:
                var slot = await SlotAsync(key.Key);
                if (slot.Tombstone is not null)
                {
                    Collect(key.Key);
                }

                if (slot.Row is not null)
                {
                    await LeaveGroupAsync(slot);
                    Replace(slot, null);
                    _joined = true;
                }

                break;
            default:
                await DropAsync(new EntryKey(key.Kind, key.Key));
                break;
        }
    }

    private async ValueTask DropAsync(EntryKey key)
    {
        if (await FindEntryAsync(key) is not { } entry)
        {
            return;
        }

        // The sum is taken anew below: a count that stands in the row alone would be lost.
        if (key.Kind == MutationKind.Access && await SplitAccessAsync(entry.Owner) && !entry.Equals(await FindEntryAsync(key)))
        {
            return;
        }

        var dropped = _entries[key];
        var before = dropped.State;
        dropped.State = null;
        _joined = true;
        _undo.Push(() => dropped.State = before);
        await RecountAsync(entry);
    }

    /// <summary>Forgets what was known to be held of every log but this store's own.</summary>
    public void ForgetVector()
    {
        var before = _forgetVector;
        _forgetVector = true;
        _undo.Push(() => _forgetVector = before);
    }

    /// <summary>Takes in a clock reading of another node: every later stamp is above it.</summary>
    public void Observe(long clock)
    {
        var later = Math.Max(clock, _head.Clock);
        Faults.Replace(Fault.ClockNotMerged, ref later, _head.Clock);
        _head = _head with { Clock = later };
    }

    public async ValueTask<BackfillRecord?> FindBackfillAsync(string step, int version) =>
        _backfills.GetValueOrDefault((step, version)) ?? await _transaction.FindBackfillAsync(step, version);

    /// <summary>Writes a row of the ledger. What a batch writes beside it goes with it.</summary>
    public void PutBackfill(BackfillRecord record)
    {
        var key = (record.Step, record.Version);
        var before = _backfills.GetValueOrDefault(key);
        _backfills[key] = record;
        _undo.Push(() =>
        {
            if (before is null)
            {
                _backfills.Remove(key);
            }
            else
            {
                _backfills[key] = before;
            }
        });
    }

    public void Quarantine(QuarantinedRow row) => Add(_quarantined, row);

    /// <summary>Empties the quarantine of a step.</summary>
    public void Release(string step, int version) => Add(_released, (step, version));

    /// <inheritdoc cref="ChangeSet.Derived"/>
    public void PutDerived(DerivedValue value) => Add(_derived, value);

    /// <inheritdoc cref="ChangeSet.Reindexed"/>
    public void Reindex(MemoryRow row) => Add(_reindexed, row);

    /// <summary>
    /// Puts accesses that a memory's row counts beyond its counters, as rows of older programs do, under the shared counter. Draws no
    /// stamp and logs nothing: every replica of the row comes to the same.
    /// </summary>
    /// <returns>True when something changed.</returns>
    public async ValueTask<bool> SplitAccessAsync(string id)
    {
        var memory = await SlotAsync(id);
        if (memory.Row is not { } row || row.Access.Count <= row.Access.Touches)
        {
            return false;
        }

        var counted = await AccessAsync(id);
        if (row.Access.Count > counted.Count)
        {
            var key = EntryBodies.LegacyAccessKey(id);
            var held = await FindEntryAsync(key);
            var body = new AccessBody((held is null ? 0 : EntryBodies.Access(held.Body).Count) + row.Access.Count - counted.Count, row.Access.LastAt?.Nanoseconds);
            _joined = true;
            var split = new EntryState(key, id, null, Live: true, row.Own.Body.Stamp, EntryBodies.Encode(body));
            await SetEntryAsync(held is null ? split : EntryState.Merge(held, split));
            return true;
        }

        if (row.Access == counted)
        {
            return false;
        }

        _joined = true;
        await SetAsync(memory, row.Own, counted);
        return true;
    }

    /// <summary>Starts the next decision.</summary>
    internal void BeginDecision()
    {
        _undo.Clear();
        _namespaces.Clear();
        Epoch = 0;
        _now = new(_now.Nanoseconds + 1_000);
    }

    /// <summary>Undoes the present decision.</summary>
    internal void Undo()
    {
        while (_undo.TryPop(out var step))
        {
            step();
        }
    }

    internal ChangeSet ToChangeSet()
    {
        var digests = new Dictionary<DigestKey, Digest>();
        var memories = new List<MemoryChange>(_memories.Count);
        var tombstones = new List<Tombstone>();
        foreach (var slot in _memories.Values)
        {
            if (!ReferenceEquals(slot.Row, slot.Before))
            {
                if (slot.Before?.Hash != slot.Row?.Hash || slot.Before?.Own.Name.Value.Namespace != slot.Row?.Own.Name.Value.Namespace)
                {
                    Subtract(digests, slot.Before);
                    Add(digests, slot.Row);
                }

                memories.Add(new(slot.Before, slot.Row));
            }

            if (!ReferenceEquals(slot.Tombstone, slot.TombstoneBefore))
            {
                tombstones.Add(slot.Tombstone!);
            }
        }

        var entries = new List<EntryState>(_entries.Count);
        var dropped = new List<EntryState>();
        foreach (var slot in _entries.Values)
        {
            if (ReferenceEquals(slot.State, slot.Before))
            {
                continue;
            }

            var key = DigestKey.Of((slot.State ?? slot.Before)!);
            var digest = digests.GetValueOrDefault(key);
            if (slot.Before is { } before)
            {
                digest = digest.Without(MemoryCodec.Hash(before.Encode()));
            }

            if (slot.State is { } state)
            {
                entries.Add(state);
                digest = digest.With(MemoryCodec.Hash(state.Encode()));
            }
            else
            {
                dropped.Add(slot.Before!);
            }

            digests[key] = digest;
        }

        if (_logRows.Count > 0 || _forgetVector)
        {
            _vector[_log] = new(_head.Sequence, []);
        }

        return new ChangeSet
        {
            Head = _head,
            Memories = memories,
            Tombstones = tombstones,
            Entries = entries,
            Log = _logRows,
            Digests = digests,
            Vector = _vector,
            DeadLetters = _deadLetters,
            ResolvedDeadLetters = _resolved,
            CollectedTombstones = _collected,
            Overruled = _overruled,
            DroppedEntries = dropped,
            Floors = _floors,
            LogTrimmedThrough = _logTrimmedThrough,
            ForgetVector = _forgetVector,
            Backfills = [.. _backfills.Values],
            Released = _released,
            Quarantined = _quarantined,
            Derived = _derived,
            Reindexed = _reindexed,
        };
    }

    private static void Subtract(Dictionary<DigestKey, Digest> digests, MemoryRow? row)
    {
        if (row is not null)
        {
            var key = DigestKey.Of(row.Own);
            digests[key] = digests.GetValueOrDefault(key).Without(row.Hash);
        }
    }

    private static void Add(Dictionary<DigestKey, Digest> digests, MemoryRow? row)
    {
        if (row is not null)
        {
            var key = DigestKey.Of(row.Own);
            digests[key] = digests.GetValueOrDefault(key).With(row.Hash);
        }
    }

    /// <summary>Joins the state of a row, whichever way it came.</summary>
    /// <param name="horizon">Unix milliseconds: a state with a later stamp is refused.</param>
    public async ValueTask<ApplyOutcome> JoinAsync(MutationKind kind, ReadOnlyMemory<byte> body, long horizon = long.MaxValue)
    {
        try
        {
            switch (kind)
            {
                case MutationKind.Memory:
                    var state = MemoryCodec.Decode(body);
                    return state.NewestStamp.UnixMilliseconds > horizon ? ApplyOutcome.RefusedFutureStamp : await JoinAsync(state);
                case MutationKind.MemoryDelete:
                    var tombstone = MemoryCodec.DecodeTombstone(body);
                    return tombstone.Stamp.UnixMilliseconds > horizon ? ApplyOutcome.RefusedFutureStamp : await JoinAsync(tombstone);
                default:
                    var entry = EntryState.Decode(body);
                    return entry.Stamp.UnixMilliseconds > horizon ? ApplyOutcome.RefusedFutureStamp : await JoinAsync(entry);
            }
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.MalformedRequest)
        {
            return ApplyOutcome.RefusedMalformed;
        }
    }

    private async ValueTask<ApplyOutcome> JoinAsync(MemoryState incoming)
    {
        var slot = await SlotAsync(incoming.Id);
        var isDeleted = slot.Tombstone is not null;
        Faults.Replace(Fault.DeleteNotFinal, ref isDeleted, false);
        if (isDeleted)
        {
            Overrule(slot, slot.Tombstone!, incoming);
            return ApplyOutcome.RefusedDeleted;
        }

        Faults.Run(Fault.TitleDecidedAtApply, () =>
        {
            if (slot.Row is null && GroupAsync(incoming.Name.Value).AsTask().Result.Count > 0)
            {
                incoming = incoming with { Name = new(incoming.Name.Value with { Title = $"{incoming.Name.Value.Title} (2)" }, incoming.Name.Stamp) };
            }
        });

        _joined = true;
        Observe(incoming.NewestStamp);
        var state = slot.Row is { } held ? MemoryMerge.Merge(held.Own, incoming) : incoming;
        await SetAsync(slot, state, slot.Row?.Access ?? await AccessOfNewAsync(incoming.Id));
        return ApplyOutcome.Applied;
    }

    private async ValueTask<ApplyOutcome> JoinAsync(Tombstone incoming)
    {
        _joined = true;
        Observe(incoming.Stamp);
        var slot = await SlotAsync(incoming.Id);
        if (slot.Row is not null)
        {
            Add(_overruled, incoming.Id);
        }

        await BuryAsync(slot, slot.Tombstone is { } held ? MemoryMerge.Merge(held, incoming) : incoming);
        return ApplyOutcome.Applied;
    }

    private async ValueTask<ApplyOutcome> JoinAsync(EntryState incoming)
    {
        _joined = true;
        Observe(incoming.Stamp);
        var held = await FindEntryAsync(incoming.Key);
        await SetAsync(held is null ? incoming : EntryState.Merge(held, incoming));
        return ApplyOutcome.Applied;
    }

    private async ValueTask SetAsync(MemorySlot slot, MemoryState state, AccessTotals access)
    {
        await LeaveGroupAsync(slot);
        var hash = MemoryCodec.Hash(state);
        var archived = MemoryView.IsArchived(state, access);
        Replace(slot, new MemoryRow(
            slot.Row?.Row ?? slot.Before?.Row ?? 0,
            state,
            MemoryView.Of(state, access),
            archived ? RowVisibility.Archived : RowVisibility.Shown,
            access,
            hash));
        if (!archived)
        {
            var group = await GroupAsync(state.Name.Value);
            Change(group, static (ids, id) => ids.Add(id), state.Id);
            if (group.Count > 1)
            {
                RefreshGroup(group);
            }
        }
    }

    private async ValueTask BuryAsync(MemorySlot slot, Tombstone tombstone)
    {
        await LeaveGroupAsync(slot);
        var overruled = slot.Row?.Own;
        Replace(slot, null);
        Overrule(slot, tombstone, overruled);
    }

    private void Overrule(MemorySlot slot, Tombstone tombstone, MemoryState? overruled)
    {
        if (overruled is not null)
        {
            Observe(overruled.NewestStamp);
            var raised = MemoryMerge.Merge(tombstone, overruled);
            tombstone = raised.Stamp == tombstone.Stamp ? raised : DecideAnew(raised);
        }

        var before = slot.Tombstone;
        if (!tombstone.Equals(before))
        {
            _joined = true;
            slot.Tombstone = tombstone;
            _undo.Push(() => slot.Tombstone = before);
            if (_collected.Remove(tombstone.Id))
            {
                _undo.Push(() => _collected.Add(tombstone.Id));
            }
        }
    }

    /// <summary>
    /// A delete that has to be remembered for longer than any log says: nodes may have forgotten it and have taken what it overrules. It
    /// is logged here, so that the floor does not pass it before they all have it again.
    /// </summary>
    private Tombstone DecideAnew(Tombstone raised)
    {
        if (!_mayLog)
        {
            throw new MemoryException(ErrorKind.NotYet, "this node has not compared its log with its peers yet, and has to write to it");
        }

        raised = raised with { Stamp = NextStamp() };
        Append(raised.Stamp, MutationKind.MemoryDelete, raised.Id, idempotencyKey: null);
        return raised;
    }

    private async ValueTask LeaveGroupAsync(MemorySlot slot)
    {
        if (slot.Row is { Visibility: not RowVisibility.Archived } row)
        {
            var group = await GroupAsync(row.Own.Name.Value);
            Change(group, static (ids, id) => ids.Remove(id), row.Own.Id);
            if (group.Count > 0)
            {
                RefreshGroup(group);
            }
        }
    }

    /// <summary>Derives which of several ids of a name is shown, and as what.</summary>
    private void RefreshGroup(List<string> group)
    {
        var shown = MemoryView.ShownOf(group.Select(id => _memories[id].Row!.Own));
        foreach (var id in group)
        {
            var slot = _memories[id];
            var row = slot.Row!;
            var isShown = row.Own.Id == shown.Id;
            var view = isShown && group.Count > 1
                ? MemoryView.OfGroup(row.Own, group.Where(other => other != id).Select(other => _memories[other].Row!.Own), row.Access)
                : MemoryView.Of(row.Own, row.Access);
            Replace(slot, row with { View = view, Visibility = isShown ? RowVisibility.Shown : RowVisibility.Shadowed });
        }
    }

    private async ValueTask SetAsync(EntryState entry)
    {
        // The sum is taken anew below: a count that stands in the row alone would be lost.
        await SetEntryAsync(entry.Key.Kind == MutationKind.Access && await SplitAccessAsync(entry.Owner) && await FindEntryAsync(entry.Key) is { } held
            ? EntryState.Merge(held, entry)
            : entry);
    }

    private async ValueTask SetEntryAsync(EntryState entry)
    {
        var before = await FindEntryAsync(entry.Key);
        if (entry.Equals(before))
        {
            return;
        }

        var slot = _entries[entry.Key];
        slot.State = entry;
        _undo.Push(() => slot.State = before);
        await RecountAsync(entry);
    }

    /// <summary>Lets the memory of a counter that changed show the sum of its counters.</summary>
    private async ValueTask RecountAsync(EntryState changed)
    {
        if (changed.Key.Kind == MutationKind.Access && (await SlotAsync(changed.Owner)) is { Row: { } row } memory
            && await AccessAsync(changed.Owner) is var access && access != row.Access)
        {
            await SetAsync(memory, row.Own, access);
        }
    }

    /// <summary>Counters may arrive before the memory that they count; most new ids have none.</summary>
    private async ValueTask<AccessTotals> AccessOfNewAsync(string id) =>
        (await SlotAsync(id)).IsNew && !_entries.Keys.Any(key => key.Kind == MutationKind.Access) ? default : await AccessAsync(id);

    private async ValueTask<AccessTotals> AccessAsync(string memoryId)
    {
        foreach (var stored in await _transaction.FindAccessAsync(memoryId))
        {
            if (!_entries.ContainsKey(stored.Key))
            {
                _entries[stored.Key] = new EntrySlot { Before = stored, State = stored };
            }
        }

        var totals = default(AccessTotals);
        foreach (var (key, slot) in _entries)
        {
            if (key.Kind == MutationKind.Access && slot.State is { } entry && entry.Owner == memoryId)
            {
                var body = EntryBodies.Access(entry.Body);
                totals = totals.Add(body.Count, counted: !EntryBodies.IsLegacyCounter(key), body.LastAccessedAt is { } at ? new Timestamp(at) : null);
            }
        }

        return totals;
    }

    private async ValueTask<MemorySlot> SlotAsync(string id)
    {
        if (!_memories.TryGetValue(id, out var slot))
        {
            var row = await _transaction.FindMemoryAsync(id);
            var tombstone = row is null ? await _transaction.FindTombstoneAsync(id) : null;
            _memories[id] = slot = new MemorySlot { Before = row, Row = row, TombstoneBefore = tombstone, Tombstone = tombstone };
        }

        return slot;
    }

    /// <summary>Says that an id was drawn just now, so that the store need not be asked for it.</summary>
    public void DeclareNew(string id) => _memories[id] = new MemorySlot { IsNew = true };

    private async ValueTask<List<string>> GroupAsync(MemoryName name)
    {
        if (_groups.TryGetValue(name, out var group))
        {
            return group;
        }

        // Rows of this session are moved between groups only after both groups were loaded, so what the store says holds
        // for every row that is not in a slot yet, and the slot's own row says it for the others.
        group = [];
        foreach (var row in await _transaction.FindGroupAsync(name))
        {
            var id = row.Own.Id;
            if (!_memories.TryGetValue(id, out var slot))
            {
                _memories[id] = slot = new MemorySlot { Before = row, Row = row };
            }

            if (slot.Row is { Visibility: not RowVisibility.Archived } held && held.Own.Name.Value == name)
            {
                group.Add(id);
            }
        }

        _groups[name] = group;
        return group;
    }

    private async ValueTask<AppliedSet> AppliedAsync(LogId log) =>
        _vector.TryGetValue(log, out var applied) ? applied : await _transaction.FindAppliedAsync(log);

    private void SetApplied(LogId log, AppliedSet applied)
    {
        var held = _vector.GetValueOrDefault(log);
        _vector[log] = applied;
        _undo.Push(() =>
        {
            if (held is null)
            {
                _vector.Remove(log);
            }
            else
            {
                _vector[log] = held;
            }
        });
    }

    private void Observe(Stamp stamp) => Observe(stamp.Clock);

    private void Append(Stamp stamp, MutationKind kind, string key, string? idempotencyKey)
    {
        var before = _head.Sequence;
        _head = _head with { Sequence = before + 1 };
        _logRows.Add(new(_head.Sequence, stamp.Clock, Epoch, kind, key, idempotencyKey));
        _undo.Push(() =>
        {
            _logRows.RemoveAt(_logRows.Count - 1);
            _head = _head with { Sequence = before };
        });
    }

    private void Add<T>(List<T> list, T item)
    {
        list.Add(item);
        _undo.Push(() => list.RemoveAt(list.Count - 1));
    }

    private void Replace(MemorySlot slot, MemoryRow? row)
    {
        var before = slot.Row;
        slot.Row = row;
        _undo.Push(() => slot.Row = before);
    }

    private void Change(List<string> group, Action<List<string>, string> change, string id)
    {
        var before = group.ToArray();
        change(group, id);
        _undo.Push(() =>
        {
            group.Clear();
            group.AddRange(before);
        });
    }

    private sealed class MemorySlot
    {
        public MemoryRow? Before { get; init; }

        public MemoryRow? Row { get; set; }

        public Tombstone? TombstoneBefore { get; init; }

        public Tombstone? Tombstone { get; set; }

        public bool IsNew { get; init; }
    }

    private sealed class EntrySlot
    {
        public EntryState? Before { get; init; }

        public EntryState? State { get; set; }
    }
}
