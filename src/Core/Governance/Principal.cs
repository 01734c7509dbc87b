using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Governance;

/// <summary>What a credential lets its bearer do.</summary>
public enum Role
{
    /// <summary>Reads what it may see.</summary>
    Reader,

    /// <summary>Reads, and writes memories.</summary>
    Writer,

    /// <summary>As a writer, and decides pending actions.</summary>
    Approver,

    /// <summary>Sees and does everything.</summary>
    Admin,

    /// <summary>Another node, or another system's sync: sees everything, pushes and pulls.</summary>
    Peer,
}

/// <summary>Who calls, as its credential says. Without one a caller is who it claims to be, and sees everything.</summary>
/// <param name="AgentId">The agent that the credential is bound to; null: any, as claimed.</param>
/// <param name="Place">Its place in the namespace tree, from which the scopes of other agents' memories are judged; null: none.</param>
public sealed record Principal(Role Role, string? AgentId = null, string? Place = null)
{
    private static readonly Dictionary<string, Role> Roles = Enum.GetValues<Role>().ToDictionary(static role => role.ToString().ToLowerInvariant(), StringComparer.Ordinal);

    public static IEnumerable<string> RoleNames => Roles.Keys;

    /// <summary>Memories of others that the agent may see by a grant, as the node that was asked knows them.</summary>
    internal IReadOnlySet<string>? Granted { get; init; }

    public bool SeesEverything => Role is Role.Admin or Role.Peer;

    public bool MayWrite => Role is Role.Writer or Role.Approver or Role.Admin;

    public bool MayDecide => Role is Role.Approver or Role.Admin;

    public static bool TryParseRole(string text, out Role role) => Roles.TryGetValue(text, out role);

    /// <exception cref="MemoryException"><see cref="ErrorKind.Forbidden"/></exception>
    public static void Require(bool may, string what)
    {
        if (!may)
        {
            throw new MemoryException(ErrorKind.Forbidden, $"this credential may not {what}");
        }
    }
}

/// <summary>How it is known who wrote a memory: the metadata key that says it, which no caller sets.</summary>
public static class AgentIdentity
{
    public const string Key = "agent_identity";

    /// <summary>The author is the one that the credential is bound to.</summary>
    public const string Bound = "bound";

    /// <summary>Begins the names of callers that gave none.</summary>
    public const string AnonymousPrefix = "anonymous:";

    /// <summary>The caller said so.</summary>
    public const string Claimed = "claimed";

    /// <summary>As a write of this caller has it. Where nobody has a credential of their own all are claimed, and nothing is marked.</summary>
    public static Metadata Mark(Metadata metadata, Principal? principal)
    {
        var mark = principal is null ? null : principal.AgentId is null ? Claimed : Bound;
        return metadata.Text(Key) == mark ? metadata : metadata.With(Key, mark);
    }
}
