using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Disks;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Checks;

/// <summary>What a caller knows of a write when it is over.</summary>
public enum Fate
{
    /// <summary>Not over yet, or nobody can say: it may have happened, or happen still.</summary>
    Unknown,

    Acknowledged,

    /// <summary>It was told that the row is on the node it asked, and will spread if that survives.</summary>
    StoredLocally,

    /// <summary>It was told that nothing was stored.</summary>
    NotStored,
}

/// <summary>A row as a node decided it, at its place in the node's log.</summary>
/// <param name="State">A <see cref="MemoryState"/>, a <see cref="Tombstone"/> or an <see cref="EntryState"/>.</param>
internal sealed record DecidedRow(LogPosition Position, RowKey Key, object State, long Clock)
{
    /// <summary>Losses of the disk that decided it, up to then: a later one may have taken it.</summary>
    public int LossesBefore { get; init; }

    public TimeSpan At { get; init; }

    /// <summary>Nodes of the set when it was acknowledged.</summary>
    public int Nodes { get; init; }

    /// <summary>
    /// Stamped where deletes may be forgotten, by a node with a lost disk and a clock that was set back, before it heard of a peer: it
    /// lets go of the row when it does.
    /// </summary>
    public bool IsBelowFloor { get; init; }

    /// <summary>On how many of them it must stay, and how many losses there had been.</summary>
    public (int Nodes, int Losses) Acknowledged { get; init; }

    public SimulatedDisk? Disk { get; init; }
}

/// <summary>
/// Sees every transaction of every disk as it becomes durable, and every answer as it is given. Holds the invariants of single
/// steps: rows only rise, what is deleted stays so, a number of a log names one row, an acknowledged row is where it is said to be.
/// </summary>
internal sealed class Ledger(SimulatedWorld world, Func<IReadOnlyList<SimulatedDisk>> disks)
{
    private readonly Dictionary<LogPosition, DecidedRow> _decided = [];
    private readonly Dictionary<SimulatedDisk, HashSet<string>> _deletedOn = [];
    private readonly Dictionary<RowKey, List<(DecidedRow Row, TimeSpan At)>> _acknowledged = [];
    private readonly Dictionary<string, List<(string Id, int Losses)>> _contents = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<Fate>> _fates = new(StringComparer.Ordinal);
    private readonly List<DecidedRow> _storedLocally = [];
    private readonly Dictionary<string, (TimeSpan At, long Clock)> _reborn = new(StringComparer.Ordinal);
    private TimeSpan _partLost = TimeSpan.MinValue;
    private readonly HashSet<string> _everDeleted = new(StringComparer.Ordinal);

    public int Acknowledged { get; private set; }

    /// <summary>Deletes that callers were told of.</summary>
    /// <summary>When the delete was acknowledged, and how many nodes the answering one knew of.</summary>
    public Dictionary<string, (TimeSpan At, int Nodes)> DeletesAcknowledged { get; } = new(StringComparer.Ordinal);

    /// <summary>How often a disk lost what it had promised to keep.</summary>
    public int Losses => disks().Sum(static disk => disk.Losses);

    public IEnumerable<DecidedRow> AcknowledgedRows => _acknowledged.Values.SelectMany(static rows => rows).Select(static row => row.Row);

    public bool IsDeletedAnywhere(string id) => _everDeleted.Contains(id);

    /// <summary>A record became durable; the tables still show the state before it.</summary>
    public void Written(SimulatedDisk disk, DiskRecord record)
    {
        world.Record((long)record.Log.Incarnation);
        if (record.Changes is not { } changes)
        {
            return;
        }

        world.Record(changes.Head.Clock);
        if (world.Log is not null)
        {
            Tell(disk, record.Log, changes);
        }

        var deleted = DeletedOn(disk);
        foreach (var change in changes.Memories)
        {
            if (change is { Before: null, After: { } brought } && _everDeleted.Contains(brought.Own.Id) && changes.Log.Any(row => row.Key == brought.Own.Id))
            {
                Reborn(brought.Own);
            }

            Judge(disk, change, deleted);
        }

        foreach (var change in changes.Memories)
        {
            if (change is { After: null, Before.Own.Id: var id } && !changes.Tombstones.Any(tombstone => tombstone.Id == id))
            {
                JudgeDrop(disk, new(MutationKind.Memory, id));
            }
        }

        foreach (var entry in changes.DroppedEntries)
        {
            JudgeDrop(disk, new(entry.Key.Kind, entry.Key.Key));
        }

        foreach (var tombstone in changes.Tombstones)
        {
            // The delete of what an id named before tells nothing of what it names now; it may be forgotten here as elsewhere.
            if (!_reborn.TryGetValue(tombstone.Id, out var reborn) || tombstone.Stamp.Clock > reborn.Clock)
            {
                deleted.Add(tombstone.Id);
            }

            _everDeleted.Add(tombstone.Id);
        }

        if (changes.Log.Count > 0)
        {
            Decided(disk, record.Log, changes);
        }
    }

