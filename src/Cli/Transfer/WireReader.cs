using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Transfer;

/// <summary>Reads memories and links from their wire form. Unknown fields are passed over.</summary>
internal static class WireReader
{
    /// <exception cref="MemoryException">A field is missing or has another type; the message names it.</exception>
    public static Memory Memory(JsonElement element) => new()
    {
        Id = Text(element, "id"),
        Tier = Tier(element),
        Namespace = Text(element, "namespace"),
        Title = Text(element, "title"),
        Content = Text(element, "content"),
        Tags = Tags(element),
        Priority = Number(element, "priority", value => value.TryGetInt32(out var number) ? number : null, int.MinValue),
        Confidence = Number(element, "confidence", value => value.TryGetDouble(out var number) ? number : null, double.NaN),
        Source = Text(element, "source"),
        AccessCount = Number(element, "access_count", value => value.TryGetInt64(out var number) ? number : null, -1L),
        CreatedAt = Instant(element, "created_at")!.Value,
        UpdatedAt = Instant(element, "updated_at")!.Value,
        LastAccessedAt = Instant(element, "last_accessed_at", optional: true),
        ExpiresAt = Instant(element, "expires_at", optional: true),
        Metadata = element.TryGetProperty("metadata", out var metadata) ? Metadata.From(metadata) : Metadata.Empty,
    };

    /// <exception cref="MemoryException">As <see cref="Memory"/>.</exception>
    public static Link Link(JsonElement element) =>
        new(Text(element, "source_id"), Text(element, "target_id"), Text(element, "relation"), Instant(element, "created_at")!.Value);

    /// <exception cref="MemoryException">As <see cref="Memory"/>.</exception>
    public static string Text(JsonElement element, string name)
    {
        var value = Field(element, name);
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(name, "a string");
        }
        catch (InvalidOperationException exception)
        {
            throw new MemoryException(ErrorKind.WrongType, $"field `{name}` is not valid UTF-8", exception);
        }
    }

    /// <summary>The string under the name; null when it is absent or of another type.</summary>
    public static string? OptionalText(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>As <see cref="OptionalText"/>; null also for text that is not valid Unicode.</summary>
    public static string? Shown(JsonElement element, string name)
    {
        try
        {
            return OptionalText(element, name);
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    public static long Count(JsonElement element, string name) =>
        Number(element, name, value => value.TryGetInt64(out var number) ? number : null, -1L);

    public static Tier Tier(JsonElement element) => TierNames.Parse(Text(element, "tier"));

    public static JsonElement Field(JsonElement element, string name)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new MemoryException(ErrorKind.WrongType, "not a JSON object");
        }

        return element.TryGetProperty(name, out var value) ? value : throw new MemoryException(ErrorKind.MissingField, $"missing field `{name}`");
    }

    private static List<string> Tags(JsonElement element)
    {
        // Archived rows have their tags as JSON in a string, and as a list beside it.
        var tags = element.TryGetProperty("tag_list", out var plain) ? plain : Field(element, "tags");
        if (tags.ValueKind != JsonValueKind.Array)
        {
            throw Wrong("tags", "an array");
        }

        var list = new List<string>(tags.GetArrayLength());
        foreach (var tag in tags.EnumerateArray())
        {
            list.Add(tag.ValueKind == JsonValueKind.String ? tag.GetString()! : throw Wrong("tags", "an array of strings"));
        }

        return list;
    }

    private static T Number<T>(JsonElement element, string name, Func<JsonElement, T?> read, T overflow)
        where T : struct
    {
        var value = Field(element, name);
        if (value.ValueKind != JsonValueKind.Number)
        {
            throw Wrong(name, "a number");
        }

        // What does not fit is refused by the rule of the field, with its message.
        return read(value) ?? overflow;
    }

    private static Timestamp? Instant(JsonElement element, string name, bool optional = false)
    {
        if (optional && (!element.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null))
        {
            return null;
        }

        return MemoryRules.Instant(name, Text(element, name));
    }

    private static MemoryException Wrong(string name, string expected) => new(ErrorKind.WrongType, $"field `{name}` is not {expected}");
}
