using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using Npgsql;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// A store in one PostgreSQL database (15 or newer, encoded in UTF-8), in a schema of its own: one writing connection, which holds
/// the store's lock, and a bounded pool of reading ones. Writes are committed with <c>synchronous_commit=on</c>. A server that goes
/// away makes the store fail, and not the process: it is used again as soon as it is back.
/// </summary>
public sealed partial class PostgresStore : IMemoryStore
{
    private const int ReadConnections = 12;
    private const int ConnectSeconds = 3;
    private const int CommandSeconds = 10;
    private const int ReadSeconds = 60;
    private const string Schema = PostgresSchema.Name;

    /// <summary>
    /// Statements are planned once, when the tables may be empty, and every one of them is meant to go through an index: a plan that
    /// reads a whole table must not outlive the time when that was cheap.
    /// </summary>
    private const string Planning = "-c jit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

    private const string Reading = "-c jit=off -c default_transaction_read_only=on -c work_mem=16MB";

    private const string Writing =
        "-c synchronous_commit=on -c statement_timeout=0 -c idle_session_timeout=0 -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3";

    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(5);

    private readonly NpgsqlDataSource _readers;
    private readonly NpgsqlDataSource _writers;
    private readonly NpgsqlDataSource _scanners;
    private readonly PostgresWriter _writer;
    private readonly PostgresTextIndex _index;
    private readonly PostgresUpkeep _upkeep;
    private readonly string _version;
    private readonly PostgresUrl _url;
    private int _disposed;

    private PostgresStore(PostgresUrl url, NpgsqlDataSource readers, NpgsqlDataSource writers, NpgsqlDataSource scanners, PostgresWriter writer, PostgresTextIndex index, string version, TimeProvider time)
    {
        _url = url;
        _readers = readers;
        _writers = writers;
        _scanners = scanners;
        _writer = writer;
        _index = index;
        _version = version;
        _upkeep = new(readers, index, time);
    }

    public LogId Log => _writer.Log;

    public ITextIndex Index => _index;

    public string Description => $"{_url} (PostgreSQL {_version})";

    public string? Problem => _writer.Problem;

    /// <summary>Words whose rows the index keeps. For tests.</summary>
    internal int KeptWords => _index.KeptWords;

    /// <summary>Opens the store of a node, or creates it in a database that exists.</summary>
    /// <param name="nodeId">Null: the one that the store holds, or a new one from the machine's name.</param>
    /// <exception cref="MemoryException">
    /// <see cref="ErrorKind.StoreInUse"/>, <see cref="ErrorKind.StoreNotOurs"/>, <see cref="ErrorKind.StoreTooNew"/>, <see cref="ErrorKind.StoreFailed"/>.
    /// </exception>
    public static async Task<PostgresStore> OpenAsync(PostgresUrl url, string? nodeId = null, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        var writers = SourceOf(url, $"{Planning} {Writing}", isPooled: false);
        var readers = SourceOf(url, $"{Planning} {Reading}");
        var scanners = SourceOf(url, Reading);
        NpgsqlConnection? connection = null;
        try
        {
            var shown = url.ToString();
            (connection, var session) = await PostgresWriter.LockAsync(writers, shown, LockPatience, time);
            await PostgresSchema.MigrateAsync(connection, shown);
            var log = await InitialiseAsync(connection, shown, nodeId);
            var index = new PostgresTextIndex(readers);
            await index.LoadAsync(connection);
            var writer = await PostgresWriter.StartAsync(writers, shown, connection, session, index, time, log);
            return new(url, readers, writers, scanners, writer, index, connection.PostgreSqlVersion.ToString(), time);
        }
        catch (Exception exception)
        {
            if (connection is not null)
            {
                await connection.DisposeAsync();
            }

            await readers.DisposeAsync();
            await scanners.DisposeAsync();
            await writers.DisposeAsync();
            throw exception is NpgsqlException or SocketException or TimeoutException ? Failure(exception, $"failed to open database {url}") : exception;
        }
    }

