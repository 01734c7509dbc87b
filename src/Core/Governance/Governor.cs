using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>What is judged: its name in errors, and the rule that it falls under.</summary>
internal sealed record GovernedAction(string Name, Func<GovernancePolicy, GovernanceRule> Rule)
{
    public static GovernedAction Store { get; } = new("store", static policy => policy.Write);

    public static GovernedAction Update { get; } = new("update", static policy => policy.Write);

    public static GovernedAction Import { get; } = new("import", static policy => policy.Write);

    public static GovernedAction Link { get; } = new("link", static policy => policy.Write);

    public static GovernedAction Restore { get; } = new("restore", static policy => policy.Write);

    public static GovernedAction Grant { get; } = new("grant", static policy => policy.Write);

    public static GovernedAction Promote { get; } = new("promote", static policy => policy.Promote);

    public static GovernedAction Delete { get; } = new("delete", static policy => policy.Delete);

    public static GovernedAction Forget { get; } = new("forget", static policy => policy.Delete);

    public static GovernedAction Consolidate { get; } = new("consolidate", static policy => policy.Delete);

    public static GovernedAction Purge { get; } = new("purge", static policy => policy.Delete);
}

/// <summary>
/// Judges writes where they are decided, by the nearest policy along the chain of their namespace, <c>*</c> the last. A policy that cannot be read
/// allows nothing.
/// </summary>
internal static class Governor
{
    private const string EveryNamespace = "*";

    /// <summary>Where policies of a namespace are looked for, the nearest first.</summary>
    public static IEnumerable<string> Chain(string @namespace) =>
        @namespace == EveryNamespace ? [EveryNamespace] : [.. ReplicatedWriter.Chain(@namespace), EveryNamespace];

    /// <summary>Returns when the write may be made.</summary>
    /// <param name="subject">What it changes; null: something new.</param>
    /// <param name="request">What waits when the rule asks for approval; null: this kind of write cannot wait.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.ReservedNamespace"/> or <see cref="ErrorKind.GovernanceDenied"/></exception>
    /// <exception cref="ApprovalNeededException"/>
    public static async ValueTask RequireAsync(
        WriteSession session, WriteContext context, GovernedAction action, string @namespace, Memory? subject, Func<PendingRequest>? request = null)
    {
        ReservedNamespaces.Refuse(@namespace);
        if (await FindAsync(session, @namespace, action) is not var (policy, owner))
        {
            return;
        }

        switch (action.Rule(policy))
        {
            case GovernanceRule.Any:
                return;
            case GovernanceRule.Registered when context.AgentId is { } agent && await IsRegisteredAsync(session, agent):
                return;
            case GovernanceRule.Registered:
                throw Denied(action, $"{context.AgentId ?? "the caller"} is not registered");
            case GovernanceRule.Owner when context.AgentId is { } agent && (subject is null ? owner : subject.Metadata.Text("agent_id")) == agent:
                return;
            case GovernanceRule.Owner:
                throw Denied(action, $"{context.AgentId ?? "the caller"} is not the owner");
            default:
                if (context.Approval is { } approval && await IsApprovedAsync(session, approval))
                {
                    return;
                }

                throw request is null ? Denied(action, "it needs approval, and this kind of change cannot wait for one") : new ApprovalNeededException(request());
        }
    }

    /// <summary>Whether the write may be made; one that needs approval may not.</summary>
    public static async ValueTask<bool> AllowsAsync(WriteSession session, WriteContext context, GovernedAction action, string @namespace, Memory? subject)
    {
        try
        {
            await RequireAsync(session, context, action, @namespace, subject);
            return true;
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.GovernanceDenied || exception.Kind == ErrorKind.ReservedNamespace)
        {
            return false;
        }
    }

    public static MemoryException Denied(GovernedAction action, string why) => new(ErrorKind.GovernanceDenied, $"{action.Name} denied by governance: {why}");

    /// <summary>Who approves in a namespace; where no policy is left any more, a human.</summary>
    public static async ValueTask<Approver> ApproverAsync(WriteSession session, string @namespace) =>
        (await FindAsync(session, @namespace, GovernedAction.Store))?.Policy.Approver ?? Approver.Human;

    public static async ValueTask<bool> IsRegisteredAsync(WriteSession session, string agentId) =>
        await session.FindEntryAsync(EntryBodies.AgentKey(agentId)) is { Live: true };

    /// <summary>Who set the policy of a namespace may change it, and an administrator, and nobody else; one without a policy is anybody's.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.Forbidden"/></exception>
    public static async ValueTask RequireNamespaceOwnerAsync(WriteSession session, WriteContext context, string @namespace)
    {
        ReservedNamespaces.Refuse(@namespace);
        if (context.Principal is { Role: Role.Admin })
        {
            return;
        }

        // A policy from above holds here too, until whoever set that sets another.
        foreach (var name in Chain(@namespace))
        {
            if (await BodyAsync(session, name) is not { Write: not null } body)
            {
                continue;
            }

            if (await OwnerAsync(session, name, body) is { } owner && owner != context.AgentId)
            {
                throw new MemoryException(ErrorKind.Forbidden, $"the policy of {name} was set by another agent, who alone may change what holds in {@namespace}");
            }

            return;
        }

        if (context.Principal is not null && @namespace == EveryNamespace)
        {
            throw new MemoryException(ErrorKind.Forbidden, "only an administrator says what holds in every namespace");
        }
    }

    private static async ValueTask<bool> IsApprovedAsync(WriteSession session, string pendingId) =>
        await session.FindEntryAsync(EntryBodies.PendingKey(pendingId)) is { Live: true } entry
        && EntryBodies.Decode(entry.Body, EntryJson.Default.PendingActionBody) is { Status: PendingStatuses.Approved };

    private static async ValueTask<(GovernancePolicy Policy, string? Owner)?> FindAsync(WriteSession session, string @namespace, GovernedAction action)
    {
        foreach (var name in Chain(@namespace))
        {
            try
            {
                if (await BodyAsync(session, name) is { } body && GovernancePolicy.Of(body) is { } policy)
                {
                    return (policy, await OwnerAsync(session, name, body));
                }
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.InvalidGovernance || exception.Kind == ErrorKind.MalformedRequest || exception.Kind == ErrorKind.InvalidAgentId)
            {
                throw Denied(action, $"the policy of {name} cannot be read, so it allows nothing: {exception.Message}");
            }
        }

        return null;
    }

    private static async ValueTask<PolicyBody?> BodyAsync(WriteSession session, string @namespace) =>
        await session.FindEntryAsync(EntryBodies.PolicyKey(@namespace)) is { Live: true } entry ? EntryBodies.Policy(entry.Body) : null;

    private static async ValueTask<string?> OwnerAsync(WriteSession session, string @namespace, PolicyBody body) =>
        body.Owner
        ?? (await session.FindEntryAsync(EntryBodies.StandardKey(@namespace)) is { Live: true } entry
            ? (await session.FindAsync(EntryBodies.Decode(entry.Body, EntryJson.Default.StandardBody).StandardId))?.View.Metadata.Text("agent_id")
            : null);
}
