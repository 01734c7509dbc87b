namespace OrleansMemory.Api.Configuration;

/// <summary>Where settings come from; a test gives its own places.</summary>
public sealed record ConfigurationSources
{
    /// <summary>A variable of the environment; null when it is not set.</summary>
    public required Func<string, string?> Variable { get; init; }

    /// <summary>The user's folder; null when there is none.</summary>
    public required string? HomeFolder { get; init; }

    /// <summary>Where the user's programs keep their configuration.</summary>
    public required string? ConfigurationFolder { get; init; }

    /// <summary>Where the user's programs keep their data.</summary>
    public required string? DataFolder { get; init; }

    /// <summary>Started under the name <c>ai-memory</c>: defaults that scripts of the peer rely on.</summary>
    public bool AsPeer { get; init; }

    /// <summary>Those of this process and user. Nothing is created.</summary>
    public static ConfigurationSources OfProcess(bool asPeer = false) => new()
    {
        Variable = Environment.GetEnvironmentVariable,
        HomeFolder = Folder(Environment.SpecialFolder.UserProfile),
        ConfigurationFolder = Folder(Environment.SpecialFolder.ApplicationData),
        DataFolder = Folder(Environment.SpecialFolder.LocalApplicationData),
        AsPeer = asPeer,
    };

    private static string? Folder(Environment.SpecialFolder folder) =>
        Environment.GetFolderPath(folder, Environment.SpecialFolderOption.DoNotVerify) is { Length: > 0 } path ? path : null;
}
