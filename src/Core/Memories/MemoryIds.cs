using System.Security.Cryptography;
using System.Text;

namespace OrleansMemory.Core.Memories;

/// <summary>How ids come about.</summary>
public static class MemoryIds
{
    /// <summary>A UUIDv4 (RFC 9562, 5.4) from 16 random bytes, lower case.</summary>
    public static string Version4(ReadOnlySpan<byte> random) => Format(random, version: 4);

    /// <summary>
    /// The id that a retried request finds again: a UUIDv8 (RFC 9562, 5.8) from SHA-256 over agent and key, so every node
    /// derives the same one.
    /// </summary>
    public static string Derived(string? agentId, string idempotencyKey) =>
        Format(SHA256.HashData(Encoding.UTF8.GetBytes($"{agentId}\n{idempotencyKey}")).AsSpan(0, 16), version: 8);

    private static string Format(ReadOnlySpan<byte> bytes, int version)
    {
        Span<byte> uuid = stackalloc byte[16];
        bytes[..16].CopyTo(uuid);
        uuid[6] = (byte)((uuid[6] & 0x0f) | (version << 4));
        uuid[8] = (byte)((uuid[8] & 0x3f) | 0x80);
        return new Guid(uuid, bigEndian: true).ToString("D");
    }
}
