using OrleansMemory.Api.Configuration;

namespace OrleansMemory.Cli.Cluster;

/// <summary>Which host the nodes of a cluster run in.</summary>
internal enum ClusterKind
{
    /// <summary><c>om serve</c>, named peers.</summary>
    Peers,

    /// <summary><c>om-silo</c>, an Orleans cluster.</summary>
    Silo,
}

/// <summary>The program of the Orleans host, which this one starts but does not contain.</summary>
internal static class SiloProgram
{
    private const string Name = "om-silo";
    private const string Variable = "OM_SILO";

    /// <summary>Null where it was not built: its packages may be out of reach.</summary>
    public static string? Find()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            return File.Exists(named) ? named : null;
        }

        // Beside this program; or where a build of the whole repository puts it, src/Silo/bin/X/Y for src/Cli/bin/X/Y.
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        string?[] places =
        [
            Path.Combine(own.FullName, Name),
            own.Parent?.Parent?.Parent?.Parent is { } source ? Path.Combine(source.FullName, "Silo", "bin", own.Parent!.Name, own.Name, Name) : null,
        ];
        return Array.Find(places, File.Exists);
    }

    /// <exception cref="InvalidOptionException">It is not there.</exception>
    public static string Require() => Find() ?? throw new InvalidOptionException(
        $"{Name} is not built: its packages, Microsoft.Orleans.*, must be restored first (see README); use --cluster peers, or set {Variable} to the program");

    /// <summary>What <c>--cluster</c> names; without it silos where there are any.</summary>
    /// <exception cref="InvalidOptionException">Silos are asked for and there are none.</exception>
    public static ClusterKind Choose(string? named) => named switch
    {
        "peers" => ClusterKind.Peers,
        "silo" when Require() is not null => ClusterKind.Silo,
        null => Find() is null ? ClusterKind.Peers : ClusterKind.Silo,
        _ => throw new InvalidOptionException($"invalid value '{named}' for '--cluster': use silo or peers"),
    };
}
