using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>What a pump's owner knows of its peer.</summary>
/// <param name="Node">Null until the peer was heard.</param>
/// <param name="Problem">Why the peer does not count; null when it does.</param>
public sealed record PeerStatus(
    string Address,
    string? Node,
    bool IsUp,
    string? Problem,
    long BehindRows,
    double BehindSeconds,
    Timestamp? LastHeardAt,
    PeerHello? Hello);

/// <summary>
/// Ships this node's log to one peer for as long as the node runs. Every row goes to every peer, whatever became of the request
/// that wrote it. Two lanes: new rows go at once on the live lane, while the gap lane brings what the peer missed, so a node that
/// was long away counts for new writes as soon as it answers. What the peer holds is told by the peer at each connect; nothing
/// here has to survive a restart.
/// </summary>
public sealed class PeerPump(
    IReplicaLink link,
    IMemoryStore store,
    MutationFeed feed,
    Replica replica,
    QuorumWriter quorum,
    PeerSession session,
    Func<Task> mayWrite,
    TimeProvider time,
    Random random)
{
    private const int BatchRows = 512;
    private const int BatchBytes = 1 << 20;

    /// <summary>Batches on the way at once: while they are, the next one gathers.</summary>
    private const int LiveInFlight = 2;
    private const int GapInFlight = 2;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private AppliedSet _held = AppliedSet.None;
    private LogId _heldLog;

    /// <summary>Rows that the peer has refused since it was greeted, and keeps to try again.</summary>
    private AppliedSet _refused = AppliedSet.None;
    private PeerHello? _hello;
    private Timestamp? _lastHeardAt;
    private string? _problem = "not heard of yet";
    private long _oldestUnheldSince;
    private string? _refusal;
    private volatile bool _getsOn;

    /// <summary>Why the peer must never count; null when it may.</summary>
    public string? Refusal => Volatile.Read(ref _refusal);

    public PeerStatus Status
    {
        get
        {
            lock (_gate)
            {
                var head = feed.Head;
                var behind = Math.Max(0, head.Sequence - (head.Log == _heldLog ? _held.Count : 0));
                var seconds = behind == 0 || _oldestUnheldSince == 0 ? 0 : time.GetElapsedTime(_oldestUnheldSince).TotalSeconds;
                return new(link.Address, _hello?.Log.Node, _problem is null, _problem, behind, seconds, _lastHeardAt, _hello);
            }
        }
    }

    /// <summary>True while the peer is up and has not answered for every row.</summary>
    public bool IsShipping
    {
        get
        {
            lock (_gate)
            {
                var head = feed.Head;
                return _problem is null && !(head.Log == _heldLog && _held.With(_refused).Covers(1, head.Sequence));
            }
        }
    }

    /// <summary>The number up to which the peer holds every row of a log of this node, as far as it told since this pump runs.</summary>
    public long HeldThrough(LogId log)
    {
        lock (_gate)
        {
            return log == _heldLog ? _held.Through : 0;
        }
    }

    /// <summary>Runs until it is told to stop.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        quorum.AddPeer(link.Address);
        var pause = FirstPause;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await GreetAsync(stop);
                await ShipAsync(stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (PeerRefusedException exception)
            {
                // A wrong peer never counts, and is asked again in case its operator mends it.
                Lose(exception.Message, isDown: true);
                Volatile.Write(ref _refusal, exception.Message);
                pause = LongestPause;
            }
            catch (Exception exception)
            {
                // Whatever it was, this pump is the only one that this peer has: it goes on.
                Lose(exception.Message, exception is LinkException { IsDown: true });
            }

            // A peer that greets and takes nothing, as one with a full disk, is asked ever less often.
            pause = _getsOn ? FirstPause : pause;
            _getsOn = false;
            try
            {
                using var waiting = CancellationTokenSource.CreateLinkedTokenSource(stop, session.Knock);
                await Task.Delay(pause * (0.5 + random.NextDouble()), time, waiting.Token);
            }
            catch (OperationCanceledException)
            {
                // Told to stop, or the peer has knocked.
            }

            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private async Task GreetAsync(CancellationToken stop)
    {
        using var deadline = new CancellationTokenSource(CallDeadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, deadline.Token);
        PeerHello hello;
        var sent = time.GetTimestamp();
        try
        {
            hello = await link.GreetAsync(await session.HelloAsync(), both.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new LinkException($"{link.Address} did not answer a greeting within {CallDeadline.TotalSeconds} s", isDown: false);
        }

        await session.HeardAsync(link.Address, hello, time.GetElapsedTime(sent));
        var log = feed.Head.Log;
        var held = hello.Vector.GetValueOrDefault(log) ?? AppliedSet.None;
        // It counts before it is shown as up: who sees it up may write at once.
        quorum.Connected(link.Address);
        lock (_gate)
        {
            _hello = hello;
            (_heldLog, _held, _refused) = (log, held, AppliedSet.None);
            _lastHeardAt = Timestamp.Now(time);
            _problem = null;
        }

        Volatile.Write(ref _refusal, null);
    }

    /// <summary>Ships until a call fails.</summary>
    private async Task ShipAsync(CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var head = feed.Head;
        Task[] lanes = [ShipLiveAsync(head, ended.Token), ShipGapAsync(head, ended.Token), BeatAsync(ended.Token)];
        try
        {
            // The gap lane ends when the gap is closed; the others only when something fails.
            var first = await Task.WhenAny(lanes[0], lanes[2], FailedAsync(lanes[1]));
            await first;
        }
        finally
        {
            ended.Cancel();
            foreach (var lane in lanes)
            {
                try
                {
                    await lane;
                }
                catch (Exception)
                {
                    // The first failure is the one that is told.
                }
            }
        }
    }

    private static async Task FailedAsync(Task lane)
    {
        await lane;
        await new TaskCompletionSource().Task;
    }

    private async Task ShipLiveAsync(LogPosition from, CancellationToken ended)
    {
        var inFlight = new List<Task>(LiveInFlight);
        var next = from;
        while (true)
        {
            var head = feed.Head;
            if (head.Log != next.Log)
            {
                throw new LinkException("this node began a new log", isDown: false);
            }

            var batch = feed.Read(next.Sequence, BatchRows, BatchBytes) ?? await store.ReadLogAsync(next.Sequence, BatchRows, BatchBytes, ended);
            if (batch.Count > 0)
            {
                inFlight.Add(SendAsync(batch, ended));
                next = batch[^1].Position;
            }
            else if (head.Sequence > next.Sequence)
            {
                // The rows up to there are in the log no more: the peer holds them, or gets them by digest exchange.
                next = head;
            }
            else
            {
                await Task.WhenAny([feed.WaitAsync(next, ended), .. inFlight]);
                ended.ThrowIfCancellationRequested();
            }

            await SettleAsync(inFlight, LiveInFlight);
        }
    }

    private async Task ShipGapAsync(LogPosition through, CancellationToken ended)
    {
        AppliedSet held;
        lock (_gate)
        {
            held = _held;
        }

        var inFlight = new List<Task>(GapInFlight);

        // What somebody waits for goes first, and is sent again: that the peer's vector covers it does not say what the peer answered to it.
        var awaited = quorum.Awaited(link.Address, through);
        foreach (var (first, last) in awaited.Ranges.Concat(held.With(awaited).Missing(through.Sequence)))
        {
            for (var next = first; next <= last;)
            {
                var page = await store.ReadLogAsync(next - 1, (int)Math.Min(BatchRows, last - next + 1), BatchBytes, ended);
                if (page.Count == 0)
                {
                    break;
                }

                inFlight.Add(SendAsync(page, ended));
                next = page[^1].Position.Sequence + 1;
                await SettleAsync(inFlight, GapInFlight);
            }
        }

        await Task.WhenAll(inFlight);
    }

    private async Task BeatAsync(CancellationToken ended)
    {
        while (true)
        {
            await Task.Delay(Heartbeat, time, ended);
            using var deadline = new CancellationTokenSource(CallDeadline, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(ended, deadline.Token);
            var sent = time.GetTimestamp();
            PeerHello hello;
            try
            {
                hello = await link.GreetAsync(await session.HelloAsync(), both.Token);
            }
            catch (OperationCanceledException) when (!ended.IsCancellationRequested)
            {
                throw new LinkException($"{link.Address} stopped answering", isDown: false);
            }

            _getsOn = true;
            await session.HeardAsync(link.Address, hello, time.GetElapsedTime(sent));
            lock (_gate)
            {
                _hello = hello;
                _lastHeardAt = Timestamp.Now(time);

                // What came to the peer by digest exchange is not acknowledged; the peer tells of it here.
                _held = _held.With(hello.Vector.GetValueOrDefault(_heldLog) ?? AppliedSet.None);
            }
        }
    }

    private static async Task SettleAsync(List<Task> inFlight, int most)
    {
        for (var index = inFlight.Count - 1; index >= 0; index--)
        {
            if (inFlight[index].IsCompleted)
            {
                await inFlight[index];
                inFlight.RemoveAt(index);
            }
        }

        while (inFlight.Count >= most)
        {
            var done = await Task.WhenAny(inFlight);
            inFlight.Remove(done);
            await done;
        }
    }

    private async Task SendAsync(IReadOnlyList<Mutation> batch, CancellationToken ended)
    {
        IReadOnlyList<ApplyOutcome> outcomes;
        using var deadline = new CancellationTokenSource(CallDeadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ended, deadline.Token);
        lock (_gate)
        {
            if (_oldestUnheldSince == 0)
            {
                _oldestUnheldSince = time.GetTimestamp();
            }
        }

        Faults.Replace(
            Fault.FanOutEndsAtQuorum,
            ref batch,
            [.. batch.Where(row => quorum.WaitAsync(row.Position.Log, row.Position.Sequence, row.Position.Sequence, (quorum.Nodes / 2) + 1, TimeSpan.Zero)
                is not { IsCompletedSuccessfully: true, Result.IsMet: true })]);
        try
        {
            outcomes = await link.ApplyAsync(batch, both.Token);
        }
        catch (OperationCanceledException) when (!ended.IsCancellationRequested)
        {
            throw new LinkException($"{link.Address} did not answer within {CallDeadline.TotalSeconds} s", isDown: false);
        }

        if (outcomes.Count != batch.Count)
        {
            throw new LinkException($"{link.Address} answered for {outcomes.Count} of {batch.Count} rows", isDown: false);
        }

        _getsOn = true;

        Faults.Replace(Fault.FencedRowCounts, ref outcomes, [.. outcomes.Select(static outcome => outcome == ApplyOutcome.Fenced ? ApplyOutcome.Applied : outcome)]);
        Faults.Replace(Fault.RefusedRowCounts, ref outcomes, [.. outcomes.Select(static outcome => outcome == ApplyOutcome.RefusedDeleted ? ApplyOutcome.Applied : outcome)]);
        var overruled = batch.Where((_, index) => outcomes[index] == ApplyOutcome.RefusedDeleted).Select(static mutation => new RowKey(MutationKind.Memory, mutation.Key)).Distinct().ToList();
        if (overruled.Count > 0)
        {
            // A delete that this node decided after the row may arrive before it; the row came first all the same, and the delete holds it.
            var own = await BuryAsync(overruled, both.Token);
            outcomes = [.. outcomes.Select((outcome, index) =>
                outcome == ApplyOutcome.RefusedDeleted && own.TryGetValue(batch[index].Key, out var deleted) && deleted > batch[index].Stamp ? ApplyOutcome.Applied : outcome)];
        }

        // Runs of rows that count are told as ranges.
        for (var first = 0; first < batch.Count;)
        {
            if (outcomes[first] is not (ApplyOutcome.Applied or ApplyOutcome.Already))
            {
                if (outcomes[first] == ApplyOutcome.RefusedDeleted)
                {
                    // Settled for good, by a delete that this node holds too now: nothing is left to ship.
                    Settled(batch[first].Position, batch[first].Position.Sequence);
                }
                else
                {
                    Refused(batch[first].Position);
                }

                quorum.Refused(link.Address, batch[first].Position, outcomes[first]);
                first++;
                continue;
            }

            var last = first;
            while (last + 1 < batch.Count && outcomes[last + 1] is ApplyOutcome.Applied or ApplyOutcome.Already
                && batch[last + 1].Position.Sequence == batch[last].Position.Sequence + 1)
            {
                last++;
            }

            Held(batch[first].Position, batch[last].Position.Sequence);
            first = last + 1;
        }
    }

    /// <summary>Takes in the deletes that a peer holds of what it was sent, so that the writer can decide on what is true.</summary>
    /// <returns>The deletes that this node had decided itself.</returns>
    private async Task<IReadOnlyDictionary<string, Stamp>> BuryAsync(IReadOnlyList<RowKey> overruled, CancellationToken cancellation)
    {
        var deletes = await link.ReadRowsAsync(overruled, cancellation);

        // They are logged here: under numbers that this store may draw.
        await mayWrite();
        return await replica.BuryAsync(deletes);
    }

    private void Held(LogPosition first, long last)
    {
        Settled(first, last);
        quorum.Acknowledged(link.Address, first.Log, first.Sequence, last);
    }

    private void Settled(LogPosition first, long last)
    {
        lock (_gate)
        {
            if (first.Log == _heldLog)
            {
                _held = _held.With(first.Sequence, last);
            }

            _oldestUnheldSince = _held.Covers(1, feed.Head.Sequence) ? 0 : time.GetTimestamp();
        }
    }

    private void Refused(LogPosition position)
    {
        lock (_gate)
        {
            if (position.Log == _heldLog)
            {
                _refused = _refused.With(position.Sequence, position.Sequence);
            }
        }
    }

    private void Lose(string problem, bool isDown)
    {
        lock (_gate)
        {
            _problem = problem;
        }

        session.Lost(link.Address);
        quorum.Lost(link.Address, isDown);
    }
}

/// <summary>A peer answered, but it must not count: it is this node itself, or one that another address names already.</summary>
public sealed class PeerRefusedException(string message) : Exception(message);
