using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Models;

namespace OrleansMemory.Api.Routes;

/// <summary>What an agent asks first: what there is to know, and what this node can do.</summary>
internal sealed class SessionRoutes(CallerServices callers)
{
    internal const string Mode = "session_start";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<SessionRoutes>(endpoints.ServiceProvider);
        endpoints.MapQuery("/api/v1/session/start", routes.StartAsync, new("startSession", "Recall", "The standards of a namespace, and its memories by priority")
        {
            Body = "SessionRequest",
            BodyOptional = true,
            Answers = [new(200, "SessionStart", "What to begin with."), SharedFields.BadRequest, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape],
        });
        endpoints.MapRead("/api/v1/capabilities", routes.CapabilitiesAsync, new("capabilities", "Statistics", "What this node can do")
        {
            Answers = [new(200, "Capabilities", "What works here now.")],
        });
    }

    private async Task StartAsync(HttpContext context)
    {
        var body = RequestBody.Exists(context) ? await RequestBody.ReadAsync(context, BodyFields.Read) : BodyFields.Empty;
        var start = await callers.NodeOf(context).StartSessionAsync(
            body.TextOrNull("namespace"), ReadFilters.Limit(body.Integer("limit"), MemoryLimits.DefaultRecallRows, MemoryLimits.RecallRows), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, start, Write);
    }

    internal static void Write(Utf8JsonWriter writer, SessionStart start)
    {
        writer.WriteStartObject();
        writer.WriteNumber("count"u8, start.Memories.Count);
        writer.WriteStartArray("memories"u8);
        foreach (var memory in start.Memories)
        {
            MemoryJson.Write(writer, memory, new(Score: 0));
        }

        writer.WriteEndArray();
        writer.WriteString("mode"u8, Mode);
        WriteStandards(writer, start.Standards);
        writer.WriteEndObject();
    }

    /// <summary>One under <c>standard</c>, several under <c>standards</c>, none not at all.</summary>
    internal static void WriteStandards(Utf8JsonWriter writer, IReadOnlyList<Memory> standards)
    {
        if (standards.Count == 1)
        {
            writer.WritePropertyName("standard"u8);
            MemoryJson.Write(writer, standards[0]);
        }
        else if (standards.Count > 1)
        {
            writer.WritePropertyName("standards"u8);
            MemoryJson.WriteAll(writer, standards);
        }
    }

    /// <summary>What works, not what was asked for.</summary>
    private async Task CapabilitiesAsync(HttpContext context) =>
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, await callers.NodeOf(context).ModelsAsync(context.RequestAborted), Write);

    internal static void Write(Utf8JsonWriter writer, ModelFeatures models)
    {
        var (semantic, text) = (models.Embedding is not null, models.Text is not null);
        writer.WriteStartObject();
        writer.WriteStartObject("features"u8);
        writer.WriteBoolean("auto_consolidation"u8, text);
        writer.WriteBoolean("auto_tagging"u8, text);
        writer.WriteBoolean("contradiction_analysis"u8, text);
        writer.WriteBoolean("cross_encoder_reranking"u8, false);
        writer.WriteBoolean("hybrid_recall"u8, semantic);
        writer.WriteBoolean("keyword_search"u8, true);
        writer.WriteBoolean("memory_reflection"u8, false);
        writer.WriteBoolean("query_expansion"u8, text);
        writer.WriteBoolean("semantic_search"u8, semantic);
        writer.WriteEndObject();
        writer.WriteStartObject("models"u8);
        writer.WriteString("cross_encoder"u8, "none"u8);
        writer.WriteString("embedding"u8, models.Embedding ?? "none");
        writer.WriteNumber("embedding_dim"u8, models.EmbeddingDimension);
        writer.WriteString("llm"u8, models.Text ?? "none");
        if (models.Embedding is not null)
        {
            writer.WriteString("vectors"u8, models.VectorsInStore ? "database"u8 : "memory"u8);
            if (models.VectorsProblem is { } problem)
            {
                writer.WriteString("vectors_problem"u8, problem);
            }
        }

        writer.WriteEndObject();
        writer.WriteString("tier"u8, (semantic, text) switch { (true, true) => "smart", (true, false) => "semantic", _ => "keyword" });
        writer.WriteString("version"u8, typeof(SessionRoutes).Assembly.GetName().Version!.ToString(3));
        writer.WriteEndObject();
    }
}
