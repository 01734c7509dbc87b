using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>
/// The keys of a node, of which a request gives one in the header <c>X-API-Key</c> or the query parameter <c>api_key</c>: the node's own, whose bearers
/// are who they claim to be, and those that are bound to a role and an agent. Digests are compared, and every one of them, so the time a
/// comparison takes says nothing about a key.
/// </summary>
internal sealed class ApiKeys
{
    private const string Header = "X-API-Key";
    private const string Parameter = "api_key";

    private readonly List<(byte[] Digest, Principal? Principal)> _keys = [];

    /// <param name="key">The node's own; null or empty: none.</param>
    /// <param name="bound">Without any key at all everybody is let in.</param>
    public ApiKeys(string? key, IReadOnlyList<KeyOptions> bound)
    {
        if (!string.IsNullOrEmpty(key))
        {
            _keys.Add((SHA256.HashData(Encoding.UTF8.GetBytes(key)), null));
        }

        _keys.AddRange(bound.Select(static key => (key.Digest, (Principal?)key.Principal)));
    }

    /// <param name="principal">Null: the caller has no credential of its own.</param>
    public bool Admits(HttpContext context, out Principal? principal)
    {
        principal = null;
        if (_keys.Count == 0)
        {
            return true;
        }

        // Header values are read as Latin-1, byte for byte.
        var values = context.Request.Headers[Header];
        if (values.Count == 1 && Matches(Encoding.Latin1, values[0]!, out principal))
        {
            return true;
        }

        try
        {
            return new QueryText(context).Text(Parameter) is { } parameter && Matches(Encoding.UTF8, parameter, out principal);
        }
        catch (MemoryException)
        {
            return false;
        }
    }

    private bool Matches(Encoding encoding, string key, out Principal? principal)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(encoding.GetBytes(key), digest);
        principal = null;
        var found = false;
        foreach (var (known, bearer) in _keys)
        {
            if (CryptographicOperations.FixedTimeEquals(digest, known))
            {
                principal = bearer;
                found = true;
            }
        }

        return found;
    }
}
