namespace OrleansMemory.Simulation.World;

/// <summary>
/// The clocks of one machine: a wall clock that may be off, jump and drift, and a monotonic one that keeps the time of the world.
/// Timers belong to the process that asks for them.
/// </summary>
public sealed class SimulatedTime(SimulatedWorld world, SimulatedProcess? process, MachineClock clock) : TimeProvider
{
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow()
    {
        world.Ask();
        return clock.At(world.Now);
    }

    public override long GetTimestamp()
    {
        world.Ask();
        return world.Now.Ticks;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new Timer(world, process, callback, state, dueTime, period);

    private sealed class Timer : ITimer
    {
        private readonly SimulatedWorld _world;
        private readonly SimulatedProcess? _process;
        private readonly TimerCallback _callback;
        private readonly object? _state;
        private TimeSpan _period;
        private WorldEvent? _next;

        public Timer(SimulatedWorld world, SimulatedProcess? process, TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _world = world;
            _process = process;
            _callback = callback;
            _state = state;
            Change(dueTime, period);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _next?.Cancel();
            _period = period;
            _next = dueTime == Timeout.InfiniteTimeSpan ? null : _world.Schedule(dueTime, _process, Fire);
            return true;
        }

        public void Dispose()
        {
            _next?.Cancel();
            _next = null;
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Fire()
        {
            _next = _period > TimeSpan.Zero ? _world.Schedule(_period, _process, Fire) : null;
            _callback(_state);
        }
    }
}

/// <summary>The wall clock of a machine; it outlives the processes that read it.</summary>
public sealed class MachineClock
{
    private static readonly DateTimeOffset Beginning = new(2026, 3, 14, 9, 26, 53, TimeSpan.Zero);

    /// <summary>How far it is ahead of the world's time.</summary>
    public TimeSpan Offset { get; set; }

    /// <summary>What it gains in each second of the world.</summary>
    public double Drift { get; set; }

    public DateTimeOffset At(TimeSpan now) => Beginning + now + Offset + (now * Drift);

    /// <summary>The instant that a right clock shows.</summary>
    public static DateTimeOffset True(TimeSpan now) => Beginning + now;
}
