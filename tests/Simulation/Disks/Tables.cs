using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Simulation.Disks;

/// <summary>The rows that a store shows: what the records of its disk, applied in order, give.</summary>
internal sealed class Tables
{
    private long _lastRow;
    private Dictionary<DigestKey, Digest>? _digestsOfRows;
    private (long Floor, Digest Digest)? _digestOfTombstones;
    private Dictionary<LogId, AppliedSet>? _readVector;
    private (IReadOnlyDictionary<DigestKey, Digest> OfRows, Digest OfTombstones, Dictionary<DigestKey, Digest> Both)? _readDigests;

    public Dictionary<string, MemoryRow> Memories { get; } = new(StringComparer.Ordinal);

    /// <summary>Ids of shown and shadowed memories.</summary>
    public Dictionary<MemoryName, List<string>> Names { get; } = [];

    public Dictionary<string, Tombstone> Tombstones { get; } = new(StringComparer.Ordinal);

    public Dictionary<EntryKey, EntryState> Entries { get; } = [];

    public Dictionary<string, List<EntryKey>> AccessOf { get; } = new(StringComparer.Ordinal);

    /// <summary>Of the present log, without what was trimmed from its start.</summary>
    public List<LogRow> Log { get; private set; } = [];

    public Dictionary<LogId, AppliedSet> Vector { get; private set; } = [];

    /// <summary>The present vector for those who keep it: it stays as it is.</summary>
    public IReadOnlyDictionary<LogId, AppliedSet> ReadVector => _readVector ??= new(Vector);

    public Dictionary<DigestKey, Digest> Digests { get; } = [];

    /// <summary>Those of them that have rows.</summary>
    public IReadOnlyDictionary<DigestKey, Digest> DigestsOfRows => _digestsOfRows ??= Digests.Where(static pair => pair.Value.Rows > 0).ToDictionary();

    public Dictionary<LogPosition, DeadLetter> DeadLetters { get; } = [];

    public Dictionary<(string Step, int Version), BackfillRecord> Backfills { get; } = [];

    public Dictionary<(string Step, int Version, string Key), QuarantinedRow> Quarantine { get; } = [];

    /// <summary>By row, then by step.</summary>
    public Dictionary<long, Dictionary<string, DerivedValue>> Derived { get; } = [];

    public Floors Floors { get; private set; }

    public long Clock { get; private set; }

    public LogId LogId { get; private set; }

    /// <summary>Begins a new log.</summary>
    public void Renew(LogId log)
    {
        LogId = log;
        Log = [];
    }

    public void Apply(ChangeSet changes)
    {
        ApplyBackfills(changes);
        if (changes.Tombstones.Count + changes.CollectedTombstones.Count > 0)
        {
            _digestOfTombstones = null;
        }

        foreach (var change in changes.Memories)
        {
            Apply(change);
        }

        foreach (var tombstone in changes.Tombstones)
        {
            Tombstones[tombstone.Id] = tombstone;
        }

        foreach (var entry in changes.Entries)
        {
            if (entry.Key.Kind == MutationKind.Access && !Entries.ContainsKey(entry.Key))
            {
                Counters(entry.Owner).Add(entry.Key);
            }

            Entries[entry.Key] = entry;
        }

        Log.AddRange(changes.Log);
        if (changes.LogTrimmedThrough is { } trimmed)
        {
            Log.RemoveRange(0, Log.TakeWhile(row => row.Sequence <= trimmed).Count());
        }

        if (changes.ForgetVector)
        {
            Vector = [];
        }

        foreach (var (log, applied) in changes.Vector)
        {
            Vector[log] = applied;
        }

        if (changes.ForgetVector || changes.Vector.Count > 0)
        {
            _readVector = null;
        }

        foreach (var (key, added) in changes.Digests)
        {
            Digests[key] = Digests.GetValueOrDefault(key) + added;
            _digestsOfRows = null;
        }

        foreach (var letter in changes.DeadLetters)
        {
            DeadLetters[letter.Mutation.Position] = letter;
        }

        foreach (var position in changes.ResolvedDeadLetters)
        {
            DeadLetters.Remove(position);
        }

        foreach (var id in changes.CollectedTombstones)
        {
            Tombstones.Remove(id);
        }

        foreach (var entry in changes.DroppedEntries)
        {
            Entries.Remove(entry.Key);
            if (entry.Key.Kind == MutationKind.Access)
            {
                Counters(entry.Owner).Remove(entry.Key);
            }
        }

        Floors = changes.Floors ?? Floors;
        Clock = changes.Head.Clock;
    }

