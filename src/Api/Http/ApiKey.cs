using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>
/// The one key of a node, given in the header <c>X-API-Key</c> or the query parameter <c>api_key</c>. Digests are compared, so the
/// time a comparison takes says nothing about the key or its length.
/// </summary>
internal sealed class ApiKey
{
    private const string Header = "X-API-Key";
    private const string Parameter = "api_key";

    private readonly byte[]? _digest;

    /// <param name="key">Null or empty: everybody is let in.</param>
    public ApiKey(string? key) => _digest = string.IsNullOrEmpty(key) ? null : SHA256.HashData(Encoding.UTF8.GetBytes(key));

    public bool Admits(HttpContext context)
    {
        if (_digest is null)
        {
            return true;
        }

        // Header values are read as Latin-1, byte for byte.
        var values = context.Request.Headers[Header];
        if (values.Count == 1 && Matches(Encoding.Latin1, values[0]!))
        {
            return true;
        }

        try
        {
            return new QueryText(context).Text(Parameter) is { } parameter && Matches(Encoding.UTF8, parameter);
        }
        catch (MemoryException)
        {
            return false;
        }
    }

    private bool Matches(Encoding encoding, string key)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(encoding.GetBytes(key), digest);
        return CryptographicOperations.FixedTimeEquals(digest, _digest);
    }
}
