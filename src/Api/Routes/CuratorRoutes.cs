using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Curation;

namespace OrleansMemory.Api.Routes;

/// <summary>Runs of the curator, and the way back.</summary>
internal sealed class CuratorRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<CuratorRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead("/api/v1/curator", routes.StatusAsync, new("curator", "Curation", "Whether this node's curator is at work, and its last run")
        {
            Answers = [new(200, "Curator", "As of now."), SharedFields.Forbidden],
        });
        endpoints.MapWrite("POST", "/api/v1/curator/run", routes.RunAsync, new("runCurator", "Curation", "Tidy once: expire, tell near duplicates as one, archive what is contradicted, move priorities with use")
        {
            Headers = [SharedFields.Quorum],
            Body = "CuratorOrder",
            BodyOptional = true,
            Answers =
            [
                new(200, "CuratorReport", "What was done, or would be."), SharedFields.BadRequest, SharedFields.Forbidden, new(409, "Error", "A run is under way, here or on another node."),
                SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapWrite("POST", "/api/v1/curator/undo", routes.UndoAsync, new("undoCuratorRuns", "Curation", "Undo a run of the curator, or the last changes of any")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "CuratorUndo",
            Answers =
            [
                new(200, "CuratorUndone", "What could be undone is."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape,
                SharedFields.Unavailable,
            ],
        });
    }

    private async Task StatusAsync(HttpContext context)
    {
        var status = await callers.NodeOf(context).CuratorAsync(context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, status, static (writer, status) =>
        {
            writer.WriteStartObject();
            if (status.Last is { } last)
            {
                writer.WritePropertyName("last"u8);
                Write(writer, last);
            }

            writer.WriteString("node"u8, status.Node);
            writer.WriteBoolean("running"u8, status.IsRunning);
            writer.WriteEndObject();
        });
    }

    private async Task RunAsync(HttpContext context)
    {
        var body = RequestBody.Exists(context) ? await RequestBody.ReadAsync(context, BodyFields.Read) : BodyFields.Empty;
        var order = new CuratorOrder(
            (int)Math.Clamp(body.Integer("max_ops") ?? CuratorOrder.DefaultOperations, int.MinValue, int.MaxValue), body.Boolean("dry_run") ?? false, body.Texts("include_namespaces"),
            body.Texts("exclude_namespaces"));
        await JsonAnswer.WriteAsync(
            context, StatusCodes.Status200OK, await callers.NodeOf(context).CurateAsync(order, new(Quorum: Caller.Quorum(context))), static (writer, report) => Write(writer, report));
    }

    private async Task UndoAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var last = body.Integer("last") is { } number ? (int?)Math.Clamp(number, int.MinValue, int.MaxValue) : null;
        var undone = await callers.NodeOf(context).UndoRunsAsync(body.TextOrNull("run"), last, Caller.Writes(context, body.TextOrNull("agent_id")));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, undone, static (writer, undone) =>
        {
            writer.WriteStartObject();
            Write(writer, undone.Errors);
            writer.WriteNumber("reversed"u8, undone.Reversed);
            writer.WriteEndObject();
        });
    }

    /// <summary>In the words of the curator command.</summary>
    private static void Write(Utf8JsonWriter writer, CuratorReport report)
    {
        writer.WriteStartObject();
        writer.WriteNumber("auto_tagged"u8, 0);
        writer.WriteStartObject("autonomy"u8);
        writer.WriteNumber("clusters_formed"u8, report.Clusters);
        Write(writer, report.Errors);
        writer.WriteNumber("memories_consolidated"u8, report.Consolidated);
        writer.WriteNumber("memories_forgotten"u8, report.Forgotten);
        writer.WriteNumber("priority_adjustments"u8, report.PrioritiesAdjusted);
        writer.WriteNumber("rollback_entries_written"u8, report.UndoRecords);
        writer.WriteEndObject();
        writer.WriteString("completed_at"u8, report.CompletedAt.ToString());
        writer.WriteNumber("contradictions_found"u8, 0);
        writer.WriteNumber("cycle_duration_ms"u8, (report.CompletedAt.Nanoseconds - report.StartedAt.Nanoseconds) / 1_000_000);
        writer.WriteBoolean("dry_run"u8, report.DryRun);
        Write(writer, report.Errors);
        writer.WriteNumber("expired"u8, report.Expired);
        writer.WriteNumber("memories_eligible"u8, report.Eligible);
        writer.WriteNumber("memories_scanned"u8, report.Scanned);
        writer.WriteNumber("operations_attempted"u8, report.Attempted);
        writer.WriteNumber("operations_skipped_cap"u8, report.SkippedByCap);
        if (report.RunId is { } id)
        {
            writer.WriteString("run_id"u8, id);
        }

        writer.WriteString("started_at"u8, report.StartedAt.ToString());
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, IReadOnlyList<string> errors)
    {
        writer.WriteStartArray("errors"u8);
        foreach (var error in errors)
        {
            writer.WriteStringValue(error);
        }

        writer.WriteEndArray();
    }
}
