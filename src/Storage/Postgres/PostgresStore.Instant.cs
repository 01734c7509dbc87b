using System.Data;
using System.Net.Sockets;
using Npgsql;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Migration;

namespace OrleansMemory.Storage.Postgres;

public sealed partial class PostgresStore
{
    /// <summary>Reads a store as it is at this instant, also while a node serves it: all in one transaction, without the store's lock.</summary>
    /// <exception cref="MemoryException">It cannot be reached, or the database holds no store.</exception>
    public static async Task<Instant> ReadInstantAsync(PostgresUrl url)
    {
        var source = SourceOf(url, $"{Planning} {Reading}");
        try
        {
            var connection = await source.OpenConnectionAsync();
            var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead);
            await using (var exists = Command(connection, "select 1 from information_schema.tables where table_schema = $1 and table_name = 'meta'", Schema))
            {
                if (await exists.ExecuteScalarAsync() is null)
                {
                    throw new MemoryException(ErrorKind.NotFound, $"the database {url} holds no memories: no node has used it");
                }
            }

            var floors = await ReadFloorsAsync(connection, CancellationToken.None);
            return new(url, source, connection, transaction, await ReadLogIdAsync(connection), await ReadVectorAsync(connection, CancellationToken.None), floors, await ReadDigestsAsync(connection, CancellationToken.None));
        }
        catch (Exception exception)
        {
            await source.DisposeAsync();
            throw exception is NpgsqlException or SocketException or TimeoutException ? Failure(exception, $"failed to open database {url}") : exception;
        }
    }

    /// <summary>
    /// Gives the store's schema another name, so that the database is free for another store and the present one stays.
    /// </summary>
    /// <returns>The new name; null when the database held no store.</returns>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreInUse"/>: a node runs on it.</exception>
    public static async Task<string?> SetAsideAsync(PostgresUrl url, string suffix, TimeProvider time)
    {
        await using var source = SourceOf(url, $"{Planning} {Writing}", isPooled: false);
        try
        {
            var (connection, _) = await PostgresWriter.LockAsync(source, url.ToString(), TimeSpan.FromSeconds(1), time);
            await using (connection)
            {
                await using var exists = Command(connection, "select 1 from information_schema.schemata where schema_name = $1", Schema);
                if (await exists.ExecuteScalarAsync() is null)
                {
                    return null;
                }

                var aside = $"{Schema}_{suffix}";
                await using var rename = Command(connection, $"alter schema {Schema} rename to \"{aside}\"");
                await rename.ExecuteNonQueryAsync();
                return aside;
            }
        }
        catch (Exception exception) when (exception is NpgsqlException or SocketException or TimeoutException)
        {
            throw Failure(exception, $"failed to open database {url}");
        }
    }

    /// <summary>One instant of a store, held open by a transaction.</summary>
    public sealed class Instant : IRowSource
    {
        private readonly PostgresUrl _url;
        private readonly NpgsqlDataSource _source;
        private readonly NpgsqlConnection _connection;
        private readonly NpgsqlTransaction _transaction;

        internal Instant(
            PostgresUrl url,
            NpgsqlDataSource source,
            NpgsqlConnection connection,
            NpgsqlTransaction transaction,
            LogId log,
            IReadOnlyDictionary<LogId, AppliedSet> vector,
            Floors floors,
            IReadOnlyDictionary<DigestKey, Digest> digests)
        {
            _url = url;
            _source = source;
            _connection = connection;
            _transaction = transaction;
            Log = log;
            Vector = vector;
            Floors = floors;
            Digest = Digest.Sum(digests.Values);
        }

        public LogId Log { get; }

        public IReadOnlyDictionary<LogId, AppliedSet> Vector { get; }

        public Floors Floors { get; }

        /// <summary>Over all live replicated rows.</summary>
        public Digest Digest { get; }

        public string Description => _url.ToString();

        public IReadOnlyDictionary<string, long> LeftBehind { get; } = new Dictionary<string, long>();

        public Task<long> CountAsync() => Task.FromResult(Digest.Rows);

        public async IAsyncEnumerable<IReadOnlyList<ReplicatedRow>> ReadAsync(int rows, Action<string> report)
        {
            string? after = null;
            do
            {
                var page = await ReadHashesAsync(_connection, null, after, rows, CancellationToken.None);
                if (page.Rows.Count > 0)
                {
                    yield return await ReadRowsAsync(_connection, [.. page.Rows.Select(static row => row.Key)], CancellationToken.None);
                }

                after = page.Next;
            }
            while (after is not null);
        }

        public async Task<IReadOnlyDictionary<string, string>> FindNamespacesAsync(IReadOnlyCollection<string> memoryIds)
        {
            var rows = await ReadRowsAsync(_connection, [.. memoryIds.Select(static id => new RowKey(MutationKind.Memory, id))], CancellationToken.None);
            return StoreRows.NamespacesOf(rows);
        }

        public async ValueTask DisposeAsync()
        {
            await _transaction.DisposeAsync();
            await _connection.DisposeAsync();
            await _source.DisposeAsync();
        }
    }
}
