using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    private const string EveryNamespace = "*";

    public INodeService As(Principal principal) => new CallerService(this, principal with { Granted = Granted.Of(principal.AgentId) });

    public async Task<RegisteredAgent> RegisterAgentAsync(string agentId, string agentType, IReadOnlyList<string> capabilities, WriteContext context)
    {
        var command = new RegisterAgentCommand(MemoryRules.AgentId(agentId), MemoryRules.AgentType(agentType), MemoryRules.Tags(capabilities));
        return RegisteredAgent.Of((await Engine(ReservedNamespaces.Agents).RunAsync(command, context)).Entry!);
    }

    public async Task<IReadOnlyList<RegisteredAgent>> AgentsAsync(CancellationToken cancellation = default)
    {
        var agents = new List<RegisteredAgent>();
        await foreach (var entry in EntriesAsync(MutationKind.Agent, owner: null, cancellation))
        {
            agents.Add(RegisteredAgent.Of(entry));
        }

        agents.Sort(static (a, b) => a.RegisteredAt != b.RegisteredAt ? a.RegisteredAt.CompareTo(b.RegisteredAt) : string.CompareOrdinal(a.AgentId, b.AgentId));
        return agents;
    }

    public async Task SetStandardAsync(string @namespace, string standardId, string? parent, GovernancePolicy? policy, WriteContext context)
    {
        MemoryRules.Id(standardId);
        var command = new SetStandardCommand(
            standardId, parent is null ? null : MemoryRules.Namespace(parent), policy?.WriteTo(PolicyBody.Empty, owner: null));
        await Engine(MemoryRules.Namespace(@namespace)).RunAsync(command, context);
    }

    public async Task<bool> ClearStandardAsync(string @namespace, WriteContext context) =>
        (await Engine(MemoryRules.Namespace(@namespace)).RunAsync(new ClearStandardCommand(), context)).Count > 0;

    public Task<NamespaceStandard> StandardAsync(string @namespace, CancellationToken cancellation = default) => StandardAsync(@namespace, Visibility.Everything, cancellation);

    internal async Task<NamespaceStandard> StandardAsync(string @namespace, Visibility visibility, CancellationToken cancellation)
    {
        var name = MemoryRules.Namespace(@namespace);
        var standard = await StandardBodyAsync(name, cancellation);
        var policy = await EntryAsync(EntryBodies.PolicyKey(name), cancellation) is { } entry ? GovernancePolicy.Of(EntryBodies.Policy(entry.Body)) : null;
        var memory = standard is null ? null : (await FindLiveAsync(standard.StandardId, visibility, cancellation))?.View;

        // Who may not see the memory does not hear of it; where it is gone everybody else does.
        return memory is null && !visibility.IsEverything ? new(name, null, null, null, policy) : new(name, standard?.StandardId, standard?.ParentNamespace, memory, policy);
    }

    public Task<StandardChain> StandardChainAsync(string @namespace, CancellationToken cancellation = default) => StandardChainAsync(@namespace, Visibility.Everything, cancellation);

    internal async Task<StandardChain> StandardChainAsync(string @namespace, Visibility visibility, CancellationToken cancellation)
    {
        var chain = await ChainAsync(MemoryRules.Namespace(@namespace), cancellation);
        var standards = new List<NamespaceStandard>();
        foreach (var name in chain)
        {
            if (await StandardAsync(name, visibility, cancellation) is { StandardId: not null } standard)
            {
                standards.Add(standard);
            }
        }

        return new(chain, standards);
    }

    public Task<SessionStart> StartSessionAsync(string? @namespace, int limit, CancellationToken cancellation = default) => StartSessionAsync(@namespace, limit, Visibility.Everything, cancellation);

    internal async Task<SessionStart> StartSessionAsync(string? @namespace, int limit, Visibility visibility, CancellationToken cancellation)
    {
        RequireLimit(limit);
        var standards = @namespace is null ? [] : (await StandardChainAsync(@namespace, visibility, cancellation)).Standards
            .Where(static standard => standard.Memory is not null).Select(static standard => standard.Memory!).ToList();
        var page = await ListAsync(new() { Namespace = @namespace, Limit = limit + standards.Count }, visibility, cancellation);
        return new([.. page.Memories.Where(memory => standards.TrueForAll(standard => standard.Id != memory.Id)).Take(limit)], standards);
    }

    /// <summary>From the most general to the namespace itself.</summary>
    private async Task<IReadOnlyList<string>> ChainAsync(string @namespace, CancellationToken cancellation)
    {
        List<string> path = [.. ReplicatedWriter.Chain(@namespace).Reverse()];
        var parents = new List<string>();
        var child = @namespace;
        while (parents.Count < MemoryLimits.StandardParents && await ParentAsync(child, path, cancellation) is { } parent && !path.Contains(parent) && !parents.Contains(parent))
        {
            parents.Insert(0, parent);
            child = parent;
        }

        return @namespace == EveryNamespace ? path : [EveryNamespace, .. parents.Where(static parent => parent != EveryNamespace), .. path];
    }

    /// <summary>The parent that a namespace names; of the nearest above it that names one; or, of a flat one, the longest start before a dash that has a standard.</summary>
    private async Task<string?> ParentAsync(string @namespace, List<string> path, CancellationToken cancellation)
    {
        foreach (var name in ReplicatedWriter.Chain(@namespace))
        {
            if ((await StandardBodyAsync(name, cancellation))?.ParentNamespace is { } parent && !path.Contains(parent))
            {
                return parent;
            }
        }

        for (var end = @namespace.Contains('/', StringComparison.Ordinal) ? -1 : @namespace.LastIndexOf('-'); end > 0; end = @namespace.LastIndexOf('-', end - 1))
        {
            if (await StandardBodyAsync(@namespace[..end], cancellation) is not null)
            {
                return @namespace[..end];
            }
        }

        return null;
    }

    private async Task<StandardBody?> StandardBodyAsync(string @namespace, CancellationToken cancellation) =>
        await EntryAsync(EntryBodies.StandardKey(@namespace), cancellation) is { } entry ? EntryBodies.Decode(entry.Body, EntryJson.Default.StandardBody) : null;

    /// <summary>A live entry by its key.</summary>
    private async ValueTask<EntryState?> EntryAsync(EntryKey key, CancellationToken cancellation) =>
        await _store.ReadRowsAsync([new(key.Kind, key.Key)], cancellation) is [var row] && EntryState.Decode(row.Body) is { Live: true } entry ? entry : null;

    /// <summary>Every live entry of a kind, of one owner or of all.</summary>
    /// <param name="byTarget">Those whose target the owner is.</param>
    private async IAsyncEnumerable<EntryState> EntriesAsync(
        MutationKind kind, string? owner, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation, bool byTarget = false)
    {
        (long, string)? after = null;
        while (true)
        {
            var page = await _store.ListEntriesAsync(new(kind, owner, byTarget, after, ScanRows), cancellation);
            foreach (var entry in page)
            {
                yield return entry;
            }

            if (page.Count < ScanRows)
            {
                yield break;
            }

            after = (page[^1].Stamp.Clock, page[^1].Key.Key);
        }
    }
}
