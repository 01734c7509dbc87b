using System.Globalization;
using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Output;

/// <summary>The wire form of memories and links, written in the two key orders that scripts know.</summary>
internal static class MemoryJson
{
    /// <summary>Keys sorted by name; every object but the plain memory of <c>get</c> and <c>update</c>.</summary>
    /// <param name="similar">Ids of memories that it may contradict; said only when there are any.</param>
    public static void WriteSorted(Utf8JsonWriter writer, Memory memory, double? score = null, IReadOnlyList<string>? similar = null)
    {
        writer.WriteStartObject();
        writer.WriteNumber("access_count", memory.AccessCount);
        WriteReal(writer, "confidence", memory.Confidence);
        writer.WriteString("content", memory.Content);
        writer.WriteString("created_at", memory.CreatedAt.ToString());
        WriteInstant(writer, "expires_at", memory.ExpiresAt);
        writer.WriteString("id", memory.Id);
        WriteInstant(writer, "last_accessed_at", memory.LastAccessedAt);
        WriteMetadata(writer, memory.Metadata);
        writer.WriteString("namespace", memory.Namespace);
        if (similar is { Count: > 0 })
        {
            writer.WriteStartArray("potential_contradictions");
            foreach (var id in similar)
            {
                writer.WriteStringValue(id);
            }

            writer.WriteEndArray();
        }

        writer.WriteNumber("priority", memory.Priority);
        if (score is { } value)
        {
            WriteReal(writer, "score", Math.Round(value, 3, MidpointRounding.AwayFromZero));
        }

        writer.WriteString("source", memory.Source);
        WriteTags(writer, memory.Tags);
        writer.WriteString("tier", memory.Tier.Name());
        writer.WriteString("title", memory.Title);
        writer.WriteString("updated_at", memory.UpdatedAt.ToString());
        writer.WriteEndObject();
    }

    /// <summary>Keys in the order of <see cref="Memory"/>.</summary>
    public static void WriteDeclared(Utf8JsonWriter writer, Memory memory)
    {
        writer.WriteStartObject();
        writer.WriteString("id", memory.Id);
        writer.WriteString("tier", memory.Tier.Name());
        writer.WriteString("namespace", memory.Namespace);
        writer.WriteString("title", memory.Title);
        writer.WriteString("content", memory.Content);
        WriteTags(writer, memory.Tags);
        writer.WriteNumber("priority", memory.Priority);
        WriteReal(writer, "confidence", memory.Confidence);
        writer.WriteString("source", memory.Source);
        writer.WriteNumber("access_count", memory.AccessCount);
        writer.WriteString("created_at", memory.CreatedAt.ToString());
        writer.WriteString("updated_at", memory.UpdatedAt.ToString());
        WriteInstant(writer, "last_accessed_at", memory.LastAccessedAt);
        WriteInstant(writer, "expires_at", memory.ExpiresAt);
        WriteMetadata(writer, memory.Metadata);
        writer.WriteEndObject();
    }

    public static void WriteLink(Utf8JsonWriter writer, Link link)
    {
        writer.WriteStartObject();
        writer.WriteString("created_at", link.CreatedAt.ToString());
        writer.WriteString("relation", link.Relation);
        writer.WriteString("source_id", link.SourceId);
        writer.WriteString("target_id", link.TargetId);
        writer.WriteEndObject();
    }

    /// <summary>A real number keeps its point: <c>1.0</c>, not <c>1</c>.</summary>
    public static void WriteReal(Utf8JsonWriter writer, string name, double value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        writer.WritePropertyName(name);
        writer.WriteRawValue(text.AsSpan().IndexOfAny('.', 'E') < 0 ? text + ".0" : text, skipInputValidation: true);
    }

    private static void WriteInstant(Utf8JsonWriter writer, string name, Timestamp? instant)
    {
        if (instant is { } value)
        {
            writer.WriteString(name, value.ToString());
        }
    }

    private static void WriteMetadata(Utf8JsonWriter writer, Metadata metadata)
    {
        writer.WritePropertyName("metadata");
        if (metadata.IsEmpty)
        {
            writer.WriteStartObject();
            writer.WriteEndObject();
            return;
        }

        // Through the writer and not raw: its indentation and escaping apply.
        using var document = JsonDocument.Parse(metadata.Json);
        document.RootElement.WriteTo(writer);
    }

    private static void WriteTags(Utf8JsonWriter writer, IReadOnlyList<string> tags)
    {
        writer.WriteStartArray("tags");
        foreach (var tag in tags)
        {
            writer.WriteStringValue(tag);
        }

        writer.WriteEndArray();
    }
}
