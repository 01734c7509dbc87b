using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

internal sealed class LinkRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<LinkRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/links", routes.LinkAsync, new("link", "Links", "Link one memory to another")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "LinkRequest",
            Answers =
            [
                new(201, "LinkedAnswer", "The link is there; also when it was before."),
                SharedFields.BadRequest, SharedFields.NotFound, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapRead("/api/v1/links/{id}", routes.LinksAsync, new("getLinks", "Links", "Links of a memory in both directions, oldest first")
        {
            Answers = [new(200, "Links", "None for an unknown id."), SharedFields.BadRequest],
        });
    }

    private async Task LinkAsync(HttpContext context)
    {
        var (source, target, relation, agentId) = await RequestBody.ReadAsync(context, Read);
        var receipt = await callers.Of(context).LinkAsync(source, target, relation, new(Caller.Agent(context, agentId), Quorum: Caller.Quorum(context)));
        MemoryTokens.Answer(context, receipt.Position);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status201Created, receipt, static (writer, receipt) => MemoryJson.Write(writer, receipt));
    }

    private async Task LinksAsync(HttpContext context)
    {
        var links = await callers.Of(context).LinksAsync(PathId.Of(context), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, links, Write);
    }

    internal static void Write(Utf8JsonWriter writer, IReadOnlyList<Link> links)
    {
        writer.WriteStartObject();
        writer.WriteNumber("count"u8, links.Count);
        writer.WritePropertyName("links"u8);
        MemoryJson.WriteLinks(writer, links);
        writer.WriteEndObject();
    }

    private static (string Source, string Target, string Relation, string? AgentId) Read(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "body");
        string? source = null, target = null, agentId = null;
        var relation = ClosedSets.DefaultRelation;
        while (JsonFields.NextProperty(ref reader))
        {
            var field = reader.GetString()!;
            reader.Read();
            switch (field)
            {
                case "source_id":
                    source = JsonFields.Text(ref reader, field);
                    break;
                case "target_id":
                    target = JsonFields.Text(ref reader, field);
                    break;
                case "relation":
                    relation = JsonFields.Text(ref reader, field);
                    break;
                case "agent_id":
                    agentId = JsonFields.TextOrNull(ref reader, field);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return (source ?? throw JsonFields.Missing("source_id"), target ?? throw JsonFields.Missing("target_id"), relation, agentId);
    }
}
