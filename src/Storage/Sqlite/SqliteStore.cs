using System.Globalization;
using System.Security.Cryptography;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;
using SQLitePCL;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// A store in one SQLite file (WAL, <c>synchronous=FULL</c>): one writing connection, a pool of reading ones. The full-text index
/// has a file of its own beside it, so that an acknowledged write costs one fsync and no index work.
/// </summary>
public sealed partial class SqliteStore : IMemoryStore
{
    /// <summary>"OMEM".</summary>
    private const int ApplicationId = 0x4F4D454D;

    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(5);

    private readonly StoreLock _lock;
    private readonly SqliteDatabase _database;
    private readonly SqliteWriter _writer;
    private readonly SqliteReaders _readers;
    private readonly SqliteTextIndex _index;
    private int _disposed;

    private SqliteStore(string path, StoreLock held, SqliteDatabase database, LogId log, TimeProvider time)
    {
        Path = path;
        _lock = held;
        _database = database;
        _index = SqliteTextIndex.Open(path, log.ToString(), time);
        _writer = new(database, log, _index, DerivedMark.Read(database).Present);
        _readers = new(path);
    }

    public LogId Log => _writer.Log;

    public string Path { get; }

    public ITextIndex Index => _index;

    public string Description => $"sqlite://{Path} (SQLite {SqliteLibrary.Version}{(SqliteLibrary.IsBundled ? ", bundled" : "")})";

    /// <summary>Opens the store of a node, or creates it.</summary>
    /// <param name="path">The folder must exist.</param>
    /// <param name="nodeId">Null: the one that the store holds, or a new one from the machine's name.</param>
    /// <param name="time">For waits and lags; null: the system's.</param>
    /// <exception cref="MemoryException">
    /// <see cref="ErrorKind.StoreInUse"/>, <see cref="ErrorKind.StoreNotOurs"/> (another program's file, or another node's),
    /// <see cref="ErrorKind.StoreTooNew"/>, <see cref="ErrorKind.StoreFailed"/>.
    /// </exception>
    public static SqliteStore Open(string path, string? nodeId = null, TimeProvider? time = null)
    {
        path = System.IO.Path.GetFullPath(path);
        var held = StoreLock.Acquire(path, LockPatience);
        SqliteDatabase? database = null;
        try
        {
            database = SqliteDatabase.Open(path);
            RefuseForeign(database);
            database.Execute("pragma page_size = 4096");
            if (database.QueryText("pragma journal_mode = wal") is var mode && mode != "wal")
            {
                throw new MemoryException(ErrorKind.StoreFailed, $"{path} cannot have a write-ahead log (journal mode {mode}): its file system must support shared memory");
            }

            database.Execute("""
                pragma synchronous = full;
                pragma temp_store = memory;
                pragma cache_size = -65536;
                pragma wal_autocheckpoint = 16000;
                """);
            return new(path, held, database, Initialise(database, nodeId), time ?? TimeProvider.System);
        }
        catch (Exception exception)
        {
            database?.Dispose();
            held.Dispose();
            if (exception is SqliteException failure)
            {
                throw failure.PrimaryCode == raw.SQLITE_NOTADB
                    ? new MemoryException(ErrorKind.StoreNotOurs, $"{path} is not a database of this program", failure)
                    : Failure(failure);
            }

            throw;
        }
    }

    public async ValueTask<IStoreTransaction> BeginAsync()
    {
        await _index.WaitForRoomAsync();
        return _writer.Begin();
    }

