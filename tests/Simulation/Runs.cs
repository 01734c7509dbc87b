using System.Reflection;
using OrleansMemory.Simulation.Checks;
using OrleansMemory.Simulation.Workload;

namespace OrleansMemory.Simulation;

/// <summary>What many seeds gave.</summary>
/// <param name="Failures">By seed.</param>
public sealed record RunsResult(long Seeds, long Continuations, long Acknowledged, long Faults, SetFullResult Set, int Undecided, IReadOnlyList<RunResult> Failures);

/// <summary>Runs seeds on all cores, one cluster in one thread.</summary>
public static class Runs
{
    public const int Steps = 400;

    /// <summary>The commit that this program was built from, as far as it is known.</summary>
    public static string Commit { get; } =
        typeof(Runs).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+') is [_, var commit] ? commit : "unknown";

    /// <summary>One run in a thread of its own: nothing of the caller's context is in it.</summary>
    public static RunResult One(RunOptions options)
    {
        RunResult? result = null;
        var thread = new Thread(() => result = Simulator.Run(options));
        thread.Start();
        thread.Join();
        return result!;
    }

    /// <param name="mostFailures">After so many no further seed is begun.</param>
    /// <param name="progress">Gets the number of seeds done, now and then.</param>
    /// <param name="failed">Gets each failure when it is found.</param>
    public static RunsResult Many(
        long first, long last, int steps, int mostFailures, Action<long>? progress = null, int? threads = null, Action<RunResult>? failed = null)
    {
        var gate = new Lock();
        var next = first;
        var total = new RunsResult(0, 0, 0, 0, default, 0, []);
        var running = Enumerable.Range(0, threads ?? Environment.ProcessorCount).Select(_ => new Thread(Work)).ToList();
        running.ForEach(static thread => thread.Start());
        running.ForEach(static thread => thread.Join());
        return total with { Failures = [.. total.Failures.OrderBy(static failure => failure.Seed)] };

        void Work()
        {
            while (true)
            {
                long seed;
                lock (gate)
                {
                    if (next > last || total.Failures.Count >= mostFailures)
                    {
                        return;
                    }

                    seed = next++;
                }

                var result = Simulator.Run(new(seed, steps));
                lock (gate)
                {
                    total = new(
                        total.Seeds + 1,
                        total.Continuations + result.Continuations,
                        total.Acknowledged + result.Acknowledged,
                        total.Faults + result.Faults,
                        total.Set + result.Set,
                        total.Undecided + result.Undecided,
                        result.Failure is null ? total.Failures : [.. total.Failures, result]);
                    if (result.Failure is not null)
                    {
                        failed?.Invoke(result);
                    }

                    if (total.Seeds % 1_000 == 0)
                    {
                        progress?.Invoke(total.Seeds);
                    }
                }
            }
        }
    }
}
