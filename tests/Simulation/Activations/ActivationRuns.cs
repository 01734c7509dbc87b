namespace OrleansMemory.Simulation.Activations;

/// <summary>What many seeds gave.</summary>
/// <param name="Undecided">Seeds with histories that could not be judged.</param>
public sealed record ActivationRunsResult(long Seeds, long Acknowledged, long Epochs, long Fenced, IReadOnlyList<long> Undecided, IReadOnlyList<ActivationResult> Failures);

/// <summary>Runs seeds one after the other, in a thread of their own.</summary>
public static class ActivationRuns
{
    /// <param name="mostFailures">After so many no further seed is begun.</param>
    public static ActivationRunsResult Many(long first, long last, int mostFailures)
    {
        var total = new ActivationRunsResult(0, 0, 0, 0, [], []);
        var thread = new Thread(() =>
        {
            for (var seed = first; seed <= last && total.Failures.Count < mostFailures; seed++)
            {
                var result = ActivationSimulator.Run(seed);
                total = new(
                    total.Seeds + 1,
                    total.Acknowledged + result.Acknowledged,
                    total.Epochs + result.Epochs,
                    total.Fenced + result.Fenced,
                    result.Undecided == 0 ? total.Undecided : [.. total.Undecided, seed],
                    result.Failure is null ? total.Failures : [.. total.Failures, result]);
            }
        });
        thread.Start();
        thread.Join();
        return total;
    }
}
