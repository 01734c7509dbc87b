using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>
/// Commands and answers as JSON, snake_case. Readers ignore fields that they do not know and give those that are missing their
/// default, so that two versions can run in one cluster.
/// </summary>
internal static class WireJson
{
    /// <summary>By reflection: generated code would give init-only properties that are missing no default.</summary>
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        IgnoreReadOnlyProperties = true,
        AllowOutOfOrderMetadataProperties = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        Converters = { new MetadataConverter(), new TimestampConverter(), new LogIdConverter() },
    };

    public static byte[] Encode(WriteCommand command) => JsonSerializer.SerializeToUtf8Bytes(command, Options);

    public static byte[] Encode(WriteAnswer answer) => JsonSerializer.SerializeToUtf8Bytes(answer, Options);

    /// <exception cref="MemoryException">A newer node sent what this one cannot do.</exception>
    public static WriteCommand DecodeCommand(byte[] bytes)
    {
        try
        {
            return JsonSerializer.Deserialize<WriteCommand>(bytes, Options)!;
        }
        catch (JsonException exception)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, $"this node cannot do what the other one asks; upgrade it: {exception.Message}", exception);
        }
    }

    /// <exception cref="JsonException">Not an answer.</exception>
    public static WriteAnswer DecodeAnswer(byte[] bytes) => JsonSerializer.Deserialize<WriteAnswer>(bytes, Options)!;
}

/// <summary>The canonical text, as one string: it is stored as it is.</summary>
internal sealed class MetadataConverter : JsonConverter<Metadata>
{
    public override Metadata Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => Metadata.FromCanonical(reader.GetString()!);

    public override void Write(Utf8JsonWriter writer, Metadata value, JsonSerializerOptions options) => writer.WriteStringValue(value.Json);
}

/// <summary>Nanoseconds.</summary>
internal sealed class TimestampConverter : JsonConverter<Timestamp>
{
    public override Timestamp Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetInt64());

    public override void Write(Utf8JsonWriter writer, Timestamp value, JsonSerializerOptions options) => writer.WriteNumberValue(value.Nanoseconds);
}

internal sealed class LogIdConverter : JsonConverter<LogId>
{
    public override LogId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        LogId.TryParse(reader.GetString()!, out var log) ? log : throw new JsonException("not a log");

    public override void Write(Utf8JsonWriter writer, LogId value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}
