using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

internal sealed class ForgetRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<ForgetRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/forget", routes.ForgetAsync, new("forget", "Maintenance", "Archive every memory that matches all given filters")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Query = [SharedFields.Namespace, new("pattern", "string", "Words, of which any must occur."), SharedFields.Tier, SharedFields.DryRun],
            Body = "ForgetRequest",
            BodyOptional = true,
            Answers = [new(200, "Forgotten", "How many."), SharedFields.BadRequest, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable],
        });
    }

    private async Task ForgetAsync(HttpContext context)
    {
        // One client library sends a body, the other a query.
        var request = RequestBody.Exists(context) ? await RequestBody.ReadAsync(context, Read) : Read(new QueryText(context));
        if (request is { Namespace: null, Pattern: null, Tier: null })
        {
            throw new MemoryException(ErrorKind.FilterMissing, "at least one of namespace, pattern, tier is required");
        }

        var deleted = await callers.Of(context).ForgetAsync(request, new(Caller.Agent(context), Quorum: Caller.Quorum(context)));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (deleted, request.DryRun), static (writer, answer) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("deleted"u8, answer.DryRun ? 0 : answer.deleted);
            if (answer.DryRun)
            {
                writer.WriteBoolean("dry_run"u8, true);
                writer.WriteNumber("would_delete"u8, answer.deleted);
            }

            writer.WriteEndObject();
        });
    }

    private static ForgetQuery Read(QueryText query) => new(query.Text("namespace"), query.Text("pattern"), query.Tier(), query.Flag("dry_run"));

    private static ForgetQuery Read(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "body");
        string? @namespace = null, pattern = null;
        Tier? tier = null;
        var dryRun = false;
        while (JsonFields.NextProperty(ref reader))
        {
            var field = reader.GetString()!;
            reader.Read();
            switch (field)
            {
                case "namespace":
                    @namespace = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "pattern":
                    pattern = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "tier":
                    tier = reader.TokenType == JsonTokenType.Null ? null : JsonFields.Tier(ref reader, field);
                    break;
                case "dry_run":
                    dryRun = reader.TokenType != JsonTokenType.Null && JsonFields.Boolean(ref reader, field);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return new(@namespace, pattern, tier, dryRun);
    }
}
