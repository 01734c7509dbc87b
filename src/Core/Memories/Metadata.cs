using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace OrleansMemory.Core.Memories;

/// <summary>
/// A JSON object in canonical form: compact, keys sorted by ordinal at every level, the last of equal keys kept, numbers as
/// written. Equal objects have equal text, on every node and store.
/// </summary>
public sealed record Metadata
{
    private static readonly JsonWriterOptions CanonicalOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private Metadata(string json) => Json = json;

    public static Metadata Empty { get; } = new("{}");

    /// <summary>The canonical text.</summary>
    public string Json { get; }

    public bool IsEmpty => Json.Length == 2;

    /// <exception cref="MemoryException">Not an object, larger than 65,536 bytes, or nested deeper than 32.</exception>
    public static Metadata From(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new MemoryException(ErrorKind.MetadataNotObject, "metadata must be a JSON object");
        }

        if (!element.EnumerateObject().MoveNext())
        {
            return Empty;
        }

        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer, CanonicalOptions))
        {
            Write(writer, element, depth: 1);
        }

        if (buffer.WrittenCount > MemoryLimits.MetadataBytes)
        {
            throw new MemoryException(ErrorKind.MetadataTooLarge, $"metadata exceeds max size of {MemoryLimits.MetadataBytes} bytes");
        }

        return new(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    /// <summary>Reads any JSON text and brings it into canonical form.</summary>
    /// <exception cref="MemoryException">As <see cref="From"/>; also for text that is not JSON.</exception>
    public static Metadata Parse(string json)
    {
        if (json == "{}")
        {
            return Empty;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 256 });
            return From(document.RootElement);
        }
        catch (JsonException exception)
        {
            throw new MemoryException(ErrorKind.MetadataNotObject, "metadata must be a JSON object", exception);
        }
    }

    /// <summary>Takes text that this type produced before, as a store hands it back.</summary>
    public static Metadata FromCanonical(string json) => json == "{}" ? Empty : new(json);

    /// <summary>The string under a top-level key; null when absent or of another type.</summary>
    public string? Text(string key)
    {
        if (IsEmpty)
        {
            return null;
        }

        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(Json));
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals(key);
            reader.Read();
            if (found)
            {
                return reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
            }

            reader.Skip();
        }

        return null;
    }

    /// <summary>This object with one top-level string set, or removed when <paramref name="value"/> is null.</summary>
    public Metadata With(string key, string? value)
    {
        var buffer = new ArrayBufferWriter<byte>(Json.Length + 64);
        using (var document = JsonDocument.Parse(Json))
        using (var writer = new Utf8JsonWriter(buffer, CanonicalOptions))
        {
            writer.WriteStartObject();
            var written = value is null;
            foreach (var property in document.RootElement.EnumerateObject())
            {
                var order = string.CompareOrdinal(property.Name, key);
                if (!written && order >= 0)
                {
                    writer.WriteString(key, value);
                    written = true;
                }

                if (order != 0)
                {
                    property.WriteTo(writer);
                }
            }

            if (!written)
            {
                writer.WriteString(key, value);
            }

            writer.WriteEndObject();
        }

        return FromCanonical(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    public override string ToString() => Json;

    private static void Write(Utf8JsonWriter writer, JsonElement element, int depth)
    {
        if (depth > MemoryLimits.MetadataDepth && element.ValueKind is JsonValueKind.Object or JsonValueKind.Array)
        {
            throw new MemoryException(ErrorKind.MetadataTooDeep, $"metadata nesting depth exceeds {MemoryLimits.MetadataDepth}");
        }

        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                var properties = new SortedDictionary<string, JsonElement>(StringComparer.Ordinal);
                foreach (var property in element.EnumerateObject())
                {
                    properties[property.Name] = property.Value;
                }

                foreach (var (name, value) in properties)
                {
                    writer.WritePropertyName(name);
                    Write(writer, value, depth + 1);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in element.EnumerateArray())
                {
                    Write(writer, item, depth + 1);
                }

                writer.WriteEndArray();
                break;
            case JsonValueKind.String:
                writer.WriteStringValue(element.GetString());
                break;
            default:
                writer.WriteRawValue(element.GetRawText(), skipInputValidation: true);
                break;
        }
    }
}
