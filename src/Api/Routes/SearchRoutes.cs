using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

internal sealed class SearchRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<SearchRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead("/api/v1/search", routes.SearchAsync, new("search", "Recall", "Memories that hold every word, best first")
        {
            Query =
            [
                new("q", "string", "The words.", Required: true), SharedFields.Namespace, SharedFields.Tier, SharedFields.ListLimit, SharedFields.MinPriority,
                SharedFields.Since, SharedFields.Until, SharedFields.Tags, SharedFields.AgentId, SharedFields.AsAgent,
            ],
            Answers = [new(200, "SearchResult", "The hits, under results and under memories alike."), SharedFields.BadRequest],
        });
    }

    private async Task SearchAsync(HttpContext context)
    {
        var query = new QueryText(context);
        var text = query.Text("q") ?? throw new MemoryException(ErrorKind.InvalidQuery, "missing query parameter `q`");
        if (string.IsNullOrWhiteSpace(text))
        {
            throw new MemoryException(ErrorKind.QueryEmpty, "query is required");
        }

        var found = await callers.Of(context).SearchAsync(
            new()
            {
                Text = text,
                Namespace = query.Text("namespace"),
                Tier = query.Tier(),
                MinPriority = ReadFilters.MinPriority(query.Integer("min_priority")),
                Since = ReadFilters.Instant("since", query.Text("since")),
                Until = ReadFilters.Instant("until", query.Text("until")),
                Tag = query.Text("tags"),
                AgentId = ReadFilters.AgentId(query.Text("agent_id")),
                Limit = ReadFilters.Limit(query.Integer("limit"), MemoryLimits.DefaultListRows, MemoryLimits.ListRows),
                AsAgent = ReadFilters.AsAgent(query.Text("as_agent")),
            },
            context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (text, found), static (writer, answer) =>
        {
            writer.WriteStartObject();
            RecallRoutes.WriteCompleteness(writer, answer.found.IsComplete);
            writer.WriteNumber("count"u8, answer.found.Memories.Count);

            // One client library reads memories, the other results.
            writer.WritePropertyName("memories"u8);
            WriteHits(writer, answer.found.Memories);
            writer.WriteString("query"u8, answer.text);
            writer.WritePropertyName("results"u8);
            WriteHits(writer, answer.found.Memories);
            writer.WriteEndObject();
        });
    }

    private static void WriteHits(System.Text.Json.Utf8JsonWriter writer, IReadOnlyList<RankedMemory> found)
    {
        writer.WriteStartArray();
        foreach (var hit in found)
        {
            MemoryJson.Write(writer, hit.Memory);
        }

        writer.WriteEndArray();
    }
}
