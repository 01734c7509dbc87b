namespace OrleansMemory.Core.Replication;

/// <summary>What a write reached.</summary>
/// <param name="Got">Nodes that hold it durably, this one included.</param>
/// <param name="Reason">Null when the quorum was met; else one of <see cref="QuorumReasons"/>.</param>
public sealed record QuorumOutcome(int Got, int Needed, string? Reason)
{
    public bool IsMet => Got >= Needed;

    /// <summary>Nodes that the write's namespace asks for; fewer are below its quorum.</summary>
    public int Standard { get; init; } = Needed;

    /// <summary>It was not met because what was written is deleted: decided anew, the write finds the delete.</summary>
    public bool MetDelete { get; init; }
}

public static class QuorumReasons
{
    /// <summary>Every missing peer is known to be down.</summary>
    public const string Unreachable = "unreachable";

    /// <summary>The deadline passed.</summary>
    public const string Timeout = "timeout";

    /// <summary>A peer that is up would not take the row.</summary>
    public const string Refused = "refused";

    /// <summary>A newer activation has replaced the one that decided.</summary>
    public const string Fenced = "fenced";

    public const string ClockSkew = "clock_skew";
    public const string StoreFailed = "store_failed";
    public const string Draining = "draining";
}

/// <summary>
/// Waits until enough replicas hold a write. It only watches: the pumps ship every row to every peer whatever is answered to
/// whom, so a quorum that is met, a caller that leaves and a deadline that passes cancel nothing.
/// </summary>
public sealed class QuorumWriter(LogId log, TimeProvider time)
{
    private const int OverruledRows = 4_096;
    private const int AnsweredRanges = 1_024;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Peer> _peers = new(StringComparer.Ordinal);

    /// <summary>Memories that deletes of other nodes took away here, and the last row of the log that was written before.</summary>
    private readonly OrderedDictionary<string, long> _overruled = new(StringComparer.Ordinal);
    private readonly SortedSet<Waiter> _waiters = new(Comparer<Waiter>.Create(
        static (a, b) => a.Last != b.Last ? a.Last.CompareTo(b.Last) : a.Number.CompareTo(b.Number)));

    private LogId _log = log;

    /// <summary>The log before this one, and what each peer answered that it holds of it.</summary>
    private (LogId Log, IReadOnlyList<AppliedSet> Held) _left;
    private long _numbers;

    /// <summary>Nodes of the set, this one included.</summary>
    public int Nodes
    {
        get
        {
            lock (_gate)
            {
                return _peers.Count + 1;
            }
        }
    }

    /// <summary>A peer that counts; until it is heard of, nobody knows whether it is down.</summary>
    public void AddPeer(string peer)
    {
        lock (_gate)
        {
            _peers[peer] = new Peer();
        }
    }

    /// <summary>The peer answers.</summary>
    public void Connected(string peer)
    {
        lock (_gate)
        {
            _peers[peer].State = PeerState.Up;
        }
    }

    /// <summary>Rows that somebody waits for and the peer has not answered for, up to a place in the log.</summary>
    public AppliedSet Awaited(string peer, LogPosition through)
    {
        lock (_gate)
        {
            return _waiters.Where(waiter => waiter.Log == through.Log && waiter.Last <= through.Sequence && !waiter.IsHeldBy(_peers[peer]))
                .Aggregate(AppliedSet.None, static (rows, waiter) => rows.With(waiter.First, waiter.Last));
        }
    }

    /// <summary>The peer stopped answering.</summary>
    public void Lost(string peer, bool isDown)
    {
        lock (_gate)
        {
            _peers[peer].State = isDown ? PeerState.Down : PeerState.Silent;
            Settle();
        }
    }

