using Npgsql;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// A change set as one batch of multi-row statements: one round trip, one transaction, one fsync. The first statement counts the
/// commit, and fails when another process has written since.
/// </summary>
internal sealed class PostgresCommit
{
    public const int ReplicaSet = 0;

    /// <summary>Rows of table <c>floor</c>; a number sign is in no node id.</summary>
    public const string OwnFloor = "#own";
    public const string CommonFloor = "#common";

    private const string Schema = PostgresSchema.Name;

    private static readonly string[] MemoryColumns =
    [
        "row bigint", "state smallint", "tier smallint", "priority smallint", "confidence double precision", "access_count bigint", "touches bigint",
        "created_at bigint", "updated_at bigint", "last_accessed_at bigint", "expires_at bigint", "archived_at bigint", "name_hash bigint", "id text",
        "namespace text", "agent_id text", "scope text", "source text", "archive_reason text", "hash bytea", "title text", "tags jsonb", "metadata text",
        "metadata_json jsonb", "own bytea", "content text",
    ];

    private static readonly string PutMemories = Upsert("memory", ["row"], MemoryColumns);
    private static readonly string PutTexts = Upsert("memory_text", ["row"], ["row bigint", "length integer", "version integer", "words tsvector"]);
    private static readonly string PutTombstones = Upsert("tombstone", ["id"], ["id text", "namespace text", "clock bigint", "hash bytea", "body bytea"]);

    private static readonly string PutEntries = Upsert(
        "entry", ["kind", "key"], ["kind integer", "key text", "owner text", "target text", "live boolean", "clock bigint", "hash bytea", "body bytea"]);

    private static readonly string PutLetters = Upsert(
        "dead_letter",
        ["set_id", "node", "incarnation", "seq"],
        [
            "set_id integer", "node text", "incarnation text", "seq bigint", "clock bigint", "kind integer", "key text", "reason text", "attempts integer",
            "refused_at bigint", "next_attempt_at bigint", "body bytea",
        ]);

    private static readonly string PutVector = Upsert(
        "vector", ["set_id", "node", "incarnation"], ["set_id integer", "node text", "incarnation text", "applied bigint", "ranges text"]);

    private static readonly string PutDerived = Upsert("derived", ["row", "step"], ["row bigint", "step text", "marker text", "value bytea"]);

    private static readonly string PutQuarantine = Upsert(
        "backfill_quarantine", ["step", "version", "key"], ["step text", "version integer", "key text", "error text", "at bigint"]);

    private static readonly string PutBackfills = Upsert(
        "backfill",
        ["step", "version"],
        [
            "step text", "version integer", "state smallint", "marker text", "cursor text", "rows_done bigint", "rows_total bigint", "quarantined bigint",
            "attempts integer", "next_attempt_at bigint", "last_error text", "lease_owner text", "lease_epoch bigint", "lease_expires_at bigint",
            "started_at bigint", "updated_at bigint", "completed_at bigint", "code_version text",
        ]);

    private readonly NpgsqlBatch _batch;

    private PostgresCommit(NpgsqlBatch batch) => _batch = batch;

    /// <param name="number">Of this commit.</param>
    /// <param name="rows">The row of each changed memory.</param>
    /// <param name="texts">Of memories whose text changed; null for one that leaves the index.</param>
    /// <param name="derived">Which values become old, go, and come with their rows.</param>
    /// <param name="vectors">Kept up with the derived values; null: there are none.</param>
    public static void Fill(
        NpgsqlBatch batch,
        long number,
        LogId log,
        ChangeSet changes,
        IReadOnlyList<long> rows,
        IReadOnlyList<(long Row, TextTokens? Tokens)> texts,
        DerivedPlan derived,
        PostgresVectors? vectors)
    {
        var commit = new PostgresCommit(batch);
        commit.Add(
            $"update {Schema}.head set clock = $1, commits = case commits when $2 - 1 then $2 end, derived_commits = $2{(vectors is { IsFilled: true } ? ", vector_commits = $2" : "")} where set_id = 0", Value(changes.Head.Clock), Value(number));
        commit.AddBackfills(changes);
        commit.AddDerived(derived);
        vectors?.AddTo(batch, changes.Derived, derived);
        commit.AddMemories(changes.Memories, rows);
        commit.AddTexts(texts);
        commit.AddEntries(changes);
        commit.AddTombstones(changes);
        commit.AddLog(log, changes.Log);
        if (changes.LogTrimmedThrough is { } through)
        {
            commit.Add($"delete from {Schema}.mutation_log where set_id = 0 and incarnation = $1 and seq <= $2", Value(StoredLog.FormatIncarnation(log)), Value(through));
        }

        commit.AddVector(changes);
        commit.AddDigests(changes.Digests);
        commit.AddDeadLetters(changes);
        if (changes.Floors is { } floors)
        {
            commit.Add(
                $"insert into {Schema}.floor values (0, '{OwnFloor}', $1), (0, '{CommonFloor}', $2) on conflict (set_id, node) do update set clock = excluded.clock",
                Value(floors.Own), Value(floors.Common));
        }
    }

