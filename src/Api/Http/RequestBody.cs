using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>The reader stands on the first token of the body.</summary>
internal delegate T BodyParser<out T>(ref Utf8JsonReader reader);

/// <summary>
/// Reads one JSON document of at most 2 MiB, unless a route takes more, in place, from the server's own pooled buffers: nothing is copied but the values kept.
/// </summary>
internal static class RequestBody
{
    /// <summary>Above the depth that metadata may have, so that its own rule speaks first.</summary>
    public static readonly JsonReaderOptions ReaderOptions = new() { MaxDepth = 256 };

    /// <summary>False when the request says that nothing follows its head.</summary>
    public static bool Exists(HttpContext context) =>
        context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true };

    /// <exception cref="MemoryException">
    /// <see cref="ErrorKind.UnsupportedMediaType"/>, <see cref="ErrorKind.BodyTooLarge"/>, <see cref="ErrorKind.MalformedRequest"/>,
    /// or what <paramref name="parse"/> throws.
    /// </exception>
    public static ValueTask<T> ReadAsync<T>(HttpContext context, BodyParser<T> parse, int mostBytes = MemoryLimits.RequestBytes)
    {
        var request = context.Request;
        if (!IsJson(request.ContentType))
        {
            throw new MemoryException(ErrorKind.UnsupportedMediaType, "expected request with `Content-Type: application/json`");
        }

        if (request.ContentLength > mostBytes)
        {
            throw TooLarge(mostBytes);
        }

        // Not TryRead: once the caller has closed its side, the server's refuses even a body that is all there.
        var reader = request.BodyReader;
        var reading = reader.ReadAsync();
        if (!reading.IsCompletedSuccessfully)
        {
            return ReadToEndAsync(reader, reading, parse, mostBytes);
        }

        var result = reading.Result;
        return result.IsCompleted ? new(Finish(reader, result.Buffer, parse, mostBytes)) : ReadToEndAsync(reader, new(result), parse, mostBytes);
    }

    private static async ValueTask<T> ReadToEndAsync<T>(PipeReader reader, ValueTask<ReadResult> reading, BodyParser<T> parse, int mostBytes)
    {
        var result = await reading;
        while (!result.IsCompleted)
        {
            if (result.Buffer.Length > mostBytes)
            {
                reader.AdvanceTo(result.Buffer.End);
                throw TooLarge(mostBytes);
            }

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            result = await reader.ReadAsync();
        }

        return Finish(reader, result.Buffer, parse, mostBytes);
    }

    private static T Finish<T>(PipeReader pipe, ReadOnlySequence<byte> body, BodyParser<T> parse, int mostBytes)
    {
        try
        {
            if (body.Length > mostBytes)
            {
                throw TooLarge(mostBytes);
            }

            var reader = body.IsSingleSegment ? new Utf8JsonReader(body.FirstSpan, ReaderOptions) : new Utf8JsonReader(body, ReaderOptions);
            reader.Read();
            var value = parse(ref reader);

            // Anything but white space after the document throws here.
            reader.Read();
            return value;
        }
        catch (JsonException exception)
        {
            throw new MemoryException(
                ErrorKind.MalformedRequest, $"malformed JSON at line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}", exception);
        }
        catch (InvalidOperationException exception)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, "malformed JSON: a string is not valid Unicode", exception);
        }
        finally
        {
            pipe.AdvanceTo(body.End);
        }
    }

    private static MemoryException TooLarge(int mostBytes) => new(ErrorKind.BodyTooLarge, $"request body exceeds {mostBytes} bytes");

    /// <summary><c>application/json</c> or <c>application/*+json</c>, with or without parameters.</summary>
    private static bool IsJson(string? contentType)
    {
        if (contentType is null)
        {
            return false;
        }

        var type = contentType.AsSpan();
        var end = type.IndexOf(';');
        type = (end < 0 ? type : type[..end]).Trim();
        return type.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (type.StartsWith("application/", StringComparison.OrdinalIgnoreCase) && type.EndsWith("+json", StringComparison.OrdinalIgnoreCase));
    }
}
