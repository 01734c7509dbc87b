using System.Globalization;
using Npgsql;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// The tables of a store, in a schema of their own, and how they come to be. Changes only ever add (expand-only): nothing is
/// renamed or dropped, so an older binary keeps working until <c>min_writer_version</c> is raised. Whoever migrates holds the
/// store's lock; each step gives up its wait for a table lock soon and is tried again, so that it never holds up others behind it.
/// </summary>
internal static class PostgresSchema
{
    public const string Name = "orleans_memory";

    /// <summary>The version this code writes; a store whose <c>min_writer_version</c> is above it is refused.</summary>
    public const int Version = 2;

    /// <summary>The oldest version that may write to a store of this one: it stays low until every node of a cluster is new.</summary>
    private const int MinWriterVersion = 1;

    private const int LockAttempts = 10;

    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// As on SQLite: <c>memory</c> holds each live or archived id once, its plain columns are what readers see, and <c>own</c> holds
    /// what is replicated beyond them. Text is compared byte by byte (collation C), as every node does. <c>name_hash</c> stands for
    /// (namespace, title), which together are too long for an index. <c>metadata</c> is the canonical text; <c>metadata_json</c> is
    /// the same for those who query with SQL, and null where jsonb cannot hold it. Long text comes last.
    /// </summary>
    private const string Tables = $$"""
        create table {{Name}}.head(
            set_id integer primary key,
            commits bigint not null,
            clock bigint not null);
        insert into {{Name}}.head values (0, 0, 0);
        create table {{Name}}.memory(
            row bigint primary key,
            state smallint not null,
            tier smallint not null,
            priority smallint not null,
            confidence double precision not null,
            access_count bigint not null,
            touches bigint not null,
            created_at bigint not null,
            updated_at bigint not null,
            last_accessed_at bigint,
            expires_at bigint,
            archived_at bigint,
            name_hash bigint not null,
            id text collate "C" not null,
            namespace text collate "C" not null,
            agent_id text collate "C",
            scope text collate "C",
            source text collate "C" not null,
            archive_reason text collate "C",
            hash bytea not null,
            title text collate "C" not null,
            tags jsonb not null,
            metadata text collate "C" not null,
            metadata_json jsonb,
            own bytea not null,
            content text collate "C" not null);
        create table {{Name}}.memory_text(
            row bigint primary key,
            length integer not null,
            words tsvector not null);
        create table {{Name}}.tombstone(
            id text collate "C" primary key,
            namespace text collate "C" not null,
            clock bigint not null,
            hash bytea not null,
            body bytea not null);
        create table {{Name}}.entry(
            kind integer not null,
            key text collate "C" not null,
            owner text collate "C" not null,
            target text collate "C",
            live boolean not null,
            clock bigint not null,
            hash bytea not null,
            body bytea not null,
            primary key (kind, key));
        create table {{Name}}.mutation_log(
            set_id integer not null,
            incarnation text collate "C" not null,
            seq bigint not null,
            clock bigint not null,
            epoch bigint not null,
            kind integer not null,
            key text collate "C" not null,
            idempotency_key text collate "C",
            primary key (set_id, incarnation, seq));
        create table {{Name}}.vector(
            set_id integer not null,
            node text collate "C" not null,
            incarnation text collate "C" not null,
            applied bigint not null,
            ranges text collate "C" not null,
            primary key (set_id, node, incarnation));
        create table {{Name}}.floor(
            set_id integer not null,
            node text collate "C" not null,
            clock bigint not null,
            primary key (set_id, node));
        create table {{Name}}.digest(
            set_id integer not null,
            namespace text collate "C" not null,
            bucket integer not null,
            rows bigint not null,
            hash_high bigint not null,
            hash_low bigint not null,
            primary key (set_id, namespace, bucket));
        create table {{Name}}.dead_letter(
            set_id integer not null,
            node text collate "C" not null,
            incarnation text collate "C" not null,
            seq bigint not null,
            clock bigint not null,
            kind integer not null,
            key text collate "C" not null,
            reason text collate "C" not null,
            attempts integer not null,
            refused_at bigint not null,
            next_attempt_at bigint not null,
            body bytea not null,
            primary key (set_id, node, incarnation, seq));
        """;