    private static string Upsert(string table, string[] key, string[] columns)
    {
        var names = columns.Select(static column => column[..column.IndexOf(' ', StringComparison.Ordinal)]).ToList();
        var types = columns.Select(static column => column[(column.IndexOf(' ', StringComparison.Ordinal) + 1)..]).ToList();

        // Values of these types come as text.
        var sent = types.Select(static (type, index) => $"${index + 1}::{(type is "jsonb" or "tsvector" ? "text" : type)}[]");
        var taken = names.Select((name, index) => types[index] is "jsonb" or "tsvector" ? $"u.{name}::{types[index]}" : $"u.{name}");
        var set = names.Except(key).Select(static name => $"{name} = excluded.{name}");
        return $"""
            insert into {Schema}.{table} ({string.Join(", ", names)})
            select {string.Join(", ", taken)} from unnest({string.Join(", ", sent)}) as u({string.Join(", ", names)})
            on conflict ({string.Join(", ", key)}) do update set {string.Join(", ", set)}
            """;
    }

    private void AddMemories(IReadOnlyList<MemoryChange> changes, IReadOnlyList<long> rows)
    {
        var gone = new List<long>();
        var put = new List<(long Row, MemoryRow Memory)>(changes.Count);
        for (var index = 0; index < changes.Count; index++)
        {
            if (changes[index].After is { } after)
            {
                put.Add((rows[index], after));
            }
            else
            {
                gone.Add(rows[index]);
            }
        }

        if (gone.Count > 0)
        {
            Add($"delete from {Schema}.memory where row = any($1)", Value(gone.ToArray()));
        }

        if (put.Count == 0)
        {
            return;
        }

        Add(
            PutMemories,
            Column(put, static row => row.Row),
            Column(put, static row => (short)row.Memory.Visibility),
            Column(put, static row => (short)row.Memory.View.Tier),
            Column(put, static row => (short)row.Memory.View.Priority),
            Column(put, static row => row.Memory.View.Confidence),
            Column(put, static row => row.Memory.View.AccessCount),
            Column(put, static row => row.Memory.Access.Touches),
            Column(put, static row => row.Memory.View.CreatedAt.Nanoseconds),
            Column(put, static row => row.Memory.View.UpdatedAt.Nanoseconds),
            Column(put, static row => row.Memory.View.LastAccessedAt?.Nanoseconds),
            Column(put, static row => row.Memory.View.ExpiresAt?.Nanoseconds),
            Column(put, static row => MarkOf(row.Memory)?.At.Nanoseconds),
            Column(put, static row => PostgresRows.HashOf(row.Memory.Own.Name.Value)),
            Text(put, static row => row.Memory.View.Id),
            Text(put, static row => row.Memory.View.Namespace),
            Text(put, static row => row.Memory.View.Metadata.Text("agent_id")),
            Text(put, static row => row.Memory.View.Metadata.Text("scope")),
            Text(put, static row => row.Memory.View.Source),
            Text(put, static row => MarkOf(row.Memory)?.Reason),
            Column(put, static row => PostgresRows.FormatHash(row.Memory.Hash)),
            Text(put, static row => row.Memory.View.Title),
            Column(put, static row => PostgresRows.FormatTags(row.Memory.View.Tags)),
            Text(put, static row => row.Memory.View.Metadata.Json),
            Column(put, static row => PostgresRows.FormatJson(row.Memory.View.Metadata)),
            Column(put, static row => MemoryCodec.EncodeBeside(row.Memory.Own, row.Memory.View)),
            Text(put, static row => row.Memory.View.Content));
    }

    private static ArchiveMark? MarkOf(MemoryRow row) => row.Visibility == RowVisibility.Archived ? row.Own.Archive?.Value : null;

    private void AddTexts(IReadOnlyList<(long Row, TextTokens? Tokens)> texts)
    {
        var gone = texts.Where(static text => text.Tokens is null).Select(static text => text.Row).ToArray();
        var put = texts.Where(static text => text.Tokens is not null).Select(static text => (text.Row, Tokens: text.Tokens!.Value)).ToList();
        if (gone.Length > 0)
        {
            Add($"delete from {Schema}.memory_text where row = any($1)", Value(gone));
        }

        if (put.Count > 0)
        {
            Add(PutTexts, Column(put, static text => text.Row), Column(put, static text => text.Tokens.Length), Column(put, static _ => TextIndexStep.CurrentVersion), Column(put, static text => text.Tokens.FormatVector()));
        }
    }

