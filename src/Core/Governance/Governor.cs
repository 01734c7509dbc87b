using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>Judges writes by the policies of their namespaces, where they are decided. What cannot be read allows nothing.</summary>
internal static class Governor
{
    /// <summary>Who set the policy of a namespace may change it, and an administrator, and nobody else; one without a policy is anybody's.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.Forbidden"/></exception>
    public static async ValueTask RequireNamespaceOwnerAsync(Decision decision)
    {
        ReservedNamespaces.Refuse(decision.Namespace);
        if (await decision.FindAsync(EntryBodies.PolicyKey(decision.Namespace), EntryJson.Default.PolicyBody) is { Write: not null } policy
            && decision.Context.Principal is not { Role: Role.Admin }
            && (policy.Owner ?? await AuthorOfStandardAsync(decision)) is { } owner && owner != decision.Context.AgentId)
        {
            throw new MemoryException(ErrorKind.Forbidden, $"the policy of {decision.Namespace} was set by another agent, who alone may change it");
        }
    }

    private static async ValueTask<string?> AuthorOfStandardAsync(Decision decision) =>
        await decision.FindAsync(EntryBodies.StandardKey(decision.Namespace), EntryJson.Default.StandardBody) is { } standard
            ? (await decision.Session.FindAsync(standard.StandardId))?.View.Metadata.Text("agent_id")
            : null;
}
