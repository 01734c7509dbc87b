using System.Security.Cryptography;
using System.Text;

namespace OrleansMemory.Gate.Ledgers;

/// <summary>What of ids and contents ledgers hold: enough to tell those of one title apart, and no more, since nothing of it can be compressed.</summary>
public static class Contents
{
    private const int HashBytes = 4;
    private const int IdDigits = 10;

    /// <summary>The first 4 bytes of SHA-256 over UTF-8, in hexadecimal: two contents pass for one in one of 4 thousand million cases.</summary>
    public static string Hash(string content) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)).AsSpan(0, HashBytes));

    /// <summary>The last 10 digits of a memory's id: the same of two ids once in a million million.</summary>
    public static string EndOfId(string id) => id[Math.Max(0, id.Length - IdDigits)..];
}
