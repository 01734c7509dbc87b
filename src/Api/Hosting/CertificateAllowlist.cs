using System.Collections.Frozen;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using OrleansMemory.Api.Configuration;

namespace OrleansMemory.Api.Hosting;

/// <summary>Client certificates that are let in, by the SHA-256 of their DER form. Who signed them, and until when they hold, does not count.</summary>
public sealed class CertificateAllowlist
{
    private const string Prefix = "sha256:";

    private readonly FrozenSet<string> _fingerprints;

    private CertificateAllowlist(IEnumerable<string> fingerprints) => _fingerprints = fingerprints.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>One fingerprint in a line: 64 hexadecimal digits, with or without colons between them, <c>sha256:</c> before them or not. Blank lines and those that begin with # are passed over.</summary>
    /// <exception cref="InvalidOptionException">The file cannot be read, a line is none of these, or there is none.</exception>
    public static CertificateAllowlist Read(string path)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InvalidOptionException($"the list of client certificates {path} cannot be read: {exception.Message}", exception);
        }

        var fingerprints = new List<string>();
        for (var number = 0; number < lines.Length; number++)
        {
            var line = lines[number].Trim();
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            var digits = (line.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) ? line[Prefix.Length..] : line).Replace(":", "", StringComparison.Ordinal).ToLowerInvariant();
            fingerprints.Add(digits.Length == 2 * SHA256.HashSizeInBytes && digits.All(char.IsAsciiHexDigit)
                ? digits
                : throw new InvalidOptionException(string.Create(CultureInfo.InvariantCulture, $"{path}, line {number + 1}: not a SHA-256 fingerprint of 64 hexadecimal digits")));
        }

        return fingerprints.Count > 0 ? new(fingerprints) : throw new InvalidOptionException($"the list of client certificates {path} is empty: nobody could connect");
    }

    public bool Contains(X509Certificate2 certificate) => _fingerprints.Contains(certificate.GetCertHashString(HashAlgorithmName.SHA256).ToLowerInvariant());
}
