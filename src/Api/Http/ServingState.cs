namespace OrleansMemory.Api.Http;

/// <summary>Counts the requests in flight and lets a host wait for the last of them.</summary>
public sealed class ServingState
{
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _inFlight;
    private volatile bool _draining;

    /// <summary>From now on every request but those for health is refused with 503.</summary>
    public bool IsDraining => _draining;

    public long InFlight => Interlocked.Read(ref _inFlight);

    /// <summary>Refuses new work at once.</summary>
    /// <returns>Completes when no request is left.</returns>
    public Task DrainAsync()
    {
        _draining = true;
        if (InFlight == 0)
        {
            _idle.TrySetResult();
        }

        return _idle.Task;
    }

    internal void Enter() => Interlocked.Increment(ref _inFlight);

    internal void Leave()
    {
        if (Interlocked.Decrement(ref _inFlight) == 0 && _draining)
        {
            _idle.TrySetResult();
        }
    }
}
