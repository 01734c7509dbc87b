using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Models;

namespace OrleansMemory.Api.Routes;

/// <summary>What a text model is asked about queries and memories.</summary>
internal sealed class ModelRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<ModelRoutes>(endpoints.ServiceProvider);
        Answer missing = new(501, "Error", "No text model is configured.");
        endpoints.MapQuery("/api/v1/expand_query", routes.ExpandAsync, new("expandQuery", "Recall", "Words near a query, from the text model")
        {
            Body = "ExpandQueryRequest",
            Answers = [new(200, "ExpandedQuery", "The words, best first."), SharedFields.BadRequest, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, missing, SharedFields.Unavailable],
        });
        endpoints.MapWrite("POST", "/api/v1/auto_tag", routes.AutoTagAsync, new("autoTag", "Memories", "Add the tags that the text model finds to a memory")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "AutoTagRequest",
            Answers =
            [
                new(200, "AutoTags", "Durable."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.TooLarge, SharedFields.MediaType,
                SharedFields.WrongShape, missing, SharedFields.Unavailable,
            ],
        });
        endpoints.MapQuery("/api/v1/contradictions", routes.CompareAsync, new("compare", "Memories", "Whether two memories contradict each other")
        {
            Body = "ContradictionRequest",
            Answers =
            [
                new(200, "Contradiction", "What the text model says."), SharedFields.BadRequest, SharedFields.NotFound, SharedFields.TooLarge, SharedFields.MediaType,
                SharedFields.WrongShape, missing, SharedFields.Unavailable,
            ],
        });
    }

    private async Task ExpandAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var expansion = await callers.NodeOf(context).ExpandQueryAsync(body.Text("query"), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, expansion, Write);
    }

    internal static void Write(Utf8JsonWriter writer, QueryExpansion expansion)
    {
        writer.WriteStartObject();
        WriteTexts(writer, "expanded_terms"u8, expansion.Terms);
        writer.WriteString("original"u8, expansion.Query);
        writer.WriteEndObject();
    }

    private async Task AutoTagAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var agent = Caller.Agent(context, body.TextOrNull("agent_id")) ?? Caller.Anonymous(null);
        var tags = await callers.NodeOf(context).AutoTagAsync(body.Text("id"), new(agent, Quorum: Caller.Quorum(context)));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, tags, Write);
    }

    internal static void Write(Utf8JsonWriter writer, AutoTags tags)
    {
        writer.WriteStartObject();
        WriteTexts(writer, "all_tags"u8, tags.All);
        writer.WriteString("id"u8, tags.Id);
        WriteTexts(writer, "new_tags"u8, tags.Added);
        writer.WriteEndObject();
    }

    private async Task CompareAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var check = await callers.NodeOf(context).CompareAsync(body.Text("id_a"), body.Text("id_b"), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, check, Write);
    }

    internal static void Write(Utf8JsonWriter writer, ContradictionCheck check)
    {
        writer.WriteStartObject();
        writer.WriteBoolean("contradicts"u8, check.Contradicts);
        Write(writer, "memory_a"u8, check.One);
        Write(writer, "memory_b"u8, check.Other);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, ReadOnlySpan<byte> name, NamedMemory memory)
    {
        writer.WriteStartObject(name);
        writer.WriteString("id"u8, memory.Id);
        writer.WriteString("title"u8, memory.Title);
        writer.WriteEndObject();
    }

    private static void WriteTexts(Utf8JsonWriter writer, ReadOnlySpan<byte> name, IReadOnlyList<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (var text in texts)
        {
            writer.WriteStringValue(text);
        }

        writer.WriteEndArray();
    }
}