    /// <summary>
    /// What version 2 added: values that a node derives from each shown memory, the ledger of the backfills that fill them, and up to which
    /// commit they were kept with the rows. Adds to an older store what it lacks, at once, whatever the store holds.
    /// </summary>
    private const string Backfills = $"""
        alter table {Name}.head add column if not exists derived_commits bigint not null default -1;
        alter table {Name}.head add column if not exists derived_versions text collate "C" not null default '';
        alter table {Name}.memory_text add column if not exists version integer not null default 1;
        create table if not exists {Name}.derived(
            row bigint not null,
            step text collate "C" not null,
            marker text collate "C" not null,
            value bytea not null,
            primary key (row, step));
        create index if not exists derived_old on {Name}.derived(step, row) where marker = '';
        create table if not exists {Name}.backfill(
            step text collate "C" not null,
            version integer not null,
            state smallint not null,
            marker text collate "C" not null,
            cursor text collate "C" not null,
            rows_done bigint not null,
            rows_total bigint not null,
            quarantined bigint not null,
            attempts integer not null,
            next_attempt_at bigint,
            last_error text collate "C",
            lease_owner text collate "C",
            lease_epoch bigint not null,
            lease_expires_at bigint,
            started_at bigint,
            updated_at bigint not null,
            completed_at bigint,
            code_version text collate "C" not null,
            primary key (step, version));
        create table if not exists {Name}.backfill_quarantine(
            step text collate "C" not null,
            version integer not null,
            key text collate "C" not null,
            error text collate "C" not null,
            at bigint not null,
            primary key (step, version, key));
        update {Name}.meta set value = '2' where key = 'schema_version';
        """;

    /// <summary>Where the extension's type is, quoted.</summary>
    private const string VectorSchema = "select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector'";

    /// <summary>Name, and what follows it. One that is missing in an older store is created without holding writers up.</summary>
    private static readonly (string Name, string On, bool IsUnique)[] Indexes =
    [
        ("memory_id", $"{Name}.memory(id)", true),
        ("memory_title", $"{Name}.memory(name_hash) where state < 2", false),
        ("memory_list", $"{Name}.memory(priority desc, updated_at desc, id) where state = 0", false),
        ("memory_namespace_list", $"{Name}.memory(namespace, priority desc, updated_at desc, id) where state = 0", false),
        ("memory_created", $"{Name}.memory(created_at, id) where state = 0", false),
        ("memory_updated", $"{Name}.memory(updated_at, id) where state = 0", false),
        ("memory_expiry", $"{Name}.memory(expires_at) where state = 0 and expires_at is not null", false),
        ("memory_archived", $"{Name}.memory(archived_at desc, id) where state = 2", false),
        ("memory_words", $"{Name}.memory_text using gin(words) with (fastupdate = on, gin_pending_list_limit = 65536)", false),
        ("tombstone_clock", $"{Name}.tombstone(clock)", false),
        ("entry_owner", $"{Name}.entry(kind, owner, clock)", false),
        ("entry_target", $"{Name}.entry(kind, target, clock) where target is not null", false),
    ];

    /// <summary>Makes or completes the tables. The connection holds the store's lock.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreTooNew"/>, or <see cref="ErrorKind.StoreNotOurs"/>: the schema is another program's.</exception>
    public static async Task MigrateAsync(NpgsqlConnection connection, string shown)
    {
        await RequireServerAsync(connection, shown);
        if (await QueryAsync<bool>(connection, $"select to_regnamespace('{Name}') is not null"))
        {
            if (!await QueryAsync<bool>(connection, $"select to_regclass('{Name}.meta') is not null"))
            {
                throw new MemoryException(ErrorKind.StoreNotOurs, $"{shown} has a schema {Name} that is not one of this program");
            }

            var needed = int.Parse(await QueryAsync<string>(connection, $"select value from {Name}.meta where key = 'min_writer_version'") ?? "0", CultureInfo.InvariantCulture);
            if (needed > Version)
            {
                throw new MemoryException(
                    ErrorKind.StoreTooNew, $"{shown} was written by a newer version (schema {needed}, this one writes {Version}); upgrade this program");
            }

            if (await QueryAsync<string>(connection, $"select value from {Name}.meta where key = 'schema_version'") == "1")
            {
                await RetryAsync(connection, $"begin; {Backfills} commit;");
            }
        }
        else
        {
            await RetryAsync(connection, $"""
                begin;
                create schema {Name};
                create table {Name}.meta(
                    key text collate "C" primary key,
                    value text collate "C" not null);
                insert into {Name}.meta values ('schema_version', '1'), ('min_writer_version', '{MinWriterVersion}');
                {Tables}
                {Backfills}
                {string.Join('\n', Indexes.Select(static index => $"{Create(index, "")};"))}
                commit;
                """);
        }

        await CreateIndexesAsync(connection);
        await CheckDerivedAsync(connection);
    }

