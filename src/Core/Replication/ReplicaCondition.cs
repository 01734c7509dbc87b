namespace OrleansMemory.Core.Replication;

/// <summary>
/// What this node knows of its own store among those of its peers, under one lock: what it holds, how far back it remembers deletes, whether it has
/// lost rows, is an older copy of what this node once was, and may be read from. It decides; what has to be done about it others do.
/// </summary>
public sealed class ReplicaCondition
{
    private const int MostArrived = 100_000;

    private readonly IMemoryStore _store;
    private readonly ReplicaSetSettings _settings;
    private readonly Lock _gate = new();

    /// <summary>Peers that were synchronised with, and whether they were whole.</summary>
    private readonly Dictionary<string, bool> _synchronised = new(StringComparer.Ordinal);

    /// <summary>The clocks of peers when this store was seen to hold all that they held.</summary>
    private readonly Dictionary<string, long> _complete = new(StringComparer.Ordinal);

    /// <summary>Rows that came, by the node that shipped them, while this store might still turn out to be an old copy: those are not old.</summary>
    private readonly Dictionary<string, HashSet<string>> _arrived = new(StringComparer.Ordinal);

    /// <summary>Peers that answered since this node runs: they were told its floor, and theirs passes it no more.</summary>
    private readonly HashSet<string> _answered = new(StringComparer.Ordinal);

    /// <summary>The floors that nodes told when they greeted.</summary>
    private readonly Dictionary<string, long> _told = new(StringComparer.Ordinal);

    /// <summary>Peers that know of no floor above this node's, asked after one that did.</summary>
    private readonly HashSet<string> _notAhead = new(StringComparer.Ordinal);

    /// <summary>The highest number of each log by which this store refused a row; replaced as a whole.</summary>
    private Dictionary<LogId, long> _refused = [];
    private TaskCompletionSource _advanced = NewSignal();
    private TaskCompletionSource _rejoined = NewSignal();
    private Dictionary<LogId, AppliedSet> _vector;
    private Floors _floors;
    private LogPosition _logStart;
    private bool _comparing;
    private bool _lostRows;
    private bool _readable;
    private bool _pullingAsStale;
    private int _pulls;

    /// <summary>It has begun to let go of old rows and does not hold again what the others do.</summary>
    private bool _letGo;
    private long _staleBelow;

    /// <param name="store">Asked only which log it writes.</param>
    /// <param name="logStart">The first row of the own log that it still brings.</param>
    /// <param name="refused">The rows that it has refused, or the last of each log.</param>
    public ReplicaCondition(
        IMemoryStore store, ReplicaSetSettings settings, IReadOnlyDictionary<LogId, AppliedSet> vector, Floors floors, LogPosition logStart, IEnumerable<LogPosition> refused)
    {
        _store = store;
        _settings = settings;
        _vector = new(vector);
        _floors = floors;
        _logStart = logStart;
        Refuse(refused);
        if (settings.Peers > 0 && floors.Common > floors.Own)
        {
            // It was stopped while it rejoined.
            (_staleBelow, _letGo) = (floors.Common, true);
        }

        // A store gets a floor when it has synchronised: one without it is new, or was stopped before it had.
        _lostRows = floors.Own == 0;
        Faults.Replace(Fault.RecoveryForgottenAtStart, ref _lostRows, vector.Count == 0);
        _comparing = settings.Peers > 0;
        _readable = settings.Peers == 0;
    }

    /// <summary>True until this node has synchronised with as many others as a read quorum has.</summary>
    public bool IsRecovering
    {
        get
        {
            lock (_gate)
            {
                return Recovering;
            }
        }
    }

    /// <summary>True once this node knows that it is no old copy: then others may read from it.</summary>
    public bool IsReadable
    {
        get
        {
            lock (_gate)
            {
                return _readable;
            }
        }
    }

    /// <summary>This store is behind the floor: what it applies it may let go of again, until it has rejoined.</summary>
    public bool IsStale
    {
        get
        {
            lock (_gate)
            {
                return _staleBelow > 0;
            }
        }
    }

    public Floors Floors
    {
        get
        {
            lock (_gate)
            {
                return _floors;
            }
        }
    }

