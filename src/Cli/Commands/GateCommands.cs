using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using OrleansMemory.Cli.Cluster;
using OrleansMemory.Cli.Options;
using OrleansMemory.Gate;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Phases;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Cli.Commands;

/// <summary>The release gate: it proves this build on real processes, from outside, and leaves evidence.</summary>
internal static class GateCommands
{
    private const string DefaultFolder = "gate-runs";
    private const string FaultyVariable = "OM_FAULTY";
    private const int MostCycles = 10_000;

    private static readonly JsonSerializerOptions SnakeCase = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static CliCommand Create() => CliCommand.Group("gate", "Prove this build on real processes and leave evidence that can be checked", [Run(), Verify(), List()]);

    private static CliCommand Run()
    {
        var quick = OptionKinds.Flag("Fewer cycles, fault classes and canaries, in under three minutes", "--quick");
        var output = OptionKinds.Text($"Folder of the evidence, empty or not there yet [default: a new one in {DefaultFolder}]", "--out");
        var cluster = OptionKinds.Text("Host of the nodes: peers or silo (Orleans) [default: peers]", "--cluster");
        var nodes = OptionKinds.Text("Addresses of nodes that run already, a comma list: phases 1 and 2, without killing any", "--nodes");
        var phases = OptionKinds.Text("Only these phases, a comma list of 1 to 4", "--phases");
        var faults = OptionKinds.Text("Only these fault classes in phase 4, a comma list", "--faults");
        var cycles = OptionKinds.Number($"Cycles of each fault class [default: {Declaration.FullCycles}; quick 2]", 1, MostCycles, "--cycles");
        var writes = OptionKinds.Number($"Writes that are sent at once in a cycle [default: {Declaration.FullWrites}]", 1, MostCycles, "--writes");
        var bare = OptionKinds.Flag("Without the runs against broken nodes; such a campaign certifies nothing", "--no-canaries");
        var command = new Command("run", "Run a campaign; ends with 0 when every assertion holds") { quick, output, cluster, nodes, phases, faults, cycles, writes, bare };
        return new(command, async session =>
        {
            var given = session.Value(nodes) is { } addresses ? OptionKinds.List(addresses).Select(address => Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.UserInfo.Length == 0
                ? uri
                : throw new UsageException(command, $"invalid value '{address}' for '--nodes': use addresses such as http://127.0.0.1:9077, without a password")).ToList() : [];
            var kind = SiloProgram.Choose(session.Value(cluster) ?? "peers") == ClusterKind.Silo ? NodesKind.Silo : NodesKind.Peers;
            var programs = new Programs(Environment.ProcessPath!, SiloProgram.Find(), Environment.GetEnvironmentVariable(FaultyVariable) is { Length: > 0 } faulty ? faulty : null);
            var folder = Path.GetFullPath(session.Value(output) ?? Path.Combine(DefaultFolder, string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyyMMdd-HHmmss}")));
            var begun = Stopwatch.GetTimestamp();
            var options = new GateOptions(folder, programs, BuildOf(programs), line => session.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[{Stopwatch.GetElapsedTime(begun):mm\\:ss}] {line}")))
            {
                Quick = session.Value(quick),
                Kind = kind,
                Given = given,
                Phases = session.Value(phases) is { } numbers ? [.. OptionKinds.List(numbers).Select(number => int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var phase)
                    ? phase
                    : throw new UsageException(command, $"invalid value '{number}' for '--phases': use numbers of 1 to 4"))] : null,
                Faults = session.Value(faults) is { } names ? OptionKinds.List(names) : null,
                Cycles = session.Value(cycles),
                Writes = session.Value(writes),
                WithCanaries = !session.Value(bare) && given.Count == 0,
            };
            using var stop = new CancellationTokenSource();
            using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
            using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
            var outcome = await GateRun.RunAsync(options, stop.Token);
            foreach (var line in session.Json ? [] : outcome.Lines)
            {
                session.Text.WriteLine(line);
            }

            session.Text.WriteLine(session.Json ? await File.ReadAllTextAsync(outcome.SummaryPath) : $"evidence: {folder}");
            return outcome.Verdict == Verdict.Pass ? 0 : 1;

            void OnSignal(PosixSignalContext context)
            {
                context.Cancel = true;
                stop.Cancel();
            }
        });
    }

    private static CliCommand Verify()
    {
        var folder = new Argument<string>("DIR") { Description = "Evidence of a campaign" };
        var release = OptionKinds.Flag("And that it certifies a release: a full campaign, green, canaries included, on a committed build", "--release");
        var commit = OptionKinds.Text("And that it tested the build of this commit", "--commit");
        var command = new Command("verify", "Recompute a campaign from its evidence; ends with 0 when all of it holds together and is green") { folder, release, commit };
        return new(command, session =>
        {
            var verified = Verifier.Verify(Path.GetFullPath(session.Required(folder)));
            var problems = verified.Problems.ToList();
            if (session.Value(release) && !verified.Certifies)
            {
                problems.Add("it certifies no release: that takes a full campaign, green with all canaries, on a committed build");
            }

            if (session.Value(commit) is { } wanted && (verified.Commit is null || !verified.Commit.StartsWith(wanted, StringComparison.OrdinalIgnoreCase)))
            {
                problems.Add($"it tested commit {verified.Commit ?? "unknown"}, not {wanted}");
            }

            if (session.Json)
            {
                session.Text.WriteLine(JsonSerializer.Serialize(new { verified.CampaignId, verdict = verified.Verdict.ToString(), verified.Certifies, verified.Commit, problems }, SnakeCase));
            }
            else
            {
                problems.ForEach(problem => session.Text.WriteLine($"problem: {problem}"));
                session.Text.WriteLine(problems.Count == 0 ? $"{verified.CampaignId}: the evidence holds together; verdict {verified.Verdict}" : $"{verified.CampaignId}: {problems.Count} problems");
            }

            return Task.FromResult(problems.Count == 0 && verified.Verdict == Verdict.Pass ? 0 : 1);
        });
    }

    private static CliCommand List()
    {
        var folder = new Argument<string?>("DIR") { Description = $"Folder of runs [default: {DefaultFolder}]", Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("list", "List campaigns, newest first, each verified") { folder };
        return new(command, session =>
        {
            var runs = Path.GetFullPath(session.Value(folder) ?? DefaultFolder);
            if (!Directory.Exists(runs))
            {
                throw new GateException($"there is no folder {runs}");
            }

            foreach (var run in Directory.GetDirectories(runs).OrderDescending(StringComparer.Ordinal))
            {
                // An empty folder is a run that left nothing, not no run.
                string told;
                try
                {
                    var verified = Verifier.Verify(run);
                    told = verified.Problems.Count == 0 ? $"{verified.Verdict}  {verified.CampaignId}  {verified.Commit}" : $"{Verdict.HarnessError}  {verified.Problems[0]}";
                }
                catch (GateException exception)
                {
                    told = $"{Verdict.HarnessError}  {exception.Message}";
                }

                session.Text.WriteLine($"{Path.GetFileName(run)}  {told}");
            }

            return Task.FromResult(0);
        });
    }

    private static BuildFacts BuildOf(Programs programs)
    {
        var informational = typeof(GateCommands).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        var plus = informational.IndexOf('+', StringComparison.Ordinal);
        var commit = plus < 0 ? null : informational[(plus + 1)..];
        var binaries = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var program in (string?[])[programs.Om, programs.Silo])
        {
            if (program is null)
            {
                continue;
            }

            var own = Path.GetDirectoryName(Path.GetFullPath(program))!;
            foreach (var file in Directory.GetFiles(own, "OrleansMemory.*.dll").Concat(Directory.GetFiles(own, $"{Path.GetFileNameWithoutExtension(program)}.dll")).Append(program))
            {
                using var content = File.OpenRead(file);
                binaries[$"{Path.GetFileName(program)}/{Path.GetFileName(file)}"] = Convert.ToHexStringLower(SHA256.HashData(content));
            }
        }

        return new(plus < 0 ? informational : informational[..plus], commit, commit is null ? null : IsDirty(commit), binaries);
    }

    /// <summary>Whether the sources beside the program are other than those of a commit; null when nobody can tell.</summary>
    private static bool? IsDirty(string commit)
    {
        try
        {
            var start = new ProcessStartInfo("git", ["diff", "--quiet", commit, "--", ":/src"]) { WorkingDirectory = AppContext.BaseDirectory, RedirectStandardError = true, RedirectStandardOutput = true, UseShellExecute = false };
            using var git = Process.Start(start)!;
            git.WaitForExit();
            return git.ExitCode switch { 0 => false, 1 => true, _ => null };
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
