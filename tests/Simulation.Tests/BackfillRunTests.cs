using OrleansMemory.Compliance;
using OrleansMemory.Simulation.Workload;

namespace OrleansMemory.Simulation.Tests;

/// <summary>Backfills keep their promises under the simulation's faults.</summary>
public sealed class BackfillRunTests(ITestOutputHelper output)
{
    [Fact]
    [Trait(Campaign.Trait, "backfill-simulation")]
    public void Every_promise_of_backfills_holds_in_every_seed()
    {
        var seeds = Campaign.Count("backfill-simulation", reduced: 100, full: 5_000);
        long batches = 0, lives = 0, epochs = 0;
        for (var seed = 1; seed <= seeds; seed++)
        {
            var result = BackfillRun.One(seed);
            Assert.True(result.Failure is null, $"seed {seed}: {result.Failure}");
            (batches, lives, epochs) = (batches + result.Batches, lives + result.Lives, epochs + result.Epochs);
        }

        output.WriteLine($"{seeds} seeds, {batches} batches, {lives} lives, {epochs} leases");
        Assert.True(lives > 3 * seeds && epochs > 3 * seeds, "runs without kills and takeovers show little");
    }

    [Fact]
    public void A_seed_gives_one_trace() => Assert.Equal(BackfillRun.One(5).Trace, BackfillRun.One(5).Trace);
}
