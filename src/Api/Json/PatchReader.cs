using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Json;

/// <param name="Broken">The metadata cannot be taken; reported after the rules that come before it.</param>
/// <param name="AgentId">The caller that the body names.</param>
internal readonly record struct PatchBody(MemoryPatch Patch, MemoryException? Broken, string? AgentId)
{
    /// <exception cref="MemoryException">The metadata cannot be taken, or a rule that comes before it is broken.</exception>
    public void RequireMetadata()
    {
        if (Broken is { } broken)
        {
            MemoryRules.Check(Patch);
            throw broken;
        }
    }
}

/// <summary>Reads bodies that change a memory. Null means absent, but for expires_at, where it clears.</summary>
internal static class PatchReader
{
    public static PatchBody Read(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "body");
        var patch = new MemoryPatch();
        MemoryException? broken = null;
        string? agentId = null;
        while (JsonFields.NextProperty(ref reader))
        {
            var field = reader.GetString();
            reader.Read();
            if (field == "expires_at")
            {
                var text = JsonFields.TextOrNull(ref reader, field);
                patch = patch with { ExpiresAt = text, ClearExpiry = string.IsNullOrEmpty(text) };
                continue;
            }

            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }

            switch (field)
            {
                case "title":
                    patch = patch with { Title = JsonFields.Text(ref reader, field) };
                    break;
                case "content":
                    patch = patch with { Content = JsonFields.Text(ref reader, field) };
                    break;
                case "tier":
                    patch = patch with { Tier = JsonFields.Tier(ref reader, field) };
                    break;
                case "namespace":
                    patch = patch with { Namespace = JsonFields.Text(ref reader, field) };
                    break;
                case "tags":
                    patch = patch with { Tags = JsonFields.Texts(ref reader, field) };
                    break;
                case "priority":
                    patch = patch with { Priority = JsonFields.Integer(ref reader, field) };
                    break;
                case "confidence":
                    patch = patch with { Confidence = JsonFields.Number(ref reader, field) };
                    break;
                case "metadata":
                    patch = patch with { Metadata = JsonFields.Metadata(ref reader, out broken) };
                    break;
                case "agent_id":
                    agentId = JsonFields.Text(ref reader, field);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return new(patch, broken, agentId);
    }
}
