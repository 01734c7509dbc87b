namespace OrleansMemory.Grains.Tests;

public sealed class CircuitBreakerTests
{
    [Fact]
    public void After_a_failure_one_call_at_a_time_tries_and_the_pause_grows()
    {
        var time = new Ticks();
        var breaker = new CircuitBreaker(time);
        Assert.True(breaker.TryEnter());
        Assert.True(breaker.TryEnter());
        breaker.Failed();
        Assert.False(breaker.TryEnter());
        time.Advance(TimeSpan.FromMilliseconds(101));
        Assert.True(breaker.TryEnter());
        Assert.False(breaker.TryEnter());
        breaker.Failed();
        time.Advance(TimeSpan.FromMilliseconds(101));
        Assert.False(breaker.TryEnter());
        time.Advance(TimeSpan.FromMilliseconds(101));
        Assert.True(breaker.TryEnter());

        // Giving up says nothing: the next one may try.
        breaker.Abandoned();
        Assert.True(breaker.TryEnter());
        breaker.Succeeded();
        Assert.True(breaker.TryEnter());
        Assert.True(breaker.TryEnter());
    }

    private sealed class Ticks : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Advance(TimeSpan span) => _now += span.Ticks;
    }
}
