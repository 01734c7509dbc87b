using System.Security.Cryptography;
using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Sqlite;

public sealed class SqliteBackfillTests : BackfillCompliance, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-fill-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    protected override ValueTask<IMemoryStore> OpenAsync(string name, string nodeId) => new(SqliteStore.Open(PathOf(name), nodeId));

    protected override Task RunSqlAsync(string name, string sql)
    {
        using var database = SqliteDatabase.Open(PathOf(name));
        database.Execute(Here(sql));
        return Task.CompletedTask;
    }

    protected override Task<long> QueryAsync(string name, string sql)
    {
        using var database = SqliteDatabase.Open(PathOf(name));
        return Task.FromResult(database.QueryInteger(Here(sql)) ?? throw new InvalidOperationException("no row"));
    }

    protected override Task MakeOldAsync(string name)
    {
        OlderStore.Make(PathOf(name));
        return Task.CompletedTask;
    }

    protected override Task ForbidCompletionAsync(string name, bool isForbidden) => RunSqlAsync(name, isForbidden
        ? "create trigger no_completion before insert on backfill when new.state = 3 begin select raise(abort, 'no completion'); end"
        : "drop trigger no_completion");

    protected override Task<IAsyncDisposable> HoldWriteLockAsync(string name) => Task.FromResult<IAsyncDisposable>(new Lock(PathOf(name)));

    /// <summary>The file as it is; a log beside it would be work that is not in it yet.</summary>
    protected override async Task<string> ReadCommitMarkAsync(string name)
    {
        Assert.False(File.Exists(PathOf(name) + "-wal"));
        return Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(PathOf(name))));
    }

    protected override string WriteAsOlderProgram(string title) => $"""
        insert into index_queue(row, old_namespace, old_title, old_tags, old_content) select row, namespace, title, tags, content from memory where title = '{title}';
        update memory set content = 'changed' where title = '{title}';
        """;

    protected override string HexOf(string column) => $"lower(hex({column}))";

    protected override string Blob(string hex) => $"x'{hex}'";

    private string PathOf(string name) => Path.Combine(_folder, name);

    private static string Here(string sql) => sql.Replace("@.", "", StringComparison.Ordinal);

    private sealed class Lock : IAsyncDisposable
    {
        private readonly SqliteDatabase _database;

        public Lock(string path)
        {
            _database = SqliteDatabase.Open(path);
            _database.Execute("begin immediate");
        }

        public ValueTask DisposeAsync()
        {
            _database.Execute("rollback");
            _database.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
