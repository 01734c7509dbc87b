using OrleansMemory.Simulation.Workload;

namespace OrleansMemory.Simulation.Tests;

/// <summary>What no seed is known for holds too.</summary>
public sealed class DirectedRunTests
{
    public static TheoryData<string> Names => [.. DirectedRuns.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_directed_run_holds(string name) => Assert.Null(DirectedRuns.One(name));
}
