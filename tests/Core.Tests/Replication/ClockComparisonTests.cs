using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

public sealed class ClockComparisonTests
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    private readonly JumpingTime _time = new();
    private readonly ClockComparison _clock;

    public ClockComparisonTests()
    {
        _clock = new(_time);
    }

    [Fact]
    public void Without_a_peer_the_wall_clock_counts()
    {
        Assert.Equal(TimeSpan.Zero, _clock.Ahead);
        _time.Wall += Hour;
        Assert.Equal(_time.Wall, _clock.Now().ToDateTimeOffset());
    }

    [Fact]
    public void A_jump_is_known_before_the_next_greeting_and_forgotten_with_it()
    {
        var right = _time.Wall;
        Hear("a", right);
        Hear("b", right);
        _time.Wall += Hour;
        Assert.Equal(Hour, _clock.Ahead);
        Assert.Equal(right, _clock.Now().ToDateTimeOffset());

        // Time goes on for everybody.
        _time.Pass(TimeSpan.FromSeconds(5));
        Assert.Equal(Hour, _clock.Ahead);
        Assert.Equal(right.AddSeconds(5), _clock.Now().ToDateTimeOffset());
        _time.Wall -= Hour;
        Assert.Equal(TimeSpan.Zero, _clock.Ahead);
        Assert.Equal(_time.Wall, _clock.Now().ToDateTimeOffset());
    }

    [Fact]
    public void One_peer_of_two_convinces_nobody()
    {
        Hear("a", _time.Wall - Hour);
        Hear("b", _time.Wall);
        Assert.Equal(TimeSpan.Zero, _clock.Ahead);
        Hear("a", _time.Wall + Hour);
        Assert.Equal(TimeSpan.Zero, _clock.Ahead);
        Hear("b", _time.Wall + Hour);
        Assert.Equal(-Hour, _clock.Ahead);
        Assert.Equal(_time.Wall + Hour, _clock.Now().ToDateTimeOffset());
    }

    [Fact]
    public void A_clock_within_the_bound_is_left_alone()
    {
        Hear("a", _time.Wall - TimeSpan.FromSeconds(60));
        Assert.Equal(_time.Wall, _clock.Now().ToDateTimeOffset());
        Hear("a", _time.Wall - TimeSpan.FromSeconds(61));
        Assert.Equal(_time.Wall - TimeSpan.FromSeconds(61), _clock.Now().ToDateTimeOffset());
    }

    [Fact]
    public void What_a_peer_showed_is_half_a_round_trip_old()
    {
        _clock.Heard("a", _time.Wall.AddSeconds(-65).ToUnixTimeMilliseconds(), TimeSpan.FromSeconds(8));
        Assert.Equal(TimeSpan.FromSeconds(61), _clock.Ahead);
    }

    private void Hear(string peer, DateTimeOffset shown) => _clock.Heard(peer, shown.ToUnixTimeMilliseconds(), TimeSpan.Zero);

    /// <summary>A wall clock that is set apart from the monotonic one.</summary>
    private sealed class JumpingTime : TimeProvider
    {
        private long _ticks = 1;

        public DateTimeOffset Wall { get; set; } = new(2026, 4, 20, 10, 0, 0, TimeSpan.Zero);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan span)
        {
            Wall += span;
            _ticks += span.Ticks;
        }

        public override DateTimeOffset GetUtcNow() => Wall;

        public override long GetTimestamp() => _ticks;
    }
}
