using System.Globalization;
using Npgsql;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Postgres;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Clustering;

/// <summary>One start of a silo, as the cluster's database holds it.</summary>
/// <param name="Status">As Orleans counts: 3 is active, 6 dead.</param>
public sealed record MemberRow(string Silo, string Address, int Port, int Generation, int Status, string StartedAt, string AliveAt)
{
    private const int Dead = 6;

    public string StatusName => Status switch
    {
        1 => "created",
        2 => "joining",
        3 => "active",
        4 => "shutting down",
        5 => "stopping",
        Dead => "dead",
        _ => "unknown",
    };

    /// <summary>The cluster still counts on it.</summary>
    public bool IsMember => Status is > 0 and < Dead;
}

/// <summary>
/// Where an Orleans cluster keeps its members, reminders and the state of its grains: a PostgreSQL database, or for one machine a
/// SQLite file that all its silos open.
/// </summary>
public abstract class ClusterDatabase
{
    private const string SqliteScheme = "sqlite://";

    private protected ClusterDatabase(string invariant, string connectionString)
    {
        Invariant = invariant;
        ConnectionString = connectionString;
    }

    /// <summary>As the ADO.NET providers of Orleans name the database.</summary>
    public string Invariant { get; }

    /// <summary>May hold a password.</summary>
    public string ConnectionString { get; }

    /// <summary>One machine alone uses it, and whoever comes first may make it.</summary>
    public abstract bool IsLocal { get; }

    /// <param name="text">A <c>postgres://</c> URL, an Npgsql connection string (it has a =), or a path, also after <c>sqlite://</c>.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidQuery"/></exception>
    public static ClusterDatabase Parse(string text)
    {
        if (PostgresUrl.IsOne(text))
        {
            return new PostgresClusterDatabase(PostgresUrl.Parse(text).ToConnection());
        }

        if (!text.Contains('=', StringComparison.Ordinal))
        {
            return new SqliteClusterDatabase(Path.GetFullPath(text.StartsWith(SqliteScheme, StringComparison.OrdinalIgnoreCase) ? text[SqliteScheme.Length..] : text));
        }

        try
        {
            return new PostgresClusterDatabase(new NpgsqlConnectionStringBuilder(text));
        }
        catch (ArgumentException exception)
        {
            throw new MemoryException(ErrorKind.InvalidQuery, $"the connection to the cluster's database cannot be used: {exception.Message}", exception);
        }
    }

    /// <summary>Makes the tables and statements that Orleans asks for, or brings them up to date. Idempotent; safe while the cluster runs.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/></exception>
    public abstract Task InitializeAsync(CancellationToken cancellation = default);

    /// <summary>Whether the statements are there.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: the database cannot be reached.</exception>
    public abstract Task<bool> IsInitializedAsync(CancellationToken cancellation = default);

    /// <summary>Every start of a silo that is still known, the newest of each silo first.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/></exception>
    public abstract Task<IReadOnlyList<MemberRow>> ReadMembersAsync(string clusterId, CancellationToken cancellation = default);

    /// <summary>The scripts of a kind of database, in order.</summary>
    private protected static IEnumerable<string> Scripts(string kind)
    {
        var assembly = typeof(ClusterDatabase).Assembly;
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith($"cluster/{kind}/", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            yield return reader.ReadToEnd();
        }
    }

    private protected const string MembersQuery =
        "select SiloName, Address, Port, Generation, Status, cast(StartTime as text), cast(IAmAliveTime as text) from OrleansMembershipTable where DeploymentId = @id order by SiloName, Generation desc";
}

/// <summary>On a PostgreSQL server.</summary>
internal sealed class PostgresClusterDatabase(NpgsqlConnectionStringBuilder connection) : ClusterDatabase("Npgsql", connection.ConnectionString)
{
    /// <summary>Of an advisory lock: two operators at once take turns.</summary>
    private const long InitializationLock = 0x6f6d_636c_7573;

    public override bool IsLocal => false;

    public override Task InitializeAsync(CancellationToken cancellation = default) => RunAsync(
        async session =>
        {
            await using var transaction = await session.BeginTransactionAsync(cancellation);
            await ExecuteAsync(session, $"select pg_advisory_xact_lock({InitializationLock.ToString(CultureInfo.InvariantCulture)})", cancellation);
            foreach (var script in Scripts("postgres"))
            {
                await ExecuteAsync(session, script, cancellation);
            }

            await transaction.CommitAsync(cancellation);
            return 0;
        },
        cancellation);

    public override Task<bool> IsInitializedAsync(CancellationToken cancellation = default) => RunAsync(
        async session =>
        {
            await using var command = new NpgsqlCommand("select to_regclass('OrleansQuery') is not null", session);
            return (bool)(await command.ExecuteScalarAsync(cancellation))!;
        },
        cancellation);

    public override Task<IReadOnlyList<MemberRow>> ReadMembersAsync(string clusterId, CancellationToken cancellation = default) => RunAsync(
        async session =>
        {
            await using var command = new NpgsqlCommand(MembersQuery, session);
            command.Parameters.AddWithValue("id", clusterId);
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            var rows = new List<MemberRow>();
            while (await reader.ReadAsync(cancellation))
            {
                rows.Add(new(reader.GetString(0), reader.GetString(1), reader.GetInt32(2), reader.GetInt32(3), reader.GetInt32(4), reader.GetString(5), reader.GetString(6)));
            }

            return (IReadOnlyList<MemberRow>)rows;
        },
        cancellation);

    private async Task<T> RunAsync<T>(Func<NpgsqlConnection, Task<T>> run, CancellationToken cancellation)
    {
        try
        {
            await using var session = new NpgsqlConnection(ConnectionString);
            await session.OpenAsync(cancellation);
            return await run(session);
        }
        catch (NpgsqlException exception)
        {
            throw new MemoryException(ErrorKind.StoreFailed, $"the cluster's database on {connection.Host} cannot be used: {exception.Message}", exception);
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection session, string script, CancellationToken cancellation)
    {
        await using var batch = new NpgsqlCommand(script, session);
        await batch.ExecuteNonQueryAsync(cancellation);
    }
}

/// <summary>In a file on this machine.</summary>
internal sealed class SqliteClusterDatabase(string path)
    : ClusterDatabase("System.Data.SQLite", $"Data Source={path};Pooling=False")
{
    public override bool IsLocal => true;

    public override Task InitializeAsync(CancellationToken cancellation = default)
    {
        using var database = SqliteDatabase.Open(path);
        database.Execute("begin immediate");
        foreach (var script in Scripts("sqlite"))
        {
            database.Execute(script);
        }

        database.Execute("commit");
        return Task.CompletedTask;
    }

    public override Task<bool> IsInitializedAsync(CancellationToken cancellation = default)
    {
        if (!File.Exists(path))
        {
            return Task.FromResult(false);
        }

        using var database = SqliteDatabase.Open(path, readOnly: true);
        return Task.FromResult(database.Prepare("select name from sqlite_master where name = 'OrleansQuery'").First(static row => row.Text(0)) is not null);
    }

    public override Task<IReadOnlyList<MemberRow>> ReadMembersAsync(string clusterId, CancellationToken cancellation = default)
    {
        using var database = SqliteDatabase.Open(path, readOnly: true);
        return Task.FromResult<IReadOnlyList<MemberRow>>(database.Prepare(MembersQuery).Bind("@id", clusterId).All(static row => new MemberRow(
            row.Text(0), row.Text(1), (int)row.Integer(2), (int)row.Integer(3), (int)row.Integer(4), row.Text(5), row.Text(6))));
    }
}
