using OrleansMemory.Core;
using OrleansMemory.Simulation.Activations;

namespace OrleansMemory.Simulation;

/// <summary>Faults of epochs, which only runs with activations can find.</summary>
public static class ActivationMutants
{
    public static IReadOnlyList<string> Names { get; } = [nameof(Fault.EpochNotRecorded), nameof(Fault.FencedRowCounts), nameof(Fault.CatchUpSkipped)];

    /// <returns>The first run that failed; null: none did.</returns>
    public static ActivationResult? Find(string name, long within)
    {
        Faults.Active = Enum.Parse<Fault>(name);
        try
        {
            return ActivationRuns.Many(1, within, mostFailures: 1).Failures is [var found, ..] ? found : null;
        }
        finally
        {
            Faults.Active = Fault.None;
        }
    }
}
