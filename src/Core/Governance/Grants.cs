using System.Collections.Concurrent;
using System.Collections.Immutable;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>What a grant lets an agent do with one memory of another, each level more than the one before.</summary>
public enum Permission
{
    /// <summary>See it.</summary>
    Read,

    /// <summary>See and change it.</summary>
    Write,

    /// <summary>See and change it, and let others.</summary>
    Admin,
}

public static class Permissions
{
    public static IReadOnlyList<string> Names { get; } = ["read", "write", "admin"];

    public static string Name(this Permission permission) => Names[(int)permission];

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidPermission"/></exception>
    public static Permission Parse(string text) =>
        Find(text) ?? throw new MemoryException(ErrorKind.InvalidPermission, $"permission must be one of {string.Join(", ", Names)}");

    /// <summary>Null: not a word that this code knows.</summary>
    internal static Permission? Find(string text)
    {
        for (var level = 0; level < Names.Count; level++)
        {
            if (Names[level] == text)
            {
                return (Permission)level;
            }
        }

        return null;
    }
}

/// <summary>One agent's access to one memory of another.</summary>
public sealed record Grant(string MemoryId, string AgentId, Permission Permission, string By, Timestamp At)
{
    public static Grant Of(EntryState entry)
    {
        var body = EntryBodies.Decode(entry.Body, EntryJson.Default.GrantBody);
        return new(entry.Owner, entry.Target ?? "", Permissions.Find(body.Permission) ?? Permission.Read, body.By, new(body.At));
    }
}

/// <summary>
/// Gives an agent access to a memory, or takes it away. Only who has the memory may: its author, an administrator, or an agent to whom it was granted
/// so; anyone gives up what was granted to itself. Where nobody has a credential, anyone whom the namespace's policy lets write.
/// </summary>
/// <param name="Permission">Null takes it away.</param>
public sealed record GrantCommand(string Id, string AgentId, string? Permission) : NamespaceCommand
{
    internal override ReadHints Hints => new([Id], [], [EntryBodies.GrantKey(Id, AgentId)]);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var (session, context) = (decision.Session, decision.Context);
        var group = await NamespaceEngine.FindLiveAsync(session, [Id], context, needed: Governance.Permission.Read);
        var memory = group[0].View;
        if (!(Permission is null && context.AgentId == AgentId))
        {
            await RequireOwnerAsync(session, context, memory);
            await Governor.RequireAsync(session, context, GovernedAction.Grant, memory.Namespace, memory);
        }

        long changed = 0;
        EntryState? last = null;
        foreach (var row in group)
        {
            // Which of a name's ids is shown can change; what was granted holds for all of them.
            var key = EntryBodies.GrantKey(row.Own.Id, AgentId);
            var held = await decision.FindAsync(key, EntryJson.Default.GrantBody);
            if (held?.Permission != Permission)
            {
                var body = new GrantBody(Permission ?? held!.Permission, context.AgentId ?? $"{AgentIdentity.AnonymousPrefix}caller", session.Now.Nanoseconds);
                last = await decision.PutAsync(key, row.Own.Id, body, EntryJson.Default.GrantBody, AgentId, live: Permission is not null);
                changed++;
            }
        }

        return decision.Done(last ?? await session.FindEntryAsync(EntryBodies.GrantKey(group[0].Own.Id, AgentId)), changed);
    }

    private static async ValueTask RequireOwnerAsync(WriteSession session, WriteContext context, Memory memory)
    {
        if (context.Principal is null or { SeesEverything: true } || (context.Principal.AgentId is { } agent
            && (memory.Metadata.Text("agent_id") == agent || await Access.GrantedAsync(session, memory.Id, agent) >= Governance.Permission.Admin)))
        {
            return;
        }

        throw new MemoryException(ErrorKind.Forbidden, "only who wrote the memory, or was granted to, may let others at it");
    }
}

/// <summary>What a caller may do with a memory, judged in the transaction that acts on it.</summary>
internal static class Access
{
    /// <summary>By its author and scope, or by a grant.</summary>
    public static async ValueTask<bool> AllowsAsync(WriteSession session, WriteContext context, Memory memory, Permission needed) =>
        context.Sees(memory) || (context.Principal?.AgentId is { } agent && await GrantedAsync(session, memory.Id, agent) >= needed);

    /// <summary>Null: nothing, or in a word that this code does not know.</summary>
    public static async ValueTask<Permission?> GrantedAsync(WriteSession session, string memoryId, string agentId) =>
        await session.FindEntryAsync(EntryBodies.GrantKey(memoryId, agentId)) is { Live: true } entry
            ? Permissions.Find(EntryBodies.Decode(entry.Body, EntryJson.Default.GrantBody).Permission)
            : null;
}

/// <summary>
/// Which memories were granted to each agent, as this node's store has it: read when it starts, kept up with every commit. Reads ask it for every caller with
/// a credential; a write asks its own transaction.
/// </summary>
internal sealed class GrantTable
{
    private static readonly ImmutableHashSet<string> None = ImmutableHashSet<string>.Empty.WithComparer(StringComparer.Ordinal);

    private readonly ConcurrentDictionary<string, ImmutableHashSet<string>> _byAgent = new(StringComparer.Ordinal);

    /// <summary>Ids of memories that the agent may see though their scope does not say so.</summary>
    public ImmutableHashSet<string> Of(string? agentId) => agentId is not null && _byAgent.TryGetValue(agentId, out var granted) ? granted : None;

    public void Load(IEnumerable<EntryState> grants)
    {
        foreach (var agent in grants.Where(static grant => grant.Target is not null).GroupBy(static grant => grant.Target!, StringComparer.Ordinal))
        {
            _byAgent[agent.Key] = agent.Select(static grant => grant.Owner).ToImmutableHashSet(StringComparer.Ordinal);
        }
    }

    /// <summary>Called with every commit, on the writer.</summary>
    public void Notice(ChangeSet changes)
    {
        foreach (var grant in changes.Entries)
        {
            if (grant.Key.Kind == MutationKind.Grant && grant.Target is { } agent)
            {
                Set(agent, grant.Owner, grant.Live);
            }
        }

        foreach (var grant in changes.DroppedEntries)
        {
            if (grant.Key.Kind == MutationKind.Grant && grant.Target is { } agent)
            {
                Set(agent, grant.Owner, isGranted: false);
            }
        }
    }

    private void Set(string agentId, string memoryId, bool isGranted)
    {
        var held = Of(agentId);
        _byAgent[agentId] = isGranted ? held.Add(memoryId) : held.Remove(memoryId);
    }
}
