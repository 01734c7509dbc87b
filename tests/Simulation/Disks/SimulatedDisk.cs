using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Simulation.Disks;

/// <summary>One record of a disk: a transaction, or the beginning of a new log.</summary>
internal sealed record DiskRecord(ChangeSet? Changes, LogId Log);

/// <summary>
/// What a machine keeps when its power fails. A record is volatile once it is written and durable after an fsync; only then readers
/// see it. A crash takes volatile records, whole or torn in the middle, which the next opening finds and drops: or it happens to
/// leave them, as a disk may.
/// </summary>
public sealed class SimulatedDisk
{
    private readonly List<DiskRecord> _records = [];
    private Tables _tables = new();
    private int _durable;
    private int _shown;
    private bool _isOpen;

    /// <summary>Where faults are drawn and fsyncs take their time; null for a disk that neither fails nor waits.</summary>
    public DiskFaults? Faults { get; init; }

    /// <summary>Every record that became durable, with the state before it.</summary>
    internal Action<SimulatedDisk, DiskRecord>? Written { get; init; }

    /// <summary>The durable rows.</summary>
    internal Tables Tables => _tables;

    public string? Node { get; private set; }

    /// <summary>How many durable records there are; a backup is named by it.</summary>
    public int Durable => _durable;

    /// <summary>How often this disk lost what it had promised to keep.</summary>
    public int Losses { get; private set; }

    /// <summary>Opens the store on this disk, or creates it.</summary>
    /// <param name="incarnation">Of the first log, where there is none yet.</param>
    public SimulatedStore Open(string nodeId, Func<ulong> incarnation)
    {
        if (_isOpen)
        {
            throw new MemoryException(ErrorKind.StoreInUse, "another process has the store open");
        }

        if (Node is not null && Node != nodeId)
        {
            throw new MemoryException(ErrorKind.StoreNotOurs, $"the store belongs to node {Node}");
        }

        _isOpen = true;
        Node = nodeId;
        if (_durable == 0)
        {
            Append(new(null, new(nodeId, incarnation())));
            Sync();
        }

        return new(this, incarnation);
    }

    /// <summary>The process that had the store open is no more.</summary>
    public void Close() => _isOpen = false;

    /// <summary>The machine stops: what is volatile is lost, or by luck was on its way far enough.</summary>
    public void Crash()
    {
        _isOpen = false;
        if (_records.Count > _durable && Faults?.KeepsVolatile() == true)
        {
            Sync();
        }

        var isBehind = _shown > _durable;

        // A torn record fails its checksum and is dropped as a whole, like one that never came.
        _records.RemoveRange(_durable, _records.Count - _durable);
        if (isBehind)
        {
            ShowAnew();
        }
    }

    /// <summary>An empty disk takes the place of this one.</summary>
    public void Wipe()
    {
        Losses++;
        _records.Clear();
        _durable = _shown = 0;
        _tables = new();
        Node = null;
    }

    /// <summary>The disk holds again what it held after so many records: a backup is put back, or fsyncs were lies.</summary>
    public void Restore(int records)
    {
        Losses++;
        _records.RemoveRange(records, _records.Count - records);
        _durable = records;
        ShowAnew();
    }

    internal void Append(DiskRecord record) => _records.Add(record);

    /// <summary>What is volatile was never written.</summary>
    internal void Forget() => _records.RemoveRange(_durable, _records.Count - _durable);

    /// <summary>Everything that was written is durable now.</summary>
    internal void Sync()
    {
        Show();
        _durable = _records.Count;
    }

    /// <summary>Lets readers see everything that was written.</summary>
    internal void Show()
    {
        while (_shown < _records.Count)
        {
            var record = _records[_shown++];
            Written?.Invoke(this, record);
            Show(record);
        }
    }

#if FAULT_INJECTION
    /// <summary>What is shown becomes durable at last, unless a crash took it before.</summary>
    internal void SyncLate() => _durable = Math.Max(_durable, Math.Min(_shown, _records.Count));

#endif
    private void ShowAnew()
    {
        _tables = new();
        _shown = _records.Count;
        foreach (var record in _records)
        {
            Show(record);
        }
    }

    private void Show(DiskRecord record)
    {
        if (record.Changes is { } changes)
        {
            _tables.Apply(changes);
        }
        else
        {
            _tables.Renew(record.Log);
        }
    }
}
