extern alias mutants;

using OrleansMemory.Compliance;
using Mutants = mutants::OrleansMemory.Simulation.Mutants;

namespace OrleansMemory.Simulation.Tests;

/// <summary>The simulation finds what is wrong: each fault that is put into the engines fails a seed before long.</summary>
public sealed class MutantTests(ITestOutputHelper output)
{
    /// <summary>Faults that take hundreds of seeds are looked for from the first seed on in the campaign, and where they were found in every run.</summary>
    private static readonly Dictionary<string, long> FoundAt = [];

    public static TheoryData<string> Names => [.. Mutants.Names];

    [Theory]
    [MemberData(nameof(Names))]
    [Trait(Campaign.Trait, "mutants")]
    public void A_fault_in_the_engines_is_found(string fault)
    {
        var isFull = Campaign.Count("mutants", reduced: 0, full: 1) > 0;
        var first = isFull ? 1 : FoundAt.GetValueOrDefault(fault, 1);
        var result = Mutants.Find(fault, first, 2_000);
        output.WriteLine($"{fault}: seed {result.Seed}, {result.Took.TotalSeconds:F1} s: {result.Failure}");
        Assert.NotNull(result.Seed);
    }

    [Fact]
    public void The_engines_without_a_fault_fail_none_of_the_seeds_that_find_them()
    {
        foreach (var seed in FoundAt.Values)
        {
            Assert.Null(Runs.One(new(seed, Runs.Steps)).Failure);
        }
    }
}
