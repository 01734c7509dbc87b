using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelContextProtocol.Protocol;
using OrleansMemory.Api.Http;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>What a tool answers.</summary>
/// <param name="Text">For the model.</param>
/// <param name="Structured">The same as a JSON object; null: the text is that.</param>
internal sealed record ToolAnswer(string Text, string? Structured = null)
{
    private static readonly JsonWriterOptions Indented = JsonAnswer.WriterOptions with { Indented = true, NewLine = "\n" };

    /// <summary>Keys stand in the order in which they are written.</summary>
    public static ToolAnswer Json<T>(T state, Action<Utf8JsonWriter, T> write) => new(Render(state, write, Indented));

    /// <summary>The fields of one object.</summary>
    public static ToolAnswer Object(Action<Utf8JsonWriter> fields) => Json(fields, static (writer, fields) =>
    {
        writer.WriteStartObject();
        fields(writer);
        writer.WriteEndObject();
    });

    public static ToolAnswer Toon<T>(string text, T state, Action<Utf8JsonWriter, T> write) => new(text, Render(state, write, JsonAnswer.WriterOptions));

    /// <summary>A change that waits for approval is no failure.</summary>
    public static ToolAnswer Of(PendingException pending) => Json(pending, JsonAnswer.Write);

    /// <summary>The message for the model; for programs the code, and all else that an error over HTTP has, under <c>_meta</c>.</summary>
    public static CallToolResult Failed(MemoryException exception) => new()
    {
        IsError = true,
        Content = [new TextContentBlock { Text = exception.Message }],
        Meta = JsonNode.Parse(Render(exception, static (writer, exception) =>
        {
            writer.WriteStartObject();
            JsonAnswer.WriteFields(writer, exception);
            writer.WriteNumber("status"u8, exception.Kind.HttpStatus);
            writer.WriteEndObject();
        }, JsonAnswer.WriterOptions))!.AsObject(),
    };

    /// <param name="isStructured">The client knows structured results.</param>
    public CallToolResult ToResult(bool isStructured)
    {
        var result = new CallToolResult { Content = [new TextContentBlock { Text = Text }] };
        if (isStructured)
        {
            using var document = JsonDocument.Parse(Structured ?? Text, new JsonDocumentOptions { MaxDepth = RequestBody.ReaderOptions.MaxDepth });
            result.StructuredContent = document.RootElement.Clone();
        }

        return result;
    }

    private static string Render<T>(T state, Action<Utf8JsonWriter, T> write, JsonWriterOptions options)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, options))
        {
            write(writer, state);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
