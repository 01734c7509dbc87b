using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

/// <summary>
/// What nodes of the peer system, version 0.6.0, ask of each other. Rows they push become writes of this node, and reach its own
/// peers as such.
/// </summary>
internal sealed class SyncRoutes(CallerServices callers)
{
    private const int StandardRows = 500;
    private const int MaxRows = 10_000;

    /// <summary>Rows read at once.</summary>
    private const int PageRows = 200;

    /// <summary>Rows beyond the limit that a page takes along so as not to part equal update times, at most.</summary>
    private const int MaxTies = 10_000;

    /// <summary>What an answer gathers before it waits for the reader.</summary>
    private const int FlushBytes = 32 * 1024;

    /// <summary>A batch of a thousand rows of usual size; other routes take less.</summary>
    private const int PushBytes = 32 * 1024 * 1024;

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<SyncRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/sync/push", routes.PushAsync, new("syncPush", "Sync", "Take up to 1,000 memories of a 0.6.0 node; the newer update time wins")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "SyncPush",
            Answers =
            [
                new(200, "SyncPushed", "What became of the rows. 503 when any could not be written: push them again."),
                SharedFields.BadRequest, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapRead("/api/v1/sync/since", routes.SinceAsync, new("syncSince", "Sync", "Memories by update time, expired ones included; streamed")
        {
            Query =
            [
                new("since", "string", "Updated after; RFC 3339; empty for all. Rows of the last update time of a page come with it, so none is lost."),
                new("cursor", "string", "next_cursor of the page before; wins over since."),
                new("limit", "integer", "Rows; 500 unless told, at most 10,000."),
                new("peer", "string", "Who asks; without effect."),
            ],
            Answers = [new(200, "SyncPage", "A page."), SharedFields.BadRequest],
        });
    }

    private async Task PushAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, SyncReader.Read, PushBytes);
        MemoryRules.AgentId(body.SenderAgentId, "invalid sender_agent_id: sender_agent_id");
        var receiver = Caller.Agent(context, prefix: "invalid x-agent-id: x-agent-id") ?? Caller.Anonymous(null);
        var rows = body.Rows.Where(static row => row.Memory is not null).Select(static row => row.Memory!).ToList();

        // The sender's own quorum counts nodes, so a row is acknowledged when this one holds it.
        var outcomes = body.DryRun
            ? rows.ConvertAll(static memory => new SyncOutcome(Changed: false, default, Judge(memory)))
            : await callers.NodeOf(context).SyncAsync(rows, new(receiver, Quorum: Caller.Quorum(context) ?? "1"));
        if (outcomes.FirstOrDefault(static outcome => outcome.Error is { Kind.HttpStatus: >= 500 }) is { Error: { } unavailable })
        {
            // The sender would take a 200 for an acknowledgement of every row.
            throw unavailable;
        }

        if (outcomes.Where(static outcome => outcome.Error is null).MaxBy(static outcome => outcome.Position.Sequence) is { Position.Sequence: > 0 } last)
        {
            MemoryTokens.Answer(context, last.Position);
        }

        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (body, receiver, rows, outcomes), static (writer, answer) =>
        {
            var next = 0;
            var errors = answer.body.Rows
                .Select(row => (row.Id, Error: row.Memory is null ? row.Broken : answer.outcomes[next++].Error))
                .Where(static row => row.Error is not null)
                .ToList();
            writer.WriteStartObject();
            writer.WriteNumber("applied"u8, answer.outcomes.Count(static outcome => outcome.Changed));
            writer.WriteBoolean("dry_run"u8, answer.body.DryRun);
            writer.WriteStartArray("errors"u8);
            foreach (var (id, error) in errors)
            {
                writer.WriteStringValue($"{id}: {error!.Message}");
            }

            writer.WriteEndArray();
            writer.WriteNumber("noop"u8, answer.outcomes.Count(static outcome => outcome is { Changed: false, Error: null }));
            writer.WriteString("receiver_agent_id"u8, answer.receiver);
            writer.WriteStartObject("receiver_clock"u8);
            writer.WriteStartObject("entries"u8);
            if (!answer.body.DryRun && answer.rows.Count > 0)
            {
                writer.WriteString(answer.body.SenderAgentId, answer.rows.Max(static memory => memory.UpdatedAt).ToString());
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
            writer.WriteNumber("skipped"u8, errors.Count);
            writer.WriteEndObject();
        });
    }

    private async Task SinceAsync(HttpContext context)
    {
        var query = new QueryText(context);
        var limit = ReadFilters.Limit(query.Integer("limit"), StandardRows, MaxRows);
        var cursor = query.Text("cursor");
        var place = cursor is not null ? ChangePlace.FromCursor(cursor)
            : query.Text("since") is { Length: > 0 } since ? new(ReadFilters.Instant("since", since)!.Value, null)
            : ChangePlace.Start;

        // A client with a cursor can part equal update times; one with an instant would lose those behind the cut.
        var ties = cursor is null && limit > 0 ? MaxTies : 0;
        var pipe = context.Response.BodyWriter;
        var cancellation = context.RequestAborted;
        var page = await callers.NodeOf(context).ChangesAsync(place, Math.Min(limit, PageRows), cancellation);
        context.Response.ContentType = JsonAnswer.ContentType;

        // Not disposed: that would send half a document when the store fails.
        var writer = new Utf8JsonWriter(pipe, JsonAnswer.WriterOptions);
        writer.WriteStartObject();
        writer.WriteNumber("limit"u8, limit);
        writer.WriteStartArray("memories"u8);
        var count = 0;
        Memory? last = null;
        var more = false;
        while (page.Count > 0 && !more)
        {
            foreach (var memory in page)
            {
                if (count >= limit && (memory.UpdatedAt != last!.UpdatedAt || count >= limit + ties))
                {
                    more = true;
                    break;
                }

                MemoryJson.Write(writer, memory);
                last = memory;
                count++;
                if (writer.BytesPending + pipe.UnflushedBytes > FlushBytes)
                {
                    writer.Flush();
                    await pipe.FlushAsync(cancellation);
                    cancellation.ThrowIfCancellationRequested();
                }
            }

            page = more ? [] : await callers.NodeOf(context).ChangesAsync(new(last!.UpdatedAt, last.Id), PageRows, cancellation);
        }

        writer.WriteEndArray();

        // Known only now; the order of keys carries no meaning.
        writer.WriteNumber("count"u8, count);
        if (more)
        {
            writer.WriteString("next_cursor"u8, new ChangePlace(last!.UpdatedAt, last.Id).ToCursor());
        }

        writer.WriteEndObject();
        writer.Flush();
        await pipe.FlushAsync(cancellation);
    }

    private static MemoryException? Judge(Memory memory)
    {
        try
        {
            MemoryRules.Check(memory);
            return null;
        }
        catch (MemoryException exception)
        {
            return exception;
        }
    }
}
