using System.Security.Cryptography;

namespace OrleansMemory.Gate.Evidence;

/// <summary>What is in the folder of a campaign: every file but this list and the pages, which are made anew of the rest.</summary>
public sealed record EvidenceManifest(string Algorithm, IReadOnlyList<EvidenceFile> Files)
{
    private const string Sha256 = "SHA-256";

    internal static EvidenceManifest Of(EvidenceFolder folder) => new(Sha256,
    [
        .. Directory.EnumerateFiles(folder.Path, "*", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(folder.Path, file).Replace('\\', '/'))
            .Where(static name => name is not (EvidenceFolder.ManifestName or EvidenceFolder.PageName or EvidenceFolder.InsightsName))
            .Order(StringComparer.Ordinal)
            .Select(name => new EvidenceFile(name, new FileInfo(folder.Combine(name)).Length, HashOf(folder.Combine(name)))),
    ]);

    internal static string HashOf(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>What differs between this list and what is there, a text for each file.</summary>
    internal IEnumerable<string> DifferencesFrom(EvidenceManifest there)
    {
        var found = there.Files.ToDictionary(static file => file.Path);
        foreach (var listed in Files)
        {
            if (!found.Remove(listed.Path, out var file))
            {
                yield return $"{listed.Path} is missing";
            }
            else if (file.Sha256 != listed.Sha256)
            {
                yield return $"{listed.Path} was changed: SHA-256 {file.Sha256}, {listed.Sha256} is listed";
            }
        }

        foreach (var extra in found.Values)
        {
            yield return $"{extra.Path} is not listed in {EvidenceFolder.ManifestName}";
        }
    }
}

/// <param name="Path">Below the folder, with forward slashes.</param>
/// <param name="Sha256">In hexadecimal.</param>
public sealed record EvidenceFile(string Path, long Bytes, string Sha256);
