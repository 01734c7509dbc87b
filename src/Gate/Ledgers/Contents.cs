using System.Security.Cryptography;
using System.Text;

namespace OrleansMemory.Gate.Ledgers;

/// <summary>Contents are compared by hash, so that ledgers stay small.</summary>
public static class Contents
{
    private const int HashBytes = 8;

    /// <summary>The first 8 bytes of SHA-256 over UTF-8, in hexadecimal.</summary>
    public static string Hash(string content) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)).AsSpan(0, HashBytes));
}
