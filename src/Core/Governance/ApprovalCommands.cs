using System.Text.Json;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>Lets a change wait for approval. A repetition under one id finds the first.</summary>
/// <param name="Id">Null draws one.</param>
public sealed record ProposeCommand(string? Id, string ActionType, string? MemoryId, JsonElement Payload, string RequestedBy) : NamespaceCommand
{
    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var session = decision.Session;
        var key = EntryBodies.PendingKey(Id ?? session.NewId());
        if (await session.FindEntryAsync(key) is { Live: true } held)
        {
            return decision.Done(held, count: 0);
        }

        var body = new PendingActionBody(
            ActionType, MemoryId, decision.Namespace, Payload, RequestedBy, session.Now.Nanoseconds, PendingStatuses.Pending, null, null, session.Position.Log.Node);
        return decision.Done(await decision.PutAsync(key, decision.Namespace, body, EntryJson.Default.PendingActionBody));
    }
}

/// <summary>One voice on a pending action. Its author is the caller; a second one replaces the first.</summary>
public sealed record VoteCommand(string Id, bool Approve) : NamespaceCommand
{
    internal override ReadHints Hints => new([], [], [EntryBodies.PendingKey(Id)]);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var pending = await decision.FindAsync(EntryBodies.PendingKey(Id), EntryJson.Default.PendingActionBody);
        if (!Approve)
        {
            if (pending is not { Status: PendingStatuses.Pending })
            {
                throw new MemoryException(ErrorKind.NotFound, $"pending action not found or already decided: {Id}");
            }
        }
        else if (pending is null)
        {
            throw new MemoryException(ErrorKind.NotFound, "approve rejected: pending action not found");
        }
        else if (pending is not { Status: PendingStatuses.Pending } and not { Status: PendingStatuses.Approved, Result: null })
        {
            throw Rejected($"already decided: status={pending.Status}");
        }

        var voter = decision.Context.AgentId ?? AgentIdentity.AnonymousPrefix + "voter";
        if (Approve)
        {
            var approver = await Governor.ApproverAsync(decision.Session, pending.Namespace);
            if (approver.AgentId is { } named && named != voter)
            {
                throw Rejected($"the designated approver is {named}");
            }

            if (approver.Consensus is not null && !await Governor.IsRegisteredAsync(decision.Session, voter))
            {
                throw Rejected($"the voter {voter} is not registered");
            }
        }

        return decision.Done(await decision.PutAsync(EntryBodies.VoteKey(Id, voter), Id, new VoteBody(Approve, decision.Session.Now.Nanoseconds), EntryJson.Default.VoteBody));
    }

    private static MemoryException Rejected(string why) => new(ErrorKind.Forbidden, $"approve rejected: {why}");
}

/// <summary>
/// Decides a pending action by the voices that are known, or notes what was done. Only the node that began it decides, or, where a namespace has one
/// engine, that one: two that decided alone could decide otherwise.
/// </summary>
/// <param name="Voters">Whose voices there are; each is looked at again.</param>
/// <param name="Result">The memory that was made or changed when it was carried out; null: it has not been yet.</param>
public sealed record ResolveCommand(string Id, IReadOnlyList<string> Voters, string? Result) : NamespaceCommand
{
    internal override ReadHints Hints => new([], [], [EntryBodies.PendingKey(Id), .. Voters.Select(voter => EntryBodies.VoteKey(Id, voter))]);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var key = EntryBodies.PendingKey(Id);
        var held = await decision.Session.FindEntryAsync(key);
        if (held is not { Live: true } || EntryBodies.Decode(held.Body, EntryJson.Default.PendingActionBody) is not { } pending
            || !(decision.Engine.IsOnlyOne || pending.OriginNode == decision.Session.Position.Log.Node))
        {
            return decision.Done(held, count: 0);
        }

        if (Result is not null)
        {
            return pending is { Status: PendingStatuses.Approved, Result: null }
                ? decision.Done(await decision.PutAsync(key, pending.Namespace, pending with { Result = Result }, EntryJson.Default.PendingActionBody))
                : decision.Done(held, count: 0);
        }

        if (pending.Status != PendingStatuses.Pending)
        {
            return decision.Done(held, count: 0);
        }

        var approver = await Governor.ApproverAsync(decision.Session, pending.Namespace);
        var consents = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var voter in Voters)
        {
            if (await decision.FindAsync(EntryBodies.VoteKey(Id, voter), EntryJson.Default.VoteBody) is not { } vote)
            {
                continue;
            }

            if (!vote.Approve)
            {
                return await DecidedAsync(PendingStatuses.Rejected, voter);
            }

            var counts = approver switch
            {
                { AgentId: { } named } => voter == named,
                { Consensus: not null } => await Governor.IsRegisteredAsync(decision.Session, voter),
                _ => true,
            };
            if (counts && consents.Add(voter) && consents.Count >= (approver.Consensus ?? 1))
            {
                return await DecidedAsync(PendingStatuses.Approved, voter);
            }
        }

        return decision.Done(held, count: 0);

        async ValueTask<CommandResult> DecidedAsync(string status, string voter) => decision.Done(await decision.PutAsync(
            key, pending.Namespace, pending with { Status = status, DecidedBy = voter, DecidedAt = decision.Session.Now.Nanoseconds }, EntryJson.Default.PendingActionBody));
    }
}
