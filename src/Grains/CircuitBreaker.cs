namespace OrleansMemory.Grains;

/// <summary>
/// After a call that got no answer, calls to the same place fail at once for a while, but for one that tries; each failure in a row
/// doubles the while. Orleans itself takes seconds to declare a silo dead, and nobody must wait for that.
/// </summary>
internal sealed class CircuitBreaker(TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private TimeSpan _pause;
    private long _closedAt;
    private bool _trying;

    /// <summary>Whether a call may be made; if so its end must be told.</summary>
    public bool TryEnter()
    {
        lock (_gate)
        {
            if (_pause == TimeSpan.Zero)
            {
                return true;
            }

            if (_trying || time.GetElapsedTime(_closedAt) < _pause)
            {
                return false;
            }

            return _trying = true;
        }
    }

    public void Succeeded()
    {
        lock (_gate)
        {
            _pause = TimeSpan.Zero;
            _trying = false;
        }
    }

    public void Failed()
    {
        lock (_gate)
        {
            _pause = _pause == TimeSpan.Zero ? FirstPause : _pause * 2 < LongestPause ? _pause * 2 : LongestPause;
            _closedAt = time.GetTimestamp();
            _trying = false;
        }
    }

    /// <summary>The caller gave up by itself: that says nothing.</summary>
    public void Abandoned()
    {
        lock (_gate)
        {
            _trying = false;
        }
    }
}
