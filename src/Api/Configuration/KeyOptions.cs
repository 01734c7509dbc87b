using System.Security.Cryptography;
using System.Text;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Configuration;

/// <summary>A key that is bound to a role and to an agent: table <c>[keys.NAME]</c> of the configuration file.</summary>
/// <param name="Name">What the operator calls it.</param>
public sealed record KeyOptions(string Name)
{
    /// <summary>The key itself; or else <see cref="Sha256"/>.</summary>
    public string? Key { get; init; }

    /// <summary>SHA-256 of the key, 64 hexadecimal digits, so that the file holds no secret.</summary>
    public string? Sha256 { get; init; }

    /// <summary>The name in a client certificate, its URI or else its common name, that stands for the key.</summary>
    public string? Certificate { get; init; }

    /// <summary>reader, writer, approver, admin or peer.</summary>
    public string Role { get; init; } = "writer";

    /// <summary>The agent that its bearer is; only an admin or a peer may go without, and is who it claims to be then.</summary>
    public string? AgentId { get; init; }

    /// <summary>The bearer's place in the namespace tree, from which other agents' scopes are judged; null: none.</summary>
    public string? Place { get; init; }

    /// <summary>Null: a certificate stands for it.</summary>
    internal byte[]? Digest => Certificate is not null ? null : Key is not null ? SHA256.HashData(Encoding.UTF8.GetBytes(Key)) : Convert.FromHexString(Sha256!);

    internal Principal Principal => new(
        Principal.TryParseRole(Role, out var role) ? role : throw new InvalidOperationException("not validated"),
        AgentId ?? (role is Core.Governance.Role.Admin or Core.Governance.Role.Peer ? null : Certificate),
        Place);

    /// <exception cref="InvalidOptionException"/>
    public void Validate()
    {
        Require(new[] { Key, Sha256, Certificate }.Count(static given => given is not null) == 1, "needs one of key, key_sha256 and certificate");
        Require(Key is not "", "must not be empty");
        Require(Sha256 is null || (Sha256.Length == 64 && Sha256.All(char.IsAsciiHexDigit)), "key_sha256 must have 64 hexadecimal digits");
        Require(Principal.TryParseRole(Role, out var role), $"role must be one of {string.Join(", ", Principal.RoleNames)}, not {Role}");
        Require(Certificate is not "", "certificate must not be empty");
        Require(AgentId is not null || Certificate is not null || role is Core.Governance.Role.Admin or Core.Governance.Role.Peer, $"a {Role} needs the agent it stands for: set agent");
        try
        {
            _ = AgentId is null ? null : MemoryRules.AgentId(AgentId, "agent");
            _ = Certificate is null ? null : MemoryRules.AgentId(Certificate, "certificate");
            _ = Place is null ? null : MemoryRules.Namespace(Place);
        }
        catch (MemoryException exception)
        {
            throw new InvalidOptionException($"[keys.{Name}]: {exception.Message}", exception);
        }
    }

    private void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new InvalidOptionException($"[keys.{Name}]: {otherwise}");
        }
    }
}
