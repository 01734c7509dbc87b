using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Json;

/// <summary>
/// Reads one typed value each. The reader stands on the value. A value of another type, null included, fails with
/// <see cref="ErrorKind.WrongType"/>; the methods that end in OrNull take null.
/// </summary>
internal static class JsonFields
{
    public static string Text(ref Utf8JsonReader reader, string field) => reader.TokenType == JsonTokenType.String
        ? reader.GetString()!
        : throw WrongType(ref reader, field, "a string");

    public static string? TextOrNull(ref Utf8JsonReader reader, string field) =>
        reader.TokenType == JsonTokenType.Null ? null : Text(ref reader, field);

    public static int Integer(ref Utf8JsonReader reader, string field) => reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var value)
        ? value
        : throw WrongType(ref reader, field, "an integer");

    public static long LongInteger(ref Utf8JsonReader reader, string field) => reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var value)
        ? value
        : throw WrongType(ref reader, field, "an integer");

    public static double Number(ref Utf8JsonReader reader, string field) => reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out var value)
        ? value
        : throw WrongType(ref reader, field, "a number");

    public static bool Boolean(ref Utf8JsonReader reader, string field) => reader.TokenType switch
    {
        JsonTokenType.True => true,
        JsonTokenType.False => false,
        _ => throw WrongType(ref reader, field, "a boolean"),
    };

    public static Tier Tier(ref Utf8JsonReader reader, string field)
    {
        var word = Text(ref reader, field);
        return TierNames.TryParse(word, out var tier)
            ? tier
            : throw new MemoryException(ErrorKind.WrongType, $"invalid {field}: unknown tier (use short, mid, long)");
    }

    public static IReadOnlyList<string> Texts(ref Utf8JsonReader reader, string field)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw WrongType(ref reader, field, "an array of strings");
        }

        List<string>? texts = null;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            (texts ??= []).Add(Text(ref reader, field));
        }

        return texts ?? (IReadOnlyList<string>)[];
    }

    /// <summary>
    /// Reads any JSON value. What is no valid metadata is reported and not thrown: rules of other fields come first.
    /// </summary>
    public static Metadata Metadata(ref Utf8JsonReader reader, out MemoryException? broken)
    {
        broken = null;
        using var document = JsonDocument.ParseValue(ref reader);
        try
        {
            return Core.Memories.Metadata.From(document.RootElement);
        }
        catch (MemoryException exception)
        {
            broken = exception;
            return Core.Memories.Metadata.Empty;
        }
    }

    /// <summary>Requires the start of an object.</summary>
    public static void Object(ref Utf8JsonReader reader, string what)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw WrongType(ref reader, what, "an object");
        }
    }

    /// <summary>Moves to the next property name; false at the end of the object.</summary>
    public static bool NextProperty(ref Utf8JsonReader reader) => reader.Read() && reader.TokenType == JsonTokenType.PropertyName;

    public static MemoryException Missing(string field) => new(ErrorKind.MissingField, $"missing field `{field}`");

    public static MemoryException WrongType(ref Utf8JsonReader reader, string field, string wanted) =>
        new(ErrorKind.WrongType, $"invalid type for `{field}`: {Found(reader.TokenType)}, expected {wanted}");

    public static string Found(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number out of range or of another kind",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };

    private static string Found(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number out of range or of another kind",
        JsonTokenType.True or JsonTokenType.False => "a boolean",
        _ => "null",
    };
}
