using System.Globalization;
using System.Text.Json;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Backup;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// Snapshots of a store while a node serves it, and the way back. A snapshot is one file: the state of one instant, without a
/// write-ahead log and without the full-text index, which is built again.
/// </summary>
public static class SqliteBackup
{
    /// <summary>How long a restore waits for a command on the database that is about to end.</summary>
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(1);

    private static readonly string[] Sidecars = ["-wal", "-shm", "-journal"];

    /// <summary>Takes a snapshot; every write that was answered before the call is in it.</summary>
    /// <param name="folder">Made when it is missing.</param>
    /// <param name="stem">What the file's name begins with, one of <see cref="SnapshotFiles.Stems"/>.</param>
    /// <param name="keep">Snapshots that stay, this one included; older ones go. 0 keeps all.</param>
    /// <param name="version">Of this program.</param>
    /// <exception cref="MemoryException">The database is not one of ours, or cannot be read; a snapshot of this second is there already.</exception>
    /// <exception cref="IOException">The folder cannot be written, or is full.</exception>
    public static async Task<BackupManifest> TakeAsync(string databasePath, string folder, string stem, int keep, string version, DateTimeOffset now)
    {
        databasePath = Path.GetFullPath(databasePath);
        if (!File.Exists(databasePath))
        {
            throw new MemoryException(ErrorKind.NotFound, $"there is no database {databasePath}");
        }

        folder = Directory.CreateDirectory(folder).FullName;
        var name = SnapshotFiles.Name(stem, now);
        var snapshot = Path.Combine(folder, name);
        if (File.Exists(snapshot))
        {
            throw new MemoryException(ErrorKind.AlreadyExists, $"the snapshot {snapshot} is there already; try again in a second");
        }

        var partial = snapshot + ".partial";
        File.Delete(partial);
        try
        {
            Copy(databasePath, partial);
            var manifest = Describe(partial) with
            {
                Snapshot = name,
                Sha256 = await SnapshotFiles.HashAsync(partial),
                Bytes = new FileInfo(partial).Length,
                SourceDb = databasePath,
                Version = version,
                CreatedAt = Timestamp.FromDateTimeOffset(now).ToString(),
            };

            // The manifest comes last: a snapshot with one is whole.
            DurableFiles.Flush(partial);
            File.Move(partial, snapshot);
            var text = SnapshotFiles.ManifestOf(snapshot);
            await File.WriteAllTextAsync(text + ".partial", JsonSerializer.Serialize(manifest, BackupJson.Default.BackupManifest) + "\n");
            DurableFiles.Flush(text + ".partial");
            File.Move(text + ".partial", text);
            DurableFiles.FlushFolder(folder);
            Prune(folder, stem, keep);
            return manifest;
        }
        finally
        {
            File.Delete(partial);
        }
    }

