namespace OrleansMemory.Api.Mcp;

/// <summary>How tools that answer with many memories write them.</summary>
internal static class ToolFormats
{
    public const string Json = "json";
    public const string Toon = "toon";
    public const string ToonCompact = "toon_compact";
}
