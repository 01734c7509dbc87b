using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>What an operator sees of the nodes.</summary>
public sealed record ReplicaSetStatus(
    LogId Log,
    long HeadSequence,
    int Nodes,
    int QuorumWrites,
    bool Recovering,
    TimeSpan ClockAhead,
    Floors Floors,
    IReadOnlyDictionary<LogId, AppliedSet> Vector,
    IReadOnlyList<PeerStatus> Peers);

/// <summary>
/// A node among its peers: one pump for each, the quorum, the comparison of clocks, and the exchange of what no log brings. Runs
/// for as long as the node does; no request starts or stops any of it.
/// </summary>
public sealed class ReplicaSet : IReplicaCondition, IAsyncDisposable
{
    private const int CollectedRows = 500;
    private const int CollectedInRound = 10_000;
    private const int DroppedRows = 500;
    private const int TrimmedRows = 10_000;
    private const int MostArrived = 100_000;

    private static readonly TimeSpan ExchangeCheck = TimeSpan.FromMilliseconds(250);

    /// <summary>After so long without a new row, what a log still lacks is not on its way.</summary>
    private static readonly TimeSpan ArrivalPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CatchUpPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan FirstComparison = TimeSpan.FromSeconds(2);

    private readonly IMemoryStore _store;
    private readonly CommandWriter _writer;
    private readonly IReadOnlyList<IReplicaLink> _links;
    private readonly ReplicaSetSettings _settings;
    private readonly TimeProvider _time;
    private readonly PeerSession _session;
    private readonly QuorumWriter _quorum;
    private readonly AntiEntropy _antiEntropy;
    private readonly PeerPump[] _pumps;
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Can be asked for longer than its source, which is gone when the last of this has ended.</summary>
    private readonly CancellationToken _stopped;
    private readonly Lock _gate = new();

    /// <summary>Peers that were synchronised with, and whether they were whole.</summary>
    private readonly Dictionary<string, bool> _synchronised = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _complete = new(StringComparer.Ordinal);

    /// <summary>Rows that came, by the node that shipped them, while this store might still turn out to be an old copy: those are not old.</summary>
    private readonly Dictionary<string, HashSet<string>> _arrived = new(StringComparer.Ordinal);

    /// <summary>Peers that answered since this node runs: they were told its floor, and theirs passes it no more.</summary>
    private readonly HashSet<string> _answered = new(StringComparer.Ordinal);

    /// <summary>The floors that nodes told when they greeted.</summary>
    private readonly Dictionary<string, long> _told = new(StringComparer.Ordinal);

    /// <summary>Peers that know of no floor above this node's, asked after one that did.</summary>
    private readonly HashSet<string> _notAhead = new(StringComparer.Ordinal);
    private Task _compared;
    private readonly Task[] _running;
    private TaskCompletionSource _advanced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Dictionary<LogId, AppliedSet> _vector;
    private Floors _floors;
    private LogPosition _logStart;
    private IReadOnlyList<Tombstone> _candidates = [];
    private LogPosition _candidatesFoundAt;
    private bool _comparing;
    private bool _lostRows;
    private bool _readable;
    private bool _rejoining;

    /// <summary>It has begun to let go of old rows and does not hold again what the others do.</summary>
    private bool _letGo;
    private TaskCompletionSource _rejoined = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _staleBelow;

