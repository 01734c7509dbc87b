using System.Globalization;
using Npgsql;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// Where a PostgreSQL database is: <c>postgres://user:password@host:port/database?sslmode=require</c>. The password may come from
/// the URL, from PGPASSWORD, or from a passfile (PGPASSFILE, ~/.pgpass); it is never part of any text that is shown.
/// </summary>
public sealed class PostgresUrl
{
    private readonly NpgsqlConnectionStringBuilder _connection;

    private PostgresUrl(NpgsqlConnectionStringBuilder connection) => _connection = connection;

    public static bool IsOne(string location) =>
        location.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase) || location.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase);

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidQuery"/>: not a URL of this kind. The text does not repeat it.</exception>
    public static PostgresUrl Parse(string url)
    {
        if (!IsOne(url))
        {
            throw Invalid("it must start with postgres:// or postgresql://");
        }

        var rest = url[(url.IndexOf("//", StringComparison.Ordinal) + 2)..];
        var question = rest.IndexOf('?', StringComparison.Ordinal);
        var parameters = question < 0 ? "" : rest[(question + 1)..];
        rest = question < 0 ? rest : rest[..question];
        var connection = new NpgsqlConnectionStringBuilder { Host = "127.0.0.1", Port = 5432 };
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var authority = slash < 0 ? rest : rest[..slash];
        if (slash >= 0 && slash + 1 < rest.Length)
        {
            connection.Database = Decode(rest[(slash + 1)..]);
        }

        var at = authority.LastIndexOf('@');
        if (at >= 0)
        {
            var user = authority[..at];
            var colon = user.IndexOf(':', StringComparison.Ordinal);
            connection.Username = Decode(colon < 0 ? user : user[..colon]);
            if (colon >= 0)
            {
                connection.Password = Decode(user[(colon + 1)..]);
            }

            authority = authority[(at + 1)..];
        }

        SetHost(connection, authority);
        foreach (var pair in parameters.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            Set(connection, equals < 0 ? pair : pair[..equals], equals < 0 ? "" : Decode(pair[(equals + 1)..]));
        }

        if (string.IsNullOrEmpty(connection.Database))
        {
            throw Invalid("it must name a database, as in postgres://127.0.0.1/memories");
        }

        return new(connection);
    }

    /// <summary>Without user and password.</summary>
    public override string ToString() => _connection.Host!.StartsWith('/')
        ? $"postgres:///{_connection.Database}?host={_connection.Host}&port={_connection.Port}"
        : string.Create(CultureInfo.InvariantCulture, $"postgres://{_connection.Host}:{_connection.Port}/{_connection.Database}");

    /// <summary>What the driver takes, secrets included.</summary>
    internal NpgsqlConnectionStringBuilder ToConnection() => new(_connection.ConnectionString);

    private static void SetHost(NpgsqlConnectionStringBuilder connection, string authority)
    {
        if (authority.Length == 0)
        {
            return;
        }

        var end = authority.StartsWith('[') ? authority.IndexOf(']', StringComparison.Ordinal) + 1 : authority.LastIndexOf(':') is >= 0 and var colon ? colon : authority.Length;
        if (end <= 0)
        {
            throw Invalid("its host is not closed by ]");
        }

        connection.Host = Decode(authority[..end].Trim('[', ']'));
        if (end < authority.Length)
        {
            SetPort(connection, authority[(end + 1)..]);
        }
    }

    private static void SetPort(NpgsqlConnectionStringBuilder connection, string text) =>
        connection.Port = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= ushort.MaxValue
            ? port
            : throw Invalid("its port must be a number between 1 and 65535");

    private static void Set(NpgsqlConnectionStringBuilder connection, string name, string value)
    {
        switch (name)
        {
            case "host":
                connection.Host = value;
                break;
            case "port":
                SetPort(connection, value);
                break;
            case "dbname":
                connection.Database = value;
                break;
            case "user":
                connection.Username = value;
                break;
            case "password":
                connection.Password = value;
                break;
            case "passfile":
                connection.Passfile = value;
                break;
            case "sslmode" when Enum.TryParse<SslMode>(value.Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out var mode):
                connection.SslMode = mode;
                break;
            case "sslrootcert":
                connection.RootCertificate = value;
                break;
            case "sslcert":
                connection.SslCertificate = value;
                break;
            case "sslkey":
                connection.SslKey = value;
                break;
            case "connect_timeout" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and <= 600:
                connection.Timeout = seconds;
                break;
            case "sslmode" or "connect_timeout":
                throw Invalid($"its parameter {name} has a value that is none");
            default:
                throw Invalid("it has a parameter that is not known; known are host, port, dbname, user, password, passfile, sslmode, sslrootcert, sslcert, sslkey, connect_timeout");
        }
    }

    private static string Decode(string text) => Uri.UnescapeDataString(text);

    private static MemoryException Invalid(string why) => new(ErrorKind.InvalidQuery, $"the database URL cannot be used: {why}");
}
