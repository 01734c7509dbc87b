using System.Collections.Concurrent;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>A bounded pool of reading connections with their prepared statements.</summary>
internal sealed class SqliteReaders(string path) : IAsyncDisposable
{
    private const int Connections = 8;

    private readonly SemaphoreSlim _free = new(Connections, Connections);
    private readonly ConcurrentBag<SqliteReader> _idle = [];
    private volatile bool _closed;

    /// <summary>Runs a read on one committed state of the store.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/></exception>
    public async ValueTask<T> ReadAsync<T>(Func<SqliteReader, T> read, CancellationToken cancellation)
    {
        await _free.WaitAsync(cancellation);
        SqliteReader? reader = null;
        try
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            if (!_idle.TryTake(out reader))
            {
                reader = SqliteReader.Open(path);
            }

            return reader.InSnapshot(read, cancellation);
        }
        catch (SqliteException exception)
        {
            throw SqliteStore.Failure(exception);
        }
        finally
        {
            if (reader is { IsUsable: true })
            {
                _idle.Add(reader);
            }
            else
            {
                reader?.Dispose();
            }

            _free.Release();
        }
    }

    /// <summary>Waits for reads that run; those that wait fail, and so do later ones.</summary>
    public async ValueTask DisposeAsync()
    {
        _closed = true;
        for (var index = 0; index < Connections; index++)
        {
            await _free.WaitAsync();
        }

        while (_idle.TryTake(out var reader))
        {
            reader.Dispose();
        }

        _free.Release(Connections);
    }
}

/// <summary>One reading connection.</summary>
internal sealed class SqliteReader : IDisposable
{
    private const int CachedStatements = 128;

    private readonly SqliteDatabase _database;
    private readonly Dictionary<string, SqliteStatement> _statements = new(StringComparer.Ordinal);
    private readonly SqliteStatement _begin;
    private readonly SqliteStatement _end;

    private SqliteReader(SqliteDatabase database)
    {
        _database = database;
        database.Execute("pragma temp_store = memory; pragma cache_size = -16384");
        _begin = database.Prepare("begin");
        _end = database.Prepare("rollback");
    }

    /// <summary>False after a read whose snapshot could not be let go.</summary>
    public bool IsUsable => !_database.IsInTransaction;

    public static SqliteReader Open(string path)
    {
        var database = SqliteDatabase.Open(path, readOnly: true);
        try
        {
            return new(database);
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    public T InSnapshot<T>(Func<SqliteReader, T> read, CancellationToken cancellation)
    {
        _begin.Run();
        try
        {
            // Let go before the snapshot is: an interrupt that comes late must not hit its end.
            using var interrupt = cancellation.CanBeCanceled ? cancellation.UnsafeRegister(static state => ((SqliteDatabase)state!).Interrupt(), _database) : default;
            return read(this);
        }
        catch (SqliteException exception) when (exception.PrimaryCode == SQLitePCL.raw.SQLITE_INTERRUPT)
        {
            throw new OperationCanceledException("the read was cancelled", exception, cancellation);
        }
        finally
        {
            _end.Run();
        }
    }

    /// <summary>The statement for a text that this program made; kept for its next use.</summary>
    public SqliteStatement Statement(string sql)
    {
        if (!_statements.TryGetValue(sql, out var statement))
        {
            if (_statements.Count >= CachedStatements)
            {
                foreach (var old in _statements.Values)
                {
                    old.Dispose();
                }

                _statements.Clear();
            }

            _statements[sql] = statement = _database.Prepare(sql);
        }

        return statement;
    }

    public void Dispose() => _database.Dispose();
}
