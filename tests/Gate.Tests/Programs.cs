namespace OrleansMemory.Gate.Tests;

/// <summary>The built programs that the gate tries.</summary>
internal static class Programs
{
    private const string SiloName = "om-silo";

    /// <summary>From the build output, where it is beside the tests.</summary>
    public static string Om { get; } = Path.Combine(AppContext.BaseDirectory, "om");

    /// <summary>Null where it was not built: its packages may be out of reach.</summary>
    public static string? Silo { get; } = Built(SiloName);

    /// <summary>The program with faults built in, which OM_FAULTY names; null where it was not built.</summary>
    public static string? Faulty { get; } = Environment.GetEnvironmentVariable("OM_FAULTY") is { Length: > 0 } named && File.Exists(named) ? named : null;

    private static string? Built(string name)
    {
        // tests/X/bin/Release/net10.0, and src/Silo/bin/Release/net10.0.
        var output = new DirectoryInfo(AppContext.BaseDirectory);
        var root = output.Parent?.Parent?.Parent?.Parent?.Parent?.FullName;
        var program = root is null ? null : Path.Combine(root, "src", "Silo", "bin", output.Parent!.Name, output.Name, name);
        return File.Exists(program) ? program : null;
    }
}
