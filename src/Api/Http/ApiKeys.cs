using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Http;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>
/// The keys of a node, of which a request gives one in the header <c>X-API-Key</c> or the query parameter <c>api_key</c>: the node's own, whose bearers
/// are who they claim to be, and those that are bound to a role and an agent. Digests are compared, and every one of them, so the time a
/// comparison takes says nothing about a key. Where client certificates are taken, one says who calls when no key is given.
/// </summary>
internal sealed class ApiKeys
{
    private const string Header = "X-API-Key";
    private const string Parameter = "api_key";

    private readonly List<(byte[] Digest, Principal? Principal)> _keys = [];
    private readonly Dictionary<string, Principal> _certificates = new(StringComparer.Ordinal);
    private readonly bool _takesCertificates;

    /// <param name="key">The node's own; null or empty: none.</param>
    /// <param name="bound">Without any key at all everybody is let in, unless certificates are taken.</param>
    /// <param name="takesCertificates">Those that come with a connection were checked; a name that no key stands for is a writer of that name.</param>
    public ApiKeys(string? key, IReadOnlyList<KeyOptions> bound, bool takesCertificates = false)
    {
        _takesCertificates = takesCertificates;
        if (!string.IsNullOrEmpty(key))
        {
            _keys.Add((SHA256.HashData(Encoding.UTF8.GetBytes(key)), null));
        }

        foreach (var each in bound)
        {
            if (each.Digest is { } digest)
            {
                _keys.Add((digest, each.Principal));
            }
            else
            {
                _certificates[each.Certificate!] = each.Principal;
            }
        }
    }

    /// <param name="principal">Null: the caller has no credential of its own.</param>
    public bool Admits(HttpContext context, out Principal? principal)
    {
        principal = null;
        if (_keys.Count == 0 && _certificates.Count == 0 && !_takesCertificates)
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
            return new QueryText(context).Text(Parameter) is { } parameter
                ? Matches(Encoding.UTF8, parameter, out principal)
                : values.Count == 0 && _takesCertificates && context.Connection.ClientCertificate is { } certificate && Names(certificate, out principal);
        }
        catch (MemoryException)
        {
            return false;
        }
    }

    private bool Names(X509Certificate2 certificate, out Principal? principal)
    {
        var name = ClientCertificates.NameOf(certificate);
        principal = name is null ? null : _certificates.GetValueOrDefault(name) ?? new(Role.Writer, name);
        return principal is not null;
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