    /// <summary>What a transaction did, for people.</summary>
    private void Tell(SimulatedDisk disk, LogId log, ChangeSet changes)
    {
        foreach (var change in changes.Memories)
        {
            world.Log?.Invoke($"{world.Now.TotalSeconds,10:F4}   {disk.Node} {(change.After is null ? "drops" : change.Before is null ? "creates" : "changes")} {change.After?.Own.Id ?? change.Before?.Own.Id} {change.After?.Own.Body.Value.Content} {change.After?.Own.NewestStamp}");
        }

        foreach (var tombstone in changes.Tombstones)
        {
            world.Log?.Invoke($"{world.Now.TotalSeconds,10:F4}   {disk.Node} buries {tombstone.Id} {tombstone.Stamp}");
        }

        foreach (var id in changes.CollectedTombstones)
        {
            world.Log?.Invoke($"{world.Now.TotalSeconds,10:F4}   {disk.Node} forgets the delete of {id}");
        }

        if (changes.Floors is { } floors)
        {
            world.Log?.Invoke($"{world.Now.TotalSeconds,10:F4}   {disk.Node} has the floors {floors.Own:x16} and {floors.Common:x16}");
        }

        foreach (var row in changes.Log)
        {
            world.Log?.Invoke($"{world.Now.TotalSeconds,10:F4}   {disk.Node} logs {log}:{row.Sequence} {row.Kind} {row.Key.Replace('\n', ' ')}");
        }
    }

    /// <summary>A disk was wiped or set back: it knows of no more deletes than it holds.</summary>
    public void Lost(SimulatedDisk disk)
    {
        _deletedOn[disk] = [.. disk.Tables.Tombstones.Keys.Where(id => !_reborn.ContainsKey(id))];
        if (disk.Durable > 0)
        {
            _partLost = world.Now;
        }
    }

    /// <summary>What became of a text that a caller wrote; a retry is another attempt at the same text.</summary>
    public List<Fate> FatesOf(string content)
    {
        if (!_fates.TryGetValue(content, out var fates))
        {
            _fates[content] = fates = [];
        }

        return fates;
    }

    /// <summary>A node is about to answer that a write stands on so many nodes.</summary>
    /// <param name="lossesBefore"><see cref="Losses"/> when the write began.</param>
    /// <param name="nodes">How many nodes the answering one knows of.</param>
    public void Answer(LogPosition position, QuorumOutcome? quorum, string durability, int needed, int lossesBefore, int nodes)
    {
        Acknowledged++;
        if (!_decided.TryGetValue(position, out var row))
        {
            world.Fail($"promise 1: {position} was acknowledged, and no disk ever had it");
            return;
        }

        if (quorum is not null && durability == Core.Durabilities.Quorum && quorum.Got < needed)
        {
            world.Fail($"promise 1: {position} was acknowledged as on a quorum with {quorum.Got} of {needed} nodes");
        }

        var holders = disks().Count(disk => Holds(disk.Tables, row));
        if (Losses == lossesBefore && holders < (quorum?.Got ?? 1))
        {
            world.Fail($"promise 1: {position} ({row.Key.Key}) was acknowledged by {quorum?.Got ?? 1} nodes and is durable on {holders}");
        }

        if (durability is Core.Durabilities.Quorum or Core.Durabilities.Local)
        {
            if (!_acknowledged.TryGetValue(row.Key, out var rows))
            {
                _acknowledged[row.Key] = rows = [];
            }

            rows.Add((row with { Nodes = nodes, Acknowledged = (Math.Min(quorum?.Got ?? 1, needed), lossesBefore) }, world.Now));
        }
        else
        {
            _storedLocally.Add(row);
        }
    }

    /// <summary>A write that began at the given time was acknowledged by a majority of so many nodes: one of them knew of every delete that was.</summary>
    public void Written(string id, TimeSpan began, int nodes)
    {
        if (Losses == 0 && DeletesAcknowledged.TryGetValue(id, out var delete) && delete.At < began && delete.Nodes == nodes)
        {
            world.Fail($"promise 4: {id} was deleted, which was acknowledged at {delete.At}, and a write to it that began at {began} was acknowledged too");
        }
    }

