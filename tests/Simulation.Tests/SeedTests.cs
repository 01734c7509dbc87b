using System.Diagnostics;
using OrleansMemory.Compliance;

namespace OrleansMemory.Simulation.Tests;

/// <summary>The engines keep their promises in every run that was tried.</summary>
public sealed class SeedTests(ITestOutputHelper output)
{
    [Fact]
    [Trait(Campaign.Trait, "simulation")]
    public void Every_promise_holds_in_every_seed()
    {
        var watch = Stopwatch.StartNew();
        var result = Runs.Many(1, Campaign.Count("simulation", reduced: 5_000, full: 100_000), Runs.Steps, mostFailures: 5, done => output.WriteLine($"{done} seeds, {watch.Elapsed.TotalSeconds:F0} s"));
        output.WriteLine($"{result.Seeds} seeds, {result.Seeds * Runs.Steps} operations, {result.Continuations} continuations, {result.Acknowledged} acknowledged writes, {result.Faults} faults, {watch.Elapsed.TotalSeconds:F0} s");
        output.WriteLine($"elements of the set: {result.Set}; histories that could not be judged: {result.Undecided}");
        Assert.Empty(result.Failures.Select(static failure => $"seed {failure.Seed}: {failure.Failure}"));
        Assert.True(result.Acknowledged > 50 * result.Seeds, "runs in which hardly a write succeeds show nothing");
        Assert.True(result.Faults > result.Seeds, "runs without faults show little");
        Assert.Equal(0, result.Undecided);
    }

    /// <summary>Seeds in which something was wrong once, in the engines or in the simulation.</summary>
    [Theory]
    [InlineData(9)]
    [InlineData(572)]
    [InlineData(624)]
    [InlineData(631)]
    [InlineData(774)]
    [InlineData(919)]
    [InlineData(1074)]
    [InlineData(1235)]
    [InlineData(1256)]
    [InlineData(1262)]
    [InlineData(2236)]
    [InlineData(2275)]
    [InlineData(2316)]
    [InlineData(3586)]
    [InlineData(3990)]
    [InlineData(4159)]
    [InlineData(4334)]
    [InlineData(5082)]
    [InlineData(5764)]
    [InlineData(5877)]
    [InlineData(6109)]
    [InlineData(6412)]
    [InlineData(8201)]
    [InlineData(12215)]
    [InlineData(12624)]
    [InlineData(12740)]
    [InlineData(13274)]
    [InlineData(13418)]
    [InlineData(16392)]
    [InlineData(19240)]
    [InlineData(19529)]
    [InlineData(21660)]
    [InlineData(23665)]
    [InlineData(25279)]
    [InlineData(27772)]
    [InlineData(45689)]
    [InlineData(47147)]
    [InlineData(50269)]
    [InlineData(51064)]
    [InlineData(54798)]
    [InlineData(57680)]
    [InlineData(58567)]
    [InlineData(61122)]
    [InlineData(64882)]
    [InlineData(89765)]
    public void A_seed_that_failed_once_holds(long seed) => Assert.Null(Runs.One(new(seed, Runs.Steps)).Failure);
}
