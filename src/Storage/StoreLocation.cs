using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Postgres;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage;

/// <summary>Where a store is: a file, <c>sqlite://</c> with a path, or a <c>postgres://</c> URL. Shown without secrets.</summary>
public sealed class StoreLocation
{
    private const string SqliteScheme = "sqlite://";

    private StoreLocation(string? path, PostgresUrl? server)
    {
        Path = path;
        Server = server;
    }

    /// <summary>Of a SQLite file, absolute; null for a database of a server.</summary>
    public string? Path { get; }

    /// <summary>Null for a file.</summary>
    public PostgresUrl? Server { get; }

    /// <summary>A URL of a store, and not a path alone.</summary>
    public static bool IsUrl(string location) => PostgresUrl.IsOne(location) || location.StartsWith(SqliteScheme, StringComparison.OrdinalIgnoreCase);

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidQuery"/>: a URL that cannot be used.</exception>
    public static StoreLocation Parse(string location) =>
        PostgresUrl.IsOne(location) ? new(null, PostgresUrl.Parse(location))
        : OfFile(location.StartsWith(SqliteScheme, StringComparison.OrdinalIgnoreCase) ? location[SqliteScheme.Length..] : location);

    private static StoreLocation OfFile(string path) => path.Length > 0 && !path.Contains('\0', StringComparison.Ordinal)
        ? new(System.IO.Path.GetFullPath(path), null)
        : throw new MemoryException(ErrorKind.InvalidQuery, "the path of a database must not be empty");

    /// <summary>Opens the store of a node, or creates it.</summary>
    /// <param name="nodeId">Null: the one that the store holds, or a new one from the machine's name.</param>
    /// <exception cref="MemoryException">It cannot be opened, is in use, or is not one of ours.</exception>
    public async Task<IMemoryStore> OpenAsync(string? nodeId = null, TimeProvider? time = null) =>
        Server is { } server ? await PostgresStore.OpenAsync(server, nodeId, time) : SqliteStore.Open(Path!, nodeId, time);

    public override string ToString() => Server?.ToString() ?? $"{SqliteScheme}{Path}";
}
