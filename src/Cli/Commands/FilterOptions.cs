using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>The filters that reading commands share.</summary>
internal sealed class FilterOptions
{
    private readonly Option<string?> _namespace = OptionKinds.Text("Only this namespace", "--namespace", "-n");
    private readonly Option<string?> _since = OptionKinds.Text("Created at or after, RFC 3339", "--since");
    private readonly Option<string?> _until = OptionKinds.Text("Created at or before, RFC 3339", "--until");
    private readonly Option<string?> _tags = OptionKinds.Text("Only memories with this one tag", "--tags");
    private readonly Option<string?>? _tier;
    private readonly Option<string?>? _agent;

    /// <param name="withAgent">After the command's name <c>--agent-id</c> is then a filter; before it, it still names the caller.</param>
    public FilterOptions(bool withTier, bool withAgent)
    {
        _tier = withTier ? OptionKinds.Text("Only this tier", "--tier", "-t") : null;
        _agent = withAgent ? OptionKinds.Text("Only memories of this agent", "--agent-id") : null;
    }

    public void AddTo(Command command)
    {
        foreach (var option in new[] { _namespace, _tier, _since, _until, _tags, _agent })
        {
            if (option is not null)
            {
                command.Add(option);
            }
        }
    }

    /// <exception cref="MemoryException">A filter that no memory could be compared with; ignoring it would show or delete too much.</exception>
    public MemoryFilter Read(Session session) => new()
    {
        Namespace = session.Value(_namespace) is { } name ? MemoryRules.Namespace(name) : null,
        Tier = _tier is not null && session.Value(_tier) is { } tier ? TierNames.Parse(tier) : null,
        Since = session.Value(_since) is { } since ? MemoryRules.Instant("since", since) : null,
        Until = session.Value(_until) is { } until ? MemoryRules.Instant("until", until) : null,
        Tag = session.Value(_tags),
        AgentId = _agent is not null && session.Value(_agent) is { } agent ? MemoryRules.AgentId(agent, "agent_id filter") : null,
    };
}