    /// <summary>The first number that the own log still brings.</summary>
    public long LogStart
    {
        get
        {
            lock (_gate)
            {
                return _logStart.Log == _store.Log ? _logStart.Sequence : 1;
            }
        }
    }

    /// <summary>The clock below which any node may have forgotten deletes, as far as this one heard.</summary>
    public long ForgottenBelow
    {
        get
        {
            lock (_gate)
            {
                return Math.Max(_staleBelow, _floors.Common);
            }
        }
    }

    /// <summary>Of each log, the highest number of a row that this store refused. Never lowered while the node runs.</summary>
    public IReadOnlyDictionary<LogId, long> Refused
    {
        get
        {
            lock (_gate)
            {
                return _refused;
            }
        }
    }

    /// <summary>Rows of all logs that this store holds.</summary>
    public long HeldRows
    {
        get
        {
            lock (_gate)
            {
                return _vector.Values.Sum(static held => held.Count);
            }
        }
    }

    /// <summary>Under the gate.</summary>
    private bool Recovering
    {
        get
        {
            var recovering = _settings.Peers > 0
                && (_comparing || _staleBelow > 0 || (_lostRows && !IsWhole));
            Faults.Replace(Fault.RecoveringReplicaCounts, ref recovering, false);
            return recovering;
        }
    }

    /// <summary>
    /// Under the gate. What was acknowledged is on one of any read quorum, unless that has lost rows itself; and on one of all nodes.
    /// </summary>
    private bool IsWhole
    {
        get
        {
            var whole = _synchronised.Values.Count(static isWhole => isWhole);
            Faults.Replace(Fault.RecoveringPeerHeals, ref whole, _synchronised.Count);
            return whole >= _settings.QuorumReads || _synchronised.Count >= _settings.Peers;
        }
    }

    /// <summary>What an operator is shown, of one instant.</summary>
    public (bool Recovering, Floors Floors, IReadOnlyDictionary<LogId, AppliedSet> Vector) Snapshot()
    {
        lock (_gate)
        {
            return (Recovering, _floors, new Dictionary<LogId, AppliedSet>(_vector));
        }
    }

    /// <summary>Whether this store lacks a row.</summary>
    /// <param name="advanced">Ends when it holds more than now.</param>
    public bool Lacks(LogPosition wanted, out Task advanced)
    {
        lock (_gate)
        {
            var isHeld = _vector.TryGetValue(wanted.Log, out var held) && held.Contains(wanted.Sequence);
            Faults.Replace(Fault.TokenNotAwaited, ref isHeld, true);
            advanced = _advanced.Task;
            return !isHeld;
        }
    }

    /// <summary>Whether this store is an old copy, and must not write.</summary>
    /// <param name="rejoined">Ends when it is one no more.</param>
    public bool MustRejoin(out Task rejoined)
    {
        lock (_gate)
        {
            var isStale = _staleBelow > 0;
            Faults.Replace(Fault.StaleNodeWrites, ref isStale, false);
            rejoined = _rejoined.Task;
            return isStale;
        }
    }

    /// <summary>A transaction of the store is on disk.</summary>
    public void Committed(ChangeSet changes)
    {
        lock (_gate)
        {
            _floors = changes.Floors ?? _floors;
            if (changes.DeadLetters.Count > 0)
            {
                Refuse(changes.DeadLetters.Select(static letter => letter.Mutation.Position));
            }

            if (changes.Vector.Count == 0)
            {
                return;
            }

            foreach (var (log, held) in changes.Vector)
            {
                _vector[log] = held;
            }

            _advanced.TrySetResult();
            _advanced = NewSignal();
        }
    }

    /// <summary>This store was compared with what every peer holds, or will not be in time.</summary>
    public void Compared()
    {
        lock (_gate)
        {
            _comparing = false;
        }
    }

    /// <summary>A peer holds what this store has lost: the store is an older copy of what this node once was, and may have answered for those rows.</summary>
    public void FoundOlder()
    {
        lock (_gate)
        {
            _lostRows = true;
            _synchronised.Clear();
        }
    }

