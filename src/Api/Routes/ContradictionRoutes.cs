using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;

namespace OrleansMemory.Api.Routes;

/// <summary>What speaks against each other.</summary>
internal sealed class ContradictionRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<ContradictionRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead("/api/v1/contradictions", routes.FindAsync, new("contradictions", "Search", "Memories that say different things of one topic; topic or namespace is needed")
        {
            Query =
            [
                new("topic", "string", "A title, or what metadata.topic says; in any case."), SharedFields.Namespace,
                new("limit", "integer", "Memories; 50 unless told, at most 100."),
            ],
            Answers = [new(200, "Contradictions", "The memories, and a link for each pair."), SharedFields.BadRequest],
        });
    }

    private async Task FindAsync(HttpContext context)
    {
        var query = new QueryText(context);
        var found = await callers.NodeOf(context).ContradictionsAsync(
            new(query.Text("topic"), query.Text("namespace"), ReadFilters.Limit(query.Integer("limit"), Core.ContradictionQuery.DefaultRows, Core.ContradictionQuery.MostRows)), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, found, static (writer, found) =>
        {
            writer.WriteStartObject();
            if (!found.IsComplete)
            {
                writer.WriteBoolean("complete"u8, false);
            }

            writer.WriteNumber("count"u8, found.Memories.Count);
            writer.WriteStartArray("links"u8);
            foreach (var link in found.Links)
            {
                writer.WriteStartObject();
                if (link.CreatedAt is { } at)
                {
                    writer.WriteString("created_at"u8, at.ToString());
                }

                writer.WriteString("relation"u8, "contradicts"u8);
                writer.WriteString("source_id"u8, link.SourceId);
                writer.WriteBoolean("synthesized"u8, link.CreatedAt is null);
                writer.WriteString("target_id"u8, link.TargetId);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WritePropertyName("memories"u8);
            MemoryJson.WriteAll(writer, found.Memories);
            writer.WriteEndObject();
        });
    }
}
