using System.Diagnostics;
using System.Globalization;
using OrleansMemory.Simulation;
using OrleansMemory.Simulation.Workload;

const string Usage = """
    usage: Simulation --seed S [--steps N] [--minimize] [--verbose] [--without-operations LIST] [--without-faults LIST]
           Simulation --seeds A..B [--steps N] [--failures N] [--threads N]
           Simulation --backfill S [--verbose]

    Runs the replication engines in a simulated cluster. One seed prints the hash of its trace; one that fails is run a second time
    and must fail alike. Many seeds print a summary and the seeds that failed. Exit code: 0, or 1 when anything failed.
    """;

string? Value(string name)
{
    var index = Array.IndexOf(args, name);
    return index < 0 || index + 1 == args.Length ? null : args[index + 1];
}

int Number(string name, int otherwise) => Value(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

IReadOnlySet<int> Numbers(string name) => (Value(name) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries)
    .SelectMany(static range => range.Split('-') is [var first, var last]
        ? Enumerable.Range(int.Parse(first, CultureInfo.InvariantCulture), int.Parse(last, CultureInfo.InvariantCulture) - int.Parse(first, CultureInfo.InvariantCulture) + 1)
        : [int.Parse(range, CultureInfo.InvariantCulture)])
    .ToHashSet();

static string Ranges(IEnumerable<int> numbers)
{
    var ranges = new List<(int First, int Last)>();
    foreach (var number in numbers.Order())
    {
        if (ranges.Count > 0 && ranges[^1].Last == number - 1)
        {
            ranges[^1] = (ranges[^1].First, number);
        }
        else
        {
            ranges.Add((number, number));
        }
    }

    return string.Join(',', ranges.Select(static range => range.First == range.Last ? $"{range.First}" : $"{range.First}-{range.Last}"));
}

var steps = Number("--steps", Runs.Steps);
#if FAULT_INJECTION
if (args.Contains("--mutants"))
{
    return Mutants.Print(Number("--within", 2_000), Value("--only"));
}

#endif
if (Value("--backfill") is { } backfill)
{
    var one = BackfillRun.One(long.Parse(backfill, CultureInfo.InvariantCulture), args.Contains("--verbose") ? Console.WriteLine : null);
    Console.WriteLine(one);
    return one.Failure is null ? 0 : 1;
}

if (Value("--seeds")?.Split("..") is [var from, var to])
{
    var watch = Stopwatch.StartNew();
    var result = Runs.Many(
        long.Parse(from, CultureInfo.InvariantCulture),
        long.Parse(to, CultureInfo.InvariantCulture),
        steps,
        Number("--failures", 20),
        done => Console.WriteLine($"{done} seeds, {watch.Elapsed.TotalSeconds:F0} s"),
        Value("--threads") is { } threads ? int.Parse(threads, CultureInfo.InvariantCulture) : null,
        static failure => Console.WriteLine($"FAILED seed {failure.Seed}: {failure.Failure!.Split('\n')[0]}"));
    Console.WriteLine(
        $"seeds={result.Seeds} steps={steps} seconds={watch.Elapsed.TotalSeconds:F0} continuations={result.Continuations} acknowledged={result.Acknowledged} "
        + $"faults={result.Faults} set_stable={result.Set.Stable} set_stale={result.Set.Stale} undecided={result.Undecided} failed={result.Failures.Count} commit={Runs.Commit}");
    return result.Failures.Count == 0 ? 0 : 1;
}

if (!long.TryParse(Value("--seed"), NumberStyles.None, CultureInfo.InvariantCulture, out var seed))
{
    Console.Error.WriteLine(Usage);
    return 2;
}

var options = new RunOptions(seed, steps) { WithoutOperations = Numbers("--without-operations"), WithoutFaults = Numbers("--without-faults") };
var first = Runs.One(options with { Log = args.Contains("--verbose") ? Console.WriteLine : null });
Console.WriteLine($"seed={seed} steps={steps} trace_hash={first.TraceHash:x16}");
Console.WriteLine(
    $"virtual_seconds={first.VirtualTime.TotalSeconds:F1} continuations={first.Continuations} acknowledged={first.Acknowledged} faults={first.Faults} set={first.Set} undecided={first.Undecided}");
if (first.Failure is null)
{
    return 0;
}

Console.WriteLine($"FAILED at commit {Runs.Commit}: {first.Failure}");
var again = Runs.One(options);
Console.WriteLine(again.TraceHash == first.TraceHash && again.Failure == first.Failure ? "run again: fails alike" : $"run again: NOT the same: {again.TraceHash:x16} {again.Failure}");
if (args.Contains("--minimize"))
{
    var small = Minimizer.Shrink(options);
    Console.WriteLine($"smaller: {steps - small.WithoutOperations.Count} operations; run it with");
    Console.WriteLine($"  --seed {seed} --steps {steps} --without-operations {Ranges(small.WithoutOperations)} --without-faults {Ranges(small.WithoutFaults)}");
    Runs.One(small with { Log = Console.WriteLine });
}

return 1;
