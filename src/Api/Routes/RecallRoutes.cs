using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

internal sealed class RecallRoutes(CallerServices callers, TimeProvider time, ApiInstruments instruments)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<RecallRoutes>(endpoints.ServiceProvider);
        Answer found = new(200, "RecallResult", "The hits, best first, with the values they had before this recall.");
        endpoints.MapRead("/api/v1/recall", routes.RecallByQueryAsync, new("recallByQuery", "Recall", "Memories that hold any word of the context, best first")
        {
            Query =
            [
                new("context", "string", "What the caller is doing.", Required: true), SharedFields.Namespace,
                new("limit", "integer", "Rows; 10 unless told, at most 50."), SharedFields.Tags, SharedFields.Since, SharedFields.Until,
                SharedFields.AsAgent, new("budget_tokens", "integer", "Stop before the sum of costs exceeds this."),
                new("context_tokens", "string", "Words around the query, a comma list: they have a share in its vector."),
                new("tier", "string", "keyword: by words, also where there are vectors."),
            ],
            Answers = [found, SharedFields.BadRequest],
        });
        endpoints.MapQuery("/api/v1/recall", routes.RecallByBodyAsync, new("recall", "Recall", "Memories that hold any word of the context, best first")
        {
            Body = "RecallRequest",
            Answers = [found, SharedFields.BadRequest, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape],
        });
    }

    private Task RecallByQueryAsync(HttpContext context)
    {
        var query = new QueryText(context);
        return RecallAsync(context, new(
            query.Text("context") ?? "",
            query.Text("namespace"),
            query.Integer("limit"),
            query.Text("tags"),
            query.Text("since"),
            query.Text("until"),
            query.Text("as_agent"),
            query.Integer("budget_tokens"),
            query.Text("context_tokens")?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
            query.Text("tier")));
    }

    private async Task RecallByBodyAsync(HttpContext context) => await RecallAsync(context, await RequestBody.ReadAsync(context, Read));

    private async Task RecallAsync(HttpContext context, Request request)
    {
        if (string.IsNullOrWhiteSpace(request.Context))
        {
            throw new MemoryException(ErrorKind.QueryEmpty, "context is required");
        }

        var started = time.GetTimestamp();
        var budget = ReadFilters.BudgetTokens(request.BudgetTokens);
        var result = await callers.Of(context).RecallAsync(
            new()
            {
                Context = request.Context,
                Namespace = request.Namespace,
                Tag = request.Tag,
                Since = ReadFilters.Instant("since", request.Since),
                Until = ReadFilters.Instant("until", request.Until),
                AsAgent = ReadFilters.AsAgent(request.AsAgent),
                Limit = ReadFilters.Limit(request.Limit, MemoryLimits.DefaultRecallRows, MemoryLimits.RecallRows),
                BudgetTokens = budget,
                ContextTokens = request.ContextTokens ?? [],
                KeywordOnly = string.Equals(request.Tier, "keyword", StringComparison.OrdinalIgnoreCase),
            },
            context.RequestAborted);
        instruments.CountRecall(result.Mode, time.GetElapsedTime(started));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (result, budget), static (writer, answer) =>
        {
            writer.WriteStartObject();
            if (answer.budget is { } budget)
            {
                writer.WriteNumber("budget_tokens"u8, budget);
            }

            WriteCompleteness(writer, answer.result.IsComplete);
            writer.WriteNumber("count"u8, answer.result.Memories.Count);
            if (answer.result.Degraded is { } degraded)
            {
                writer.WriteString("degraded"u8, degraded);
            }

            writer.WriteStartArray("memories"u8);
            foreach (var hit in answer.result.Memories)
            {
                MemoryJson.Write(writer, hit.Memory, new(Score: hit.Score));
            }

            writer.WriteEndArray();
            writer.WriteString("mode"u8, answer.result.Mode);
            writer.WriteString("recall_mode"u8, answer.result.Degraded is not null ? "degraded"u8 : answer.result.Mode == RecallModes.Keyword ? "keyword_only"u8 : "hybrid"u8);
            writer.WriteNumber("tokens_used"u8, answer.result.TokensUsed);
            writer.WriteEndObject();
        });
    }

    /// <summary>Says so when the index may have lacked memories, as while it is rebuilt; else nothing.</summary>
    public static void WriteCompleteness(Utf8JsonWriter writer, bool isComplete)
    {
        if (!isComplete)
        {
            writer.WriteBoolean("complete"u8, false);
        }
    }

    private static Request Read(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "body");
        string? context = null, @namespace = null, tag = null, since = null, until = null, asAgent = null, tier = null;
        long? limit = null, budget = null;
        IReadOnlyList<string>? around = null;
        while (JsonFields.NextProperty(ref reader))
        {
            var field = reader.GetString()!;
            reader.Read();
            switch (field)
            {
                case "context":
                    context = JsonFields.Text(ref reader, field);
                    break;
                case "namespace":
                    @namespace = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "tags":
                    tag = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "since":
                    since = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "until":
                    until = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "as_agent":
                    asAgent = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "limit":
                    limit = reader.TokenType == JsonTokenType.Null ? null : JsonFields.LongInteger(ref reader, field);
                    break;
                case "budget_tokens":
                    budget = reader.TokenType == JsonTokenType.Null ? null : JsonFields.LongInteger(ref reader, field);
                    break;
                case "context_tokens":
                    around = reader.TokenType == JsonTokenType.Null ? null : JsonFields.Texts(ref reader, field);
                    break;
                case "tier":
                    tier = JsonFields.TextOrNull(ref reader, field);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return new(context ?? throw JsonFields.Missing("context"), @namespace, limit, tag, since, until, asAgent, budget, around, tier);
    }

    private sealed record Request(
        string Context, string? Namespace, long? Limit, string? Tag, string? Since, string? Until, string? AsAgent, long? BudgetTokens, IReadOnlyList<string>? ContextTokens, string? Tier);
}