    private void AddBackfills(ChangeSet changes)
    {
        if (changes.Backfills is { Count: > 0 } records)
        {
            Add(
                PutBackfills,
                Text(records, static record => record.Step),
                Column(records, static record => record.Version),
                Column(records, static record => (short)record.State),
                Text(records, static record => record.Marker),
                Text(records, static record => record.Cursor),
                Column(records, static record => record.RowsDone),
                Column(records, static record => record.RowsTotal),
                Column(records, static record => record.Quarantined),
                Column(records, static record => record.Attempts),
                Column(records, static record => record.NextAttemptAt?.Nanoseconds),
                Text(records, static record => record.LastError),
                Text(records, static record => record.LeaseOwner),
                Column(records, static record => record.LeaseEpoch),
                Column(records, static record => record.LeaseExpiresAt?.Nanoseconds),
                Column(records, static record => record.StartedAt?.Nanoseconds),
                Column(records, static record => record.UpdatedAt.Nanoseconds),
                Column(records, static record => record.CompletedAt?.Nanoseconds),
                Text(records, static record => record.CodeVersion));
        }

        foreach (var (step, version) in changes.Released)
        {
            Add($"delete from {Schema}.backfill_quarantine where step = $1 and version = $2", Value(PostgresRows.Escaped(step)), Value(version));
        }

        if (changes.Quarantined is { Count: > 0 } aside)
        {
            Add(
                PutQuarantine,
                Text(aside, static row => row.Step),
                Column(aside, static row => row.Version),
                Text(aside, static row => row.Key),
                Text(aside, static row => row.Error),
                Column(aside, static row => row.At.Nanoseconds));
        }

        if (changes.Derived is { Count: > 0 } values)
        {
            Add(
                $"""
                insert into {Schema}.derived as d (row, step, marker, value)
                select u.row, u.step, u.marker, u.value from unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) as u(row, step, marker, value)
                cross join lateral (select 1 from {Schema}.memory m where m.row = u.row and m.state = 0 offset 0) m
                on conflict (row, step) do update set marker = excluded.marker, value = excluded.value where d.marker <> excluded.marker
                """,
                Column(values, static value => value.Row),
                Text(values, static value => value.Step),
                Text(values, static value => value.Marker),
                Column(values, static value => value.Value));
        }
    }

    private void AddDerived(DerivedPlan plan)
    {
        if (plan.Gone.Count > 0)
        {
            Add($"delete from {Schema}.derived where row = any($1)", Value(plan.Gone.ToArray()));
        }

        if (plan.Old.Count > 0)
        {
            Add($"update {Schema}.derived set marker = '' where row = any($1)", Value(plan.Old.ToArray()));
        }

        if (plan.Put.Count > 0)
        {
            Add(
                PutDerived,
                Column(plan.Put, static value => value.Row),
                Column(plan.Put, static value => value.Step),
                Column(plan.Put, static value => value.Marker),
                Column(plan.Put, static value => value.Value));
        }
    }

    private void AddEntries(ChangeSet changes)
    {
        if (changes.DroppedEntries is { Count: > 0 } dropped)
        {
            Add(
                $"delete from {Schema}.entry e using unnest($1::integer[], $2::text[]) as u(kind, key) where e.kind = u.kind and e.key = u.key",
                Column(dropped, static entry => (int)entry.Key.Kind), Text(dropped, static entry => entry.Key.Key));
        }

        if (changes.Entries.Count == 0)
        {
            return;
        }

        var put = changes.Entries.Select(static entry => (Entry: entry, Body: entry.Encode())).ToList();
        Add(
            PutEntries,
            Column(put, static row => (int)row.Entry.Key.Kind),
            Text(put, static row => row.Entry.Key.Key),
            Text(put, static row => row.Entry.Owner),
            Text(put, static row => row.Entry.Target),
            Column(put, static row => row.Entry.Live),
            Column(put, static row => row.Entry.Stamp.Clock),
            Column(put, static row => PostgresRows.FormatHash(MemoryCodec.Hash(row.Body))),
            Column(put, static row => row.Body));
    }

    private void AddTombstones(ChangeSet changes)
    {
        if (changes.Tombstones.Count > 0)
        {
            var put = changes.Tombstones.Select(static tombstone => (Tombstone: tombstone, Body: MemoryCodec.Encode(tombstone))).ToList();
            Add(
                PutTombstones,
                Text(put, static row => row.Tombstone.Id),
                Text(put, static row => row.Tombstone.Namespace),
                Column(put, static row => row.Tombstone.Stamp.Clock),
                Column(put, static row => PostgresRows.FormatHash(MemoryCodec.Hash(row.Body))),
                Column(put, static row => row.Body));
        }

        if (changes.CollectedTombstones.Count > 0)
        {
            Add($"delete from {Schema}.tombstone where id = any($1)", Text(changes.CollectedTombstones, static id => id));
        }
    }

