namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// The tables of a store. Changes only ever add (expand-only): a new column has a default, a new table or index is created when
/// missing, nothing is renamed or dropped, so an older binary keeps working until <c>min_writer_version</c> is raised.
/// </summary>
internal static class SqliteSchema
{
    /// <summary>The version this code writes; a store whose <c>min_writer_version</c> is above it is refused.</summary>
    public const int Version = 2;

    /// <summary>The oldest version that may write to a store of this one: it stays low until every node of a cluster is new.</summary>
    public const int MinWriterVersion = 1;

    /// <summary>Key in <c>meta</c>: up to which change derived values were kept with the rows, and which (<see cref="DerivedMark"/>).</summary>
    public const string DerivedThrough = "derived_through";

    public const int Shown = 0;
    public const int Shadowed = 1;
    public const int Archived = 2;

    /// <summary>
    /// <c>memory</c> holds each live or archived id once. Its plain columns are what readers see; <c>own</c> holds what is
    /// replicated beyond them (stamps, and own values where the shown ones are derived). Long text comes last, so that reads of
    /// the short columns stay on the first page of a row.
    /// </summary>
    public const string Main = """
        create table if not exists meta(
            key text primary key,
            value text not null) without rowid;
        create table if not exists memory(
            row integer primary key,
            state integer not null,
            tier integer not null,
            priority integer not null,
            confidence real not null,
            access_count integer not null,
            touches integer not null default 0,
            created_at integer not null,
            updated_at integer not null,
            last_accessed_at integer,
            expires_at integer,
            archived_at integer,
            id text not null,
            namespace text not null,
            agent_id text,
            scope text,
            source text not null,
            archive_reason text,
            hash blob not null,
            title text not null,
            tags text not null,
            metadata text not null,
            own blob not null,
            content text not null);
        create unique index if not exists memory_id on memory(id);
        create index if not exists memory_title on memory(namespace, title) where state < 2;
        create index if not exists memory_list on memory(priority desc, updated_at desc) where state = 0;
        create index if not exists memory_namespace_list on memory(namespace, priority desc, updated_at desc, tier, expires_at) where state = 0;
        create index if not exists memory_created on memory(created_at) where state = 0;
        create index if not exists memory_updated on memory(updated_at) where state = 0;
        create index if not exists memory_expiry on memory(expires_at) where state = 0 and expires_at is not null;
        create index if not exists memory_archived on memory(archived_at desc, id) where state = 2;
        create table if not exists tombstone(
            id text primary key,
            namespace text not null,
            clock integer not null,
            hash blob not null,
            body blob not null) without rowid;
        create index if not exists tombstone_clock on tombstone(clock);
        create table if not exists entry(
            kind integer not null,
            key text not null,
            owner text not null,
            target text,
            live integer not null,
            clock integer not null,
            hash blob not null,
            body blob not null,
            primary key (kind, key)) without rowid;
        create index if not exists entry_owner on entry(kind, owner, clock);
        create index if not exists entry_target on entry(kind, target, clock) where target is not null;
        create table if not exists mutation_log(
            set_id integer not null,
            incarnation text not null,
            seq integer not null,
            clock integer not null,
            epoch integer not null,
            kind integer not null,
            key text not null,
            idempotency_key text,
            primary key (set_id, incarnation, seq)) without rowid;
        create table if not exists vector(
            set_id integer not null,
            node text not null,
            incarnation text not null,
            applied integer not null,
            ranges text not null,
            primary key (set_id, node, incarnation)) without rowid;
        create table if not exists floor(
            set_id integer not null,
            node text not null,
            clock integer not null,
            primary key (set_id, node)) without rowid;
        create table if not exists quorum(
            set_id integer primary key,
            writes integer not null,
            members text not null);
        create table if not exists digest(
            set_id integer not null,
            namespace text not null,
            bucket integer not null,
            rows integer not null,
            hash blob not null,
            primary key (set_id, namespace, bucket)) without rowid;
        create table if not exists dead_letter(
            set_id integer not null,
            node text not null,
            incarnation text not null,
            seq integer not null,
            clock integer not null,
            kind integer not null,
            key text not null,
            reason text not null,
            attempts integer not null,
            refused_at integer not null,
            next_attempt_at integer not null,
            body blob not null,
            primary key (set_id, node, incarnation, seq)) without rowid;
        create table if not exists index_queue(
            n integer primary key autoincrement,
            row integer not null,
            old_namespace text,
            old_title text,
            old_tags text,
            old_content text);
        create table if not exists derived(
            row integer not null,
            step text not null,
            marker text not null,
            value blob not null,
            primary key (row, step)) without rowid;
        create index if not exists derived_old on derived(step, row) where marker = '';
        create table if not exists backfill(
            step text not null,
            version integer not null,
            state integer not null,
            marker text not null,
            cursor text not null,
            rows_done integer not null,
            rows_total integer not null,
            quarantined integer not null,
            attempts integer not null,
            next_attempt_at integer,
            last_error text,
            lease_owner text,
            lease_epoch integer not null,
            lease_expires_at integer,
            started_at integer,
            updated_at integer not null,
            completed_at integer,
            code_version text not null,
            primary key (step, version)) without rowid;
        create table if not exists backfill_quarantine(
            step text not null,
            version integer not null,
            key text not null,
            error text not null,
            at integer not null,
            primary key (step, version, key)) without rowid;
        """;
}
