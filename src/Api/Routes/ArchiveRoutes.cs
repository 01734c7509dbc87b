using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;

namespace OrleansMemory.Api.Routes;

/// <summary>What was forgotten or has expired, and the ways back and out.</summary>
internal sealed class ArchiveRoutes(CallerServices callers)
{
    private const string Path = "/api/v1/archive";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<ArchiveRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead(Path, routes.ListAsync, new("listArchive", "Archive", "Archived memories, latest first")
        {
            Query = [SharedFields.Namespace, new("limit", "integer", "Rows; 50 unless told, at most 1000."), SharedFields.Offset],
            Answers = [new(200, "ArchivePage", "A page."), SharedFields.BadRequest],
        });
        endpoints.MapWrite("DELETE", Path, routes.PurgeAsync, new("purgeArchive", "Archive", "Delete archived memories for good")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Query = [new("older_than_days", "integer", "Only those archived at least so many days ago; without it all.")],
            Answers = [new(200, "Purged", "How many."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.Unavailable],
        });
        endpoints.MapRead(Path + "/stats", routes.StatisticsAsync, new("archiveStats", "Archive", "Archived memories of each namespace, most first")
        {
            Answers = [new(200, "ArchiveStatistics", "The counts.")],
        });
        endpoints.MapWrite("POST", Path + "/{id}/restore", routes.RestoreAsync, new("restoreMemory", "Archive", "Bring an archived memory back, long-lived")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Answers = [new(200, "Restored", "It is live again."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.Conflict, SharedFields.Unavailable],
        });
    }

    private async Task ListAsync(HttpContext context)
    {
        var query = new QueryText(context);
        var archived = await callers.NodeOf(context).ArchivedAsync(
            new(query.Text("namespace"), ReadFilters.Limit(query.Integer("limit"), ArchiveQuery.DefaultRows, ArchiveQuery.MostRows), ReadFilters.Offset(query.Integer("offset"))),
            context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, archived, WriteAll);
    }

    internal static void WriteAll(Utf8JsonWriter writer, IReadOnlyList<ArchivedMemory> archived)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("archived"u8);
        foreach (var row in archived)
        {
            MemoryJson.Write(writer, row);
        }

        writer.WriteEndArray();
        writer.WriteNumber("count"u8, archived.Count);
        writer.WriteEndObject();
    }

    private async Task PurgeAsync(HttpContext context)
    {
        var purged = await callers.NodeOf(context).PurgeAsync(new QueryText(context).Integer("older_than_days"), Caller.Writes(context));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, purged, WritePurged);
    }

    internal static void WritePurged(Utf8JsonWriter writer, long purged)
    {
        writer.WriteStartObject();
        writer.WriteNumber("purged"u8, purged);
        writer.WriteEndObject();
    }

    private async Task StatisticsAsync(HttpContext context)
    {
        var statistics = await callers.NodeOf(context).ArchiveStatisticsAsync(context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, statistics, Write);
    }

    internal static void Write(Utf8JsonWriter writer, ArchiveStatistics statistics)
    {
        writer.WriteStartObject();
        writer.WriteNumber("archived_total"u8, statistics.Total);
        writer.WritePropertyName("by_namespace"u8);
        StatisticsRoutes.WriteNamespaces(writer, statistics.ByNamespace);
        writer.WriteEndObject();
    }

    private async Task RestoreAsync(HttpContext context)
    {
        var receipt = await callers.NodeOf(context).RestoreAsync(PathId.Of(context), Caller.Writes(context));
        EntityTags.Set(context, receipt);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, receipt, WriteRestored);
    }

    internal static void WriteRestored(Utf8JsonWriter writer, WriteReceipt receipt)
    {
        writer.WriteStartObject();
        QuorumJson.WriteDurability(writer, receipt.Quorum, receipt.Durability);
        writer.WriteString("id"u8, receipt.Memory.Id);
        QuorumJson.WriteAcks(writer, receipt.Quorum);
        writer.WriteBoolean("restored"u8, true);
        QuorumJson.WriteStamp(writer, receipt.Quorum, receipt.Stamp);
        writer.WriteEndObject();
    }
}
