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
    IReadOnlyDictionary<LogId, AppliedSet> Vector,
    IReadOnlyList<PeerStatus> Peers);

/// <summary>
/// A node among its peers: one pump for each, the quorum, the comparison of clocks, and the exchange of what no log brings. Runs
/// for as long as the node does; no request starts or stops any of it.
/// </summary>
public sealed class ReplicaSet : IAsyncDisposable
{
    private static readonly TimeSpan ExchangeInterval = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ExchangeCheck = TimeSpan.FromMilliseconds(250);
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
    private readonly Lock _gate = new();
    private readonly HashSet<string> _synchronised = new(StringComparer.Ordinal);
    private readonly Task _compared;
    private readonly Task[] _running;
    private TaskCompletionSource _advanced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Dictionary<LogId, AppliedSet> _vector;
    private bool _recovering;

    private ReplicaSet(
        IMemoryStore store,
        CommandWriter writer,
        IReadOnlyList<IReplicaLink> links,
        ReplicaSetSettings settings,
        TimeProvider time,
        Random random,
        StoreHead head,
        IReadOnlyDictionary<LogId, AppliedSet> vector)
    {
        _store = store;
        _writer = writer;
        _links = links;
        _settings = settings;
        _time = time;
        _vector = new(vector);
        _recovering = links.Count > 0 && vector.Count == 0;
        Replica = new(writer, time);
        _session = new(store, writer, settings, time, () => IsRecovering);
        _quorum = new(time);
        _antiEntropy = new(store, Replica);
        Endpoint = new(store, Replica, _session);
        _compared = links.Count == 0 ? Task.CompletedTask : Task.WhenAny(_session.Compared, Task.Delay(FirstComparison, time, _stopping.Token));
        Writer = new(writer, _quorum, _session, settings, _compared);
        var feed = new MutationFeed(store.Log, head.Sequence);
        writer.Committed = (log, changes) =>
        {
            feed.Append(log, changes);
            Advance(changes.Vector);
        };
        _pumps = [.. links.Select(link => new PeerPump(link, store, feed, _quorum, _session, time, new Random(random.Next())))];
        _running = [.. _pumps.Select(pump => pump.RunAsync(_stopping.Token)), .. links.Select(ExchangeAsync)];
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
                return _recovering;
            }
        }
    }

    /// <summary>Why this node should get no traffic; null when it should.</summary>
    public string? Problem =>
        _session.IsClockAhead ? $"the clock is {_session.Ahead.TotalSeconds:F0} s ahead of the peers'"
        : _pumps.Select(static pump => pump.Refusal).FirstOrDefault(static refusal => refusal is not null);

    public static async Task<ReplicaSet> StartAsync(
        IMemoryStore store, CommandWriter writer, IReadOnlyList<IReplicaLink> links, ReplicaSetSettings settings, TimeProvider time, Random random) =>
        new(store, writer, links, settings with { Peers = links.Count }, time, random, await store.ReadHeadAsync(), await store.ReadVectorAsync());

    /// <summary>Waits for the first comparison of clocks with a peer, for a bounded time. Writes wait for it by themselves.</summary>
    public Task WaitForFirstComparisonAsync() => _compared;

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
                if (_vector.TryGetValue(token.Log, out var held) && held.Contains(token.Sequence))
                {
                    return;
                }

                advanced = _advanced.Task;
            }

            var left = _settings.Timeout - _time.GetElapsedTime(started);
            try
            {
                await advanced.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _time, cancellation);
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
        var needed = _settings.QuorumReads - 1;
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
                new(got + 1, needed + 1, QuorumReasons.Unreachable), QuorumException.NotStored, $"{got + 1} of {needed + 1} nodes answered a quorum read");
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
                _recovering,
                _session.Ahead,
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
        await _stopping.CancelAsync();
        await Task.WhenAll(_running);
        _stopping.Dispose();
    }

    private void Advance(IReadOnlyDictionary<LogId, AppliedSet> vector)
    {
        if (vector.Count == 0)
        {
            return;
        }

        lock (_gate)
        {
            foreach (var (log, held) in vector)
            {
                _vector[log] = held;
            }

            _advanced.TrySetResult();
            _advanced = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    private async Task<bool> ReadThroughAsync(IReplicaLink link, IReadOnlyList<RowKey> keys)
    {
        using var deadline = new CancellationTokenSource(_settings.Timeout, _time);
        try
        {
            await Replica.JoinAsync(await link.ReadRowsAsync(keys, deadline.Token));
            return true;
        }
        catch (Exception exception) when (exception is LinkException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Exchanges digests with one peer: soon when it holds what no log will bring, else every minute.</summary>
    private async Task ExchangeAsync(IReplicaLink link)
    {
        var last = _time.GetTimestamp() - (long)(ExchangeInterval.TotalSeconds * _time.TimestampFrequency);
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(ExchangeCheck, _time, _stopping.Token);
                if (_session.Hellos.TryGetValue(link.Address, out var hello) && (HoldsOrphans(hello) || _time.GetElapsedTime(last) >= ExchangeInterval))
                {
                    last = _time.GetTimestamp();
                    await _antiEntropy.PullAsync(link, _stopping.Token);
                    Synchronised(link.Address);
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception exception) when (exception is LinkException or MemoryException)
            {
                // The pump tells of a peer that does not answer; the next check tries again.
                last = _time.GetTimestamp() - (long)((ExchangeInterval - TimeSpan.FromSeconds(1)).TotalSeconds * _time.TimestampFrequency);
            }
        }
    }

    /// <summary>The peer holds rows of a log that nobody who answers writes.</summary>
    private bool HoldsOrphans(PeerHello hello)
    {
        var written = _session.Hellos.Values.Select(static known => known.Log).Append(_store.Log).ToHashSet();
        lock (_gate)
        {
            return hello.Vector.Any(pair => !written.Contains(pair.Key) && !(_vector.GetValueOrDefault(pair.Key) ?? AppliedSet.None).Covers(1, pair.Value.Through));
        }
    }

    private void Synchronised(string address)
    {
        lock (_gate)
        {
            _synchronised.Add(address);
            _recovering &= _synchronised.Count < Math.Min(_settings.QuorumReads, _links.Count);
        }
    }
}
