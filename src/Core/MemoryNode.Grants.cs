using System.Collections.Frozen;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    /// <summary>What the agents of credentials were granted.</summary>
    internal GrantTable Granted { get; }

    public async Task<Grant> GrantAsync(string idOrPrefix, string agentId, Permission permission, WriteContext context)
    {
        MemoryRules.AgentId(agentId);
        var row = await ResolveForWriteAsync(idOrPrefix, context);
        var result = await Engine(row.View.Namespace).RunAsync(new GrantCommand(row.View.Id, agentId, permission.Name()), context);
        return Grant.Of(result.Entry!);
    }

    public async Task<bool> RevokeAsync(string idOrPrefix, string agentId, WriteContext context)
    {
        MemoryRules.AgentId(agentId);
        var row = await ResolveForWriteAsync(idOrPrefix, context);
        return (await Engine(row.View.Namespace).RunAsync(new GrantCommand(row.View.Id, agentId, Permission: null), context)).Count > 0;
    }

    public Task<IReadOnlyList<Grant>> GrantsAsync(string idOrPrefix, CancellationToken cancellation = default) => GrantsAsync(idOrPrefix, principal: null, cancellation);

    /// <summary>All of them to the author and to administrators, to everybody else its own.</summary>
    internal async Task<IReadOnlyList<Grant>> GrantsAsync(string idOrPrefix, Principal? principal, CancellationToken cancellation)
    {
        var memory = (await ResolveAsync(idOrPrefix, Visibility.Of(principal), cancellation)).View;
        var seesAll = principal is null or { SeesEverything: true } || memory.Metadata.Text("agent_id") == principal.AgentId;
        var grants = new List<Grant>();
        await foreach (var entry in EntriesAsync(MutationKind.Grant, memory.Id, cancellation))
        {
            var grant = Grant.Of(entry);
            if (seesAll || grant.AgentId == principal!.AgentId)
            {
                grants.Add(grant);
            }
        }

        return [.. grants.OrderBy(static grant => grant.AgentId, StringComparer.Ordinal)];
    }

    private async Task LoadGrantsAsync()
    {
        var grants = new List<EntryState>();
        await foreach (var entry in EntriesAsync(MutationKind.Grant, owner: null, CancellationToken.None))
        {
            grants.Add(entry);
        }

        Granted.Load(grants);
    }

    private async Task<Ranking> RankAsync(TextQuery query, ScoringWeights weights, CancellationToken cancellation) =>
        await Ranker.RankAsync(_store.Index, query with { GrantedRows = await GrantedRowsAsync(query.Visibility, cancellation) }, weights, cancellation);

    private async Task<IReadOnlySet<long>> GrantedRowsAsync(Visibility visibility, CancellationToken cancellation)
    {
        if (visibility.Granted.Count == 0)
        {
            return FrozenSet<long>.Empty;
        }

        var rows = new HashSet<long>();
        foreach (var id in visibility.Granted)
        {
            if (await _store.FindAsync(id, cancellation) is { } row)
            {
                rows.Add(row.Row);
            }
        }

        return rows;
    }
}
