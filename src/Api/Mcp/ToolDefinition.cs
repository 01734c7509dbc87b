using System.Text.Json.Nodes;
using ModelContextProtocol.Protocol;

namespace OrleansMemory.Api.Mcp;

/// <summary>What a call may do to what is stored; clients ask their user before the last.</summary>
internal enum ToolEffect
{
    Reads,

    /// <summary>Something new, or another value of something that says so.</summary>
    Adds,

    /// <summary>What was there is taken away or replaced.</summary>
    Destroys,
}

/// <param name="Schema">JSON Schema of the value.</param>
internal sealed record ToolParameter(string Name, JsonObject Schema, bool Required = false);

/// <summary>A tool: how it is told, and what it does.</summary>
/// <param name="Output">JSON Schema of its structured result.</param>
internal sealed record ToolDefinition(
    string Name, string Title, string Description, ToolEffect Effect, IReadOnlyList<ToolParameter> Parameters, JsonObject Output, Func<ToolCall, Task<ToolAnswer>> Run)
{
    /// <summary>In the small profile.</summary>
    public bool IsCore { get; init; }

    /// <summary>Calling it again with the same arguments changes nothing more.</summary>
    public bool IsIdempotent { get; init; }

    /// <summary>It reaches beyond what is stored here.</summary>
    public bool IsOpenWorld { get; init; }

    /// <summary>As clients of the protocol's first revisions know tools: without a title and without an output schema.</summary>
    public Tool ToTool(bool isStructured) => new()
    {
        Name = Name,
        Title = isStructured ? Title : null,
        Description = Description,
        InputSchema = ToolSchema.Element(ToolSchema.Object(
            [.. Parameters.Where(static parameter => parameter.Required).Select(static parameter => parameter.Name)],
            [.. Parameters.Select(static parameter => (parameter.Name, (JsonObject)parameter.Schema.DeepClone()))])),
        OutputSchema = isStructured ? ToolSchema.Element(Output) : null,
        Annotations = new()
        {
            Title = Title,
            ReadOnlyHint = Effect == ToolEffect.Reads,
            DestructiveHint = Effect == ToolEffect.Destroys,
            IdempotentHint = IsIdempotent || Effect == ToolEffect.Reads,
            OpenWorldHint = IsOpenWorld,
        },
    };
}