    private void AddLog(LogId log, IReadOnlyList<LogRow> rows)
    {
        if (rows.Count > 0)
        {
            Add(
                $"""
                insert into {Schema}.mutation_log (set_id, incarnation, seq, clock, epoch, kind, key, idempotency_key)
                select 0, $1, u.* from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::integer[], $6::text[], $7::text[]) as u
                """,
                Value(StoredLog.FormatIncarnation(log)),
                Column(rows, static row => row.Sequence),
                Column(rows, static row => row.Clock),
                Column(rows, static row => row.Epoch),
                Column(rows, static row => (int)row.Kind),
                Text(rows, static row => row.Key),
                Text(rows, static row => row.IdempotencyKey));
        }
    }

    private void AddVector(ChangeSet changes)
    {
        if (changes.ForgetVector)
        {
            Add($"delete from {Schema}.vector where set_id = 0");
        }

        if (changes.Vector.Count > 0)
        {
            var put = changes.Vector.ToList();
            Add(
                PutVector,
                Column(put, static _ => ReplicaSet),
                Text(put, static row => row.Key.Node),
                Column(put, static row => StoredLog.FormatIncarnation(row.Key)),
                Column(put, static row => row.Value.Through),
                Column(put, static row => row.Value.FormatAbove()));
        }
    }

    /// <summary>Sums and exclusive ors are taken where the digests are: none is read for it.</summary>
    private void AddDigests(IReadOnlyDictionary<DigestKey, Digest> digests)
    {
        if (digests.Count > 0)
        {
            var put = digests.ToList();
            Add(
                $"""
                insert into {Schema}.digest as d (set_id, namespace, bucket, rows, hash_high, hash_low)
                select 0, u.* from unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[]) as u
                on conflict (set_id, namespace, bucket) do update
                set rows = d.rows + excluded.rows, hash_high = d.hash_high # excluded.hash_high, hash_low = d.hash_low # excluded.hash_low
                """,
                Text(put, static row => row.Key.Namespace),
                Column(put, static row => row.Key.Bucket),
                Column(put, static row => row.Value.Rows),
                Column(put, static row => unchecked((long)(ulong)(row.Value.Hash >> 64))),
                Column(put, static row => unchecked((long)(ulong)row.Value.Hash)));
        }
    }

    private void AddDeadLetters(ChangeSet changes)
    {
        if (changes.DeadLetters.Count > 0)
        {
            // One row may be refused twice in one transaction: the last word counts.
            var put = changes.DeadLetters.GroupBy(static letter => letter.Mutation.Position).Select(static same => same.Last()).ToList();
            Add(
                PutLetters,
                Column(put, static _ => ReplicaSet),
                Text(put, static letter => letter.Mutation.Position.Log.Node),
                Column(put, static letter => StoredLog.FormatIncarnation(letter.Mutation.Position.Log)),
                Column(put, static letter => letter.Mutation.Position.Sequence),
                Column(put, static letter => letter.Mutation.Stamp.Clock),
                Column(put, static letter => (int)letter.Mutation.Kind),
                Text(put, static letter => letter.Mutation.Key),
                Column(put, static letter => letter.Reason.ToString()),
                Column(put, static letter => letter.Attempts),
                Column(put, static letter => letter.RefusedAt.Nanoseconds),
                Column(put, static letter => letter.NextAttemptAt.Nanoseconds),
                Column(put, static letter => letter.Mutation.Body.ToArray()));
        }

        if (changes.ResolvedDeadLetters is { Count: > 0 } resolved)
        {
            Add(
                $"""
                delete from {Schema}.dead_letter d using unnest($1::text[], $2::text[], $3::bigint[]) as u(node, incarnation, seq)
                where d.set_id = 0 and d.node = u.node and d.incarnation = u.incarnation and d.seq = u.seq
                """,
                Text(resolved, static position => position.Log.Node),
                Column(resolved, static position => StoredLog.FormatIncarnation(position.Log)),
                Column(resolved, static position => position.Sequence));
        }
    }

    private void Add(string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        _batch.BatchCommands.Add(command);
    }

    private static NpgsqlParameter Value<T>(T value) => new NpgsqlParameter<T> { TypedValue = value };

    private static NpgsqlParameter Column<TRow, T>(IReadOnlyList<TRow> rows, Func<TRow, T> value)
    {
        var column = new T[rows.Count];
        for (var index = 0; index < column.Length; index++)
        {
            column[index] = value(rows[index]);
        }

        return new NpgsqlParameter<T[]> { TypedValue = column };
    }

    private static NpgsqlParameter Text<TRow>(IReadOnlyList<TRow> rows, Func<TRow, string?> value) =>
        Column(rows, row => PostgresRows.EscapedOrNull(value(row)));
}
