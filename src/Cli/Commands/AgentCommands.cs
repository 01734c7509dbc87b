using System.CommandLine;
using OrleansMemory.Api.Routes;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Agents that made themselves known.</summary>
internal static class AgentCommands
{
    public static CliCommand Create() => CliCommand.Group("agents", "List agents (default), or register one", [new(new Command("list", "List registered agents"), ListAsync), Register()], ListAsync);

    private static async Task<int> ListAsync(Session session)
    {
        var service = await session.OpenAsync();
        var agents = await service.AgentsAsync();
        if (session.Json)
        {
            session.Report.Object(writer =>
            {
                writer.WriteStartArray("agents");
                foreach (var agent in agents)
                {
                    writer.WriteStartObject();
                    AgentRoutes.Write(writer, agent, isReceipt: false);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
                writer.WriteNumber("count", agents.Count);
            });
        }
        else if (agents.Count == 0)
        {
            session.Text.WriteLine("no registered agents");
        }
        else
        {
            foreach (var agent in agents)
            {
                var capabilities = agent.Capabilities.Count == 0 ? "" : $" [{string.Join(',', agent.Capabilities)}]";
                session.Text.WriteLine($"{agent.AgentId}  type={agent.AgentType}  registered={agent.RegisteredAt}  last_seen={agent.LastSeenAt}{capabilities}");
            }

            session.Text.WriteLine($"{agents.Count} registered agents");
        }

        return 0;
    }

    private static CliCommand Register()
    {
        var id = OptionKinds.Text("The agent's id", "--agent-id");
        id.Required = true;
        var type = OptionKinds.Text("human, system, or ai: and a name", "--agent-type");
        type.Required = true;
        var capabilities = OptionKinds.Text("Comma list", "--capabilities");
        return new(new Command("register", "Register an agent, or refresh its registration") { id, type, capabilities }, async session =>
        {
            var (named, kind, able) = (
                MemoryRules.AgentId(session.Required(id)!), MemoryRules.AgentType(session.Required(type)!), MemoryRules.Tags(OptionKinds.List(session.Value(capabilities) ?? "")));
            var service = await session.OpenAsync();
            var agent = await service.RegisterAgentAsync(named, kind, able, session.Write);
            if (session.Json)
            {
                session.Report.Object(writer => AgentRoutes.Write(writer, agent, isReceipt: true));
            }
            else
            {
                session.Text.WriteLine($"registered {agent.AgentId} (type={agent.AgentType}, capabilities={(agent.Capabilities.Count == 0 ? "-" : string.Join(',', agent.Capabilities))})");
            }

            return 0;
        });
    }
}
