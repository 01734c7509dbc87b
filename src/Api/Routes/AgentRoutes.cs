using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Governance;

namespace OrleansMemory.Api.Routes;

/// <summary>Agents that made themselves known.</summary>
internal sealed class AgentRoutes(CallerServices callers)
{
    private const string Path = "/api/v1/agents";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<AgentRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead(Path, routes.ListAsync, new("listAgents", "Agents", "Registered agents, by the time of their first registration")
        {
            Answers = [new(200, "Agents", "All of them.")],
        });
        endpoints.MapWrite("POST", Path, routes.RegisterAsync, new("registerAgent", "Agents", "Register an agent, or refresh its registration")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "AgentRequest",
            Answers =
            [
                new(201, "RegisteredAgent", "It is registered."),
                SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
    }

    private async Task ListAsync(HttpContext context)
    {
        var agents = await callers.NodeOf(context).AgentsAsync(context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, agents, WriteAll);
    }

    internal static void WriteAll(Utf8JsonWriter writer, IReadOnlyList<RegisteredAgent> agents)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("agents"u8);
        foreach (var agent in agents)
        {
            writer.WriteStartObject();
            Write(writer, agent, isReceipt: false);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteNumber("count"u8, agents.Count);
        writer.WriteEndObject();
    }

    private async Task RegisterAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var agent = await callers.NodeOf(context).RegisterAgentAsync(body.Text("agent_id"), body.Text("agent_type"), body.Texts("capabilities") ?? [], Caller.Writes(context));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status201Created, agent, static (writer, agent) =>
        {
            writer.WriteStartObject();
            Write(writer, agent, isReceipt: true);
            writer.WriteEndObject();
        });
    }

    internal static void Write(Utf8JsonWriter writer, RegisteredAgent agent, bool isReceipt)
    {
        writer.WriteString("agent_id"u8, agent.AgentId);
        writer.WriteString("agent_type"u8, agent.AgentType);
        writer.WriteStartArray("capabilities"u8);
        foreach (var capability in agent.Capabilities)
        {
            writer.WriteStringValue(capability);
        }

        writer.WriteEndArray();
        if (isReceipt)
        {
            writer.WriteString("id"u8, agent.Id);
        }

        writer.WriteString("last_seen_at"u8, agent.LastSeenAt.ToString());
        if (isReceipt)
        {
            writer.WriteBoolean("registered"u8, true);
        }

        writer.WriteString("registered_at"u8, agent.RegisteredAt.ToString());
    }
}
