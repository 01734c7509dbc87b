extern alias mutants;

using OrleansMemory.Compliance;
using OrleansMemory.Simulation.Activations;
using ActivationMutants = mutants::OrleansMemory.Simulation.ActivationMutants;

namespace OrleansMemory.Simulation.Tests;

/// <summary>Acknowledged creates and conditional updates of one namespace are linearizable, whatever becomes of its activations.</summary>
public sealed class ActivationTests(ITestOutputHelper output)
{
    public static TheoryData<string> Mutants => [.. ActivationMutants.Names];

    [Fact]
    [Trait(Campaign.Trait, "activations")]
    public void Every_history_has_an_order_that_explains_it()
    {
        var result = ActivationRuns.Many(1, Campaign.Count("activations", reduced: 150, full: 10_000), mostFailures: 3);
        output.WriteLine($"{result.Seeds} seeds, {result.Acknowledged} acknowledged writes, {result.Epochs} epochs, {result.Fenced} fenced answers, {result.Undecided.Count} with histories that could not be judged");
        Assert.Empty(result.Failures.Select(static failure => $"seed {failure.Seed}: {failure.Failure}"));
        Assert.True(result.Acknowledged > 40 * result.Seeds, "runs in which hardly a write succeeds show nothing");
        Assert.True(result.Epochs > 3 * result.Seeds && result.Fenced > result.Seeds, "runs without duplicates show little");
        Assert.Empty(result.Undecided);
    }

    [Theory]
    [MemberData(nameof(Mutants))]
    public void A_fault_of_epochs_is_found(string fault)
    {
        var found = ActivationMutants.Find(fault, within: 500);
        output.WriteLine($"{fault}: seed {found?.Seed}: {found?.Failure}");
        Assert.NotNull(found);
    }
}
