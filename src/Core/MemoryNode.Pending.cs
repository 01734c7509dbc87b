using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    public Task<IReadOnlyList<PendingAction>> PendingAsync(string? status, int limit, CancellationToken cancellation = default) =>
        PendingAsync(status, limit, static _ => true, cancellation);

    internal async Task<IReadOnlyList<PendingAction>> PendingAsync(string? status, int limit, Func<PendingAction, bool> shows, CancellationToken cancellation)
    {
        RequireLimit(limit);
        var found = new List<PendingAction>();
        await foreach (var entry in EntriesAsync(MutationKind.PendingAction, owner: null, cancellation))
        {
            var action = PendingAction.Of(entry, []);
            if ((status is null || action.Status == status) && shows(action))
            {
                found.Add(action);
            }
        }

        found.Sort(static (a, b) => a.RequestedAt != b.RequestedAt ? b.RequestedAt.CompareTo(a.RequestedAt) : string.CompareOrdinal(a.Id, b.Id));
        var page = new List<PendingAction>();
        foreach (var action in found.Take(limit))
        {
            page.Add(action with { Approvals = await ApprovalsAsync(action.Id, cancellation) });
        }

        return page;
    }

    public async Task<VoteOutcome> VoteAsync(string id, bool approve, WriteContext context)
    {
        MemoryRules.Id(id);
        var key = EntryBodies.PendingKey(id);
        if (await EntryAsync(key, CancellationToken.None) is null)
        {
            // It may have come to another node.
            await _replicas.ReadThroughAsync([new(key.Kind, key.Key)]);
        }

        var entry = await EntryAsync(key, CancellationToken.None)
            ?? throw new MemoryException(ErrorKind.NotFound, approve ? "approve rejected: pending action not found" : $"pending action not found or already decided: {id}");
        var engine = Engine(entry.Owner);
        await engine.RunAsync(new VoteCommand(id, approve), context);
        entry = await ResolveAsync(engine, id, context with { IfMatch = null, IdempotencyKey = null });
        var action = PendingAction.Of(entry, await ApprovalsAsync(id, CancellationToken.None));
        return new(
            action,
            action.Approvals.Count,
            (await ApproverAsync(action.Namespace)).Consensus ?? 1,
            IsElsewhere: action.Status == PendingStatuses.Pending && _directory is null && EntryBodies.Decode(entry.Body, EntryJson.Default.PendingActionBody).OriginNode != _store.Log.Node);
    }

    /// <summary>Decides and carries out what this node began and others voted on.</summary>
    internal async Task ResolvePendingAsync()
    {
        await foreach (var entry in EntriesAsync(MutationKind.PendingAction, owner: null, CancellationToken.None))
        {
            var body = EntryBodies.Decode(entry.Body, EntryJson.Default.PendingActionBody);
            if (body.OriginNode != _store.Log.Node || body is not ({ Status: PendingStatuses.Pending } or { Status: PendingStatuses.Approved, Result: null }))
            {
                continue;
            }

            try
            {
                await ResolveAsync(Engine(body.Namespace), entry.Key.Key, new());
            }
            catch (MemoryException exception) when (exception.Kind.HttpStatus < 500)
            {
                // What was approved cannot be done any more: who votes again is told why.
            }
        }
    }

    /// <summary>Decides if there are voices enough, then does what was approved.</summary>
    private async Task<EntryState> ResolveAsync(INamespaceEngine engine, string id, WriteContext context)
    {
        var voters = new List<string>();
        await foreach (var vote in EntriesAsync(MutationKind.Vote, id, CancellationToken.None))
        {
            voters.Add(EntryBodies.Voter(vote.Key));
        }

        // The caller's own voice may be on its way here, from where it was written.
        if (context.AgentId is { } agent && !voters.Contains(agent))
        {
            voters.Add(agent);
        }

        var entry = (await engine.RunAsync(new ResolveCommand(id, voters, Result: null), context)).Entry!;
        var body = EntryBodies.Decode(entry.Body, EntryJson.Default.PendingActionBody);
        if (body is not { Status: PendingStatuses.Approved, Result: null } || (_directory is null && body.OriginNode != _store.Log.Node))
        {
            return entry;
        }

        var result = await CarryOutAsync(id, body, context.Quorum);
        return (await engine.RunAsync(new ResolveCommand(id, [], result), context)).Entry!;
    }

    /// <summary>Again and again, if need be: the new id follows from that of the pending action, and what is gone is done.</summary>
    private async Task<string> CarryOutAsync(string id, PendingActionBody body, string? quorum)
    {
        var context = new WriteContext(body.RequestedBy, Quorum: quorum) { Approval = id };
        switch (body.ActionType)
        {
            case PendingPayloads.Store:
                var draft = PendingPayloads.ReadStore(body.Payload);
                var isOver = draft.ExpiresAt is { } end && MemoryRules.Instant("expires_at", end) <= Now();
                return (await StoreAsync(isOver ? draft with { ExpiresAt = null } : draft, context with { IdempotencyKey = $"pending:{id}" })).Memory.Id;
            case PendingPayloads.Update:
                return (await UpdateAsync(body.MemoryId!, PendingPayloads.ReadUpdate(body.Payload), context)).Memory.Id;
            case PendingPayloads.Promote:
                return (await PromoteAsync(body.MemoryId!, context)).Memory.Id;
            case PendingPayloads.Delete:
                try
                {
                    await DeleteAsync(body.MemoryId!, context);
                }
                catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
                {
                    // Done before.
                }

                return body.MemoryId!;
            default:
                throw new MemoryException(ErrorKind.MalformedRequest, $"the pending action {id} asks for {body.ActionType}, which this node cannot do");
        }
    }

    private async Task<Approver> ApproverAsync(string @namespace)
    {
        foreach (var name in Governor.Chain(@namespace))
        {
            if (await EntryAsync(EntryBodies.PolicyKey(name), CancellationToken.None) is { } entry && GovernancePolicy.Of(EntryBodies.Policy(entry.Body)) is { } policy)
            {
                return policy.Approver;
            }
        }

        return Approver.Human;
    }

    private async Task<IReadOnlyList<Approval>> ApprovalsAsync(string pendingId, CancellationToken cancellation)
    {
        var approvals = new List<Approval>();
        await foreach (var entry in EntriesAsync(MutationKind.Vote, pendingId, cancellation))
        {
            var vote = EntryBodies.Decode(entry.Body, EntryJson.Default.VoteBody);
            if (vote.Approve)
            {
                approvals.Add(new(EntryBodies.Voter(entry.Key), new(vote.At)));
            }
        }

        return approvals;
    }
}