    private ReplicaSet(
        IMemoryStore store,
        CommandWriter writer,
        IReadOnlyList<IReplicaLink> links,
        ReplicaSetSettings settings,
        TimeProvider time,
        Random random,
        StoreHead head,
        IReadOnlyDictionary<LogId, AppliedSet> vector,
        Floors floors,
        LogPosition logStart)
    {
        _store = store;
        _writer = writer;
        _links = links;
        _settings = settings;
        _time = time;
        _vector = new(vector);
        _floors = floors;
        _logStart = logStart;
        if (links.Count > 0 && floors.Common > floors.Own)
        {
            // It was stopped while it rejoined.
            (_staleBelow, _letGo) = (floors.Common, true);
        }

        _stopped = _stopping.Token;

        // A store gets a floor when it has synchronised: one without it is new, or was stopped before it had.
        _lostRows = floors.Own == 0;
        Faults.Replace(Fault.RecoveryForgottenAtStart, ref _lostRows, vector.Count == 0);
        _comparing = links.Count > 0;
        _readable = links.Count == 0;
        var clock = new ClockComparison(time);
        writer.Clock = clock.Now;
        Replica = new(writer, clock);
        _session = new(store, writer, settings, clock, time, this);
        _quorum = new(store.Log, time);
        _antiEntropy = new(store, Replica);
        Endpoint = new(store, Replica, _session, this);
        _compared = links.Count == 0 ? Task.CompletedTask : CompareAsync();
        writer.MayLog = () => IsCompared;
        Writer = new(writer, _quorum, _session, settings, time, ReadyToWriteAsync);
        var feed = new MutationFeed(store.Log, head.Sequence);
        writer.Committing = changes => _quorum.Overruled(changes.Overruled, changes.Head.Sequence);
        writer.Committed += (log, changes) =>
        {
            _quorum.Writing(log);
            feed.Append(log, changes);
            Advance(changes);
        };
        _pumps = [.. links.Select(link => new PeerPump(link, store, feed, Replica, _quorum, _session, ReadyToWriteAsync, time, new Random(random.Next())))];
        _running = [.. _pumps.Select(pump => pump.RunAsync(_stopped)), .. links.Select(ExchangeAsync), UpkeepAsync()];
    }

    /// <summary>Where this node's own writes go.</summary>
    public ReplicatedWriter Writer { get; }

    /// <summary>Where other nodes' mutations come in.</summary>
    public Replica Replica { get; }

    /// <summary>What answers other nodes.</summary>
    public ReplicaEndpoint Endpoint { get; }

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

