using System.Collections.Frozen;
using ModelContextProtocol.Protocol;

namespace OrleansMemory.Api.Mcp;

/// <summary>All tools, in the order in which clients are shown them.</summary>
internal static class ToolCatalogue
{
    public static IReadOnlyList<ToolDefinition> All { get; } =
        [.. MemoryTools.All, .. RecallTools.All, .. UpkeepTools.All, .. GovernanceTools.All, .. MessageTools.All, .. ModelTools.All];

    private static readonly FrozenDictionary<string, ToolDefinition> ByName = All.ToFrozenDictionary(static tool => tool.Name, StringComparer.Ordinal);

    private static readonly FrozenDictionary<(ToolProfile, bool), IList<Tool>> Told = Enum.GetValues<ToolProfile>()
        .SelectMany(static _ => new[] { true, false }, static (profile, isStructured) => (profile, isStructured))
        .ToFrozenDictionary(static key => key, static key => (IList<Tool>)[.. All.Where(tool => Shows(key.profile, tool)).Select(tool => tool.ToTool(key.isStructured))]);

    /// <param name="isStructured">For clients that know structured results.</param>
    public static IList<Tool> Of(ToolProfile profile, bool isStructured) => Told[(profile, isStructured)];

    public static ToolDefinition? Find(string name, ToolProfile profile) => ByName.TryGetValue(name, out var tool) && Shows(profile, tool) ? tool : null;

    private static bool Shows(ToolProfile profile, ToolDefinition tool) => profile == ToolProfile.Full || tool.IsCore;
}