    /// <summary>A peer ships rows as it holds them now.</summary>
    /// <returns>
    /// False when it is an old copy, as far as it told: deletes may be forgotten here that it never met, and what it writes to such a
    /// memory would be a new one.
    /// </returns>
    public bool Arriving(IReadOnlyList<Mutation> batch)
    {
        lock (_gate)
        {
            var isOld = batch.Count > 0 && _told.GetValueOrDefault(batch[0].Position.Log.Node) < _floors.Common;
            Faults.Replace(Fault.OldCopyShips, ref isOld, false);
            if (isOld)
            {
                return false;
            }

            if (_answered.Count >= _settings.Peers)
            {
                _arrived.Clear();
            }
            else if (batch.Count > 0 && _arrived.Values.Sum(static keys => keys.Count) < MostArrived)
            {
                var sender = batch[0].Position.Log.Node;
                if (!_arrived.TryGetValue(sender, out var keys))
                {
                    _arrived[sender] = keys = new(StringComparer.Ordinal);
                }

                keys.UnionWith(batch.Select(static mutation => mutation.Key));
            }

            return true;
        }
    }

    /// <summary>A peer greets, and may ship right after.</summary>
    public void Greeted(PeerHello greeting)
    {
        lock (_gate)
        {
            _told[greeting.Log.Node] = greeting.Floor;
            IsBehindFloor(greeting);
        }
    }

    /// <summary>Takes in what a peer said of itself.</summary>
    /// <param name="hellos">What all of them said last, by address.</param>
    public void Heard(string address, PeerHello hello, IReadOnlyDictionary<string, PeerHello> hellos)
    {
        lock (_gate)
        {
            _answered.Add(address);
            if (IsBehindFloor(hello))
            {
                return;
            }

            _notAhead.Add(address);
            if (_staleBelow > 0 && !_letGo && _notAhead.Count == _settings.Peers)
            {
                // Nobody knows of a higher floor any more: the one who did has been set back itself. What this store lacks is still lacking.
                _lostRows = true;
                _synchronised.Clear();
                EndStale();
            }

            if (_staleBelow == 0)
            {
                _readable = true;
            }

            // Also of logs that were left for a new one: the floor is below every row that this store lacks.
            var isComplete = Holds(hello.Log, hello.HeadSequence) && !LacksOrphans(hello, hellos);
            Faults.Replace(Fault.FloorPastGap, ref isComplete, true);
            if (isComplete)
            {
                _complete[address] = hello.Clock;
            }
        }
    }

    /// <summary>This store holds all that a peer held.</summary>
    /// <param name="isWhole">The peer was not recovering itself.</param>
    public void Synchronised(string address, bool isWhole)
    {
        lock (_gate)
        {
            _synchronised[address] = isWhole;
        }
    }

    /// <summary>The own log begins later now.</summary>
    public void Trimmed(LogPosition start)
    {
        lock (_gate)
        {
            _logStart = start;
        }
    }

    /// <summary>The floors that this node may have now; null when it may not raise them.</summary>
    /// <param name="clock">Its own, at present.</param>
    /// <param name="hellos">What the peers said last, by address.</param>
    public Floors? HigherFloors(long clock, IReadOnlyDictionary<string, PeerHello> hellos)
    {
        lock (_gate)
        {
            if (_staleBelow > 0 || _complete.Count < _settings.Peers || hellos.Count < _settings.Peers)
            {
                return null;
            }

            var own = _complete.Values.Append(clock).Min();
            var common = hellos.Values.Select(hello => Math.Min(hello.Floor, _told.GetValueOrDefault(hello.Log.Node, long.MaxValue))).Append(own).Min();
            Faults.Replace(Fault.TombstoneCollectedOneWay, ref common, own);
            return new(Math.Max(own, _floors.Own), Math.Max(common, _floors.Common));
        }
    }

    /// <summary>A peer's log goes on beyond what this store holds of it.</summary>
    public bool IsBehind(IReadOnlyDictionary<string, PeerHello> hellos)
    {
        lock (_gate)
        {
            return hellos.Values.Any(hello => !Holds(hello.Log, hello.HeadSequence));
        }
    }

    /// <summary>The peer holds rows that no log brings: of a log that nobody who answers writes, or from before the start of its own.</summary>
    public bool HoldsOrphans(PeerHello hello, IReadOnlyDictionary<string, PeerHello> hellos)
    {
        lock (_gate)
        {
            return LacksOrphans(hello, hellos);
        }
    }

