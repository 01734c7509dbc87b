using System.Globalization;
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
        Converters = { new MetadataConverter(), new TimestampConverter(), new LogIdConverter(), new AppliedSetConverter(), new ProblemConverter() },
    };

    public static byte[] Encode(WriteCommand command) => JsonSerializer.SerializeToUtf8Bytes(command, Options);

    public static byte[] Encode(Question question) => JsonSerializer.SerializeToUtf8Bytes(question, Options);

    public static byte[] EncodeAnswer<T>(T answer) => JsonSerializer.SerializeToUtf8Bytes(answer, Options);

    public static byte[] Encode(WriteAnswer answer) => JsonSerializer.SerializeToUtf8Bytes(answer, Options);

    /// <exception cref="MemoryException">A newer node sent what this one cannot do.</exception>
    public static WriteCommand DecodeCommand(byte[] bytes) => DecodeAsked<WriteCommand>(bytes);

    /// <exception cref="MemoryException">A newer front end asks what this node does not know.</exception>
    public static Question DecodeQuestion(byte[] bytes) => DecodeAsked<Question>(bytes);

    /// <exception cref="JsonException">Not such an answer.</exception>
    public static T Decode<T>(byte[] bytes) => JsonSerializer.Deserialize<T>(bytes, Options)!;

    /// <exception cref="JsonException">Not an answer.</exception>
    public static WriteAnswer DecodeAnswer(byte[] bytes) => JsonSerializer.Deserialize<WriteAnswer>(bytes, Options)!;

    private static T DecodeAsked<T>(byte[] bytes)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(bytes, Options)!;
        }
        catch (JsonException exception)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, $"this node cannot do what the other one asks; upgrade it: {exception.Message}", exception);
        }
    }
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

    public override LogId ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => Read(ref reader, typeToConvert, options);

    public override void WriteAsPropertyName(Utf8JsonWriter writer, LogId value, JsonSerializerOptions options) => writer.WritePropertyName(value.ToString());
}

/// <summary><c>17:20-22,25-25</c>: all up to a number, and the ranges above a gap.</summary>
internal sealed class AppliedSetConverter : JsonConverter<AppliedSet>
{
    public override AppliedSet Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var parts = reader.GetString()!.Split(':');
        return AppliedSet.Parse(long.Parse(parts[0], CultureInfo.InvariantCulture), parts[1]);
    }

    public override void Write(Utf8JsonWriter writer, AppliedSet value, JsonSerializerOptions options) =>
        writer.WriteStringValue(string.Create(CultureInfo.InvariantCulture, $"{value.Through}:{value.FormatAbove()}"));
}

/// <summary>Of one row among many, as that of a whole write.</summary>
internal sealed class ProblemConverter : JsonConverter<MemoryException>
{
    public override MemoryException Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        JsonSerializer.Deserialize<WriteAnswer>(ref reader, options)!.ToException();

    public override void Write(Utf8JsonWriter writer, MemoryException value, JsonSerializerOptions options) =>
        JsonSerializer.Serialize(writer, WriteAnswer.Of(value), options);
}
