using OrleansMemory.Simulation.Workload;

namespace OrleansMemory.Simulation;

/// <summary>
/// Looks for a smaller run that fails: leaves out operations and faults, in ever smaller pieces (delta debugging: Zeller and
/// Hildebrandt, 2002). Any failure counts, since what is left out changes what happens after it.
/// </summary>
public static class Minimizer
{
    private const int MostRuns = 600;

    /// <param name="failing">Options that fail.</param>
    public static RunOptions Shrink(RunOptions failing)
    {
        var runs = 0;
        var best = failing;
        bool shrunk;
        do
        {
            var faults = Left(Enumerable.Range(0, 2_000), best.WithoutFaults);
            var withFewerFaults = Reduce(best, Used(faults, Runs.One(best).Faults), static (options, without) => options with { WithoutFaults = without }, best.WithoutFaults, ref runs);
            var operations = Left(Enumerable.Range(0, best.Steps), best.WithoutOperations);
            var withFewer = Reduce(withFewerFaults, operations, static (options, without) => options with { WithoutOperations = without }, withFewerFaults.WithoutOperations, ref runs);
            shrunk = withFewer.WithoutOperations.Count + withFewer.WithoutFaults.Count > best.WithoutOperations.Count + best.WithoutFaults.Count;
            best = withFewer;
        }
        while (shrunk && runs < MostRuns);

        return best;
    }

    private static List<int> Left(IEnumerable<int> all, IReadOnlySet<int> without) => [.. all.Where(each => !without.Contains(each))];

    /// <summary>A run injects its faults in order and ends before most of them.</summary>
    private static List<int> Used(List<int> faults, int injected) => [.. faults.Take(injected)];

    private static RunOptions Reduce(
        RunOptions options, List<int> parts, Func<RunOptions, IReadOnlySet<int>, RunOptions> leaveOut, IReadOnlySet<int> already, ref int runs)
    {
        var best = options;
        var without = new HashSet<int>(already);
        for (var size = Math.Max(1, parts.Count / 2); parts.Count > 0 && runs < MostRuns; size /= 2)
        {
            for (var start = 0; start < parts.Count && runs < MostRuns;)
            {
                var piece = parts.GetRange(start, Math.Min(size, parts.Count - start));
                var candidate = leaveOut(options, new HashSet<int>(without.Concat(piece)));
                runs++;
                if (Runs.One(candidate).Failure is null)
                {
                    start += size;
                    continue;
                }

                best = candidate;
                without.UnionWith(piece);
                parts.RemoveRange(start, piece.Count);
            }

            if (size == 1)
            {
                break;
            }
        }

        return best;
    }
}