    /// <summary>
    /// Whether rows may be fetched from a peer now. While the store is an old copy only one fetch at a time, and none that began before it
    /// was known to be; each that may begin is to be ended.
    /// </summary>
    /// <param name="staleBelow">The floor that an old copy is behind, else 0.</param>
    public bool TryBeginPull(out long staleBelow)
    {
        lock (_gate)
        {
            staleBelow = _staleBelow;
            if (_pullingAsStale || (staleBelow > 0 && _pulls > 0))
            {
                return false;
            }

            _pullingAsStale = staleBelow > 0;
            _pulls++;
            return true;
        }
    }

    /// <param name="staleBelow">As it was when it began.</param>
    public void EndPull(long staleBelow)
    {
        lock (_gate)
        {
            _pulls--;
            _pullingAsStale &= staleBelow == 0;
        }
    }

    /// <summary>An old copy begins to let go of its rows.</summary>
    /// <returns>The floors that it knows of from now on: the next process, and other old copies, are to hear of them. Null when it is not behind that floor any more.</returns>
    public Floors? LettingGo(long floor)
    {
        lock (_gate)
        {
            if (_staleBelow != floor)
            {
                return null;
            }

            _letGo = true;
            return _floors with { Common = Math.Max(floor, _floors.Common) };
        }
    }

    /// <summary>It says no more that it holds rows of others' logs.</summary>
    public void ForgotVector()
    {
        lock (_gate)
        {
            _vector = _vector.Where(pair => pair.Key == _store.Log).ToDictionary();
            _complete.Clear();
        }
    }

    /// <summary>Keys of rows that peers shipped since this node runs, and that are not old: the peer is no old copy itself.</summary>
    public IReadOnlyCollection<string> ArrivedAbove(long floor, IReadOnlyDictionary<string, PeerHello> hellos)
    {
        lock (_gate)
        {
            return [.. _arrived.Where(pair => KnownFloor(pair.Key) >= floor).SelectMany(static pair => pair.Value)];
        }

        long KnownFloor(string node) => Math.Max(
            _told.GetValueOrDefault(node), hellos.Values.Where(hello => hello.Log.Node == node).Select(static hello => hello.Floor).FirstOrDefault());
    }

    /// <summary>This store holds again all that was below a floor.</summary>
    public void Rejoined(long floor)
    {
        lock (_gate)
        {
            _letGo = false;
            _readable = _staleBelow == floor;
            if (_readable)
            {
                EndStale();
            }
        }
    }

    /// <summary>Under the gate, or before anybody else knows of this.</summary>
    private void Refuse(IEnumerable<LogPosition> rows) =>
        _refused = _refused.Select(static log => new LogPosition(log.Key, log.Value)).Concat(rows)
            .GroupBy(static row => row.Log).ToDictionary(static log => log.Key, static log => log.Max(static row => row.Sequence));

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Under the gate. Every node, this one too, held everything below the common floor once: a store that does not is an older copy.</summary>
    private bool IsBehindFloor(PeerHello hello)
    {
        if (hello.CommonFloor <= _floors.Own)
        {
            return false;
        }

        _staleBelow = Math.Max(_staleBelow, hello.CommonFloor);
        _readable = false;
        _notAhead.Clear();
        return true;
    }

    /// <summary>Under the gate: this store is an old copy no more.</summary>
    private void EndStale()
    {
        _staleBelow = 0;
        _rejoined.TrySetResult();
        _rejoined = NewSignal();
    }

    /// <summary>Under the gate.</summary>
    private bool Holds(LogId log, long through) => (_vector.GetValueOrDefault(log) ?? AppliedSet.None).Covers(1, through);

    /// <summary>Under the gate. Asked several times a second of each peer, so without closures.</summary>
    private bool LacksOrphans(PeerHello hello, IReadOnlyDictionary<string, PeerHello> hellos)
    {
        if (!Holds(hello.Log, hello.LogStart - 1))
        {
            return true;
        }

        foreach (var (log, held) in hello.Vector)
        {
            if (log != _store.Log && !Holds(log, held.Through) && !IsWritten(log, hellos))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsWritten(LogId log, IReadOnlyDictionary<string, PeerHello> hellos)
    {
        foreach (var (_, hello) in hellos)
        {
            if (hello.Log == log)
            {
                return true;
            }
        }

        return false;
    }
}
