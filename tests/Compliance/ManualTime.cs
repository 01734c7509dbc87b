namespace OrleansMemory.Compliance;

/// <summary>A wall clock that a test moves. Its timers are the system's: only what reads the time is under the test's control.</summary>
public sealed class ManualTime : TimeProvider
{
    private DateTimeOffset _now = new(2026, 3, 14, 9, 26, 53, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow() => _now;

    public void Advance(TimeSpan span) => _now += span;
}
