using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using OrleansMemory.Cli.Cluster;
using OrleansMemory.Cli.Options;
using OrleansMemory.Gate;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Phases;

namespace OrleansMemory.Cli.Commands;

/// <summary>The options that say what a campaign of the gate is.</summary>
internal sealed class CampaignChoice
{
    private const string FaultyVariable = "OM_FAULTY";
    private const int Most = 10_000;

    private readonly Option<bool> _quick = OptionKinds.Flag("Fewer cycles, fault classes and canaries, in under three minutes", "--quick");
    private readonly Option<string?> _cluster = OptionKinds.Text("Host of the nodes: peers or silo (Orleans) [default: peers]", "--cluster");
    private readonly Option<string?> _nodes = OptionKinds.Text("Addresses of nodes that run already, a comma list: phases 1 and 2, without killing any", "--nodes");
    private readonly Option<string?> _phases = OptionKinds.Text("Only these phases, a comma list of 1 to 4", "--phases");
    private readonly Option<string?> _faults = OptionKinds.Text("Only these fault classes in phase 4, a comma list", "--faults");
    private readonly Option<int?> _cycles = OptionKinds.Number($"Cycles of each fault class [default: {Declaration.FullCycles}; quick 2]", 1, Most, "--cycles");
    private readonly Option<int?> _writes = OptionKinds.Number($"Writes that are sent at once in a cycle [default: {Declaration.FullWrites}]", 1, Most, "--writes");
    private readonly Option<bool> _bare = OptionKinds.Flag("Without the runs against broken nodes; such a campaign certifies nothing", "--no-canaries");

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_quick, _cluster, _nodes, _phases, _faults, _cycles, _writes, _bare])
        {
            command.Add(option);
        }
    }

    /// <exception cref="UsageException">A value that cannot be used.</exception>
    public GateOptions Read(Command command, Session session, string folder)
    {
        var given = session.Value(_nodes) is { } addresses ? OptionKinds.List(addresses).Select(address => Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.UserInfo.Length == 0
            ? uri
            : throw new UsageException(command, $"invalid value '{address}' for '--nodes': use addresses such as http://127.0.0.1:9077, without a password")).ToList() : [];
        var faulty = Environment.GetEnvironmentVariable(FaultyVariable) is { Length: > 0 } named ? named : null;
        var programs = new Programs(Environment.ProcessPath!, SiloProgram.Find(), faulty);
        var begun = Stopwatch.GetTimestamp();
        return new(folder, programs, BuildOf(programs), line => session.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[{Stopwatch.GetElapsedTime(begun):hh\\:mm\\:ss}] {line}")))
        {
            Quick = session.Value(_quick),
            Kind = SiloProgram.Choose(session.Value(_cluster) ?? "peers") == ClusterKind.Silo ? NodesKind.Silo : NodesKind.Peers,
            Given = given,
            Phases = session.Value(_phases) is { } numbers ? [.. OptionKinds.List(numbers).Select(number => int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var phase)
                ? phase
                : throw new UsageException(command, $"invalid value '{number}' for '--phases': use numbers of 1 to 4"))] : null,
            Faults = session.Value(_faults) is { } names ? OptionKinds.List(names) : null,
            Cycles = session.Value(_cycles),
            Writes = session.Value(_writes),
            WithCanaries = !session.Value(_bare) && given.Count == 0,
        };
    }

    private static BuildFacts BuildOf(Programs programs)
    {
        var binaries = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, program) in ((string, string?)[])[("om", programs.Om), ("om-silo", programs.Silo), ("om-faulty", programs.Faulty)])
        {
            foreach (var file in program is null ? [] : Directory.GetFiles(Path.GetDirectoryName(Path.GetFullPath(program))!, "*.dll").Append(program))
            {
                using var content = File.OpenRead(file);
                binaries[$"{name}/{Path.GetFileName(file)}"] = Convert.ToHexStringLower(SHA256.HashData(content));
            }
        }

        return new(Invocation.Version, Invocation.Commit, Invocation.Commit is { } commit ? IsDirty(commit) : null, binaries);
    }

    /// <summary>Whether the sources beside the program are other than those of a commit; null when nobody can tell.</summary>
    private static bool? IsDirty(string commit)
    {
        string[] sources = [":/src", ":/Directory.*", ":/global.json"];
        var changed = Git(["diff", "--name-only", commit, "--", .. sources]);
        var unknown = Git(["ls-files", "--others", "--exclude-standard", "--", .. sources]);
        return changed is null || unknown is null ? null : changed.Length + unknown.Length > 0;
    }

    /// <returns>What it printed; null when it failed, as outside of a repository.</returns>
    private static string? Git(string[] arguments)
    {
        try
        {
            var start = new ProcessStartInfo("git", ["-C", AppContext.BaseDirectory, .. arguments]) { RedirectStandardError = true, RedirectStandardOutput = true, UseShellExecute = false };
            using var git = Process.Start(start)!;
            _ = git.StandardError.ReadToEndAsync();
            var printed = git.StandardOutput.ReadToEnd();
            git.WaitForExit();
            return git.ExitCode == 0 ? printed : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
