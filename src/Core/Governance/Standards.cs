using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>What holds in a namespace: a memory that says so, and a policy.</summary>
/// <param name="StandardId">Null when none is set.</param>
/// <param name="Memory">Null when it is gone, or not to be seen.</param>
/// <param name="Policy">What the namespace itself sets; null: nothing.</param>
public sealed record NamespaceStandard(string Namespace, string? StandardId, string? Parent, Memory? Memory, GovernancePolicy? Policy);

/// <summary>Sets the standard of a namespace, and with it, when one is given, its policy.</summary>
/// <param name="Parent">The namespace whose standards come before this one's; null: only those of the path.</param>
/// <param name="Policy">Null leaves the policy as it is.</param>
public sealed record SetStandardCommand(string StandardId, string? Parent, PolicyBody? Policy) : NamespaceCommand
{
    internal override ReadHints Hints => ReadHints.OfMemory(StandardId);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        await Governor.RequireNamespaceOwnerAsync(decision.Session, decision.Context, decision.Namespace);
        if (await decision.Session.FindAsync(StandardId) is not { Visibility: RowVisibility.Shown } row || row.View.IsExpired(decision.Session.Now) || !await Access.AllowsAsync(decision.Session, decision.Context, row.View, Permission.Read))
        {
            throw new MemoryException(ErrorKind.NotFound, $"memory not found: {StandardId}");
        }

        var body = new StandardBody(StandardId, Parent, decision.Session.Now.Nanoseconds);
        var entry = await decision.PutAsync(EntryBodies.StandardKey(decision.Namespace), decision.Namespace, body, EntryJson.Default.StandardBody);
        if (Policy is { } asked)
        {
            var key = EntryBodies.PolicyKey(decision.Namespace);
            var held = await decision.FindAsync(key, EntryJson.Default.PolicyBody) ?? PolicyBody.Empty;
            var owner = held.Owner ?? decision.Context.AgentId ?? row.View.Metadata.Text("agent_id");
            await decision.PutAsync(key, decision.Namespace, GovernancePolicy.Of(asked)!.WriteTo(held, owner), EntryJson.Default.PolicyBody);
        }

        return decision.Done(entry);
    }
}

/// <summary>Takes the standard of a namespace away, and with it its policy; how many nodes must hold a write stays.</summary>
public sealed record ClearStandardCommand : NamespaceCommand
{
    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        await Governor.RequireNamespaceOwnerAsync(decision.Session, decision.Context, decision.Namespace);
        var key = EntryBodies.StandardKey(decision.Namespace);
        var held = await decision.FindAsync(key, EntryJson.Default.StandardBody);
        if (held is not null)
        {
            await decision.PutAsync(key, decision.Namespace, held with { UpdatedAt = decision.Session.Now.Nanoseconds }, EntryJson.Default.StandardBody, live: false);
        }

        var policyKey = EntryBodies.PolicyKey(decision.Namespace);
        if (await decision.FindAsync(policyKey, EntryJson.Default.PolicyBody) is { Write: not null } policy)
        {
            await decision.PutAsync(policyKey, decision.Namespace, PolicyBody.Empty with { QuorumWrites = policy.QuorumWrites }, EntryJson.Default.PolicyBody);
        }

        return decision.Done(count: held is null ? 0 : 1);
    }
}
