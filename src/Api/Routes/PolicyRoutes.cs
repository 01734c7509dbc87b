using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;

namespace OrleansMemory.Api.Routes;

/// <summary>What a namespace asks of its writes.</summary>
internal sealed class PolicyRoutes(CallerServices callers)
{
    private const string Path = "/api/v1/namespaces/policy";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<PolicyRoutes>(endpoints.ServiceProvider);
        QueryField field = new("namespace", "string", "The namespace.", Required: true);
        endpoints.MapRead(Path, routes.GetAsync, new("getPolicy", "Namespaces", "What a namespace asks of its writes")
        {
            Query = [field],
            Answers = [new(200, "Policy", "The policy."), SharedFields.BadRequest],
        });
        endpoints.MapWrite("PUT", Path, routes.PutAsync, new("putPolicy", "Namespaces", "Say what a namespace asks of its writes; those below it follow")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Query = [field],
            Body = "PolicyRequest",
            Answers = [new(200, "Policy", "The policy."), SharedFields.BadRequest, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable],
        });
    }

    private async Task GetAsync(HttpContext context) => await AnswerAsync(context, await callers.NodeOf(context).QuorumAsync(Namespace(context), context.RequestAborted));

    private async Task PutAsync(HttpContext context)
    {
        var writes = await RequestBody.ReadAsync(context, Read);
        await AnswerAsync(context, await callers.NodeOf(context).SetQuorumAsync(Namespace(context), writes, new(Caller.Agent(context), Quorum: Caller.Quorum(context))));
    }

    private static string Namespace(HttpContext context) => new QueryText(context).Text("namespace") ?? throw JsonFields.Missing("namespace");

    private static int? Read(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "body");
        int? writes = null;
        var isGiven = false;
        while (JsonFields.NextProperty(ref reader))
        {
            var field = reader.GetString()!;
            reader.Read();
            if (field == "quorum_writes")
            {
                writes = reader.TokenType == JsonTokenType.Null ? null : JsonFields.Integer(ref reader, field);
                isGiven = true;
            }
            else
            {
                reader.Skip();
            }
        }

        return isGiven ? writes : throw JsonFields.Missing("quorum_writes");
    }

    private static Task AnswerAsync(HttpContext context, QuorumPolicy policy) => JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, policy, static (writer, policy) =>
    {
        writer.WriteStartObject();
        writer.WriteNumber("effective_quorum_writes"u8, policy.Effective);
        writer.WriteString("namespace"u8, policy.Namespace);
        if (policy.Writes is { } writes)
        {
            writer.WriteNumber("quorum_writes"u8, writes);
        }
        else
        {
            writer.WriteNull("quorum_writes"u8);
        }

        writer.WriteEndObject();
    });
}
