using System.Diagnostics;
using System.Globalization;
using OrleansMemory.Compliance;
using OrleansMemory.Simulation.Workload;

namespace OrleansMemory.Simulation.Tests;

/// <summary>A seed is a run: nothing but the seed decides what happens, whichever process, build or machine runs it.</summary>
public sealed class DeterminismTests
{
    [Fact]
    public void The_same_seed_gives_the_same_trace_here_and_in_another_process()
    {
        var seeds = Enumerable.Range(1, 6).ToList();
        var here = seeds.ConvertAll(static seed => Hash(seed));
        Assert.Equal(here, seeds.ConvertAll(static seed => Hash(seed)));
        Assert.Equal(here.Count, here.Distinct().Count());

        // Another process hashes strings otherwise.
        Assert.Equal(here, seeds.ConvertAll(seed => Elsewhere(ProgramOf(Configuration), seed)));
    }

    /// <summary>Whichever build and machine the file was written with.</summary>
    [Fact]
    public void The_same_seed_gives_the_committed_trace()
    {
        var file = Path.Combine(Root, "tests", "Simulation.Tests", "traces.txt");
        var seeds = Enumerable.Range(1, 20).ToList();
        var traces = string.Concat(seeds.Select(static seed => $"{seed} {Hash(seed)}\n"));
        if (Environment.GetEnvironmentVariable("OM_UPDATE_TRACES") is not null)
        {
            File.WriteAllText(file, traces);
        }

        Assert.True(
            File.ReadAllText(file) == traces,
            "the engines or the simulation do other things than when traces.txt was written; if that is meant, OM_UPDATE_TRACES=1 ./test Simulation --filter committed writes it anew");
    }

    [Fact]
    [Trait(Campaign.Trait, "determinism")]
    public void The_same_seed_gives_the_same_trace_in_Debug_and_in_Release()
    {
        var other = Configuration == "Release" ? "Debug" : "Release";
        if (!File.Exists(ProgramOf(other)))
        {
            Assert.SkipWhen(Environment.GetEnvironmentVariable("OM_CAMPAIGN") != "determinism", $"the {other} build is missing");
            Run("dotnet", ["build", Path.Combine(Root, "tests/Simulation/Simulation.csproj"), "-c", other, "-v", "q", "-nodeReuse:false"]);
        }

        for (var seed = 1; seed <= Campaign.Count("determinism", reduced: 4, full: 100); seed++)
        {
            Assert.Equal(Hash(seed), Elsewhere(ProgramOf(other), seed));
        }
    }

    [Fact]
    public void What_is_left_out_of_a_run_changes_nothing_else_of_it_and_the_run_is_still_one()
    {
        var options = new RunOptions(5, 60) { WithoutOperations = Enumerable.Range(0, 30).ToHashSet(), WithoutFaults = new HashSet<int> { 0, 1 } };
        Assert.Equal(Runs.One(options).TraceHash, Runs.One(options).TraceHash);
        Assert.NotEqual(Runs.One(options).TraceHash, Runs.One(new(5, 60)).TraceHash);
    }

    private static string Root { get; } = FindRoot();

    private static string Configuration { get; } = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    private static string Hash(int seed) => Runs.One(new(seed, Runs.Steps)).TraceHash.ToString("x16", CultureInfo.InvariantCulture);

    private static string ProgramOf(string configuration) => Path.Combine(Root, "tests", "Simulation", "bin", configuration, "net10.0", "OrleansMemory.Simulation.dll");

    private static string Elsewhere(string program, int seed)
    {
        var line = Run("dotnet", [program, "--seed", $"{seed}"]).Split('\n')[0];
        return line[(line.IndexOf("trace_hash=", StringComparison.Ordinal) + "trace_hash=".Length)..].Trim();
    }

    private static string Run(string program, IEnumerable<string> arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, UseShellExecute = false })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output);
        return output;
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "OrleansMemory.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("the tests run outside the repository");
        }

        return folder.FullName;
    }
}
