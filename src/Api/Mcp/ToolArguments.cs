using System.Buffers;
using System.Text.Json;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>The arguments of a call, for the readers that read the bodies of HTTP requests. Null counts as absent, unknown names are ignored.</summary>
internal sealed class ToolArguments
{
    /// <summary>What a model stores comes from it, unless it says otherwise.</summary>
    private static readonly JsonElement StandardSource = JsonDocument.Parse("\"claude\"").RootElement;

    private readonly IReadOnlyDictionary<string, JsonElement> _arguments;
    private readonly byte[] _json;

    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/>: a string is not valid Unicode.</exception>
    public ToolArguments(IDictionary<string, JsonElement>? arguments)
    {
        _arguments = new Dictionary<string, JsonElement>(arguments ?? new Dictionary<string, JsonElement>(), StringComparer.Ordinal);
        _json = Write(_arguments);
        Fields = new(JsonDocument.Parse(_json, new JsonDocumentOptions { MaxDepth = RequestBody.ReaderOptions.MaxDepth }).RootElement);
    }

    public BodyFields Fields { get; }

    public DraftBody Draft()
    {
        var given = _arguments.Where(static pair => pair.Value.ValueKind != JsonValueKind.Null).ToDictionary(StringComparer.Ordinal);
        given.TryAdd("source", StandardSource);
        return Read(Write(given), DraftReader.Read);
    }

    public PatchBody Patch() => Read(_json, PatchReader.Read);

    private static T Read<T>(byte[] json, BodyParser<T> parse)
    {
        var reader = new Utf8JsonReader(json, RequestBody.ReaderOptions);
        reader.Read();
        return parse(ref reader);
    }

    private static byte[] Write(IReadOnlyDictionary<string, JsonElement> arguments)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        try
        {
            using var writer = new Utf8JsonWriter(buffer, JsonAnswer.WriterOptions);
            writer.WriteStartObject();
            foreach (var (name, value) in arguments)
            {
                writer.WritePropertyName(name);
                value.WriteTo(writer);
            }

            writer.WriteEndObject();
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, "malformed JSON: a string is not valid Unicode", exception);
        }

        return buffer.WrittenSpan.ToArray();
    }
}
