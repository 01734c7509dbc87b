using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// This node's wall clock held against its peers'. Between two comparisons the monotonic clock tells what the peers' clocks must
/// show, so a clock that jumps is known at the next look and not at the next greeting: nothing is stamped in between.
/// </summary>
public sealed class ClockComparison(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (DateTimeOffset PeerNow, long At)> _heard = new(StringComparer.Ordinal);

    /// <summary>How far this node's clock is ahead of its peers', negative when it is behind: what more than half of the nodes, this one included, agree on. Zero until one was heard.</summary>
    public TimeSpan Ahead => AheadAt(time.GetUtcNow());

    /// <summary>Takes in what a peer's clock showed half a round trip ago.</summary>
    public void Heard(string peer, long unixMilliseconds, TimeSpan roundTrip)
    {
        lock (_gate)
        {
            _heard[peer] = (DateTimeOffset.FromUnixTimeMilliseconds(unixMilliseconds) + (roundTrip / 2), time.GetTimestamp());
        }
    }

    /// <summary>
    /// The instant to write with: the wall clock's, or the peers' when that is further off than any row may be stamped. So a
    /// clock that was wrong for a while leaves no trace in stamps and times that only ever rise.
    /// </summary>
    public Timestamp Now()
    {
        var now = time.GetUtcNow();
        var ahead = AheadAt(now);
        return Timestamp.FromDateTimeOffset(ahead.Duration() > Replica.MaxClockSkew ? now - ahead : now).TruncateToMicroseconds();
    }

    private TimeSpan AheadAt(DateTimeOffset now)
    {
        lock (_gate)
        {
            if (_heard.Count == 0)
            {
                return TimeSpan.Zero;
            }

            var passed = time.GetTimestamp();
            var sorted = new TimeSpan[_heard.Count];
            var count = 0;
            foreach (var heard in _heard.Values)
            {
                sorted[count++] = now - heard.PeerNow - time.GetElapsedTime(heard.At, passed);
            }

            Array.Sort(sorted);
            var low = sorted[(count - 1) / 2];
            var high = sorted[count / 2];
            return low > TimeSpan.Zero ? low : high < TimeSpan.Zero ? high : TimeSpan.Zero;
        }
    }
}
