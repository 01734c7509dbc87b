using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

/// <summary>Who else may see or change a memory.</summary>
internal sealed class GrantRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<GrantRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/memories/{id}/grant", routes.GrantAsync, new("grantMemory", "Memories", "Let an agent with a key of its own see or change a memory of another, whatever its scope")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "GrantRequest",
            Answers =
            [
                new(200, "Granted", "It holds in what is asked from now on; on other nodes when it has arrived there."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound,
                SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapWrite("POST", "/api/v1/memories/{id}/revoke", routes.RevokeAsync, new("revokeMemory", "Memories", "Take a grant away")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "RevokeRequest",
            Answers =
            [
                new(200, "Revoked", "Also when there was none."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.TooLarge, SharedFields.MediaType,
                SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapRead("/api/v1/memories/{id}/grants", routes.ListAsync, new("listGrants", "Memories", "Who was granted a memory; to who did not write it only its own grant")
        {
            Answers = [new(200, "Grants", "By agent."), SharedFields.BadRequest, SharedFields.NotFound],
        });
    }

    private async Task GrantAsync(HttpContext context)
    {
        var id = PathId.Of(context);
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var grant = await callers.NodeOf(context).GrantAsync(id, body.Text("agent_id"), Permissions.Parse(body.TextOrNull("permission") ?? Permission.Read.Name()), Caller.Writes(context));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, grant, static (writer, grant) =>
        {
            writer.WriteStartObject();
            writer.WriteString("agent_id"u8, grant.AgentId);
            writer.WriteBoolean("granted"u8, true);
            writer.WriteString("memory_id"u8, grant.MemoryId);
            writer.WriteString("permission"u8, grant.Permission.Name());
            writer.WriteEndObject();
        });
    }

    private async Task RevokeAsync(HttpContext context)
    {
        var id = PathId.Of(context);
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var changed = await callers.NodeOf(context).RevokeAsync(id, body.Text("agent_id"), Caller.Writes(context));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, changed, static (writer, changed) =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("changed"u8, changed);
            writer.WriteBoolean("revoked"u8, true);
            writer.WriteEndObject();
        });
    }

    private async Task ListAsync(HttpContext context)
    {
        var grants = await callers.NodeOf(context).GrantsAsync(PathId.Of(context), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, grants, static (writer, grants) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("count"u8, grants.Count);
            writer.WriteStartArray("grants"u8);
            foreach (var grant in grants)
            {
                writer.WriteStartObject();
                writer.WriteString("agent_id"u8, grant.AgentId);
                writer.WriteString("at"u8, grant.At.ToString());
                writer.WriteString("by"u8, grant.By);
                writer.WriteString("permission"u8, grant.Permission.Name());
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }
}
