namespace OrleansMemory.Api.Mcp;

/// <summary>Which tools a client is shown.</summary>
public enum ToolProfile
{
    /// <summary>All of them.</summary>
    Full,

    /// <summary>The five that most sessions need: a small list costs a model fewer tokens.</summary>
    Core,
}

public static class ToolProfiles
{
    public const string Names = "core or full";

    /// <returns>Null: no profile has that name.</returns>
    public static ToolProfile? Find(string name) => name switch
    {
        "core" => ToolProfile.Core,
        "full" => ToolProfile.Full,
        _ => null,
    };
}
