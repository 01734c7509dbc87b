namespace OrleansMemory.Cli;

/// <summary>Environment variables: <c>OM_x</c>, else <c>AI_MEMORY_x</c>. An empty one counts as absent.</summary>
internal static class Variables
{
    public static string? Read(string name) => Own($"OM_{name}") ?? Own($"AI_MEMORY_{name}");

    /// <summary>1, true, yes and on mean yes, in any case.</summary>
    public static bool IsOn(string name) => Read(name)?.Trim().ToUpperInvariant() is "1" or "TRUE" or "YES" or "ON";

    /// <summary>Set, to nothing: that overrules a configuration as a word would.</summary>
    public static bool IsEmpty(string name) => Environment.GetEnvironmentVariable($"OM_{name}") is "" || Environment.GetEnvironmentVariable($"AI_MEMORY_{name}") is "";

    private static string? Own(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
