namespace OrleansMemory.Core.Replication;

/// <summary>
/// The newest mutations of the store's own log, kept in memory so that pumps ship a write without reading it back. Bounded; what
/// has left it is read from the store.
/// </summary>
public sealed class MutationFeed
{
    private const int Rows = 16_384;
    private const long Bytes = 64L << 20;

    private readonly Lock _gate = new();
    private readonly LinkedList<Row> _rows = [];

    /// <summary>How many of the rows hold a memory, by id.</summary>
    private readonly Dictionary<string, int> _memories = new(StringComparer.Ordinal);
    private TaskCompletionSource _grown = NewSignal();
    private LogId _log;
    private long _head;
    private long _bytes;

    public MutationFeed(LogId log, long head)
    {
        _log = log;
        _head = head;
    }

    /// <summary>The last sequence number that is durable here.</summary>
    public LogPosition Head
    {
        get
        {
            lock (_gate)
            {
                return new(_log, _head);
            }
        }
    }

    /// <summary>Takes what was committed.</summary>
    public void Append(LogId log, ChangeSet changes)
    {
        Bury(changes.Tombstones);
        var states = changes.Log.Count > 0 ? StatesOf(changes) : [];
        lock (_gate)
        {
            if (log != _log)
            {
                // Also when nothing is logged yet: what it holds of the log that was left is not to be shipped any more.
                _log = log;
                _head = changes.Head.Sequence - changes.Log.Count;
                Clear();
            }
            else if (changes.Log.Count == 0)
            {
                return;
            }

            foreach (var row in changes.Log)
            {
                var kind = row.Kind == MutationKind.MemoryDelete ? MutationKind.Memory : row.Kind;
                if (states.TryGetValue(new(kind, row.Key), out var state))
                {
                    Add(new Row(row, state.Kind, state.Encode, state.Size));
                }
                else
                {
                    // A row that changed nothing (a repeated request) has its state in the store only.
                    Clear();
                }

                _head = row.Sequence;
            }

            while (_rows.Count > Rows || _bytes > Bytes)
            {
                RemoveFirst();
            }

            _grown.TrySetResult();
            _grown = NewSignal();
        }
    }

    /// <summary>Mutations after a sequence number, up to a number of rows and about a number of bytes; null when the first of them has left the feed.</summary>
    public IReadOnlyList<Mutation>? Read(long after, int rows, int bytes)
    {
        lock (_gate)
        {
            if (after >= _head)
            {
                return [];
            }

            if (_rows.First is not { } first || first.Value.Log.Sequence > after + 1)
            {
                return null;
            }

            var node = _rows.Last!;
            while (node.Previous is { } previous && previous.Value.Log.Sequence > after)
            {
                node = previous;
            }

            Faults.Replace(Fault.FeedSkipsRow, ref node, node.Next ?? node);
            var mutations = new List<Mutation>();
            for (LinkedListNode<Row>? next = node; next is not null && mutations.Count < rows && bytes > 0; next = next.Next)
            {
                mutations.Add(next.Value.Mutation(_log));
                bytes -= next.Value.Size;
            }

            return mutations;
        }
    }

    /// <summary>Ends when there is a mutation after the sequence number, or another log.</summary>
    public Task WaitAsync(LogPosition after, CancellationToken cancellation)
    {
        Task grown;
        lock (_gate)
        {
            if (_head > after.Sequence || _log != after.Log)
            {
                return Task.CompletedTask;
            }

            grown = _grown.Task;
        }

        return grown.OnOwnScheduler().WaitAsync(cancellation);
    }

    /// <summary>What each row holds after the commit, encoded when it is first sent.</summary>
    private static Dictionary<RowKey, (MutationKind Kind, Func<byte[]> Encode, int Size)> StatesOf(ChangeSet changes)
    {
        var states = new Dictionary<RowKey, (MutationKind Kind, Func<byte[]> Encode, int Size)>();
        foreach (var change in changes.Memories)
        {
            if (change.After is { Own: var own })
            {
                states[new(MutationKind.Memory, own.Id)] = (MutationKind.Memory, () => MemoryCodec.Encode(own), own.Body.Value.Content.Length + 400);
            }
        }

        foreach (var tombstone in changes.Tombstones)
        {
            states[new(MutationKind.Memory, tombstone.Id)] = (MutationKind.MemoryDelete, () => MemoryCodec.Encode(tombstone), 200);
        }

        foreach (var entry in changes.Entries)
        {
            states[new(entry.Key.Kind, entry.Key.Key)] = (entry.Key.Kind, entry.Encode, entry.Body.Length + 200);
        }

        return states;
    }

    /// <summary>
    /// A row is sent as it is when it is sent: one that was deleted since, here or elsewhere, as its delete. A peer that has
    /// forgotten that delete already would take the row for a new one.
    /// </summary>
    private void Bury(IReadOnlyList<Tombstone> tombstones)
    {
        lock (_gate)
        {
            foreach (var tombstone in tombstones)
            {
                if (!_memories.ContainsKey(tombstone.Id))
                {
                    continue;
                }

                foreach (var row in _rows)
                {
                    if (row.Kind == MutationKind.Memory && row.Log.Key == tombstone.Id)
                    {
                        row.Bury(tombstone);
                    }
                }

                _memories.Remove(tombstone.Id);
            }
        }
    }

    private void Add(Row row)
    {
        _rows.AddLast(row);
        _bytes += row.Size;
        if (row.Kind == MutationKind.Memory)
        {
            _memories[row.Log.Key] = _memories.GetValueOrDefault(row.Log.Key) + 1;
        }
    }

    private void RemoveFirst()
    {
        var row = _rows.First!.Value;
        _rows.RemoveFirst();
        _bytes -= row.Size;
        if (row.Kind != MutationKind.Memory)
        {
            return;
        }

        if (_memories[row.Log.Key]-- == 1)
        {
            _memories.Remove(row.Log.Key);
        }
    }

    private void Clear()
    {
        _rows.Clear();
        _memories.Clear();
        _bytes = 0;
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed class Row(LogRow log, MutationKind kind, Func<byte[]> encode, int size)
    {
        private Func<byte[]> _encode = encode;
        private Mutation? _mutation;

        public LogRow Log => log;

        public MutationKind Kind { get; private set; } = kind;

        public int Size => size;

        public void Bury(Tombstone tombstone)
        {
            Kind = MutationKind.MemoryDelete;
            _encode = () => MemoryCodec.Encode(tombstone);
            _mutation = null;
        }

        /// <summary>Encoded once, for all peers.</summary>
        public Mutation Mutation(LogId id) =>
            _mutation ??= new(new(id, log.Sequence), new(log.Clock, id), log.Epoch, Kind, log.Key, _encode(), log.IdempotencyKey);
    }
}
