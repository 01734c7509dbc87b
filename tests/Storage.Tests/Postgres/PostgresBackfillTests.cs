using Npgsql;
using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Storage.Tests.Postgres;

public sealed class PostgresBackfillTests(PostgresDatabases databases) : BackfillCompliance
{
    protected override async ValueTask<IMemoryStore> OpenAsync(string name, string nodeId) => await PostgresStore.OpenAsync(await UrlAsync(name), nodeId);

    protected override async Task RunSqlAsync(string name, string sql)
    {
        await using var connection = await ConnectAsync(name);
        await using var command = new NpgsqlCommand(There(sql), connection);
        await command.ExecuteNonQueryAsync();
    }

    protected override async Task<long> QueryAsync(string name, string sql)
    {
        await using var connection = await ConnectAsync(name);
        await using var command = new NpgsqlCommand(There(sql), connection);
        return Convert.ToInt64(await command.ExecuteScalarAsync(), System.Globalization.CultureInfo.InvariantCulture);
    }

    protected override Task MakeOldAsync(string name) => RunSqlAsync(name, """
        drop table @.derived;
        drop table @.backfill;
        drop table @.backfill_quarantine;
        alter table @.head drop column derived_commits, drop column derived_versions;
        alter table @.memory_text drop column version;
        update @.meta set value = '1' where key = 'schema_version';
        """);

    protected override Task ForbidCompletionAsync(string name, bool isForbidden) =>
        RunSqlAsync(name, $"alter table @.backfill {(isForbidden ? "add constraint no_completion check (state <> 3)" : "drop constraint no_completion")}");

    protected override async Task<IAsyncDisposable> HoldWriteLockAsync(string name)
    {
        var connection = await ConnectAsync(name);
        await using var command = new NpgsqlCommand(There("begin; lock table @.meta, @.head, @.memory, @.memory_text, @.derived, @.backfill, @.backfill_quarantine in share mode"), connection);
        await command.ExecuteNonQueryAsync();
        return connection;
    }

    protected override async Task<string> ReadCommitMarkAsync(string name)
    {
        await using var connection = await ConnectAsync(name);
        await using var command = new NpgsqlCommand(There("select (select h::text from @.head h) || (select coalesce(string_agg(b::text || b.xmin::text, ' '), '') from @.backfill b)"), connection);
        return (string)(await command.ExecuteScalarAsync())!;
    }

    protected override string WriteAsOlderProgram(string title) => $"""
        update @.head set commits = commits + 1;
        update @.memory set content = 'changed' where title = '{title}';
        """;

    protected override string HexOf(string column) => $"encode({column}, 'hex')";

    protected override string Blob(string hex) => $"'\\x{hex}'::bytea";

    private static string There(string sql) => sql.Replace("@.", $"{PostgresSchema.Name}.", StringComparison.Ordinal);

    private async Task<PostgresUrl> UrlAsync(string name) => PostgresUrl.Parse(await databases.CreateAsync(name));

    private async Task<NpgsqlConnection> ConnectAsync(string name)
    {
        var settings = (await UrlAsync(name)).ToConnection();
        settings.Pooling = false;
        var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync();
        return connection;
    }
}
