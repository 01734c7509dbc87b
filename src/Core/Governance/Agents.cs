using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>An agent that made itself known.</summary>
/// <param name="LastSeenAt">When it was registered last.</param>
public sealed record RegisteredAgent(string AgentId, string AgentType, IReadOnlyList<string> Capabilities, Timestamp RegisteredAt, Timestamp LastSeenAt)
{
    /// <summary>The registration's own id: the same on every node.</summary>
    public string Id => MemoryIds.Derived(ReservedNamespaces.Agents, AgentId);

    public static RegisteredAgent Of(EntryState entry)
    {
        var body = EntryBodies.Decode(entry.Body, EntryJson.Default.AgentBody);
        return new(entry.Key.Key, body.AgentType, body.Capabilities, new(body.RegisteredAt), new(body.LastSeenAt));
    }
}

/// <summary>Registers an agent, or refreshes what is known of it; the time of the first registration stays.</summary>
public sealed record RegisterAgentCommand(string AgentId, string AgentType, IReadOnlyList<string> Capabilities) : NamespaceCommand
{
    internal override ReadHints Hints => new([], [], [EntryBodies.AgentKey(AgentId)]);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var key = EntryBodies.AgentKey(AgentId);
        var now = decision.Session.Now.Nanoseconds;
        var held = await decision.FindAsync(key, EntryJson.Default.AgentBody);
        return decision.Done(await decision.PutAsync(
            key, AgentId, new AgentBody(AgentType, Capabilities, held?.RegisteredAt ?? now, now), EntryJson.Default.AgentBody));
    }
}

/// <summary>Namespaces that only their own commands write to.</summary>
public static class ReservedNamespaces
{
    public const string Agents = "_agents";
    public const string Messages = "_messages";
    public const string Curator = "_curator";
    public const string Subscriptions = "_subscriptions";

    private static readonly string[] Roots = [Agents, Messages, Curator, Subscriptions];

    public static bool Contains(string @namespace) =>
        @namespace.StartsWith('_') && Array.Exists(Roots, root => @namespace.StartsWith(root, StringComparison.Ordinal) && (@namespace.Length == root.Length || @namespace[root.Length] == '/'));

    /// <exception cref="MemoryException"><see cref="ErrorKind.ReservedNamespace"/></exception>
    public static void Refuse(string @namespace)
    {
        if (Contains(@namespace))
        {
            throw new MemoryException(ErrorKind.ReservedNamespace, $"the namespace {@namespace} is kept by the service itself: use its own routes");
        }
    }
}