    /// <summary>Over those stamped at or above the floor.</summary>
    public Digest DigestOfTombstones(long floor)
    {
        if (_digestOfTombstones is not { } known || known.Floor != floor)
        {
            _digestOfTombstones = known = (floor, Tombstones.Values.Where(tombstone => tombstone.Stamp.Clock >= floor)
                .Aggregate(default(Digest), static (digest, tombstone) => digest.With(MemoryCodec.Hash(MemoryCodec.Encode(tombstone)))));
        }

        return known.Digest;
    }

    /// <summary>Of the rows and of the tombstones at or above the floor, for those who keep them.</summary>
    public IReadOnlyDictionary<DigestKey, Digest> ReadDigests(long floor)
    {
        var (ofRows, ofTombstones) = (DigestsOfRows, DigestOfTombstones(floor));
        if (_readDigests is not { } known || known.OfRows != ofRows || known.OfTombstones != ofTombstones)
        {
            _readDigests = known = (ofRows, ofTombstones, new(ofRows.Count + 1));
            foreach (var (key, digest) in ofRows)
            {
                known.Both.Add(key, digest);
            }

            known.Both[DigestKey.Tombstones] = ofTombstones;
        }

        return known.Both;
    }

    /// <summary>Null: no value of the step.</summary>
    public string? MarkerOf(long row, string step) => Derived.TryGetValue(row, out var values) && values.TryGetValue(step, out var value) ? value.Marker : null;

    /// <summary>Access counters of a memory.</summary>
    public List<EntryKey> Counters(string memoryId)
    {
        if (!AccessOf.TryGetValue(memoryId, out var keys))
        {
            AccessOf[memoryId] = keys = [];
        }

        return keys;
    }

    private void ApplyBackfills(ChangeSet changes)
    {
        foreach (var record in changes.Backfills)
        {
            Backfills[(record.Step, record.Version)] = record;
        }

        foreach (var key in Quarantine.Keys.Where(key => changes.Released.Contains((key.Step, key.Version))).ToList())
        {
            Quarantine.Remove(key);
        }

        foreach (var row in changes.Quarantined)
        {
            Quarantine[(row.Step, row.Version, row.Key)] = row;
        }

        if (changes.Derived.Count > 0)
        {
            var shown = Memories.Values.Where(static row => row.Visibility == RowVisibility.Shown).Select(static row => row.Row).ToHashSet();
            foreach (var value in changes.Derived.Where(value => shown.Contains(value.Row) && MarkerOf(value.Row, value.Step) != value.Marker))
            {
                ValuesOf(value.Row)[value.Step] = value;
            }
        }
    }

    private void Derive(long row, Memory? old, Memory? present)
    {
        if (old is not null && present is not null && DerivedColumns.HasSameText(old, present))
        {
            return;
        }

        if (present is null)
        {
            Derived.Remove(row);
            return;
        }

        var values = ValuesOf(row);
        foreach (var value in values.Values.ToList())
        {
            values[value.Step] = value with { Marker = "" };
        }

        foreach (var column in DerivedColumns.AtWrite)
        {
            values[column.Name] = new(row, column.Name, column.Marker, column.Compute(present));
        }
    }

    private Dictionary<string, DerivedValue> ValuesOf(long row)
    {
        if (!Derived.TryGetValue(row, out var values))
        {
            Derived[row] = values = new(StringComparer.Ordinal);
        }

        return values;
    }

    private void Apply(MemoryChange change)
    {
        var number = change.Before?.Row ?? _lastRow + 1;
        if (change.Before?.Visibility == RowVisibility.Shown || change.After?.Visibility == RowVisibility.Shown)
        {
            Derive(
                number,
                change.Before is { Visibility: RowVisibility.Shown } old ? old.View : null,
                change.After is { Visibility: RowVisibility.Shown } present ? present.View : null);
        }

        if (change.Before is { } before)
        {
            // The row as it is stored: what the change was decided on had its number from here.
            Memories.Remove(before.Own.Id);
            if (before.Visibility != RowVisibility.Archived)
            {
                Names[before.Own.Name.Value].Remove(before.Own.Id);
            }
        }

        if (change.After is { } after)
        {
            Memories[after.Own.Id] = after with { Row = change.Before?.Row ?? ++_lastRow };
            if (after.Visibility != RowVisibility.Archived)
            {
                if (!Names.TryGetValue(after.Own.Name.Value, out var ids))
                {
                    Names[after.Own.Name.Value] = ids = [];
                }

                ids.Add(after.Own.Id);
            }
        }
    }
}
