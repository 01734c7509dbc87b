using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelContextProtocol;
using OrleansMemory.Api.Http;

namespace OrleansMemory.Api.Mcp;

/// <summary>Errors of messages whose id is not known, because they could not be read or were not taken.</summary>
internal static class JsonRpcErrors
{
    public static byte[] Of(McpErrorCode code, string text)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        using (var writer = new Utf8JsonWriter(buffer, JsonAnswer.WriterOptions))
        {
            Write(writer, code, text);
        }

        return buffer.WrittenSpan.ToArray();
    }

    public static void Write(Utf8JsonWriter writer, McpErrorCode code, string text, JsonObject? data = null)
    {
        writer.WriteStartObject();
        writer.WriteString("jsonrpc"u8, "2.0"u8);
        writer.WriteNull("id"u8);
        writer.WriteStartObject("error"u8);
        writer.WriteNumber("code"u8, (int)code);
        writer.WriteString("message"u8, text);
        if (data is not null)
        {
            writer.WritePropertyName("data"u8);
            data.WriteTo(writer);
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
