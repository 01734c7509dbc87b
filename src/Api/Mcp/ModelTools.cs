using OrleansMemory.Api.Routes;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>Tools that a text model does the work of.</summary>
internal static class ModelTools
{
    public static IEnumerable<ToolDefinition> All { get; } =
    [
        new(
            "memory_expand_query",
            "Expand a query",
            "Further words for a query, from a text model.",
            ToolEffect.Reads,
            [new("query", ToolSchema.Text(), Required: true)],
            ToolSchema.Object(["expanded_terms", "original"], ("expanded_terms", ToolSchema.List(ToolSchema.Text())), ("original", ToolSchema.Text())),
            ExpandAsync),
        new(
            "memory_auto_tag",
            "Tag a memory",
            "Let a text model tag a memory.",
            ToolEffect.Adds,
            [new("id", ToolSchema.Text(), Required: true)],
            ToolSchema.Object(["all_tags", "id", "new_tags"], ("all_tags", ToolSchema.List(ToolSchema.Text())), ("id", ToolSchema.Text()), ("new_tags", ToolSchema.List(ToolSchema.Text()))),
            TagAsync),
        new(
            "memory_detect_contradiction",
            "Detect a contradiction",
            "Let a text model say whether two memories contradict each other.",
            ToolEffect.Reads,
            [new("id_a", ToolSchema.Text(), Required: true), new("id_b", ToolSchema.Text(), Required: true)],
            ToolSchema.Object(["contradicts", "memory_a", "memory_b"], ("contradicts", ToolSchema.Boolean()), ("memory_a", Named()), ("memory_b", Named())),
            CompareAsync),
    ];

    private static async Task<ToolAnswer> ExpandAsync(ToolCall call) => ToolAnswer.Json(await call.Node.ExpandQueryAsync(call.Fields.Text("query"), call.Cancellation), ModelRoutes.Write);

    private static async Task<ToolAnswer> TagAsync(ToolCall call) =>
        ToolAnswer.Json(await call.Node.AutoTagAsync(MemoryRules.Id(call.Fields.Text("id")), call.WritesAs(call.Author)), ModelRoutes.Write);

    private static async Task<ToolAnswer> CompareAsync(ToolCall call) =>
        ToolAnswer.Json(await call.Node.CompareAsync(call.Fields.Text("id_a"), call.Fields.Text("id_b"), call.Cancellation), ModelRoutes.Write);

    private static System.Text.Json.Nodes.JsonObject Named() => ToolSchema.Object(["id", "title"], ("id", ToolSchema.Text()), ("title", ToolSchema.Text()));
}
