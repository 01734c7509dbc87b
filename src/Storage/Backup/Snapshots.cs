using System.Text.Json;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Migration;
using OrleansMemory.Storage.Postgres;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Backup;

/// <summary>
/// Snapshots of a store while a node serves it, and the way back. A snapshot is one SQLite file, whatever the store: the state of one
/// instant, without a write-ahead log and without the full-text index, which is built again.
/// </summary>
public static class Snapshots
{
    /// <summary>How long a restore waits for a command on the database that is about to end.</summary>
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(1);

    private const int CopiedRows = 1_000;

    private static readonly string[] Sidecars = ["-wal", "-shm", "-journal"];

    /// <summary>Takes a snapshot; every write that was answered before the call is in it.</summary>
    /// <param name="folder">Made when it is missing.</param>
    /// <param name="stem">What the file's name begins with, one of <see cref="SnapshotFiles.Stems"/>.</param>
    /// <param name="keep">Snapshots that stay, this one included; older ones go. 0 keeps all.</param>
    /// <param name="version">Of this program.</param>
    /// <exception cref="MemoryException">The database is not one of ours, or cannot be read; a snapshot of this second is there already.</exception>
    /// <exception cref="IOException">The folder cannot be written, or is full.</exception>
    public static async Task<BackupManifest> TakeAsync(StoreLocation store, string folder, string stem, int keep, string version, DateTimeOffset now)
    {
        if (store.Path is { } path && !File.Exists(path))
        {
            throw new MemoryException(ErrorKind.NotFound, $"there is no database {path}");
        }

        folder = Directory.CreateDirectory(folder).FullName;
        var name = SnapshotFiles.Name(stem, now);
        var snapshot = Path.Combine(folder, name);
        if (File.Exists(snapshot))
        {
            throw new MemoryException(ErrorKind.AlreadyExists, $"the snapshot {snapshot} is there already; try again in a second");
        }

        var partial = snapshot + ".partial";
        Remove(partial);
        try
        {
            var manifest = store.Server is { } server ? await CopyAsync(server, partial) : Copy(store.Path!, partial);
            manifest = manifest with
            {
                Snapshot = name,
                Sha256 = await SnapshotFiles.HashAsync(partial),
                Bytes = new FileInfo(partial).Length,
                SourceDb = store.Path ?? store.ToString(),
                Version = version,
                CreatedAt = Timestamp.FromDateTimeOffset(now).ToString(),
            };

            // The manifest comes last: a snapshot with one is whole.
            DurableFiles.Flush(partial);
            File.Move(partial, snapshot);
            var text = SnapshotFiles.ManifestOf(snapshot);
            await File.WriteAllTextAsync(text + ".partial", JsonSerializer.Serialize(manifest, BackupJson.Readable.BackupManifest) + "\n");
            DurableFiles.Flush(text + ".partial");
            File.Move(text + ".partial", text);
            DurableFiles.FlushFolder(folder);
            Prune(folder, stem, keep);
            return manifest;
        }
        finally
        {
            Remove(partial);
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
    /// Puts a snapshot in the place of a store that no node serves. What was there stays, under another name. The store begins
    /// a new log: numbers that were drawn after the snapshot name other rows elsewhere.
    /// </summary>
    /// <param name="check">False: without looking at the manifest.</param>
    /// <exception cref="MemoryException">The snapshot is not whole, or the store is in use; nothing was changed.</exception>
    public static Task<RestoredStore> RestoreAsync(string path, StoreLocation target, bool check, DateTimeOffset now)
    {
        var snapshot = SnapshotFiles.Find(path);
        return target.Server is { } server ? RestoreAsync(snapshot, server, check, now) : RestoreAsync(snapshot, target.Path!, check, now);
    }

    private static async Task<RestoredStore> RestoreAsync(string snapshot, string databasePath, bool check, DateTimeOffset now)
    {
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

    /// <summary>
    /// Into a database of a server: the store that is there gives way to an empty one, which takes the rows. Run again, it begins anew.
    /// </summary>
    private static async Task<RestoredStore> RestoreAsync(string snapshot, PostgresUrl server, bool check, DateTimeOffset now)
    {
        var manifest = check ? await CheckManifestAsync(snapshot) : null;
        var folder = Directory.CreateTempSubdirectory("om-restore-");
        try
        {
            var copy = Path.Combine(folder.FullName, "copy.db");
            await CheckRowsAsync(snapshot, copy, manifest, renew: false);
            await using var source = SqliteStore.Open(copy);
            var aside = await PostgresStore.SetAsideAsync(server, $"pre_restore_{now.UtcDateTime:yyyyMMddHHmmss}", TimeProvider.System);
            await using var target = await PostgresStore.OpenAsync(server, source.Log.Node);
            await using (var rows = new StoreRows(source))
            {
                await FillAsync(rows, target, await source.ReadVectorAsync(), await source.ReadFloorsAsync());
            }

            return new(snapshot, server.ToString(), aside);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Copies the rows of a server's database as they are at one instant.</summary>
    private static async Task<BackupManifest> CopyAsync(PostgresUrl server, string file)
    {
        LogPosition head;
        await using (var instant = await PostgresStore.ReadInstantAsync(server))
        await using (var target = SqliteStore.Open(file, instant.Log.Node))
        {
            await FillAsync(instant, target, instant.Vector, instant.Floors);
            head = new(instant.Log, instant.Vector.GetValueOrDefault(instant.Log)?.Through ?? 0);
        }

        using (var database = SqliteDatabase.Open(file))
        {
            database.Execute("pragma journal_mode = delete");
        }

        RemoveIndex(file);
        return Describe(file) with { Log = head.Log.ToString(), HeadSequence = head.Sequence };
    }

    /// <summary>Brings all rows of an instant into an empty store, with what that instant knew of logs and floors.</summary>
    private static async Task FillAsync(IRowSource source, IMemoryStore target, IReadOnlyDictionary<LogId, AppliedSet> vector, Floors floors)
    {
        await using var node = await MemoryNode.StartAsync(target, new NodeSettings(), TimeProvider.System, new Random());
        var report = await new StoreMigration(source, node, new MigrationOptions(CopiedRows), TimeProvider.System).RunAsync();
        if (report.Errors.Count > 0 || report.SourceDigest != report.TargetDigest)
        {
            throw new MemoryException(ErrorKind.BackupBroken, $"the copy is not what was copied: {(report.Errors is [var first, ..] ? first : null) ?? $"digest {report.TargetDigest}, expected {report.SourceDigest}"}");
        }

        await node.Replica.JoinVectorAsync(vector);
        await node.Replica.SetFloorsAsync(floors);
    }

    private static BackupManifest Copy(string databasePath, string file)
    {
        try
        {
            using var database = SqliteDatabase.Open(databasePath, readOnly: true);
            SqliteStore.RefuseForeign(database);
            using var into = database.Prepare("vacuum into ?1");
            into.Bind(1, file).Run();
            return Describe(file);
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

        var log = StoredLog.Parse(
            database.QueryText("select value from meta where key = 'node_id'")!, database.QueryText("select value from meta where key = 'incarnation'")!);
        using var head = database.Prepare("select applied from vector where node = ?1 and incarnation = ?2");
        head.Bind(1, log.Node).Bind(2, StoredLog.FormatIncarnation(log));
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

            var digest = Digest.Sum(digests.Values).ToString();
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
        var aside = $"{stem}.pre-restore-{SnapshotFiles.FormatInstant(now)}.db";
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

/// <param name="Aside">Where what was there before is now: a file, or a schema of the database; null when there was nothing.</param>
public sealed record RestoredStore(string From, string To, string? Aside);
