using System.Reflection;

namespace OrleansMemory.Cli;

/// <summary>
/// The name under which the process was started. <c>ai-memory</c> is kept for scripts of the peer system: its default database
/// and its version line differ from those of <c>om</c>.
/// </summary>
internal sealed record Invocation(string Name)
{
    public const string Om = "om";
    public const string AiMemory = "ai-memory";

    /// <summary>The release of the peer system whose scripts run unchanged.</summary>
    private const string CompatibleRelease = "0.6.0";

    public bool IsAiMemory => Name == AiMemory;

    public static string Version { get; } = Informational.Split('+')[0] is { Length: > 0 } version ? version : "0.0.0";

    /// <summary>The commit that was built; null when the build did not know it.</summary>
    public static string? Commit { get; } = Informational.Split('+') is [_, var commit] ? commit : null;

    private static string Informational => typeof(Invocation).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    public string VersionLine => IsAiMemory ? $"{AiMemory} {CompatibleRelease} (OrleansMemory {Version})" : $"{Om} {Version}";

    /// <summary>
    /// <c>OM_INVOKED_AS</c>, else the name in the process's own argument list, which a symbolic link or <c>exec -a</c> sets.
    /// The framework's launcher resolves links, so <see cref="Environment.ProcessPath"/> does not tell.
    /// </summary>
    public static Invocation Current()
    {
        var name = Environment.GetEnvironmentVariable("OM_INVOKED_AS") is { Length: > 0 } given ? given : FirstArgument();
        return new(Path.GetFileNameWithoutExtension(name) == AiMemory ? AiMemory : Om);
    }

    private static string FirstArgument()
    {
        if (OperatingSystem.IsLinux())
        {
            try
            {
                var line = File.ReadAllText("/proc/self/cmdline");
                return line[..Math.Max(line.IndexOf('\0', StringComparison.Ordinal), 0)];
            }
            catch (IOException)
            {
                // A container may hide /proc.
            }
        }

        return Environment.ProcessPath ?? Om;
    }
}