    /// <summary>Under the gate.</summary>
    private bool Recovering
    {
        get
        {
            var recovering = _links.Count > 0
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
            return whole >= _settings.QuorumReads || _synchronised.Count >= _links.Count;
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

    /// <summary>Why this node should get no traffic; null when it should.</summary>
    public string? Problem =>
        _session.IsClockAhead ? $"the clock is {_session.Ahead.TotalSeconds:F0} s ahead of the peers'"
        : _pumps.Select(static pump => pump.Refusal).FirstOrDefault(static refusal => refusal is not null);

    public static async Task<ReplicaSet> StartAsync(
        IMemoryStore store, CommandWriter writer, IReadOnlyList<IReplicaLink> links, ReplicaSetSettings settings, TimeProvider time, Random random)
    {
        Faults.ShortenMemory(ref settings);
        var head = await store.ReadHeadAsync();
        var first = await store.ReadLogAsync(0, 1, 1);
        return new(
            store,
            writer,
            links,
            settings with { Peers = links.Count },
            time,
            random,
            head,
            await store.ReadVectorAsync(),
            await store.ReadFloorsAsync(),
            first.Count > 0 ? first[0].Position : new(store.Log, head.Sequence + 1));
    }

    /// <summary>Waits for the first comparison of clocks with a peer, for a bounded time. Writes wait for it by themselves.</summary>
    public Task WaitForFirstComparisonAsync() => CompareOnceAsync();

    /// <summary>True once the numbers that the log goes on with are known to be free.</summary>
    private bool IsCompared
    {
        get
        {
            lock (_gate)
            {
                return _compared.IsCompletedSuccessfully;
            }
        }
    }

    /// <summary>True once this node may write to its log.</summary>
    public bool MayWrite
    {
        get
        {
            lock (_gate)
            {
                return _compared.IsCompletedSuccessfully && _staleBelow == 0;
            }
        }
    }

    /// <summary>Waits until this store holds what the token names.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotYet"/>: not within the time.</exception>
    public async Task WaitForAsync(LogPosition token, CancellationToken cancellation)
    {
        var started = _time.GetTimestamp();
        while (true)
        {
            Task advanced;
            lock (_gate)
            {
                var isHeld = _vector.TryGetValue(token.Log, out var held) && held.Contains(token.Sequence);
                Faults.Replace(Fault.TokenNotAwaited, ref isHeld, true);
                if (isHeld)
                {
                    return;
                }

                advanced = _advanced.Task;
            }

            var left = _settings.Timeout - _time.GetElapsedTime(started);
            try
            {
                await advanced.OnOwnScheduler().WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _time, cancellation);
            }
            catch (TimeoutException exception)
            {
                throw new MemoryException(ErrorKind.NotYet, $"this node does not hold {token} yet; retry here, or read from the node that answered the write", exception);
            }
        }
    }

    /// <summary>Brings the present state of rows in from as many other replicas as a read quorum needs.</summary>
    /// <exception cref="QuorumException">Too few answered.</exception>
    public async Task ReadThroughAsync(IReadOnlyList<RowKey> keys)
    {
        // This node counts, unless it may lack what it has answered for.
        var counts = !IsRecovering;
        Faults.Replace(Fault.RecoveringReaderCounts, ref counts, true);
        var needed = _settings.QuorumReads - (counts ? 1 : 0);
        RequireAgreement();
        var calls = _links.Where(link => _session.Hellos.TryGetValue(link.Address, out var hello) && !hello.Recovering)
            .Select(link => ReadThroughAsync(link, keys)).ToList();
        var got = 0;
        while (got < needed && calls.Count > 0)
        {
            var done = await Task.WhenAny(calls);
            calls.Remove(done);
            got += await done ? 1 : 0;
        }

        if (got < needed)
        {
            throw new QuorumException(
                new(_settings.QuorumReads - needed + got, _settings.QuorumReads, QuorumReasons.Unreachable),
                QuorumException.NotStored,
                $"{_settings.QuorumReads - needed + got} of {_settings.QuorumReads} nodes answered a quorum read");
        }
    }

    /// <summary>
    /// Makes this node the one that decides for a namespace: draws an epoch above all that it knows, records it at so many replicas
    /// that every acknowledged write of the namespace is on one of them, and brings in what those hold after they recorded it.
    /// From then on no write of an earlier epoch reaches its quorum.
    /// </summary>
    /// <exception cref="QuorumException">Too few replicas answered in time; nothing was decided.</exception>
    public async Task<NamespaceEpoch> TakeEpochAsync(string @namespace)
    {
        using var deadline = new CancellationTokenSource(_settings.Timeout, _time);
        while (true)
        {
            RequireAgreement();
            var body = EntryBodies.Encode(new EpochBody(_store.Log.Node));
            var ((epoch, position), _) = await Writer.RunAsync(
                async session =>
                {
                    var stamp = session.NextStamp();
                    await session.PutAsync(new EntryState(EntryBodies.EpochKey(@namespace), @namespace, null, Live: true, stamp, body));
                    return (new NamespaceEpoch(@namespace, stamp), session.Position);
                },
                wanted: 1);

            // A node that has not recovered itself may lack what it once acknowledged.
            var needed = Math.Min(_settings.QuorumReads - (IsRecovering ? 0 : 1), _links.Count);
            Faults.Replace(Fault.EpochNotRecorded, ref needed, 0);

            // The pumps bring it there; only then is there anything to ask for.
            await _quorum.WaitAsync(position.Log, position.Sequence, position.Sequence, needed + 1, _settings.Timeout);
            var asked = needed;
            Faults.Replace(Fault.CatchUpSkipped, ref asked, 0);
            var got = await CatchUpAsync(@namespace, position, asked, deadline);
            Faults.Replace(Fault.CatchUpSkipped, ref got, needed);
            if (got < needed && _settings.QuorumWrites > 1)
            {
                throw new QuorumException(
                    new(got + 1, needed + 1, QuorumReasons.Unreachable),
                    QuorumException.NotStored,
                    $"{got + 1} of {needed + 1} nodes recorded that this one decides for the namespace {@namespace}");
            }

            if (await _writer.RunAsync(session => session.FindEntryAsync(EntryBodies.EpochKey(@namespace))) is { } newest && newest.Stamp == epoch.Stamp)
            {
                return epoch with { IsComplete = got >= needed };
            }

            if (deadline.IsCancellationRequested)
            {
                throw new QuorumException(
                    new(1, needed + 1, QuorumReasons.Fenced), QuorumException.NotStored, $"another node decides for the namespace {@namespace} now; retry");
            }
        }
    }

    public ReplicaSetStatus Status()
    {
        lock (_gate)
        {
            return new(
                _store.Log,
                _vector.GetValueOrDefault(_store.Log)?.Through ?? 0,
                _settings.Nodes,
                _settings.QuorumWrites,
                Recovering,
                _session.Ahead,
                _floors,
                new Dictionary<LogId, AppliedSet>(_vector),
                [.. _pumps.Select(static pump => pump.Status)]);
        }
    }

    /// <summary>Waits until every peer that answers holds all of this node's log, for at most the given time.</summary>
    /// <returns>True when they do.</returns>
    public async Task<bool> FlushAsync(TimeSpan atMost)
    {
        var started = _time.GetTimestamp();
        while (_pumps.Any(static pump => pump.Status is { IsUp: true, BehindRows: > 0 }))
        {
            if (_time.GetElapsedTime(started) >= atMost)
            {
                return false;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(5), _time);
        }

        return true;
    }

    public async ValueTask DisposeAsync()
    {
        _stopping.Cancel();
        await Task.WhenAll(_running);
        _stopping.Dispose();
    }

    private void Advance(ChangeSet changes)
    {
        lock (_gate)
        {
            _floors = changes.Floors ?? _floors;
            if (changes.Vector.Count == 0)
            {
                return;
            }

            foreach (var (log, held) in changes.Vector)
            {
                _vector[log] = held;
            }

            _advanced.TrySetResult();
            _advanced = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <returns>How many peers recorded the epoch and gave what they hold.</returns>
    private async Task<int> CatchUpAsync(string @namespace, LogPosition recorded, int needed, CancellationTokenSource deadline)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token);
        var calls = _links.Select(link => CatchUpAsync(link, @namespace, recorded, enough.Token)).ToList();
        var got = 0;
        while (got < needed && calls.Count > 0)
        {
            var done = await Task.WhenAny(calls);
            calls.Remove(done);
            got += await done ? 1 : 0;
        }

        enough.Cancel();
        await Task.WhenAll(calls);
        return got;
    }

    private async Task<bool> CatchUpAsync(IReplicaLink link, string @namespace, LogPosition recorded, CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                try
                {
                    if (_session.Hellos.TryGetValue(link.Address, out var hello) && !hello.Recovering
                        && await _antiEntropy.PullAsync(link, Math.Max(Floors.Common, hello.CommonFloor), @namespace, recorded, cancellation))
                    {
                        return true;
                    }
                }
                catch (Exception exception) when (exception is LinkException or MemoryException)
                {
                    // It may answer the next time.
                }

                await Task.Delay(CatchUpPause, _time, cancellation);
            }
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private void RequireAgreement()
    {
        if (!_session.MembersAgree)
        {
            throw new QuorumException(
                new(0, _settings.QuorumReads, QuorumReasons.Unreachable), QuorumException.NotStored, "nodes disagree about who belongs to the set; finish the change of members first");
        }
    }

    private async Task<bool> ReadThroughAsync(IReplicaLink link, IReadOnlyList<RowKey> keys)
    {
        using var deadline = new CancellationTokenSource(_settings.Timeout, _time);
        if (!_session.Hellos.TryGetValue(link.Address, out var before))
        {
            return false;
        }

        try
        {
            var rows = await link.ReadRowsAsync(keys, deadline.Token);

            // Asked after it was read: what was last heard of it may be from before it lost its disk, and what an old copy holds may be deleted
            // here and forgotten. One that has rejoined since it was read has begun a new log.
            var hello = await link.GreetAsync(await _session.HelloAsync(), deadline.Token);
            if (hello.Recovering || hello.Log != before.Log || hello.Floor < Floors.Common)
            {
                return false;
            }

            var isTaken = await Replica.JoinAsync(rows) == rows.Count;
            Faults.Replace(Fault.RefusedRowsAnswerReads, ref isTaken, true);

            // Else some were stamped too far ahead of this node's clock: the answer would be older than what the peer holds.
            return isTaken;
        }
        catch (Exception exception) when (exception is LinkException or MemoryException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>
    /// Ends when this store was compared with what every peer holds. If one of them does not answer for long enough, a new log is begun before the
    /// first write: this store may be an older copy, and then the numbers that its log would go on with have named other rows,
    /// which that peer may hold.
    /// </summary>
    private async Task CompareAsync()
    {
        try
        {
            if (!await EverybodyAnsweredAsync())
            {
                await RenewLogAsync();
                _stopped.ThrowIfCancellationRequested();
            }

            lock (_gate)
            {
                _comparing = false;
            }
        }
        catch (OperationCanceledException exception)
        {
            // Whoever waits to write must not take this for the leave to.
            throw new MemoryException(ErrorKind.Draining, "the node is shutting down; retry on another node", exception);
        }
    }

    /// <summary>What failed, as on a full disk, is tried again by the next who asks.</summary>
    private Task CompareOnceAsync()
    {
        lock (_gate)
        {
            return _compared.IsFaulted && !_stopped.IsCancellationRequested ? _compared = CompareAsync() : _compared;
        }
    }

    /// <summary>Ends when this node may write to its log, and what it writes stays.</summary>
    private async Task ReadyToWriteAsync()
    {
        await CompareOnceAsync();
        var started = _time.GetTimestamp();
        while (true)
        {
            Task rejoined;
            lock (_gate)
            {
                var isStale = _staleBelow > 0;
                Faults.Replace(Fault.StaleNodeWrites, ref isStale, false);
                if (!isStale)
                {
                    return;
                }

                rejoined = _rejoined.Task;
            }

            var left = _settings.Timeout - _time.GetElapsedTime(started);
            try
            {
                await rejoined.OnOwnScheduler().WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _time, _stopped);
            }
            catch (TimeoutException exception)
            {
                throw new QuorumException(
                    new(0, _settings.QuorumWrites, QuorumReasons.Unreachable),
                    QuorumException.NotStored,
                    "this node is an old copy and has not rejoined the others yet; retry on another node",
                    exception);
            }
            catch (OperationCanceledException exception)
            {
                throw new MemoryException(ErrorKind.Draining, "the node is shutting down; retry on another node", exception);
            }
        }
    }

    private async Task<bool> EverybodyAnsweredAsync()
    {
        try
        {
            await _session.EverybodyHeard.OnOwnScheduler().WaitAsync(FirstComparison, _time, _stopped);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>This store has lost rows that it may have answered for.</summary>
    public void FoundOlder()
    {
        lock (_gate)
        {
            _lostRows = true;
            _synchronised.Clear();
        }
    }

    /// <summary>However long the store is away.</summary>
    private async Task RenewLogAsync()
    {
        while (!_stopped.IsCancellationRequested)
        {
            try
            {
                await _writer.RenewLogAsync();
                return;
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.StoreFailed && !_writer.Fatal.IsCompleted)
            {
                await Task.Delay(PauseAfterFailure, _time, _stopped);
            }
        }
    }

    public void Arriving(IReadOnlyList<Mutation> batch)
    {
        lock (_gate)
        {
            if (_answered.Count >= _links.Count)
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
        }
    }

    public void Greeted(PeerHello greeting)
    {
        lock (_gate)
        {
            _told[greeting.Log.Node] = greeting.Floor;
            IsBehindFloor(greeting);
        }
    }

    /// <summary>Every node, this one too, held everything below the common floor once: a store that does not is an older copy.</summary>
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

    /// <summary>Under the gate: the highest floor that a node told of itself since this one runs.</summary>
    private long KnownFloor(string node) => Math.Max(
        _told.GetValueOrDefault(node), _session.Hellos.Values.Where(hello => hello.Log.Node == node).Select(static hello => hello.Floor).FirstOrDefault());

    /// <summary>The clock below which any node may have forgotten deletes, as far as this one heard.</summary>
    private long ForgottenBelow()
    {
        lock (_gate)
        {
            return Math.Max(_staleBelow, _floors.Common);
        }
    }

    /// <summary>Takes in what a peer said of itself.</summary>
    public void Heard(string address, PeerHello hello)
    {
        lock (_gate)
        {
            _answered.Add(address);
            if (IsBehindFloor(hello))
            {
                return;
            }

            _notAhead.Add(address);
            if (_staleBelow > 0 && !_letGo && _notAhead.Count == _links.Count)
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
            var isComplete = (_vector.GetValueOrDefault(hello.Log) ?? AppliedSet.None).Covers(1, hello.HeadSequence) && !HoldsOrphans(hello);
            Faults.Replace(Fault.FloorPastGap, ref isComplete, true);
            if (isComplete)
            {
                _complete[address] = hello.Clock;
            }
        }
    }

    /// <summary>Advances the floors, forgets deletes and log rows that every node has, tries dead letters again.</summary>
    private async Task UpkeepAsync()
    {
        while (true)
        {
            try
            {
                await Task.Delay(_settings.UpkeepInterval, _time, _stopped);
                await CompareOnceAsync();
                await Replica.RetryAsync(_store, ForgottenBelow);
                await AdvanceFloorsAsync();
                await CollectTombstonesAsync();
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception exception)
            {
                // Whoever writes hears why; the next round tries again.
                Instruments.UpkeepFailures.Add(1, new KeyValuePair<string, object?>("error", exception.GetType().Name));
            }
        }
    }

    private async Task AdvanceFloorsAsync()
    {
        if (!_session.MembersAgree || IsRecovering || (await _store.ReadDeadLettersAsync(1)).Count > 0)
        {
            return;
        }

        // Decided where it is written: each answer to a greeting passes the writer too, so a node that was told of no higher floor
        // when it told its own is never passed. On disk before it is told: a node must never know less of its own floor than its peers do.
        await _writer.RunAsync(session =>
        {
            if (HigherFloors(session.NextStamp().Clock) is { } floors)
            {
                session.SetFloors(floors);
            }

            return ValueTask.FromResult(0);
        });
    }

    private Floors? HigherFloors(long clock)
    {
        var peers = _session.Hellos;
        lock (_gate)
        {
            if (_staleBelow > 0 || _links.Any(link => !_complete.ContainsKey(link.Address) || !peers.ContainsKey(link.Address)))
            {
                return null;
            }

            var own = _complete.Values.Append(clock).Min();
            var common = peers.Values.Select(hello => Math.Min(hello.Floor, _told.GetValueOrDefault(hello.Log.Node, long.MaxValue))).Append(own).Min();
            Faults.Replace(Fault.TombstoneCollectedOneWay, ref common, own);
            return new(Math.Max(own, _floors.Own), Math.Max(common, _floors.Common));
        }
    }

    /// <summary>
    /// Forgets deletes that every node knows. A row of the own log that such a delete overruled must not outlive it: sent later, it
    /// would bring the memory back. So candidates wait until the log is trimmed beyond all that was written when they were found.
    /// </summary>
    private async Task CollectTombstonesAsync()
    {
        if (_candidates.Count == 0)
        {
            var before = Timestamp.Now(_time).AddSeconds(-(long)_settings.TombstoneGrace.TotalSeconds);
            var floor = Floors.Common;
            Faults.Replace(Fault.TombstoneCollectedEarly, ref floor, long.MaxValue);
            _candidates = await _store.ReadTombstonesAsync(floor, before, CollectedInRound, _stopped);
            _candidatesFoundAt = new(_store.Log, (await _store.ReadHeadAsync()).Sequence);
        }

        await TrimLogAsync();
        if (_candidatesFoundAt.Log != _store.Log)
        {
            // What the old log held since the start was written to this one again.
            _candidatesFoundAt = new(_store.Log, (await _store.ReadHeadAsync()).Sequence);
        }

        var isNamed = LogStart <= _candidatesFoundAt.Sequence;
        Faults.Replace(Fault.TombstoneCollectedUnderLog, ref isNamed, false);
        if (isNamed)
        {
            return;
        }

        foreach (var chunk in _candidates.Chunk(CollectedRows))
        {
            await _writer.RunAsync(
                async session =>
                {
                    foreach (var tombstone in chunk)
                    {
                        await session.CollectAsync(tombstone);
                    }

                    return chunk.Length;
                },
                new ReadHints([.. chunk.Select(static tombstone => tombstone.Id)], [], []));
        }

        _candidates = [];
    }

    /// <summary>The last row of the own log that whoever reads it here beside the peers has read; unset: nobody does.</summary>
    public Func<long>? ReadThrough { get; set; }

    private async Task TrimLogAsync()
    {
        var log = _store.Log;
        var head = (await _store.ReadHeadAsync()).Sequence;
        var through = Math.Max(_pumps.Select(pump => pump.HeldThrough(log)).Append(ReadThrough?.Invoke() ?? head).Append(head).Min(), head - _settings.RetainedLogRows);
        for (var start = LogStart; start <= through; start += TrimmedRows)
        {
            var end = new LogPosition(log, Math.Min(through, start + TrimmedRows - 1));
            await _writer.RunAsync(session =>
            {
                session.TrimLog(end);
                return ValueTask.FromResult(0);
            });
            lock (_gate)
            {
                _logStart = end with { Sequence = end.Sequence + 1 };
            }
        }
    }

    /// <summary>
    /// This store is an older copy than what every node, itself included, once held: what it holds below the floor is either held
    /// by all the others or was deleted and forgotten. So it lets go of all of that, and begins a log of its own anew.
    /// </summary>
    private async Task RejoinAsync(long floor)
    {
        // Its log goes first: a row of the log must not outlive the row that it names, whenever the process dies. Then what it says
        // that it holds: nobody may take its word for a row that is about to go. And its clock may be as old as the copy: what it
        // decides from now on must be above the floor, where everybody looks for it. With the log it writes that there is such a floor:
        // when the process dies, the next one goes on from there, and other old copies hear of it.
        Floors known;
        lock (_gate)
        {
            _letGo = true;
            known = _floors with { Common = Math.Max(floor, _floors.Common) };
        }

        var written = await ReadWrittenAsync();
        await _writer.RunAsync(session =>
        {
            session.Observe(floor);
            session.SetFloors(known);
            session.TrimLog(session.Position);
            return ValueTask.FromResult(0);
        });
        await _writer.RenewLogAsync();

        // What it wrote before it knew, and may keep, is for all the others still: the new log names it again.
        await _writer.RunAsync(
            async session =>
            {
                session.ForgetVector();
                foreach (var row in written)
                {
                    await session.RelogAsync(row.Key, floor);
                }

                return written.Count;
            },
            ReadHints.Of([.. written.Select(static row => row.Key)]));
        lock (_gate)
        {
            _vector = _vector.Where(pair => pair.Key == _store.Log).ToDictionary();
            _complete.Clear();
        }

        var below = floor;
        Faults.Replace(Fault.RejoinKeepsOldRows, ref below, 0);
        Faults.Replace(Fault.RejoinDropsNewRows, ref below, long.MaxValue);

        // What came from a peer since this node runs is not old, unless the peer is an old copy itself, nor is what a peer took from this
        // node: somebody may have been told who holds it.
        HashSet<string> kept = [.. written.Where(row => row.Any(_quorum.WasHeld)).Select(static row => row.Key.Key)];
        lock (_gate)
        {
            foreach (var (sender, keys) in _arrived)
            {
                if (KnownFloor(sender) >= floor)
                {
                    kept.UnionWith(keys);
                }
            }
        }

        Faults.Run(Fault.RejoinDropsNewRows, kept.Clear);

        string? after = null;
        do
        {
            // Which of them are old is decided where they go: one that is written meanwhile stays.
            var page = await _store.ReadHashesAsync(null, after, DroppedRows, _stopped);
            await _writer.RunAsync(
                async session =>
                {
                    foreach (var (key, _) in page.Rows.Where(row => !kept.Contains(row.Key.Key)))
                    {
                        await session.DropAsync(key, below);
                    }

                    return page.Rows.Count;
                },
                ReadHints.Of([.. page.Rows.Select(static row => row.Key)]));
            after = page.Next;
        }
        while (after is not null);
    }

    /// <summary>Rows that this node logged since it started, or began its log, each with its places there.</summary>
    private async Task<ILookup<RowKey, LogPosition>> ReadWrittenAsync()
    {
        var written = new List<(RowKey Key, LogPosition Position)>();
        for (var after = _writer.OpenedAt; await _store.ReadLogAsync(after, TrimmedRows, int.MaxValue, _stopped) is { Count: > 0 } page; after = page[^1].Position.Sequence)
        {
            written.AddRange(page.Select(static mutation => (new RowKey(mutation.Kind, mutation.Key), mutation.Position)));
        }

        return written.ToLookup(static row => row.Key, static row => row.Position);
    }

    /// <summary>
    /// Exchanges digests with one peer: soon when it holds what no log will bring, or began a new log (an older copy of it may have
    /// written under numbers that were used), else at every upkeep.
    /// </summary>
    private async Task ExchangeAsync(IReplicaLink link)
    {
        var next = _time.GetTimestamp();
        var (rows, arrivedAt) = (0L, next);
        LogId? exchanged = null;
        while (!_stopped.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(ExchangeCheck, _time, _stopped);
                if (HeldRows() is var held && held != rows)
                {
                    (rows, arrivedAt) = (held, _time.GetTimestamp());
                }

                // While the peers' pumps bring what this node missed, an exchange would bring the same rows once more from each of
                // them; but it is put off for one interval at most.
                var now = _time.GetTimestamp();
                var arriving = _time.GetElapsedTime(arrivedAt) < ArrivalPause && now < next + Ticks(_settings.UpkeepInterval) && IsBehind();
                if (_session.Hellos.TryGetValue(link.Address, out var hello) && hello.Readable
                    && ((exchanged is { } known && known != hello.Log) || HoldsOrphans(hello) || IsStale || (!arriving && now >= next)))
                {
                    next = _time.GetTimestamp() + Ticks(_settings.UpkeepInterval);
                    await PullAsync(link, hello);
                    exchanged = hello.Log;
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception)
            {
                // The pump tells of a peer that does not answer; the next check tries again.
                next = _time.GetTimestamp() + Ticks(PauseAfterFailure);
            }
        }
    }

    /// <summary>Rows of all logs that this store holds.</summary>
    private long HeldRows()
    {
        lock (_gate)
        {
            return _vector.Values.Sum(static held => held.Count);
        }
    }

    /// <summary>A peer's log goes on beyond what this store holds of it.</summary>
    private bool IsBehind()
    {
        var hellos = _session.Hellos.Values;
        lock (_gate)
        {
            return hellos.Any(hello => !(_vector.GetValueOrDefault(hello.Log) ?? AppliedSet.None).Covers(1, hello.HeadSequence));
        }
    }

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

    private async Task PullAsync(IReplicaLink link, PeerHello hello)
    {
        long stale;
        lock (_gate)
        {
            if (_rejoining)
            {
                return;
            }

            stale = _staleBelow;
            _rejoining = stale > 0;
        }

        try
        {
            if (stale > 0)
            {
                // Asked anew: it may have been set back itself since it was last heard, and what this store lets go of is to come from it.
                hello = await link.GreetAsync(await _session.HelloAsync(), _stopped);
                if (!hello.Readable || hello.Floor < stale || !IsStale)
                {
                    return;
                }

                await RejoinAsync(stale);
            }

            if (!await _antiEntropy.PullAsync(link, Math.Max(Floors.Common, hello.CommonFloor), _stopped))
            {
                // Rows stamped too far ahead of this node's clock: it is tried again when time has passed.
                return;
            }

            if (stale > 0)
            {
                await RejoinedAsync(stale);
            }

            if (IsRecovering)
            {
                // Asked after it was read: what was last heard of it may be from before it lost its disk.
                Synchronised(link.Address, !(await link.GreetAsync(await _session.HelloAsync(), _stopped)).Recovering);
            }
        }
        finally
        {
            lock (_gate)
            {
                _rejoining &= stale == 0;
            }
        }
    }

    /// <summary>Now this store holds all that the peer held, and so all below the floor that the peer knew.</summary>
    private async Task RejoinedAsync(long floor)
    {
        var floors = new Floors(Math.Max(Floors.Own, floor), Math.Max(Floors.Common, floor));
        await Replica.SetFloorsAsync(floors);
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

    /// <summary>Under the gate: this store is an old copy no more.</summary>
    private void EndStale()
    {
        _staleBelow = 0;
        _rejoined.TrySetResult();
        _rejoined = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    /// <summary>The peer holds rows that no log brings: of a log that nobody who answers writes, or from before the start of its own.</summary>
    private bool HoldsOrphans(PeerHello hello)
    {
        var others = _session.Hellos.Values;
        lock (_gate)
        {
            if (!Holds(hello.Log, hello.LogStart - 1))
            {
                return true;
            }

            // Asked several times a second of each peer, so without closures.
            foreach (var (log, held) in hello.Vector)
            {
                if (log != _store.Log && !Holds(log, held.Through) && !IsWritten(log))
                {
                    return true;
                }
            }

            return false;
        }

        bool IsWritten(LogId log)
        {
            foreach (var other in others)
            {
                if (other.Log == log)
                {
                    return true;
                }
            }

            return false;
        }

        bool Holds(LogId log, long through) => (_vector.GetValueOrDefault(log) ?? AppliedSet.None).Covers(1, through);
    }

    private void Synchronised(string address, bool isWhole)
    {
        lock (_gate)
        {
            _synchronised[address] = isWhole;
        }
    }
}