    /// <summary>A node is about to answer that a write stands on it.</summary>
    public void AnswerStoredLocally(LogPosition position)
    {
        if (_decided.TryGetValue(position, out var row))
        {
            _storedLocally.Add(row);
        }
        else
        {
            world.Fail($"promise 6: {position} was said to be stored here, and no disk ever had it");
        }
    }

    /// <summary>A node has waited for a token.</summary>
    public void Waited(string node, Tables tables, LogPosition token)
    {
        if (_decided.TryGetValue(token, out var row) && !Holds(tables, row))
        {
            world.Fail($"promise 5: {node} says that it has {token} and holds an older {row.Key.Key}");
        }
    }

    /// <summary>A node has read a row from a quorum that was begun at the given time.</summary>
    /// <param name="nodes">How many nodes it knows of: a quorum of another set need not meet its quorum.</param>
    public void ReadAtQuorum(string node, Tables tables, string id, TimeSpan began, int nodes)
    {
        foreach (var (row, at) in _acknowledged.GetValueOrDefault(new(MutationKind.Memory, id)) ?? [])
        {
            // A disk that silently lost only its end counts like one that lost nothing, until its node has caught up.
            if (at < began && at > _partLost && row.Nodes == nodes && !Holds(tables, row))
            {
                world.Fail($"quorum read: {node} answers with an older {id} than {row.Position}, which was acknowledged before");
                return;
            }
        }
    }

    /// <summary>Rows that every node must hold in the end, with the promise that says so.</summary>
    public IEnumerable<(DecidedRow Row, string Promise)> Owed()
    {
        foreach (var row in AcknowledgedRows.Where(static row => !row.IsBelowFloor || row.Acknowledged.Nodes > 1))
        {
            yield return (row, "promise 1: an acknowledged row");
        }

        foreach (var row in _storedLocally.Where(static row => row.Disk!.Losses == row.LossesBefore && !row.IsBelowFloor))
        {
            yield return (row, "promise 6: a row that is stored locally on a disk that survived");
        }
    }

    /// <summary>Texts of writes that nobody may find, since their callers were told that nothing was stored.</summary>
    public IEnumerable<(string Content, string Id)> Forbidden()
    {
        foreach (var (content, fates) in _fates)
        {
            // What met a delete was written under an id that is deleted, and decided anew; until the delete came it was shown, and other
            // writes to its title may rest on it.
            if (fates.Count > 0 && fates.TrueForAll(static fate => fate == Fate.NotStored)
                && _contents.TryGetValue(content, out var found) && !found.Exists(each => IsDeletedAnywhere(each.Id)))
            {
                foreach (var (id, _) in found)
                {
                    yield return (content, id);
                }
            }
        }
    }

    /// <summary>Whether the rows of a disk are at least what was decided then.</summary>
    public bool Holds(Tables tables, DecidedRow row)
    {
        switch (row.State)
        {
            case MemoryState or Tombstone when _reborn.TryGetValue(row.Key.Key, out var reborn) && row.At <= reborn.At:
                return true;
            case MemoryState state:
                if (tables.Tombstones.ContainsKey(state.Id))
                {
                    return true;
                }

                if (!tables.Memories.TryGetValue(state.Id, out var held))
                {
                    // Deleted, and the delete forgotten since.
                    return IsForgotten(state.Id);
                }

                return ReferenceEquals(held.Own, state) || MemoryCodec.Hash(MemoryMerge.Merge(held.Own, state)) == held.Hash;
            case Tombstone tombstone:
                return tables.Tombstones.ContainsKey(tombstone.Id) || (!tables.Memories.ContainsKey(tombstone.Id) && IsForgotten(tombstone.Id));
            case EntryState entry:
                return tables.Entries.TryGetValue(entry.Key, out var kept) && EntryState.Merge(kept, entry).Encode().AsSpan().SequenceEqual(kept.Encode());
            default:
                throw new InvalidOperationException("not a row");
        }
    }

    /// <summary>Deleted, and every node may forget that: a new disk need not hear of it.</summary>
    private bool IsForgotten(string id) => IsDeletedAnywhere(id) && disks().Any(static disk => disk.Tables.Floors.Common > 0);

    /// <summary>A caller brought a memory in from elsewhere under an id whose delete is forgotten: a new memory, that a node decided.</summary>
    private void Reborn(MemoryState brought)
    {
        _reborn[brought.Id] = (world.Now, brought.NewestStamp.Clock);
        DeletesAcknowledged.Remove(brought.Id);
        foreach (var deleted in _deletedOn.Values)
        {
            deleted.Remove(brought.Id);
        }
    }

