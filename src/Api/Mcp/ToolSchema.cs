using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>Pieces of JSON Schema, of which tools tell what they take and answer; limits and word lists come from where the rules read them.</summary>
internal static class ToolSchema
{
    public static JsonObject Text(string? about = null, string? standard = null, int? most = null)
    {
        var schema = Of("string", about);
        Set(schema, "default", standard);
        Set(schema, "maxLength", most);
        return schema;
    }

    public static JsonObject Words(IEnumerable<string> words, string? about = null, string? standard = null)
    {
        var schema = Of("string", about);
        schema["enum"] = new JsonArray([.. words.Select(static word => (JsonNode)word)]);
        Set(schema, "default", standard);
        return schema;
    }

    public static JsonObject Tiers(string? standard = null) => Words(["short", "mid", "long"], "short lives hours, mid days, long for good.", standard);

    public static JsonObject Formats() => Words(
        [ToolFormats.Json, ToolFormats.Toon, ToolFormats.ToonCompact], "toon_compact: few columns and an excerpt of the content; toon: all columns; json: whole memories.", ToolFormats.ToonCompact);

    public static JsonObject Integer(long? least = null, long? most = null, long? standard = null, string? about = null)
    {
        var schema = Of("integer", about);
        Set(schema, "minimum", least);
        Set(schema, "maximum", most);
        Set(schema, "default", standard);
        return schema;
    }

    public static JsonObject Number(double? least = null, double? most = null, double? standard = null)
    {
        var schema = Of("number", about: null);
        Set(schema, "minimum", least);
        Set(schema, "maximum", most);
        Set(schema, "default", standard);
        return schema;
    }

    public static JsonObject Boolean(bool? standard = null, string? about = null)
    {
        var schema = Of("boolean", about);
        Set(schema, "default", standard);
        return schema;
    }

    public static JsonObject AnyObject(string? about = null) => Of("object", about);

    public static JsonObject List(JsonObject items, string? about = null, int? least = null, int? most = null)
    {
        var schema = Of("array", about);
        schema["items"] = items;
        Set(schema, "minItems", least);
        Set(schema, "maxItems", most);
        return schema;
    }

    /// <summary>Or null.</summary>
    public static JsonObject OrNull(JsonObject schema)
    {
        schema["type"] = new JsonArray((string?)schema["type"], "null");
        return schema;
    }

    public static JsonObject Object(string[] required, params (string Name, JsonObject Schema)[] properties)
    {
        var fields = new JsonObject();
        foreach (var (name, schema) in properties)
        {
            fields[name] = schema;
        }

        var whole = new JsonObject { ["type"] = "object", ["properties"] = fields };
        if (required.Length > 0)
        {
            whole["required"] = new JsonArray([.. required.Select(static name => (JsonNode)name)]);
        }

        return whole;
    }

    /// <summary>The root of a schema is an object whatever it may be besides.</summary>
    public static JsonObject Either(params JsonObject[] schemas) => new() { ["type"] = "object", ["anyOf"] = new JsonArray([.. schemas]) };

    /// <summary>What a governed change answers: that it is done, or that it waits for approval.</summary>
    public static JsonObject OrPending(JsonObject done) => Either(done, Object(
        ["action", "pending_id", "reason", "status"],
        ("action", Text()), ("memory_id", Text()), ("namespace", Text()), ("pending_id", Text()), ("reason", Text()), ("status", Words(["pending"]))));

    public static JsonObject Memory(params (string Name, JsonObject Schema)[] more) => Object(
        [
            "access_count", "confidence", "content", "created_at", "id", "metadata", "namespace", "priority", "source", "tags", "tier", "title", "updated_at",
            .. more.Select(static field => field.Name),
        ],
        [
            ("access_count", Integer(0)), ("confidence", Number(0, 1)), ("content", Text()), ("created_at", Text()), ("expires_at", Text()), ("id", Text()),
            ("last_accessed_at", Text()), ("metadata", AnyObject()), ("namespace", Text()), ("priority", Integer(MemoryLimits.MinPriority, MemoryLimits.MaxPriority)),
            ("source", Text()), ("tags", List(Text())), ("tier", Tiers()), ("title", Text()), ("updated_at", Text()), .. more,
        ]);

    /// <summary>A memory in a list: as many of its fields as the format shows.</summary>
    public static JsonObject Row() => Object(
        ["id", "namespace", "priority", "tier", "title"],
        ("access_count", Integer(0)), ("agent_id", Text()), ("confidence", Number(0, 1)), ("content", Text()), ("created_at", Text()), ("excerpt", Text("The beginning of the content.")),
        ("expires_at", Text()), ("id", Text()), ("last_accessed_at", Text()), ("metadata", AnyObject()), ("namespace", Text()), ("priority", Integer()), ("score", Number()),
        ("source", Text()), ("tags", List(Text())), ("tier", Tiers()), ("title", Text()), ("updated_at", Text()));

    public static JsonObject Standard() => Object(["content", "id", "title"], ("content", Text()), ("id", Text()), ("title", Text()));

    public static JsonObject Link() => Object(
        ["created_at", "relation", "source_id", "target_id"], ("created_at", Text()), ("relation", Words(Sorted(ClosedSets.Relations))), ("source_id", Text()), ("target_id", Text()));

    public static IEnumerable<string> Sorted(IEnumerable<string> words) => words.Order(StringComparer.Ordinal);

    /// <summary>As the SDK takes it.</summary>
    public static JsonElement Element(JsonObject schema) => JsonSerializer.SerializeToElement(schema, SchemaJson.Default.JsonObject);

    private static JsonObject Of(string type, string? about)
    {
        var schema = new JsonObject { ["type"] = type };
        Set(schema, "description", about);
        return schema;
    }

    private static void Set<T>(JsonObject schema, string keyword, T? value)
    {
        if (value is not null)
        {
            schema[keyword] = JsonValue.Create(value);
        }
    }
}

[System.Text.Json.Serialization.JsonSerializable(typeof(JsonObject))]
internal sealed partial class SchemaJson : System.Text.Json.Serialization.JsonSerializerContext;
