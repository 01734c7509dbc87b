using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

/// <summary>Counts over the whole store.</summary>
internal sealed class StatisticsRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<StatisticsRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead("/api/v1/stats", routes.StatisticsAsync, new("stats", "Statistics", "Counts over the store, expired memories included")
        {
            Answers = [new(200, "Statistics", "The counts.")],
        });
    }

    private async Task StatisticsAsync(HttpContext context)
    {
        var statistics = await callers.Of(context).StatisticsAsync(context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, statistics, Write);
    }

    internal static void Write(Utf8JsonWriter writer, StoreStatistics statistics)
    {
        writer.WriteStartObject();
        writer.WritePropertyName("by_namespace"u8);
        WriteNamespaces(writer, statistics.ByNamespace);
        writer.WriteStartArray("by_tier"u8);
        foreach (var (tier, count) in statistics.ByTier)
        {
            writer.WriteStartObject();
            writer.WriteNumber("count"u8, count);
            writer.WriteString("tier"u8, tier.Name());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteNumber("db_size_bytes"u8, statistics.DatabaseSizeBytes);
        writer.WriteNumber("expiring_soon"u8, statistics.ExpiringSoon);
        writer.WriteNumber("links_count"u8, statistics.LinksCount);
        writer.WriteNumber("total"u8, statistics.Total);
        writer.WriteEndObject();
    }

    internal static void WriteNamespaces(Utf8JsonWriter writer, IReadOnlyList<NamespaceCount> namespaces)
    {
        writer.WriteStartArray();
        foreach (var (@namespace, count) in namespaces)
        {
            writer.WriteStartObject();
            writer.WriteNumber("count"u8, count);
            writer.WriteString("namespace"u8, @namespace);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
