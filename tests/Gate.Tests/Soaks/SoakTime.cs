namespace OrleansMemory.Gate.Tests.Soaks;

/// <summary>A clock that jumps to the end of whatever is waited for. One at a time waits.</summary>
internal sealed class SoakTime : TimeProvider
{
    public DateTimeOffset Now { get; set; } = new(2026, 11, 20, 8, 0, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow() => Now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        Now += dueTime;
        return System.CreateTimer(callback, state, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }
}
