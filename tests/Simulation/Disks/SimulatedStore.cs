using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Simulation.Disks;

/// <summary>A store over a <see cref="SimulatedDisk"/>. Reads see durable rows only, each one committed state.</summary>
public sealed partial class SimulatedStore : IMemoryStore
{
    private readonly SimulatedDisk _disk;
    private readonly Func<ulong> _incarnation;
    private readonly Lock _gate = new();
    private bool _closed;
    private bool? _doubt;

    internal SimulatedStore(SimulatedDisk disk, Func<ulong> incarnation)
    {
        _disk = disk;
        _incarnation = incarnation;
        Index = new TextScanIndex(this);
    }

    public LogId Log => Tables.LogId;

    public string Description => "simulated";

    public ITextIndex Index { get; }

    private Tables Tables => _disk.Tables;

    public ValueTask<IStoreTransaction> BeginAsync() => _doubt is null
        ? new(new Transaction(this))
        : throw new InvalidOperationException("a commit is in doubt, and nobody has asked what became of it");

    public async ValueTask<bool> SettleAsync()
    {
        await Task.Yield();
        if (_disk.Faults?.IsInDoubt() == true)
        {
            throw new MemoryException(ErrorKind.StoreFailed, "the store cannot be reached");
        }

        var stored = _doubt!.Value;
        _doubt = null;
        return stored;
    }

    public async ValueTask RenewLogAsync()
    {
        var record = new DiskRecord(null, new(Log.Node, _incarnation()));
        await WriteAsync(record);
    }

    public ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            _closed = true;
            _disk.Close();
        }

        return ValueTask.CompletedTask;
    }

    private async ValueTask WriteAsync(DiskRecord record)
    {
        _disk.Faults?.BeforeWrite();
        lock (_gate)
        {
            _disk.Append(record);
        }

        if (_disk.Faults is { } faults)
        {
            if (record.Changes is not null && faults.IsInDoubt())
            {
                _doubt = faults.IsStored();
                (_doubt.Value ? (Action)_disk.Sync : _disk.Forget)();
                throw new CommitUncertainException("the answer to a commit was lost", new IOException("connection reset"));
            }

            await faults.SyncAsync(_disk);
        }
        else
        {
            lock (_gate)
            {
                _disk.Sync();
            }
        }
    }

    private sealed class Transaction(SimulatedStore store) : IStoreTransaction
    {
        public ValueTask<MemoryRow?> FindMemoryAsync(string id) => store.FindAsync(id);

        public ValueTask<Tombstone?> FindTombstoneAsync(string id) => store.Read(tables => tables.Tombstones.GetValueOrDefault(id));

        public ValueTask<IReadOnlyList<MemoryRow>> FindGroupAsync(MemoryName name) =>
            store.Read<IReadOnlyList<MemoryRow>>(tables => tables.Names.TryGetValue(name, out var ids) ? [.. ids.Select(id => tables.Memories[id])] : []);

        public ValueTask<EntryState?> FindEntryAsync(EntryKey key) => store.Read(tables => tables.Entries.GetValueOrDefault(key));

        public ValueTask<IReadOnlyList<EntryState>> FindAccessAsync(string memoryId) =>
            store.Read<IReadOnlyList<EntryState>>(tables => tables.AccessOf.TryGetValue(memoryId, out var keys) ? [.. keys.Select(key => tables.Entries[key])] : []);

        public ValueTask<AppliedSet> FindAppliedAsync(LogId log) => store.Read(tables => tables.Vector.GetValueOrDefault(log) ?? AppliedSet.None);

        public ValueTask<BackfillRecord?> FindBackfillAsync(string step, int version) => store.Read(tables => tables.Backfills.GetValueOrDefault((step, version)));

        public ValueTask CommitAsync(ChangeSet changes) => store.WriteAsync(new(changes, store.Log));

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
