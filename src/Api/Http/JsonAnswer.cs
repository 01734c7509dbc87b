using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Http;

/// <summary>
/// Answers with one JSON document. It is written into a buffer that the thread keeps, so that its length is known before the head
/// goes out and the usual answer costs no allocation.
/// </summary>
internal static class JsonAnswer
{
    public const string ContentType = "application/json";

    private const string ProblemContentType = "application/problem+json";

    private const string RetryAfterSeconds = "2";

    /// <summary>A buffer that a large answer made grow beyond this is not kept.</summary>
    private const int KeptBytes = 256 * 1024;

    internal static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    [ThreadStatic]
    private static Buffered? _kept;

    public static Task WriteAsync<TState>(HttpContext context, int status, TState state, Action<Utf8JsonWriter, TState> write, string contentType = ContentType)
    {
        var buffered = _kept ?? new();
        _kept = null;
        write(buffered.Writer, state);
        buffered.Writer.Flush();
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = contentType;
        response.ContentLength = buffered.Bytes.WrittenCount;

        // The bytes are copied before the call returns; awaiting only waits for a slow reader.
        var written = response.BodyWriter.WriteAsync(buffered.Bytes.WrittenMemory);
        if (buffered.Bytes.Capacity <= KeptBytes)
        {
            buffered.Reset();
            _kept = buffered;
        }

        return written.IsCompletedSuccessfully ? Task.CompletedTask : written.AsTask();
    }

    /// <summary>A change that waits for approval.</summary>
    public static void Write(Utf8JsonWriter writer, PendingException pending)
    {
        writer.WriteStartObject();
        writer.WriteString("action"u8, pending.ActionType);
        if (pending.MemoryId is { } id)
        {
            writer.WriteString("memory_id"u8, id);
        }
        else
        {
            writer.WriteString("namespace"u8, pending.Namespace);
        }

        writer.WriteString("pending_id"u8, pending.PendingId);
        writer.WriteString("reason"u8, pending.Message);
        writer.WriteString("status"u8, PendingStatuses.Pending);
        writer.WriteEndObject();
    }

    /// <summary>The fields of an error, in an object that the caller opened.</summary>
    public static void WriteFields(Utf8JsonWriter writer, MemoryException error)
    {
        if (error is QuorumException quorum)
        {
            QuorumJson.Write(writer, quorum);
            return;
        }

        writer.WriteString("code"u8, error.Kind.Code);
        writer.WriteString("error"u8, error.Message);
    }

    public static Task WriteErrorAsync(HttpContext context, MemoryException error)
    {
        if (error is PendingException pending)
        {
            return WriteAsync(context, error.Kind.HttpStatus, pending, Write);
        }

        if (error is not QuorumException quorum)
        {
            return WriteErrorAsync(context, error.Kind, error.Message);
        }

        context.Response.Headers.RetryAfter = RetryAfterSeconds;
        if (QuorumJson.Position(quorum) is { } position)
        {
            MemoryTokens.Answer(context, position);
        }

        var isProblem = AsksForProblem(context);
        return WriteAsync(
            context,
            error.Kind.HttpStatus,
            (quorum, isProblem),
            static (writer, error) =>
            {
                writer.WriteStartObject();
                QuorumJson.Write(writer, error.quorum);
                if (error.isProblem)
                {
                    WriteProblem(writer, error.quorum.Kind, error.quorum.Message);
                }

                writer.WriteEndObject();
            },
            isProblem ? ProblemContentType : ContentType);
    }

    public static Task WriteErrorAsync(HttpContext context, ErrorKind kind, string text)
    {
        if (kind.HttpStatus == StatusCodes.Status503ServiceUnavailable)
        {
            context.Response.Headers.RetryAfter = RetryAfterSeconds;
        }

        var isProblem = AsksForProblem(context);
        return WriteAsync(
            context,
            kind.HttpStatus,
            (kind, text, isProblem),
            static (writer, error) =>
            {
                writer.WriteStartObject();
                writer.WriteString("code"u8, error.kind.Code);
                if (error.isProblem)
                {
                    WriteProblem(writer, error.kind, error.text);
                }

                writer.WriteString("error"u8, error.text);
                writer.WriteEndObject();
            },
            isProblem ? ProblemContentType : ContentType);
    }

    /// <summary>RFC 9457: the members that it names, beside those that every error has.</summary>
    private static void WriteProblem(Utf8JsonWriter writer, ErrorKind kind, string text)
    {
        writer.WriteString("detail"u8, text);
        writer.WriteNumber("status"u8, kind.HttpStatus);
        writer.WriteString("title"u8, kind.Code.Replace('_', ' '));
        writer.WriteString("type"u8, "about:blank"u8);
    }

    private static bool AsksForProblem(HttpContext context)
    {
        foreach (var accepted in context.Request.Headers.Accept)
        {
            if (accepted?.Contains(ProblemContentType, StringComparison.OrdinalIgnoreCase) is true)
            {
                return true;
            }
        }

        return false;
    }

    private sealed class Buffered
    {
        public Buffered() => Writer = new(Bytes, WriterOptions);

        public ArrayBufferWriter<byte> Bytes { get; } = new(4096);

        public Utf8JsonWriter Writer { get; }

        public void Reset()
        {
            Bytes.ResetWrittenCount();
            Writer.Reset(Bytes);
        }
    }
}
