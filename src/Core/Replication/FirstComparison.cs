using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>What a node waits for before its first write: its store is compared with what every peer holds, and rejoined if it is an old copy.</summary>
internal sealed class FirstComparison
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);

    private readonly CommandWriter _writer;
    private readonly PeerSession _session;
    private readonly ReplicaCondition _condition;
    private readonly ReplicaSetSettings _settings;
    private readonly TimeProvider _time;
    private readonly CancellationToken _stopped;
    private readonly Lock _gate = new();
    private Task _compared;

    public FirstComparison(CommandWriter writer, PeerSession session, ReplicaCondition condition, ReplicaSetSettings settings, TimeProvider time, CancellationToken stopped)
    {
        _writer = writer;
        _session = session;
        _condition = condition;
        _settings = settings;
        _time = time;
        _stopped = stopped;
        _compared = settings.Peers == 0 ? Task.CompletedTask : CompareAsync();
    }

    /// <summary>True once the numbers that the log goes on with are known to be free.</summary>
    public bool IsDone
    {
        get
        {
            lock (_gate)
            {
                return _compared.IsCompletedSuccessfully;
            }
        }
    }

    /// <summary>Ends with the comparison. What failed, as on a full disk, is tried again by the next who asks.</summary>
    public Task WaitAsync()
    {
        lock (_gate)
        {
            return _compared.IsFaulted && !_stopped.IsCancellationRequested ? _compared = CompareAsync() : _compared;
        }
    }

    /// <summary>Ends when this node may write to its log, and what it writes stays.</summary>
    /// <exception cref="QuorumException">It is an old copy, and did not rejoin in time.</exception>
    /// <exception cref="MemoryException"><see cref="ErrorKind.Draining"/>.</exception>
    public async Task ReadyToWriteAsync()
    {
        await WaitAsync();
        var started = _time.GetTimestamp();
        while (_condition.MustRejoin(out var rejoined))
        {
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
                throw Draining(exception);
            }
        }
    }

    /// <summary>
    /// If a peer does not answer for long enough, a new log is begun before the first write: this store may be an older copy, and then the numbers
    /// that its log would go on with have named other rows, which that peer may hold.
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

            _condition.Compared();
        }
        catch (OperationCanceledException exception)
        {
            // Whoever waits to write must not take this for the leave to.
            throw Draining(exception);
        }
    }

    private async Task<bool> EverybodyAnsweredAsync()
    {
        try
        {
            await _session.EverybodyHeard.OnOwnScheduler().WaitAsync(Patience, _time, _stopped);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
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

    private static MemoryException Draining(OperationCanceledException cause) => new(ErrorKind.Draining, "the node is shutting down; retry on another node", cause);
}
