using System.Text.Json;
using System.Text.Json.Nodes;

namespace OrleansMemory.Api.Tests.Mcp;

/// <summary>The part of JSON Schema that the tools use; a keyword that is not known fails the test.</summary>
internal static class SchemaCheck
{
    private static readonly string[] Silent = ["description", "default", "title"];

    /// <returns>Null: the value is as the schema says.</returns>
    public static string? Problem(JsonNode schema, JsonNode? value, string at = "$")
    {
        foreach (var (keyword, rule) in schema.AsObject())
        {
            var problem = keyword switch
            {
                "type" => rule is JsonArray types ? types.Any(type => Is((string)type!, value)) ? null : $"{at} is none of {types.ToJsonString()}" : Is((string)rule!, value) ? null : $"{at} is no {rule}",
                "enum" => rule!.AsArray().Any(word => JsonNode.DeepEquals(word, value)) ? null : $"{at} is none of {rule.ToJsonString()}",
                "anyOf" => rule!.AsArray().Any(one => Problem(one!, value, at) is null) ? null : $"{at} fits none: {string.Join("; ", rule.AsArray().Select(one => Problem(one!, value, at)))}",
                "required" => rule!.AsArray().FirstOrDefault(name => value?[(string)name!] is null && !(value as JsonObject)!.ContainsKey((string)name!)) is { } missing ? $"{at} lacks {missing}" : null,
                "properties" => Properties(rule!.AsObject(), value, at),
                "items" => value is JsonArray list ? list.Select((item, index) => Problem(rule!, item, $"{at}[{index}]")).FirstOrDefault(static found => found is not null) : null,
                "minimum" => value is JsonValue least && least.GetValueKind() == JsonValueKind.Number && (double)least < (double)rule! ? $"{at} is below {rule}" : null,
                "maximum" => value is JsonValue most && most.GetValueKind() == JsonValueKind.Number && (double)most > (double)rule! ? $"{at} is above {rule}" : null,
                "minItems" => value is JsonArray few && few.Count < (int)rule! ? $"{at} has too few" : null,
                "maxItems" => value is JsonArray many && many.Count > (int)rule! ? $"{at} has too many" : null,
                "maxLength" => null,
                _ => Array.IndexOf(Silent, keyword) >= 0 ? null : $"{at}: keyword {keyword} is not known here",
            };
            if (problem is not null)
            {
                return problem;
            }
        }

        return null;
    }

    private static string? Properties(JsonObject properties, JsonNode? value, string at)
    {
        if (value is not JsonObject fields)
        {
            return null;
        }

        foreach (var (name, schema) in properties)
        {
            if (fields.TryGetPropertyValue(name, out var field) && Problem(schema!, field, $"{at}.{name}") is { } problem)
            {
                return problem;
            }
        }

        return null;
    }

    private static bool Is(string type, JsonNode? value) => (type, value?.GetValueKind() ?? JsonValueKind.Null) switch
    {
        ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("string", JsonValueKind.String) or ("null", JsonValueKind.Null) or ("number", JsonValueKind.Number) => true,
        ("boolean", JsonValueKind.True or JsonValueKind.False) => true,
        ("integer", JsonValueKind.Number) => value!.AsValue().TryGetValue<long>(out _),
        _ => false,
    };
}