    /// <summary>The peer answered that it holds these rows durably.</summary>
    public void Acknowledged(string peer, LogId log, long first, long last)
    {
        lock (_gate)
        {
            if (log != _log)
            {
                return;
            }

            var held = _peers[peer].Held.With(first, last);

            // Each row that was refused leaves a gap; nobody waits for such old ones any more.
            _peers[peer].Held = held.Above.Count > AnsweredRanges ? new(0, [.. held.Above.Skip(AnsweredRanges / 2)]) : held;
            Settle(last);
        }
    }

    /// <summary>The peer would not take a row, for now or for good.</summary>
    public void Refused(string peer, LogPosition position, ApplyOutcome outcome)
    {
        lock (_gate)
        {
            if (position.Log != _log)
            {
                return;
            }

            if (outcome is ApplyOutcome.RefusedDeleted or ApplyOutcome.Fenced)
            {
                // Kept for those who come to wait a moment later.
                var rows = outcome == ApplyOutcome.Fenced ? _peers[peer].Fenced : _peers[peer].Overruled;
                rows.Add(position.Sequence);
                if (rows.Count > OverruledRows)
                {
                    rows.Remove(rows.Min);
                }

                Settle();
                return;
            }

            foreach (var waiter in _waiters)
            {
                if (position.Sequence >= waiter.First && position.Sequence <= waiter.Last)
                {
                    waiter.Refusal = QuorumReasons.Refused;
                }
            }
        }
    }

    /// <summary>
    /// Deletes of other nodes are about to take these memories away here. From then on every row of them goes out as that delete, and a
    /// peer that takes it does not hold what was written: who still waits for such a row hears of the delete. Told before the commit.
    /// </summary>
    /// <param name="through">The last row of the log then.</param>
    public void Overruled(IReadOnlyList<string> memories, long through)
    {
        Faults.Replace(Fault.OverruledRowCounts, ref memories, []);
        if (memories.Count == 0)
        {
            return;
        }

        lock (_gate)
        {
            foreach (var memory in memories)
            {
                // Kept for those who come to wait a moment later.
                _overruled[memory] = through;
                if (_overruled.Count > OverruledRows)
                {
                    _overruled.RemoveAt(0);
                }
            }

            foreach (var waiter in _waiters.Where(IsOverruled).ToList())
            {
                _waiters.Remove(waiter);
                waiter.Outcome.TrySetResult(MetDelete(waiter));
            }
        }
    }

    /// <summary>This node writes this log now: of a new one nobody holds anything. Told before anybody waits for its rows.</summary>
    public void Writing(LogId log)
    {
        lock (_gate)
        {
            if (log == _log)
            {
                return;
            }

            _left = (_log, [.. _peers.Values.Select(static peer => peer.Held)]);
            _log = log;
            _overruled.Clear();
            foreach (var peer in _peers.Values)
            {
                peer.Held = AppliedSet.None;
                peer.Overruled.Clear();
                peer.Fenced.Clear();
            }
        }
    }

    /// <summary>Whether a peer answered that it holds a row of the log that this node wrote before the present one.</summary>
    public bool WasHeld(LogPosition position)
    {
        lock (_gate)
        {
            return position.Log == _left.Log && _left.Held.Any(held => held.Contains(position.Sequence));
        }
    }

    /// <summary>Waits until <paramref name="needed"/> nodes hold the rows from first to last, it can no longer happen, or the time is over.</summary>
    /// <param name="needed">Nodes, this one included; more than there are is cut to all.</param>
    /// <param name="memories">Those that the rows write to; null: none.</param>
    public async Task<QuorumOutcome> WaitAsync(LogId log, long first, long last, int needed, TimeSpan timeout, IReadOnlyList<string>? memories = null)
    {
        Waiter waiter;
        lock (_gate)
        {
            waiter = new(log, first, last, Math.Min(needed, _peers.Count + 1), memories ?? [], _numbers++);
            if (waiter.Needed > 1 && IsOverruled(waiter))
            {
                return MetDelete(waiter);
            }

            if (Judge(waiter) is { } known)
            {
                return known;
            }

            _waiters.Add(waiter);
        }

        try
        {
            return await waiter.Outcome.Task.OnOwnScheduler().WaitAsync(timeout, time);
        }
        catch (TimeoutException)
        {
            lock (_gate)
            {
                _waiters.Remove(waiter);
                return Judge(waiter) ?? new(Got(waiter), waiter.Needed, waiter.Refusal ?? QuorumReasons.Timeout);
            }
        }
    }