    /// <summary>Checks a snapshot against its manifest, and its rows against themselves; on a copy, so that nothing is written to it.</summary>
    /// <param name="path">A snapshot, or a folder: the newest in it.</param>
    /// <exception cref="MemoryException">It says what is wrong.</exception>
    public static async Task<BackupManifest> VerifyAsync(string path)
    {
        var snapshot = SnapshotFiles.Find(path);
        var manifest = await CheckManifestAsync(snapshot);
        var folder = Directory.CreateTempSubdirectory("om-verify-");
        try
        {
            await CheckRowsAsync(snapshot, Path.Combine(folder.FullName, "copy.db"), manifest, renew: false);
            return manifest;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>
    /// Puts a snapshot in the place of a database that no node serves. The database that was there stays beside it. The store
    /// begins a new log: numbers that were drawn after the snapshot name other rows elsewhere.
    /// </summary>
    /// <param name="check">False: without looking at the manifest.</param>
    /// <exception cref="MemoryException">The snapshot is not whole, or the database is in use; nothing was changed.</exception>
    public static async Task<RestoredDatabase> RestoreAsync(string path, string databasePath, bool check, DateTimeOffset now)
    {
        var snapshot = SnapshotFiles.Find(path);
        databasePath = Path.GetFullPath(databasePath);
        using var held = StoreLock.Acquire(databasePath, LockPatience);
        var manifest = check ? await CheckManifestAsync(snapshot) : null;
        var restoring = databasePath + ".restoring";
        Remove(restoring);
        try
        {
            await CheckRowsAsync(snapshot, restoring, manifest, renew: true);
            DurableFiles.Flush(restoring);
            var aside = File.Exists(databasePath) ? SetAside(databasePath, now) : null;

            // Whatever still stands beside the database belongs to the one that was there; a log of it would be replayed into the new one.
            foreach (var sidecar in Sidecars)
            {
                File.Delete(databasePath + sidecar);
            }

            RemoveIndex(databasePath);
            DurableFiles.FlushFolder(Path.GetDirectoryName(databasePath)!);
            File.Move(restoring, databasePath, overwrite: true);
            DurableFiles.FlushFolder(Path.GetDirectoryName(databasePath)!);
            return new(snapshot, databasePath, aside);
        }
        finally
        {
            Remove(restoring);
        }
    }

    private static void Copy(string databasePath, string file)
    {
        try
        {
            using var database = SqliteDatabase.Open(databasePath, readOnly: true);
            SqliteStore.RefuseForeign(database);
            using var into = database.Prepare("vacuum into ?1");
            into.Bind(1, file).Run();
        }
        catch (SqliteException exception)
        {
            throw SqliteStore.Failure(exception);
        }
    }

    /// <summary>What the rows of a snapshot say; the fields of the file itself are left empty.</summary>
    private static BackupManifest Describe(string file)
    {
        using var database = SqliteDatabase.Open(file, readOnly: true);
        var digest = default(Digest);
        using (var digests = database.Prepare("select rows, hash from digest"))
        {
            while (digests.Step())
            {
                digest += new Digest(digests.Integer(0), MemoryRows.ParseHash(digests.Blob(1)));
            }
        }

        var log = new LogId(
            database.QueryText("select value from meta where key = 'node_id'")!,
            ulong.Parse(database.QueryText("select value from meta where key = 'incarnation'")!, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        using var head = database.Prepare("select applied from vector where node = ?1 and incarnation = ?2");
        head.Bind(1, log.Node).Bind(2, SqliteWriter.FormatIncarnation(log));
        return new()
        {
            Snapshot = "",
            Sha256 = "",
            Bytes = 0,
            SourceDb = "",
            Version = "",
            CreatedAt = "",
            NodeId = log.Node,
            Log = log.ToString(),
            HeadSequence = head.Step() ? head.Integer(0) : 0,
            Counts = Count(database),
            Digest = digest.ToString(),
        };
    }

    private static SortedDictionary<string, long> Count(SqliteDatabase database)
    {
        var counts = new SortedDictionary<string, long>(StringComparer.Ordinal);
        using (var memories = database.Prepare("select state, count(*) from memory group by state"))
        {
            while (memories.Step())
            {
                counts[RowKinds.NameOf((RowVisibility)memories.Integer(0))] = memories.Integer(1);
            }
        }

        counts[RowKinds.NameOf(MutationKind.MemoryDelete)] = database.QueryInteger("select count(*) from tombstone") ?? 0;
        using var entries = database.Prepare("select kind, count(*) from entry group by kind");
        while (entries.Step())
        {
            counts[RowKinds.NameOf((MutationKind)entries.Integer(0))] = entries.Integer(1);
        }

        return counts;
    }

    private static async Task<BackupManifest> CheckManifestAsync(string snapshot)
    {
        var manifest = SnapshotFiles.ReadManifest(snapshot);
        if (manifest.Snapshot != Path.GetFileName(snapshot))
        {
            throw Broken(snapshot, $"its manifest is that of {manifest.Snapshot}");
        }

        var bytes = new FileInfo(snapshot).Length;
        if (bytes != manifest.Bytes)
        {
            throw Broken(snapshot, $"it has {bytes} bytes, its manifest says {manifest.Bytes}");
        }

        var hash = await SnapshotFiles.HashAsync(snapshot);
        return hash == manifest.Sha256 ? manifest : throw Broken(snapshot, $"its SHA-256 is {hash}, its manifest says {manifest.Sha256}");
    }

    /// <summary>Copies the snapshot, then checks the copy as a database and as a store. Leaves one file.</summary>
    private static async Task CheckRowsAsync(string snapshot, string copy, BackupManifest? manifest, bool renew)
    {
        File.Copy(snapshot, copy);
        try
        {
            using var database = SqliteDatabase.Open(copy);
            SqliteStore.RefuseForeign(database);
            if (database.QueryText("pragma integrity_check(1)") is var found && found != "ok")
            {
                throw Broken(snapshot, $"the database is damaged: {found}");
            }
        }
        catch (SqliteException exception)
        {
            throw Broken(snapshot, $"it cannot be read as a database: {exception.Message}", exception);
        }

        await using (var store = SqliteStore.Open(copy))
        {
            var (digests, differences) = await store.VerifyRowsAsync();
            if (differences.Count > 0)
            {
                throw Broken(snapshot, $"rows disagree: {differences[0]}{(differences.Count > 1 ? $", and {differences.Count - 1} more" : "")}");
            }

            var digest = digests.Values.Aggregate(default(Digest), static (sum, one) => sum + one).ToString();
            if (manifest is not null && digest != manifest.Digest)
            {
                throw Broken(snapshot, $"its digest is {digest}, its manifest says {manifest.Digest}");
            }

            if (renew)
            {
                await store.RenewLogAsync();
            }
        }

        if (manifest is not null)
        {
            using var database = SqliteDatabase.Open(copy, readOnly: true);
            var counts = Count(database);
            foreach (var kind in counts.Keys.Union(manifest.Counts.Keys).Where(kind => counts.GetValueOrDefault(kind) != manifest.Counts.GetValueOrDefault(kind)))
            {
                throw Broken(snapshot, $"it holds {counts.GetValueOrDefault(kind)} {kind}, its manifest says {manifest.Counts.GetValueOrDefault(kind)}");
            }
        }
    }

    /// <summary>Keeps the present database under a name that says since when.</summary>
    private static string SetAside(string databasePath, DateTimeOffset now)
    {
        var stem = Path.Combine(Path.GetDirectoryName(databasePath)!, Path.GetFileNameWithoutExtension(databasePath));
        var aside = $"{stem}.pre-restore-{now.UtcDateTime:yyyy-MM-ddTHHmmssZ}.db";
        if (File.Exists(aside))
        {
            throw new MemoryException(ErrorKind.AlreadyExists, $"{aside} is there already; try again in a second");
        }

        try
        {
            // With its log written back the database is one file.
            using var database = SqliteDatabase.Open(databasePath);
            database.Execute("pragma wal_checkpoint(truncate)");
        }
        catch (Exception exception) when (exception is SqliteException or MemoryException)
        {
            // A database that cannot be opened any more may be why this restore is run: it is kept as it is, with what stands beside it.
            foreach (var sidecar in Sidecars.Where(sidecar => File.Exists(databasePath + sidecar)))
            {
                File.Move(databasePath + sidecar, aside + sidecar);
            }
        }

        DurableFiles.Link(databasePath, aside);
        return aside;
    }

    private static void Prune(string folder, string stem, int keep)
    {
        foreach (var old in SnapshotFiles.In(folder).Where(file => Path.GetFileName(file).StartsWith(stem + "-", StringComparison.Ordinal)).Skip(keep == 0 ? int.MaxValue : keep))
        {
            File.Delete(SnapshotFiles.ManifestOf(old));
            File.Delete(old);
        }
    }

    private static void Remove(string path)
    {
        foreach (var end in Sidecars.Append("").Append(".lock"))
        {
            File.Delete(path + end);
        }

        RemoveIndex(path);
    }

    private static void RemoveIndex(string path)
    {
        foreach (var end in Sidecars.Append(""))
        {
            File.Delete(path + "-index" + end);
        }
    }

    private static MemoryException Broken(string snapshot, string what, Exception? inner = null) =>
        new(ErrorKind.BackupBroken, $"the snapshot {snapshot} is not whole: {what}", inner);
}

/// <param name="Aside">Where the database is now that was there before; null when there was none.</param>
public sealed record RestoredDatabase(string From, string To, string? Aside);
