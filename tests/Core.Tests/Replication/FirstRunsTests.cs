using OrleansMemory.Compliance;
using OrleansMemory.Simulation.Workload;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>
/// Whole clusters beside the tests of one engine: the measure of mutations runs them for every mutant, for which the thousands of seeds
/// that the suite Simulation runs would take too long.
/// </summary>
public sealed class FirstRunsTests
{
    [Fact]
    [Trait(Campaign.Trait, "mutation")]
    public void Every_promise_holds_in_the_first_seeds() =>
        Assert.Empty(
            Simulation.Runs.Many(1, Campaign.Count("mutation", reduced: 2, full: 4), Simulation.Runs.Steps, mostFailures: 1).Failures
                .Select(static run => $"seed {run.Seed}: {run.Failure}"));

    [Fact]
    [Trait(Campaign.Trait, "mutation")]
    public void The_directed_runs_hold() =>
        Assert.Empty(
            DirectedRuns.Names.Take(Campaign.Count("mutation", reduced: 2, full: int.MaxValue))
                .Select(static name => DirectedRuns.One(name) is { } failure ? $"{name}: {failure}" : null).OfType<string>());
}