    private HashSet<string> DeletedOn(SimulatedDisk disk)
    {
        if (!_deletedOn.TryGetValue(disk, out var deleted))
        {
            _deletedOn[disk] = deleted = new(StringComparer.Ordinal);
        }

        return deleted;
    }

    private void Judge(SimulatedDisk disk, MemoryChange change, HashSet<string> deleted)
    {
        if (change.After is not { } after)
        {
            return;
        }

        if (deleted.Contains(after.Own.Id))
        {
            world.Fail($"promise 4: {after.Own.Id} was deleted on {disk.Node} and came back");
        }

        if (change.Before is { } before && before.Hash != after.Hash && MemoryCodec.Hash(MemoryMerge.Merge(before.Own, after.Own)) != after.Hash)
        {
            world.Fail($"promise 3: {after.Own.Id} on {disk.Node} was changed to something that is not above what it was: from {Show(before.Own)} to {Show(after.Own)}");
        }
    }

    /// <summary>A node lets go of a row: as long as no disk is lost, an acknowledged one stays on as many nodes as writes must be on.</summary>
    private void JudgeDrop(SimulatedDisk disk, RowKey key)
    {
        foreach (var (row, _) in _acknowledged.GetValueOrDefault(key) ?? [])
        {
            var needed = row.Acknowledged.Nodes;
            if (row.Acknowledged.Losses == Losses && !(row.IsBelowFloor && row.Acknowledged.Nodes == 1) && disks().Count(other => other != disk && Holds(other.Tables, row)) is var others && others < needed)
            {
                world.Fail($"promise 1: {row.Position} ({key.Kind} {key.Key}) was acknowledged as on {row.Acknowledged.Nodes} nodes, {disk.Node} lets go of it, and {others} others hold it");
            }
        }
    }

    /// <summary>A row for people.</summary>
    public static string Show(MemoryState? state) => state is null ? "none" :
        $"[name {state.Name} body {state.Body.Value.Content} {state.Body.Stamp} metadata {state.Metadata.Stamp} priority {state.Priority} confidence {state.Confidence} tier {state.Tier} expiry {state.Expiry} archive {state.Archive} created {state.CreatedAt} updated {state.UpdatedAt}]";

    private void Decided(SimulatedDisk disk, LogId log, ChangeSet changes)
    {
        var states = new Dictionary<RowKey, object>();
        foreach (var change in changes.Memories)
        {
            if (change.After is { Own: var own })
            {
                states[new(MutationKind.Memory, own.Id)] = own;
                Found(disk, own);
            }
        }

        foreach (var tombstone in changes.Tombstones)
        {
            states[new(MutationKind.Memory, tombstone.Id)] = tombstone;
        }

        foreach (var entry in changes.Entries)
        {
            states[new(entry.Key.Kind, entry.Key.Key)] = entry;
        }

        var floor = disks().Max(static each => each.Tables.Floors.Common);
        foreach (var row in changes.Log)
        {
            var key = new RowKey(row.Kind == MutationKind.MemoryDelete ? MutationKind.Memory : row.Kind, row.Key);
            var position = new LogPosition(log, row.Sequence);
            if (_decided.TryGetValue(position, out var other) && other.Clock != row.Clock
                && disks().FirstOrDefault(each => each != disk && each.Tables.Vector.TryGetValue(log, out var held) && held.Contains(row.Sequence)) is { } holder)
            {
                world.Fail($"{disk.Node} used {position} a second time, and {holder.Node} holds the row of the first");
            }

            if ((states.GetValueOrDefault(key) ?? Held(disk.Tables, key)) is { } state)
            {
                _decided[position] = new(position, key, state, row.Clock) { Disk = disk, LossesBefore = disk.Losses, At = world.Now, IsBelowFloor = row.Clock < floor };
            }
        }
    }

    private void Found(SimulatedDisk disk, MemoryState state)
    {
        if (!_contents.TryGetValue(state.Body.Value.Content, out var found))
        {
            _contents[state.Body.Value.Content] = found = [];
        }

        if (!found.Exists(each => each.Id == state.Id))
        {
            found.Add((state.Id, disk.Losses));
        }
    }

    private static object? Held(Tables tables, RowKey key) =>
        key.Kind != MutationKind.Memory ? tables.Entries.GetValueOrDefault(new(key.Kind, key.Key))
        : tables.Memories.TryGetValue(key.Key, out var row) ? row.Own
        : tables.Tombstones.GetValueOrDefault(key.Key);
}