    /// <summary>
    /// Makes the table of a model's vectors ready, with the extension's type <c>vector</c>. What it holds comes from the derived values, so one that is not
    /// of this model, or was not kept up to the last commit, begins anew. The connection holds the store's lock.
    /// </summary>
    /// <returns>The schema of the type, quoted, and whether the table holds all; else why there can be none.</returns>
    public static async Task<(string? Schema, bool IsFilled, string? Why)> PrepareVectorsAsync(NpgsqlConnection connection, string marker, int dimension)
    {
        if (await QueryAsync<string>(connection, VectorSchema) is not { } schema)
        {
            if (!await QueryAsync<bool>(connection, "select exists(select 1 from pg_available_extensions where name = 'vector')"))
            {
                return (null, false, "the server does not have the extension vector (pgvector)");
            }

            try
            {
                await RetryAsync(connection, "create extension if not exists vector");
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
            {
                return (null, false, "this role may not create the extension: let one that may run CREATE EXTENSION vector in the database");
            }

            schema = await QueryAsync<string>(connection, VectorSchema);
        }

        var escaped = PostgresRows.Escaped(marker).Replace("'", "''", StringComparison.Ordinal);
        await RetryAsync(connection, $"""
            alter table {Name}.head add column if not exists vector_commits bigint not null default -1;
            alter table {Name}.head add column if not exists vector_marker text collate "C" not null default '';
            """);
        var isFilled = await QueryAsync<bool>(connection, $"""
            select exists(select 1 from {Name}.head where set_id = 0 and vector_commits = commits and vector_marker = '{escaped}')
                and exists(select 1 from pg_attribute where attrelid = to_regclass('{Name}.memory_vector') and attname = 'value' and atttypmod = {Number(dimension)} and not attisdropped)
            """);
        if (!isFilled)
        {
            // Rows of up to a page stay in it, where a scan finds them.
            await RetryAsync(connection, $"""
                begin;
                drop table if exists {Name}.memory_vector;
                create table {Name}.memory_vector(row bigint primary key, value {schema}.vector({Number(dimension)}) not null) with (toast_tuple_target = 8160);
                alter table {Name}.memory_vector alter column value set statistics 0;
                update {Name}.head set vector_commits = -1, vector_marker = '{escaped}' where set_id = 0;
                commit;
                """);
        }

        return (schema, isFilled, null);
    }

    /// <summary>When a program that keeps no derived values wrote here, or one with others, every row is looked at again.</summary>
    private static async Task CheckDerivedAsync(NpgsqlConnection connection)
    {
        var isCovered = await QueryAsync<bool>(connection, $"select derived_commits = commits from {Name}.head where set_id = 0");
        if (!isCovered || await QueryAsync<string>(connection, $"select derived_versions from {Name}.head where set_id = 0") != DerivedColumns.Versions)
        {
            await RetryAsync(connection, $"""
                begin;
                {(isCovered ? "" : $"truncate {Name}.derived;")}
                update {Name}.backfill set cursor = '';
                update {Name}.head set derived_commits = commits, derived_versions = '{DerivedColumns.Versions}' where set_id = 0;
                commit;
                """);
        }
    }

    private static async Task RequireServerAsync(NpgsqlConnection connection, string shown)
    {
        if (connection.PostgreSqlVersion.Major < 15)
        {
            throw new MemoryException(ErrorKind.StoreFailed, $"{shown} is served by PostgreSQL {connection.PostgreSqlVersion}; version 15 or newer is needed");
        }

        if (await QueryAsync<string>(connection, "show server_encoding") is var encoding && encoding != "UTF8")
        {
            throw new MemoryException(ErrorKind.StoreFailed, $"{shown} is encoded in {encoding}: create the database with encoding UTF8");
        }
    }

    private static async Task CreateIndexesAsync(NpgsqlConnection connection)
    {
        var valid = new HashSet<string>(StringComparer.Ordinal);
        await using (var command = new NpgsqlCommand(
            $"select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace = '{Name}'::regnamespace and i.indisvalid", connection))
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                valid.Add(reader.GetString(0));
            }
        }

        foreach (var index in Indexes.Where(index => !valid.Contains(index.Name)))
        {
            // One that was under way when its maker died or gave up serves nobody.
            await RetryAsync(connection, $"drop index concurrently if exists {Name}.{index.Name}", Create(index, "concurrently"));
        }
    }

    private static string Create((string Name, string On, bool IsUnique) index, string how) =>
        $"create {(index.IsUnique ? "unique index" : "index")} {how} {index.Name} on {index.On}";

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static async Task RetryAsync(NpgsqlConnection connection, params string[] steps)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await ExecuteAsync(connection, "set lock_timeout = '2s'");
                foreach (var step in steps)
                {
                    await ExecuteAsync(connection, step);
                }

                await ExecuteAsync(connection, "reset lock_timeout");
                return;
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.LockNotAvailable && attempt < LockAttempts)
            {
                // Those who came to wait behind it go first.
                await ExecuteAsync(connection, "rollback");
                await Task.Delay(LockPause);
            }
        }
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<T?> QueryAsync<T>(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync() is T value ? value : default;
    }
}