    private void Settle(long through = long.MaxValue)
    {
        List<Waiter>? settled = null;
        foreach (var waiter in _waiters)
        {
            if (waiter.Last > through)
            {
                break;
            }

            if (Judge(waiter) is { } outcome)
            {
                waiter.Outcome.TrySetResult(outcome);
                (settled ??= []).Add(waiter);
            }
        }

        foreach (var waiter in settled ?? [])
        {
            _waiters.Remove(waiter);
        }
    }

    private int Got(Waiter waiter)
    {
        var got = 1;
        foreach (var peer in _peers.Values)
        {
            if (waiter.Log == _log && waiter.IsHeldBy(peer))
            {
                got++;
            }
        }

        Faults.Replace(Fault.QuorumOneShort, ref got, got + 1);
        return got;
    }

    private bool IsOverruled(Waiter waiter) =>
        waiter.Log == _log && waiter.Memories.Any(memory => _overruled.TryGetValue(memory, out var through) && waiter.First <= through);

    private QuorumOutcome MetDelete(Waiter waiter) => new(Got(waiter), waiter.Needed, QuorumReasons.Refused) { MetDelete = true };

    /// <summary>Null while it is open.</summary>
    private QuorumOutcome? Judge(Waiter waiter)
    {
        var got = Got(waiter);
        if (got >= waiter.Needed)
        {
            return new(got, waiter.Needed, null);
        }

        // What stands in a log that this node writes no more is logged again in the new one; nobody answers for the old numbers.
        if (waiter.Log != _log)
        {
            return null;
        }

        // One delete is enough: it will reach all the others too.
        if (_peers.Values.Any(peer => peer.Overruled.Count > 0 && peer.Overruled.GetViewBetween(waiter.First, waiter.Last).Count > 0))
        {
            return MetDelete(waiter);
        }

        var possible = got;
        var isFenced = false;
        foreach (var peer in _peers.Values)
        {
            if (!waiter.IsHeldBy(peer))
            {
                var fences = peer.Fenced.Count > 0 && peer.Fenced.GetViewBetween(waiter.First, waiter.Last).Count > 0;
                isFenced |= fences;
                possible += fences || peer.State == PeerState.Down ? 0 : 1;
            }
        }

        return possible < waiter.Needed ? new(got, waiter.Needed, isFenced ? QuorumReasons.Fenced : QuorumReasons.Unreachable) : null;
    }

    private enum PeerState
    {
        Unknown,
        Up,
        Silent,
        Down,
    }

    private sealed class Peer
    {
        public PeerState State { get; set; }

        /// <summary>
        /// Rows that it answered for since this node runs. What its vector covers does not count: that does not say whether a delete or
        /// a later epoch was there before the row.
        /// </summary>
        public AppliedSet Held { get; set; } = AppliedSet.None;

        /// <summary>Rows that a delete there overrules.</summary>
        public SortedSet<long> Overruled { get; } = [];

        /// <summary>Rows that a later epoch there fences.</summary>
        public SortedSet<long> Fenced { get; } = [];
    }

    private sealed class Waiter(LogId log, long first, long last, int needed, IReadOnlyList<string> memories, long number)
    {
        public LogId Log => log;

        public long First => first;

        public long Last => last;

        public int Needed => needed;

        public long Number => number;

        public IReadOnlyList<string> Memories => memories;

        public string? Refusal { get; set; }

        public bool IsHeldBy(Peer peer) => peer.Held.Covers(first, last);

        public TaskCompletionSource<QuorumOutcome> Outcome { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
