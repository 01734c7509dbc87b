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
/// A node among its peers: one pump for each, the quorum, the comparison of clocks, the exchange of what no log brings, and the upkeep. Runs
/// for as long as the node does; no request starts or stops any of it.
/// </summary>
public sealed class ReplicaSet : IAsyncDisposable
{
    private readonly IMemoryStore _store;
    private readonly ReplicaSetSettings _settings;
    private readonly TimeProvider _time;
    private readonly ReplicaCondition _condition;
    private readonly PeerSession _session;
    private readonly FirstComparison _comparison;
    private readonly QuorumReader _reader;
    private readonly EpochTakeover _takeover;
    private readonly PeerPump[] _pumps;
    private readonly Upkeep _upkeep;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task[] _running;

    private ReplicaSet(
        IMemoryStore store, CommandWriter writer, IReadOnlyList<IReplicaLink> links, ReplicaSetSettings settings, ReplicaCondition condition, StoreHead head, TimeProvider time, Random random)
    {
        _store = store;
        _settings = settings;
        _time = time;
        _condition = condition;

        // Can be asked for longer than its source, which is gone when the last of this has ended.
        var stopped = _stopping.Token;
        var clock = new ClockComparison(time);
        writer.Clock = clock.Now;
        Replica = new(writer, clock);
        _session = new(store, writer, settings, clock, time, condition);
        var quorum = new QuorumWriter(store.Log, time);
        var antiEntropy = new AntiEntropy(store, Replica);
        Endpoint = new(store, Replica, _session, condition);
        _comparison = new(writer, _session, condition, settings, time, stopped);
        writer.MayLog = () => _comparison.IsDone;
        Writer = new(writer, quorum, _session, settings, time, _comparison.ReadyToWriteAsync);
        _reader = new(links, Replica, _session, condition, settings, time);
        _takeover = new(store, writer, Writer, links, quorum, antiEntropy, _session, condition, settings, time);
        var feed = new MutationFeed(store.Log, head.Sequence);
        writer.Committing = changes => quorum.Overruled(changes.Overruled, changes.Head.Sequence);
        writer.Committed += (log, changes) =>
        {
            quorum.Writing(log);
            feed.Append(log, changes);
            condition.Committed(changes);
        };
        _pumps = [.. links.Select(link => new PeerPump(link, store, feed, Replica, quorum, _session, _comparison.ReadyToWriteAsync, time, new Random(random.Next())))];
        _upkeep = new(store, writer, Replica, _session, condition, _comparison, _pumps, settings, time);
        var exchange = new RowExchange(store, writer, Replica, quorum, antiEntropy, _session, condition, settings, time, stopped);
        _running = [.. _pumps.Select(pump => pump.RunAsync(stopped)), .. links.Select(exchange.RunAsync), _upkeep.RunAsync(stopped)];
    }

    /// <summary>Where this node's own writes go.</summary>
    public ReplicatedWriter Writer { get; }

    /// <summary>Where other nodes' mutations come in.</summary>
    public Replica Replica { get; }

    /// <summary>What answers other nodes.</summary>
    public ReplicaEndpoint Endpoint { get; }

    /// <summary>Why this node should get no traffic; null when it should.</summary>
    public string? Problem =>
        _session.IsClockAhead ? $"the clock is {_session.Ahead.TotalSeconds:F0} s ahead of the peers'"
        : _pumps.Select(static pump => pump.Refusal).FirstOrDefault(static refusal => refusal is not null);

    /// <summary>True once this node may write to its log.</summary>
    public bool MayWrite => _comparison.IsDone && !_condition.IsStale;

    /// <inheritdoc cref="Upkeep.ReadThrough"/>
    public Func<long>? ReadThrough
    {
        get => _upkeep.ReadThrough;
        set => _upkeep.ReadThrough = value;
    }

    public static async Task<ReplicaSet> StartAsync(
        IMemoryStore store, CommandWriter writer, IReadOnlyList<IReplicaLink> links, ReplicaSetSettings settings, TimeProvider time, Random random)
    {
        Faults.ShortenMemory(ref settings);
        settings = settings with { Peers = links.Count };
        var head = await store.ReadHeadAsync();
        var first = await store.ReadLogAsync(0, 1, 1);
        var start = first.Count > 0 ? first[0].Position : new(store.Log, head.Sequence + 1);
        var condition = new ReplicaCondition(store, settings, await store.ReadVectorAsync(), await store.ReadFloorsAsync(), start, await store.ReadHighestRefusedAsync());
        return new(store, writer, links, settings, condition, head, time, random);
    }

    /// <summary>Waits for the first comparison of clocks with a peer, for a bounded time. Writes wait for it by themselves.</summary>
    public Task WaitForFirstComparisonAsync() => _comparison.WaitAsync();

    /// <summary>Waits until this store holds what the token names.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotYet"/>: not within the time.</exception>
    public async Task WaitForAsync(LogPosition token, CancellationToken cancellation)
    {
        var started = _time.GetTimestamp();
        while (_condition.Lacks(token, out var advanced))
        {
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

    /// <inheritdoc cref="QuorumReader"/>
    /// <inheritdoc cref="QuorumReader.ReadThroughAsync(IReadOnlyList{RowKey})" path="/exception"/>
    public Task ReadThroughAsync(IReadOnlyList<RowKey> keys) => _reader.ReadThroughAsync(keys);

    /// <inheritdoc cref="EpochTakeover"/>
    /// <inheritdoc cref="EpochTakeover.TakeAsync" path="/exception"/>
    public Task<NamespaceEpoch> TakeEpochAsync(string @namespace) => _takeover.TakeAsync(@namespace);

    public ReplicaSetStatus Status()
    {
        var (recovering, floors, vector) = _condition.Snapshot();
        return new(
            _store.Log,
            vector.GetValueOrDefault(_store.Log)?.Through ?? 0,
            _settings.Nodes,
            _settings.QuorumWrites,
            recovering,
            _session.Ahead,
            floors,
            vector,
            [.. _pumps.Select(static pump => pump.Status)]);
    }

    /// <summary>Waits until every peer that answers holds all of this node's log, or keeps it to try again, for at most the given time.</summary>
    /// <returns>True when they do.</returns>
    public async Task<bool> FlushAsync(TimeSpan atMost)
    {
        var started = _time.GetTimestamp();
        while (_pumps.Any(static pump => pump.IsShipping))
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
}