    public async ValueTask<(IVectorIndex? Index, string? Why)> OpenVectorsAsync(string marker, int dimension) => await _writer.OpenVectorsAsync(_scanners, marker, dimension);

    public ValueTask<IStoreTransaction> BeginAsync() => new(_writer.Begin());

    public ValueTask<bool> SettleAsync() => new(_writer.Settle());

    public async ValueTask RenewLogAsync() => await _writer.RenewLogAsync(BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))));

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _upkeep.DisposeAsync();
            await _writer.DisposeAsync();
            await _readers.DisposeAsync();
            await _scanners.DisposeAsync();
            await _writers.DisposeAsync();
        }
    }

    /// <summary>What an error of the server or of the way to it means to a caller.</summary>
    internal static MemoryException Failure(Exception exception, string what = "the store failed") =>
        exception is PostgresException { SqlState: PostgresErrorCodes.DiskFull }
            ? new(ErrorKind.StoreFull, "the disk of the database server is full; nothing was stored", exception)
            : new(ErrorKind.StoreFailed, $"{what}: {Describe(exception)}", exception);

    /// <summary>Without what the server quotes of rows.</summary>
    internal static string Describe(Exception? exception) => exception switch
    {
        null => "unknown",
        PostgresException answered => $"{answered.MessageText} ({answered.SqlState})",
        NpgsqlException { InnerException: { } inner } failed => $"{failed.Message}: {inner.Message}",
        _ => exception.Message,
    };

    internal static async Task<LogId> ReadLogIdAsync(NpgsqlConnection connection)
    {
        var meta = await ReadMetaAsync(connection);
        return StoredLog.Parse(meta["node_id"], meta["incarnation"]);
    }

    private static NpgsqlDataSource SourceOf(PostgresUrl url, string options, bool isPooled = true)
    {
        var connection = url.ToConnection();
        connection.ApplicationName = "orleans-memory";
        connection.Timeout = connection.Timeout == new NpgsqlConnectionStringBuilder().Timeout ? ConnectSeconds : connection.Timeout;
        connection.Pooling = isPooled;
        connection.MaxPoolSize = ReadConnections;
        connection.CommandTimeout = isPooled ? ReadSeconds : CommandSeconds;
        connection.MaxAutoPrepare = 64;
        connection.AutoPrepareMinUsages = 2;
        connection.TcpKeepAlive = true;
        connection.KeepAlive = 0;
        connection.Enlist = false;
        connection.NoResetOnClose = true;
        connection.IncludeErrorDetail = false;
        connection.Options = options;
        return NpgsqlDataSource.Create(connection);
    }

    private static async Task<Dictionary<string, string>> ReadMetaAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand($"select key, value from {Schema}.meta", connection);
        await using var reader = await command.ExecuteReaderAsync();
        return (await AllAsync(reader, static row => (Key: row.GetString(0), Value: row.GetString(1)))).ToDictionary(static row => row.Key, static row => row.Value);
    }

    private static async Task<LogId> InitialiseAsync(NpgsqlConnection connection, string shown, string? nodeId)
    {
        var meta = await ReadMetaAsync(connection);
        if (meta.TryGetValue("node_id", out var held))
        {
            return nodeId is null || held == nodeId
                ? StoredLog.Parse(held, meta["incarnation"])
                : throw new MemoryException(ErrorKind.StoreNotOurs, $"{shown} belongs to node {held}; start with --node-id {held}, or give node {nodeId} a database of its own");
        }

        var incarnation = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(sizeof(ulong)));
        held = MemoryRules.AgentId(nodeId ?? $"{NodeNames.OfMachine()}-{incarnation[..8]}", "node id");
        await using var command = new NpgsqlCommand($"insert into {Schema}.meta values ('node_id', $1), ('incarnation', $2)", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = held });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = incarnation });
        await command.ExecuteNonQueryAsync();
        return new(held, ulong.Parse(incarnation, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
    }
}
