namespace OrleansMemory.Grains.Tests;

/// <summary>The system's time, with a wall clock that a test sets wrong.</summary>
internal sealed class ShiftedTime : TimeProvider
{
    private long _ticks;

    public TimeSpan Ahead
    {
        get => TimeSpan.FromTicks(Interlocked.Read(ref _ticks));
        set => Interlocked.Exchange(ref _ticks, value.Ticks);
    }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;
}
