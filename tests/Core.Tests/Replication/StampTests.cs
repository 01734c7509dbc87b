using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>Stamps are ordered, and tokens are read back as they were written.</summary>
public sealed class StampTests
{
    [Fact]
    public void Stamps_are_ordered_by_clock_then_node_then_incarnation()
    {
        Stamp[] ascending = [new(1, new("b", 2)), new(2, new("a", 2)), new(2, new("b", 1)), new(2, new("b", 2))];
        for (var lower = 0; lower < ascending.Length; lower++)
        {
            for (var higher = lower; higher < ascending.Length; higher++)
            {
                var (a, b) = (ascending[lower], ascending[higher]);
                Assert.Equal(lower < higher, a < b);
                Assert.Equal(lower < higher, b > a);
                Assert.Equal(lower == higher, a >= b);
                Assert.Equal(lower == higher, b <= a);
                Assert.True(a <= b);
                Assert.False(a > b);
                Assert.Equal(b, Stamp.Max(a, b));
                Assert.Equal(b, Stamp.Max(b, a));
            }
        }
    }

    [Fact]
    public void A_clock_follows_the_wall_and_counts_on_where_that_stands_still_or_runs_back()
    {
        var first = Stamp.Next(0, 1_000);
        Assert.Equal(1_000, new Stamp(first, default).UnixMilliseconds);
        Assert.Equal(first + 1, Stamp.Next(first, 1_000));
        Assert.Equal(first + 1, Stamp.Next(first, 999));
        Assert.Equal(1_001, new Stamp(Stamp.Next(first, 1_001), default).UnixMilliseconds);

        // The counter's overflow carries into the milliseconds.
        Assert.Equal(1_001, new Stamp(Stamp.Next(first + 0xFFFF, 1_000), default).UnixMilliseconds);
    }

    [Theory]
    [InlineData("node~00c0ffee00c0ffee:17", true)]
    [InlineData("a~b~00000000000000ff:1", true)]
    [InlineData("", false)]
    [InlineData("~00c0ffee00c0ffee:17", false)]
    [InlineData("node~00c0ffee00c0ffee", false)]
    [InlineData("node~:17", false)]
    [InlineData("node~xyz:17", false)]
    [InlineData("node:17", false)]
    [InlineData("node~00c0ffee00c0ffee:-1", false)]
    [InlineData("node~00c0ffee00c0ffee:", false)]
    [InlineData(":17", false)]
    public void A_token_is_read_back_or_refused(string text, bool isOne)
    {
        Assert.Equal(isOne, LogPosition.TryParse(text, out var position));
        Assert.Equal(isOne ? text : default(LogPosition).ToString(), position.ToString());
    }

    [Fact]
    public void A_stamp_is_shown_with_its_log() => Assert.Equal("0195d3a0f1c20001@node~00c0ffee00c0ffee", new Stamp(0x0195d3a0f1c20001, new("node", 0x00c0ffee00c0ffee)).ToString());
}
