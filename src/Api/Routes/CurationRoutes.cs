using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

/// <summary>Several memories told as one, and the way back.</summary>
internal sealed class CurationRoutes(CallerServices callers)
{
    private const int StandardRows = 50;
    private const int MostRows = 1_000;

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<CurationRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/consolidate", routes.ConsolidateAsync, new("consolidate", "Curation", "Make one memory of several, which are archived")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "ConsolidationRequest",
            Answers =
            [
                new(201, "Consolidated", "Durable. curation_id undoes it."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.Conflict,
                SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapWrite("POST", "/api/v1/resolve", routes.ResolveAsync, new("resolve", "Curation", "Settle which of two memories holds; the other keeps the least priority")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "ResolveRequest",
            Answers =
            [
                new(200, "Resolved", "Durable."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.TooLarge, SharedFields.MediaType,
                SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapRead("/api/v1/curation", routes.ListAsync, new("listCurations", "Curation", "What was consolidated, latest first")
        {
            Query = [new("limit", "integer", "Rows; 50 unless told, at most 1000.")],
            Answers = [new(200, "Curations", "The records."), SharedFields.BadRequest],
        });
        endpoints.MapWrite("POST", "/api/v1/curation/{id}/undo", routes.UndoAsync, new("undoCuration", "Curation", "Bring back what was consolidated, and archive what was made of it")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Answers = [new(200, "Curation", "Undone; also when it was before."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.Conflict, SharedFields.Unavailable],
        });
    }

    private async Task ConsolidateAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var draft = new ConsolidationDraft(
            body.Texts("ids") ?? throw JsonFields.Missing("ids"), body.Text("title"), body.Text("summary"), body.TextOrNull("namespace") ?? ClosedSets.DefaultNamespace,
            body.Tier("tier") ?? Tier.Long, body.TextOrNull("source") ?? "consolidation");
        var agent = Caller.Agent(context, body.TextOrNull("agent_id")) ?? Caller.Anonymous(null);
        var done = await callers.NodeOf(context).ConsolidateAsync(draft, new(agent, Quorum: Caller.Quorum(context)));
        EntityTags.Set(context, done.Receipt);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status201Created, done, Write);
    }

    internal static void Write(Utf8JsonWriter writer, Consolidated done)
    {
        writer.WriteStartObject();
        WriteFields(writer, done);
        writer.WriteEndObject();
    }

    internal static void WriteFields(Utf8JsonWriter writer, Consolidated done)
    {
        writer.WriteNumber("consolidated"u8, done.Count);
        writer.WriteString("curation_id"u8, done.CurationId);
        QuorumJson.Write(writer, done.Receipt);
    }

    private async Task ResolveAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var winner = body.Text("winner");
        var receipt = await callers.NodeOf(context).SupersedeAsync(winner, body.Text("loser"), Caller.Writes(context));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (winner, receipt), static (writer, done) =>
        {
            writer.WriteStartObject();
            writer.WriteString("loser"u8, done.receipt.Memory.Id);
            writer.WriteBoolean("resolved"u8, true);
            writer.WriteString("winner"u8, done.winner);
            writer.WriteEndObject();
        });
    }

    private async Task ListAsync(HttpContext context)
    {
        var curations = await callers.NodeOf(context).CurationsAsync(ReadFilters.Limit(new QueryText(context).Integer("limit"), StandardRows, MostRows), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, curations, static (writer, curations) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("count"u8, curations.Count);
            writer.WriteStartArray("curations"u8);
            foreach (var curation in curations)
            {
                Write(writer, curation);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    private async Task UndoAsync(HttpContext context) =>
        await JsonAnswer.WriteAsync(
            context, StatusCodes.Status200OK, await callers.NodeOf(context).UndoAsync(PathId.Of(context), Caller.Writes(context)), static (writer, curation) => Write(writer, curation));

    internal static void Write(Utf8JsonWriter writer, CurationRecord curation)
    {
        writer.WriteStartObject();
        writer.WriteString("action"u8, curation.Action);
        writer.WriteString("at"u8, curation.At.ToString());
        writer.WriteString("by"u8, curation.By);
        writer.WriteString("id"u8, curation.Id);
        writer.WriteString("namespace"u8, curation.Namespace);
        writer.WriteString("result_id"u8, curation.ResultId);
        if (curation.RunId is { } run)
        {
            writer.WriteString("run_id"u8, run);
        }

        writer.WriteStartArray("source_ids"u8);
        foreach (var id in curation.SourceIds)
        {
            writer.WriteStringValue(id);
        }

        writer.WriteEndArray();
        if (curation.UndoneAt is { } undoneAt)
        {
            writer.WriteString("undone_at"u8, undoneAt.ToString());
        }

        writer.WriteEndObject();
    }
}
