using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Backup;

/// <summary>
/// The files of snapshots in a folder: <c>STEM-2026-11-21T120000Z.db</c> and its manifest, <c>STEM-2026-11-21T120000Z.manifest.json</c>.
/// The instant is part of the name, so names tell which is newer.
/// </summary>
internal static class SnapshotFiles
{
    /// <summary>What names begin with; those of the peer system are read too.</summary>
    public static readonly string[] Stems = ["orleans-memory", "ai-memory"];

    private const string Instant = "yyyy-MM-ddTHHmmssZ";

    public static string Name(string stem, DateTimeOffset at) => $"{stem}-{FormatInstant(at)}.db";

    /// <summary>As a file's name tells it, to the second.</summary>
    public static string FormatInstant(DateTimeOffset at) => at.UtcDateTime.ToString(Instant, CultureInfo.InvariantCulture);

    public static string ManifestOf(string snapshot) => Path.ChangeExtension(snapshot, ".manifest.json");

    /// <summary>Newest first.</summary>
    public static IReadOnlyList<string> In(string folder) =>
    [
        .. Directory.EnumerateFiles(folder, "*.db").Select(static file => (File: file, At: TakenAt(file))).Where(static found => found.At is not null)
            .OrderByDescending(static found => found.At).ThenByDescending(static found => found.File, StringComparer.Ordinal).Select(static found => found.File),
    ];

    /// <summary>The snapshot that a path means: the file, or the newest in the folder.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/></exception>
    public static string Find(string path) =>
        File.Exists(path) ? Path.GetFullPath(path)
        : !Directory.Exists(path) ? throw new MemoryException(ErrorKind.NotFound, $"there is no snapshot or folder {path}")
        : In(Path.GetFullPath(path)) is [var newest, ..] ? newest
        : throw new MemoryException(ErrorKind.NotFound, $"{path} holds no snapshot (*-YYYY-MM-DDTHHMMSSZ.db)");

    /// <exception cref="MemoryException">It is not there, or cannot be read.</exception>
    public static BackupManifest ReadManifest(string snapshot)
    {
        var path = ManifestOf(snapshot);
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), BackupJson.Readable.BackupManifest) ?? throw new JsonException("null");
        }
        catch (FileNotFoundException exception)
        {
            throw new MemoryException(ErrorKind.NotFound, $"the manifest {path} is missing: nothing tells whether the snapshot is whole", exception);
        }
        catch (JsonException exception)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, $"the manifest {path} cannot be read: {exception.Message}", exception);
        }
    }

    public static async Task<string> HashAsync(string path)
    {
        await using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(file));
    }

    private static DateTime? TakenAt(string file)
    {
        var name = Path.GetFileNameWithoutExtension(file);
        var stem = Array.Find(Stems, stem => name.StartsWith(stem + "-", StringComparison.Ordinal));
        return stem is not null && DateTime.TryParseExact(
            name[(stem.Length + 1)..], Instant, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at) ? at : null;
    }
}
