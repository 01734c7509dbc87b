using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using OrleansMemory.Api.Http;

namespace OrleansMemory.Api.Mcp;

/// <summary>Messages as they come over the wire, before anything looks into them.</summary>
internal static class JsonRpcMessages
{
    private static readonly JsonTypeInfo<JsonRpcMessage> Type = (JsonTypeInfo<JsonRpcMessage>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(JsonRpcMessage));

    /// <exception cref="JsonException">It is none.</exception>
    /// <exception cref="InvalidOperationException">A string is not valid Unicode, which would come to light in the middle of a call.</exception>
    public static JsonRpcMessage Read(ref Utf8JsonReader reader)
    {
        RequireUnicode(reader);
        return JsonSerializer.Deserialize(ref reader, Type) ?? throw new JsonException();
    }

    /// <exception cref="JsonException">It is none.</exception>
    public static JsonRpcMessage Read(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line, RequestBody.ReaderOptions);
        try
        {
            reader.Read();
            var message = Read(ref reader);
            return reader.Read() ? throw new JsonException() : message;
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or FormatException)
        {
            throw new JsonException(exception.Message, exception);
        }
    }

    public static byte[] Write(JsonRpcMessage message) => JsonSerializer.SerializeToUtf8Bytes(message, Type);

    /// <param name="reader">A copy: the caller's stays where it is.</param>
    private static void RequireUnicode(Utf8JsonReader reader)
    {
        do
        {
            if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName))
            {
                continue;
            }

            if (reader.ValueIsEscaped)
            {
                reader.GetString();
            }
            else if (!Utf8.IsValid(reader.HasValueSequence ? reader.ValueSequence.ToArray() : reader.ValueSpan))
            {
                throw new InvalidOperationException("a string is not valid UTF-8");
            }
        }
        while (reader.Read());
    }
}
