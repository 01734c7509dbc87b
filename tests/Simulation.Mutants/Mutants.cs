using System.Diagnostics;
using OrleansMemory.Core;
using OrleansMemory.Simulation.Workload;

namespace OrleansMemory.Simulation;

/// <summary>How a fault in the engines was found.</summary>
/// <param name="Seed">The first that fails; null: none did.</param>
public sealed record MutantResult(string Name, long? Seed, string? Failure, TimeSpan Took);

/// <summary>Puts each fault into the engines and runs seeds until one fails.</summary>
public static class Mutants
{
    private const int FailureShown = 100;

    public static IReadOnlyList<string> Names { get; } = [.. Enum.GetValues<Fault>().Where(static fault => fault != Fault.None).Select(static fault => fault.ToString()).Except(ActivationMutants.Names)];

    public static MutantResult Find(string name, long first, long last)
    {
        var watch = Stopwatch.StartNew();
        Faults.Active = Enum.Parse<Fault>(name);
        try
        {
            if (Faults.Active is Fault.ExpiredLeaseExtended or Fault.StaleEpochCommits)
            {
                var failed = BackfillRun.FirstFailure(first, last);
                return new(name, failed?.Seed, failed?.Failure, watch.Elapsed);
            }

            // Seeds are begun in order, so all before the first that fails were run.
            var failure = Runs.Many(first, last, Runs.Steps, mostFailures: 1).Failures is [var found, ..] ? found : null;
            return new(name, failure?.Seed, failure?.Failure, watch.Elapsed);
        }
        finally
        {
            Faults.Active = Fault.None;
        }
    }

    /// <summary>What a directed run says with a fault in the engines; null: nothing.</summary>
    public static string? FindIn(string run, string name)
    {
        Faults.Active = Enum.Parse<Fault>(name);
        try
        {
            return DirectedRuns.One(run);
        }
        finally
        {
            Faults.Active = Fault.None;
        }
    }

    /// <summary>A row of a table for each fault.</summary>
    /// <param name="within">Seeds at most.</param>
    /// <returns>How many were not found.</returns>
    public static int Print(int within, string? only)
    {
        var missed = 0;
        foreach (var name in Names.Where(name => only is null || name == only))
        {
            var result = Find(name, 1, within);
            missed += result.Seed is null ? 1 : 0;
            var failure = result.Failure?.Split('\n')[0] ?? "";
            Console.WriteLine($"| {name} | {result.Seed?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? $"not in {within}"} | {result.Took.TotalSeconds:F1} s | {failure[..Math.Min(failure.Length, FailureShown)]} |");
        }

        return missed;
    }
}
