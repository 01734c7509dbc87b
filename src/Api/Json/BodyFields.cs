using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Json;

/// <summary>
/// A JSON object whose fields are asked for by name; the last of equal names counts, unknown ones are ignored, and null counts as absent. A field of another type fails with
/// <see cref="ErrorKind.WrongType"/>, one that is asked for and missing with <see cref="ErrorKind.MissingField"/>.
/// </summary>
internal readonly struct BodyFields(JsonElement body)
{
    public static BodyFields Empty { get; } = new(JsonDocument.Parse("{}").RootElement);

    public static BodyFields Read(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "body");
        var body = JsonElement.ParseValue(ref reader);
        ReadTexts(body);
        return new(body);
    }

    public string Text(string field) => TextOrNull(field) ?? throw JsonFields.Missing(field);

    public string? TextOrNull(string field) => Find(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } value => throw WrongType(field, value, "a string"),
    };

    public long? Integer(string field) => Find(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when value.TryGetInt64(out var number) => number,
        { } value => throw WrongType(field, value, "an integer"),
    };

    public bool? Boolean(string field) => Find(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw WrongType(field, value, "a boolean"),
    };

    /// <summary>Null when it is absent.</summary>
    public IReadOnlyList<string>? Texts(string field)
    {
        if (Find(field) is not { } value)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            throw WrongType(field, value, "an array of strings");
        }

        var texts = new List<string>(value.GetArrayLength());
        foreach (var item in value.EnumerateArray())
        {
            texts.Add(item.ValueKind == JsonValueKind.String ? item.GetString()! : throw WrongType(field, item, "an array of strings"));
        }

        return texts;
    }

    public Tier? Tier(string field) => TextOrNull(field) switch
    {
        null => null,
        { } word when TierNames.TryParse(word, out var tier) => tier,
        _ => throw new MemoryException(ErrorKind.WrongType, $"invalid {field}: unknown tier (use short, mid, long)"),
    };

    /// <summary>Any value but null.</summary>
    public JsonElement? Find(string field) => body.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>
    /// Reads every name and text, at any depth: half of a surrogate pair can be escaped in JSON, and bytes can be no UTF-8, and both are to fail here and not
    /// wherever the text is used.
    /// </summary>
    private static void ReadTexts(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in value.EnumerateObject())
                {
                    _ = property.Name;
                    ReadTexts(property.Value);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                {
                    ReadTexts(item);
                }

                break;
            case JsonValueKind.String:
                value.GetString();
                break;
            default:
                break;
        }
    }

    private static MemoryException WrongType(string field, JsonElement value, string wanted) =>
        new(ErrorKind.WrongType, $"invalid type for `{field}`: {JsonFields.Found(value.ValueKind)}, expected {wanted}");
}