    public ValueTask RenewLogAsync()
    {
        try
        {
            _writer.RenewLog(RandomNumberGenerator.GetBytes(sizeof(ulong)));
            return ValueTask.CompletedTask;
        }
        catch (SqliteException exception)
        {
            throw Failure(exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _readers.DisposeAsync();
            _index.Dispose();
            _database.Dispose();
            _lock.Dispose();
        }
    }

    /// <summary>Makes the disk look full beyond this many pages. For tests; no write may be under way.</summary>
    internal void LimitPages(long pages) => _database.QueryInteger(string.Create(CultureInfo.InvariantCulture, $"pragma max_page_count = {pages}"));

    /// <summary>What a SQLite error means to a caller.</summary>
    internal static Exception Failure(SqliteException exception) => exception.Code switch
    {
        raw.SQLITE_IOERR_FSYNC or raw.SQLITE_IOERR_DIR_FSYNC => new StoreFatalException("fsync failed", exception),

        // The last is what a full disk says to a first reader, which makes the file of shared memory.
        _ when exception.PrimaryCode == raw.SQLITE_FULL || exception.Code == raw.SQLITE_IOERR_SHMSIZE => new MemoryException(ErrorKind.StoreFull, "the disk is full; nothing was stored", exception),
        _ => new MemoryException(ErrorKind.StoreFailed, $"the store failed: {exception.Message}", exception),
    };

    internal static void RefuseForeign(SqliteDatabase database)
    {
        if (database.QueryInteger("pragma application_id") == ApplicationId)
        {
            var needed = int.Parse(
                database.QueryText("select value from meta where key = 'min_writer_version'") ?? "0", CultureInfo.InvariantCulture);
            if (needed > SqliteSchema.Version)
            {
                throw new MemoryException(
                    ErrorKind.StoreTooNew,
                    $"{database.Path} was written by a newer version (schema {needed}, this one writes {SqliteSchema.Version}); upgrade this program");
            }

            return;
        }

        if (database.QueryInteger("select 1 from sqlite_master where type = 'table' and name = 'memories'") is not null)
        {
            throw new MemoryException(
                ErrorKind.StoreNotOurs,
                $"{database.Path} is an ai-memory database; it is left as it is: bring it over with om migrate --from sqlite://{database.Path}");
        }

        if (database.QueryInteger("select 1 from sqlite_master limit 1") is not null)
        {
            throw new MemoryException(ErrorKind.StoreNotOurs, $"{database.Path} is not a database of this program");
        }
    }

    private static LogId Initialise(SqliteDatabase database, string? nodeId)
    {
        if (IsCurrent(database))
        {
            return LogOf(database, nodeId) ?? throw new MemoryException(ErrorKind.StoreFailed, $"{database.Path} names no node");
        }

        // Marked as ours in the transaction that makes the tables: a crash before its end leaves an empty file. A store that is
        // there already as it should be is not written to, so that one on a full disk still opens.
        database.Execute("begin immediate");
        if (database.QueryInteger("pragma application_id") != ApplicationId)
        {
            database.Execute($"pragma application_id = {ApplicationId}");
        }

        database.Execute(SqliteSchema.Main);
        var version = SqliteSchema.Version.ToString(CultureInfo.InvariantCulture);
        using var put = database.Prepare("insert into meta(key, value) values (?1, ?2) on conflict(key) do update set value = excluded.value");
        if (LogOf(database, nodeId) is null)
        {
            var random = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(sizeof(ulong)));
            put.Bind(1, "node_id").Bind(2, MemoryRules.AgentId(nodeId ?? $"{NodeNames.OfMachine()}-{random[..8]}", "node id")).Run();
            put.Bind(1, "incarnation").Bind(2, random).Run();
            put.Bind(1, "min_writer_version").Bind(2, SqliteSchema.MinWriterVersion.ToString(CultureInfo.InvariantCulture)).Run();
            put.Bind(1, "clock").Bind(2, "0").Run();
        }

        put.Bind(1, "schema_version").Bind(2, version).Run();
        var (mark, present) = DerivedMark.Read(database);
        if (mark is not { } kept || !kept.CoversRowsOf(present))
        {
            // A program that keeps no derived values wrote here: every row is looked at again.
            database.Execute("delete from derived");
        }

        database.Execute("update backfill set cursor = '' where cursor <> ''");
        put.Bind(1, SqliteSchema.DerivedThrough).Bind(2, present.ToString()).Run();
        database.Execute("commit");
        return LogOf(database, nodeId)!.Value;
    }

    /// <summary>Nothing is to be made or changed before the store is used.</summary>
    private static bool IsCurrent(SqliteDatabase database)
    {
        if (database.QueryInteger("pragma application_id") != ApplicationId
            || database.QueryText("select value from meta where key = 'schema_version'") != SqliteSchema.Version.ToString(CultureInfo.InvariantCulture))
        {
            return false;
        }

        var (mark, present) = DerivedMark.Read(database);
        return mark is { } kept && kept.CoversRowsOf(present) && kept.Versions == present.Versions;
    }

    /// <summary>Null before the store has a name.</summary>
    private static LogId? LogOf(SqliteDatabase database, string? nodeId)
    {
        var held = database.QueryText("select value from meta where key = 'node_id'");
        if (held is not null && nodeId is not null && held != nodeId)
        {
            throw new MemoryException(
                ErrorKind.StoreNotOurs,
                $"{database.Path} belongs to node {held}; start with --node-id {held}, or give node {nodeId} a database of its own");
        }

        var incarnation = database.QueryText("select value from meta where key = 'incarnation'");
        return held is null || incarnation is null ? null : StoredLog.Parse(held, incarnation);
    }
}
