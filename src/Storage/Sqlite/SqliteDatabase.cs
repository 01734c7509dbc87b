using OrleansMemory.Core.Memories;
using SQLitePCL;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>One SQLite connection, used by one thread at a time. Owns its prepared statements.</summary>
internal sealed class SqliteDatabase : IDisposable
{
    /// <summary>For the rare locks that SQLite takes on its own, as when the first connection recovers a log.</summary>
    private const int BusyMilliseconds = 5_000;

    private readonly List<SqliteStatement> _statements = [];

    private SqliteDatabase(sqlite3 handle, string path)
    {
        Handle = handle;
        Path = path;
    }

    public sqlite3 Handle { get; }

    public string Path { get; }

    public bool IsInTransaction => raw.sqlite3_get_autocommit(Handle) == 0;

    public long LastInsertRow => raw.sqlite3_last_insert_rowid(Handle);

    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: the file cannot be opened.</exception>
    public static SqliteDatabase Open(string path, bool readOnly = false)
    {
        SqliteLibrary.Load();
        var flags = raw.SQLITE_OPEN_NOMUTEX | raw.SQLITE_OPEN_PRIVATECACHE
            | (readOnly ? raw.SQLITE_OPEN_READONLY : raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE);
        var code = raw.sqlite3_open_v2(path, out var handle, flags, null);
        if (code != raw.SQLITE_OK)
        {
            var reason = handle is null ? raw.sqlite3_errstr(code).utf8_to_string() : raw.sqlite3_errmsg(handle).utf8_to_string();
            handle?.Dispose();
            throw new MemoryException(ErrorKind.StoreFailed, $"failed to open database {path}: {reason}");
        }

        raw.sqlite3_extended_result_codes(handle, 1);
        raw.sqlite3_busy_timeout(handle, BusyMilliseconds);
        return new(handle, path);
    }

    /// <summary>Runs statements that return nothing of interest.</summary>
    public void Execute(string sql)
    {
        var code = raw.sqlite3_exec(Handle, sql);
        if (code != raw.SQLITE_OK)
        {
            throw Failure(code, sql);
        }
    }

    /// <summary>Prepares a statement that lives as long as the connection.</summary>
    public SqliteStatement Prepare(string sql)
    {
        var code = raw.sqlite3_prepare_v3(Handle, sql, raw.SQLITE_PREPARE_PERSISTENT, out var handle);
        if (code != raw.SQLITE_OK)
        {
            throw Failure(code, sql);
        }

        var statement = new SqliteStatement(this, handle, sql);
        _statements.Add(statement);
        return statement;
    }

    /// <summary>The first column of the first row as a number; null when there is no row.</summary>
    public long? QueryInteger(string sql)
    {
        using var statement = Prepare(sql);
        return statement.Step() ? statement.Integer(0) : null;
    }

    public string? QueryText(string sql)
    {
        using var statement = Prepare(sql);
        return statement.Step() ? statement.Text(0) : null;
    }

    /// <summary>Ends the statement that runs, from any thread.</summary>
    public void Interrupt() => raw.sqlite3_interrupt(Handle);

    public SqliteException Failure(int code, string sql) => new(code, raw.sqlite3_errmsg(Handle).utf8_to_string(), sql);

    public void Dispose()
    {
        foreach (var statement in _statements.ToArray())
        {
            statement.Dispose();
        }

        raw.sqlite3_close_v2(Handle);
        Handle.Dispose();
    }

    internal void Forget(SqliteStatement statement) => _statements.Remove(statement);
}

/// <summary>SQLite said no. <see cref="Code"/> is the extended result code.</summary>
internal sealed class SqliteException(int code, string reason, string sql) : Exception($"SQLite error {code}: {reason} [{sql}]")
{
    public int Code { get; } = code;

    public int PrimaryCode => Code & 0xff;
}
