using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Mining;

/// <summary>Reads the JSON of exports. Fields that are absent or null count as not told; one of another shape is a fault of the file.</summary>
internal static class ExportJson
{
    private const int Depth = 128;

    /// <summary>In the year 2255; later instants have no nanoseconds in 64 bits.</summary>
    private const double MostSeconds = 9e9;

    private static readonly JsonSerializerOptions ElementOptions = new() { MaxDepth = Depth };

    private static readonly JsonDocumentOptions DocumentOptions = new() { MaxDepth = Depth };

    /// <summary>The elements of a file that is one array.</summary>
    public static async IAsyncEnumerable<JsonElement> ArrayAsync(string path, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await using var file = Open(path);
        var elements = JsonSerializer.DeserializeAsyncEnumerable<JsonElement>(file, ElementOptions, cancellation).GetAsyncEnumerator(cancellation);
        for (var index = 1; ; index++)
        {
            try
            {
                if (!await elements.MoveNextAsync())
                {
                    yield break;
                }
            }
            catch (JsonException exception)
            {
                throw Malformed(path, string.Create(CultureInfo.InvariantCulture, $"malformed JSON in or after element {index}"), exception);
            }

            yield return elements.Current;
        }
    }

    /// <summary>One document for each line that is not blank.</summary>
    public static async IAsyncEnumerable<JsonElement> LinesAsync(string path, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await using var file = Open(path);
        using var reader = new StreamReader(file, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
        for (var line = 1; ; line++)
        {
            string? text;
            JsonElement element;
            try
            {
                text = await reader.ReadLineAsync(cancellation);
                if (text is null)
                {
                    yield break;
                }

                if (string.IsNullOrWhiteSpace(text))
                {
                    continue;
                }

                element = JsonDocument.Parse(text, DocumentOptions).RootElement;
            }
            catch (JsonException exception)
            {
                throw Malformed(path, string.Create(CultureInfo.InvariantCulture, $"malformed JSON in line {line}"), exception);
            }
            catch (DecoderFallbackException)
            {
                throw Malformed(path, string.Create(CultureInfo.InvariantCulture, $"line {line} is not valid UTF-8"));
            }

            yield return element;
        }
    }

    /// <summary>The first character that is no blank; null: there is none.</summary>
    public static char? FirstCharacter(string path)
    {
        using var file = Open(path);
        for (int next; (next = file.ReadByte()) >= 0;)
        {
            // A byte order mark is passed over as blanks are.
            if (next is not (' ' or '\t' or '\r' or '\n' or 0xef or 0xbb or 0xbf))
            {
                return (char)next;
            }
        }

        return null;
    }

    /// <summary>Brings what reading an element threw into the words of the file.</summary>
    /// <param name="what">Which element it was.</param>
    public static T In<T>(string path, string what, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is WrongShapeException or InvalidOperationException)
        {
            // The latter: an escape that is half a character.
            throw Malformed(path, $"{what}: {(exception is WrongShapeException ? exception.Message : "text that is not valid Unicode")}");
        }
    }

    public static MemoryException Malformed(string path, string why, Exception? inner = null) => new(ErrorKind.MalformedRequest, $"{path}: {why}; nothing was imported", inner);

    /// <summary>A member that is an object; null when it is not told.</summary>
    public static JsonElement? Object(JsonElement element, string name) => Member(element, name, JsonValueKind.Object, "an object");

    public static JsonElement? Array(JsonElement element, string name) => Member(element, name, JsonValueKind.Array, "an array");

    /// <summary>Empty when it is not told.</summary>
    public static string Text(JsonElement element, string name) => Member(element, name, JsonValueKind.String, "text")?.GetString() ?? "";

    /// <summary>Seconds since 1970, as a number or as its text.</summary>
    public static double? Seconds(JsonElement element, string name)
    {
        if (!Require(element).TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        double seconds = 0;
        var known = value.ValueKind switch
        {
            JsonValueKind.Number => value.TryGetDouble(out seconds),
            JsonValueKind.String => double.TryParse(value.GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out seconds),
            _ => false,
        };
        return known && double.IsFinite(seconds) ? seconds : throw new WrongShapeException($"`{name}` is not a number of seconds");
    }

    /// <summary>Null for what lies outside the years that an instant can name.</summary>
    public static Timestamp? Instant(double? seconds) => seconds is >= 0 and < MostSeconds ? Timestamp.FromUnixMilliseconds((long)(seconds.Value * 1_000)) : null;

    /// <summary>RFC 3339; null when it is not told or no instant.</summary>
    public static Timestamp? Instant(JsonElement element, string name) => Timestamp.TryParse(Text(element, name), out var instant) ? instant : null;

    /// <summary>Text, or a list of texts and of objects with <c>text</c>; what is neither, such as an image, is passed over.</summary>
    public static string Parts(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Array => string.Join('\n', value.EnumerateArray().Select(Part).Where(static text => text.Length > 0)),
        _ => "",
    };

    private static string Part(JsonElement part) =>
        part.ValueKind == JsonValueKind.String ? part.GetString()!
        : part.ValueKind == JsonValueKind.Object && part.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String ? text.GetString()!
        : "";

    private static JsonElement? Member(JsonElement element, string name, JsonValueKind kind, string expected) =>
        !Require(element).TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == kind ? value
        : throw new WrongShapeException($"`{name}` is not {expected}");

    private static JsonElement Require(JsonElement element) => element.ValueKind == JsonValueKind.Object ? element : throw new WrongShapeException("not a JSON object");

    private static FileStream Open(string path)
    {
        try
        {
            return new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 64 * 1024);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new MemoryException(ErrorKind.NotFound, $"cannot read {path}: {exception.Message}", exception);
        }
    }
}

/// <summary>A member of an export is not what it should be.</summary>
internal sealed class WrongShapeException(string message) : Exception(message);
