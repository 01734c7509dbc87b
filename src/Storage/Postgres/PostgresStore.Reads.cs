using System.Data;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Npgsql;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Postgres;

public sealed partial class PostgresStore
{
    internal const string Live = "m.state = 0 and (m.expires_at is null or m.expires_at > $1)";

    /// <summary>Greater than every id that starts with what stands before it.</summary>
    private const string PrefixEnd = "\U0010FFFF";

    public ValueTask<StoreHead> ReadHeadAsync() => Read(async (connection, token) =>
    {
        await using var command = Command(
            connection,
            $"select h.clock, coalesce((select v.applied from {Schema}.vector v where v.set_id = 0 and v.node = $1 and v.incarnation = $2), 0) from {Schema}.head h where h.set_id = 0",
            PostgresRows.Escaped(Log.Node), StoredLog.FormatIncarnation(Log));
        return await FirstAsync(command, static row => new StoreHead(row.GetInt64(1), row.GetInt64(0)), token);
    });

    public ValueTask<MemoryRow?> FindAsync(string id, CancellationToken cancellation = default) => Read(
        async (connection, token) =>
        {
            await using var command = Command(connection, $"select {PostgresRows.RowColumns} from {Schema}.memory m where m.id = $1", PostgresRows.Escaped(id));
            return await FirstAsync(command, static row => PostgresRows.ReadRow(row), token);
        },
        cancellation);

    public ValueTask<MemoryRow?> FindShownAsync(MemoryName name, CancellationToken cancellation = default) => Read(
        async (connection, token) =>
        {
            await using var command = Command(
                connection,
                $"select {PostgresRows.RowColumns} from {Schema}.memory m where m.name_hash = $1 and m.namespace = $2 and m.title = $3 and m.state < 2 and m.state = 0",
                PostgresRows.HashOf(name), PostgresRows.Escaped(name.Namespace), PostgresRows.Escaped(name.Title));
            return await FirstAsync(command, static row => PostgresRows.ReadRow(row), token);
        },
        cancellation);

    public ValueTask<IReadOnlyList<string>> FindIdsAsync(string prefix, int limit, CancellationToken cancellation = default) => ListAsync(
        $"select m.id from {Schema}.memory m where m.id >= $1 and m.id < $2 and m.state < 2 order by m.id limit $3",
        [PostgresRows.Escaped(prefix), PostgresRows.Escaped(prefix) + PrefixEnd, (long)limit],
        static row => PostgresRows.Text(row, 0),
        cancellation);

    public ValueTask<IReadOnlyList<Memory>> ListAsync(ListScan scan, CancellationToken cancellation = default)
    {
        var sql = new StringBuilder($"select {PostgresRows.Columns} from {Schema}.memory m where {Live}");
        var values = new List<object> { scan.Now.Nanoseconds };
        AppendFilter(sql, values, scan.Filter);
        AppendSeen(sql, values, scan.Seen?.Rows);
        if (scan.After is { } after)
        {
            var (priority, updated, id) = (Place(values, (short)after.Priority), Place(values, after.UpdatedAt.Nanoseconds), Place(values, PostgresRows.Escaped(after.Id)));
            sql.Append(CultureInfo.InvariantCulture, $" and (m.priority, m.updated_at) <= ({priority}, {updated}) and not (m.priority = {priority} and m.updated_at = {updated} and m.id <= {id})");
        }

        sql.Append(CultureInfo.InvariantCulture, $" order by m.priority desc, m.updated_at desc, m.id limit {Place(values, (long)scan.Limit)} offset {Place(values, scan.Offset)}");
        return ListAsync(sql.ToString(), values, static row => PostgresRows.Read(row), cancellation);
    }

    public ValueTask<IReadOnlyList<EntryState>> ListEntriesAsync(EntryScan scan, CancellationToken cancellation = default)
    {
        // Each in the order of an index, so that a page costs its rows and not the table.
        var key = PostgresRows.Escaped(scan.After?.Key ?? "");
        var (where, order, values) = scan switch
        {
            { Owner: null } => ("e.key > $3", "e.key", new List<object> { (int)scan.Kind, (long)scan.Limit, key }),
            { ByTarget: var byTarget, Owner: var owner } => (
                $"e.{(byTarget ? "target" : "owner")} = $4 and (e.clock, e.key) > ($5, $3)",
                "e.clock, e.key",
                [(int)scan.Kind, (long)scan.Limit, key, PostgresRows.Escaped(owner), scan.After?.Clock ?? long.MinValue]),
        };
        return ListAsync(
            $"select e.body from {Schema}.entry e where e.kind = $1 and e.live and {where} order by {order} limit $2", values, static row => EntryState.Decode(PostgresRows.Bytes(row, 0)), cancellation);
    }

    public ValueTask<IReadOnlyList<string>> FindExpiredAsync(Timestamp now, int limit, CancellationToken cancellation = default) => ListAsync(
        $"select m.id from {Schema}.memory m where m.state = 0 and m.expires_at is not null and m.expires_at <= $1 order by m.expires_at limit $2",
        [now.Nanoseconds, (long)limit],
        static row => PostgresRows.Text(row, 0),
        cancellation);

    public ValueTask<IReadOnlyList<string>> FindIdsAsync(MemoryFilter filter, Timestamp now, string afterId, int limit, CancellationToken cancellation = default)
    {
        var sql = new StringBuilder($"select m.id from {Schema}.memory m where {Live}");
        var values = new List<object> { now.Nanoseconds };
        sql.Append(CultureInfo.InvariantCulture, $" and m.id > {Place(values, PostgresRows.Escaped(afterId))}");
        AppendFilter(sql, values, filter);
        sql.Append(CultureInfo.InvariantCulture, $" order by m.id limit {Place(values, (long)limit)}");
        return ListAsync(sql.ToString(), values, static row => PostgresRows.Text(row, 0), cancellation);
    }

    public ValueTask<IReadOnlyList<Memory>> ExportAsync(
        Timestamp now, (Timestamp CreatedAt, string Id)? after, int limit, CancellationToken cancellation = default)
    {
        var values = new List<object> { now.Nanoseconds, (long)limit };
        var from = "";
        if (after is { } key)
        {
            from = $"and (m.created_at, m.id) > ({Place(values, key.CreatedAt.Nanoseconds)}, {Place(values, PostgresRows.Escaped(key.Id))})";
        }

        return ListAsync(
            $"select {PostgresRows.Columns} from {Schema}.memory m where {Live} {from} order by m.created_at, m.id limit $2", values, static row => PostgresRows.Read(row), cancellation);
    }

    public ValueTask<IReadOnlyList<Memory>> ListChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default)
    {
        var values = new List<object> { after.UpdatedAt.Nanoseconds, (long)limit };
        var from = after.Id is { } id ? $"(m.updated_at, m.id) > ($1, {Place(values, PostgresRows.Escaped(id))})" : "m.updated_at > $1";
        return ListAsync(
            $"select {PostgresRows.Columns} from {Schema}.memory m where m.state = 0 and {from} order by m.updated_at, m.id limit $2", values, static row => PostgresRows.Read(row), cancellation);
    }

    public ValueTask<IReadOnlyList<MemoryRow>> ListArchivedAsync(ArchiveScan scan, CancellationToken cancellation = default)
    {
        var sql = new StringBuilder($"select {PostgresRows.RowColumns} from {Schema}.memory m where m.state = 2");
        var values = new List<object>();
        if (scan.Namespace is { } @namespace)
        {
            sql.Append(CultureInfo.InvariantCulture, $" and m.namespace = {Place(values, PostgresRows.Escaped(@namespace))}");
        }

        if (scan.After is { } after)
        {
            var (at, id) = (Place(values, after.ArchivedAt.Nanoseconds), Place(values, PostgresRows.Escaped(after.Id)));
            sql.Append(CultureInfo.InvariantCulture, $" and m.archived_at <= {at} and not (m.archived_at = {at} and m.id <= {id})");
        }

        sql.Append(CultureInfo.InvariantCulture, $" order by m.archived_at desc, m.id limit {Place(values, (long)scan.Limit)}");
        return ListAsync(sql.ToString(), values, static row => PostgresRows.ReadRow(row), cancellation);
    }

    public ValueTask<StoreStatistics> ReadStatisticsAsync(Timestamp now, CancellationToken cancellation = default) => Snapshot(
        async (connection, token) =>
        {
            var byNamespace = await CountNamespacesAsync(connection, "m.state = 0", [], token);
            await using var tiers = Command(connection, $"select m.tier, count(*) from {Schema}.memory m where m.state = 0 group by m.tier order by count(*) desc, m.tier");
            var byTier = await AllAsync(tiers, static row => new TierCount((Tier)row.GetInt16(0), row.GetInt64(1)), token);
            await using var rest = Command(
                connection,
                $"""
                select (select count(*) from {Schema}.memory m where m.state = 0 and m.expires_at is not null and m.expires_at > $1 and m.expires_at <= $2),
                    (select count(*) from {Schema}.entry e where e.kind = $3 and e.live)
                """,
                now.Nanoseconds, now.AddSeconds(3600).Nanoseconds, (int)MutationKind.Link);
            var (expiring, links) = await FirstAsync(rest, static row => (row.GetInt64(0), row.GetInt64(1)), token);
            return new StoreStatistics(byNamespace.Sum(static count => count.Count), byTier, byNamespace, expiring, links, await ReadSizeAsync(connection, token));
        },
        cancellation);

    public ValueTask<IReadOnlyList<NamespaceCount>> ReadNamespacesAsync(Timestamp now, CancellationToken cancellation = default) =>
        Read((connection, token) => CountNamespacesAsync(connection, Live, [now.Nanoseconds], token), cancellation);

    public ValueTask<IReadOnlyDictionary<DigestKey, Digest>> ReadDigestsAsync(CancellationToken cancellation = default) =>
        Read(async (connection, token) => (IReadOnlyDictionary<DigestKey, Digest>)await ReadDigestsAsync(connection, token), cancellation);

    public ValueTask<IReadOnlyList<Mutation>> ReadLogAsync(long afterSequence, int rows, int bytes, CancellationToken cancellation = default) => Read<IReadOnlyList<Mutation>>(
        async (connection, token) =>
        {
            var log = Log;
            await using var command = Command(
                connection,
                $"""
                select l.seq, l.clock, l.epoch, l.kind, l.key, l.idempotency_key, t.body, e.body, {PostgresRows.RowColumns}
                from {Schema}.mutation_log l
                {PresentOf("l")}
                where l.set_id = 0 and l.incarnation = $1 and l.seq > $2 order by l.seq limit $3
                """,
                StoredLog.FormatIncarnation(log), afterSequence, (long)rows);
            await using var reader = await command.ExecuteReaderAsync(token);
            var mutations = new List<Mutation>();
            var size = 0;
            while (await reader.ReadAsync(token))
            {
                var row = new LogRow(
                    reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), (MutationKind)reader.GetInt32(3), PostgresRows.Text(reader, 4), PostgresRows.TextOrNull(reader, 5));
                var present = Present(reader, new(row.Kind, row.Key), 6)
                    ?? throw new MemoryException(ErrorKind.StoreFailed, $"log row {row.Sequence} names a row that is not there");
                size += present.Body.Length;
                if (mutations.Count > 0 && size > bytes)
                {
                    break;
                }

                mutations.Add(new(new(log, row.Sequence), new(row.Clock, log), row.Epoch, present.Key.Kind, row.Key, present.Body, row.IdempotencyKey));
            }

            return mutations;
        },
        cancellation);

    public ValueTask<DigestSnapshot> ReadDigestSnapshotAsync(long floor = 0, CancellationToken cancellation = default) => Snapshot(
        async (connection, token) =>
        {
            var digests = await ReadDigestsAsync(connection, token);
            await using var command = Command(connection, $"select hash from {Schema}.tombstone where clock >= $1", floor);
            digests[DigestKey.Tombstones] = (await AllAsync(command, static row => PostgresRows.ParseHash(PostgresRows.Bytes(row, 0)), token))
                .Aggregate(default(Digest), static (sum, hash) => sum.With(hash));
            return new DigestSnapshot(digests, await ReadVectorAsync(connection, token));
        },
        cancellation);

    public ValueTask<IReadOnlyList<Tombstone>> ReadTombstonesAsync(long floor, Timestamp before, int limit, CancellationToken cancellation = default) =>
        Read<IReadOnlyList<Tombstone>>(
            async (connection, token) =>
            {
                await using var command = Command(connection, $"select body from {Schema}.tombstone where clock < $1 order by clock limit $2", floor, (long)limit);
                return [.. (await AllAsync(command, static row => MemoryCodec.DecodeTombstone(PostgresRows.Bytes(row, 0)), token)).Where(tombstone => tombstone.DeletedAt < before)];
            },
            cancellation);

    public ValueTask<Floors> ReadFloorsAsync(CancellationToken cancellation = default) => Read(
        ReadFloorsAsync, cancellation);

    public ValueTask<RowHashPage> ReadHashesAsync(
        IReadOnlyCollection<DigestKey>? buckets, string? after, int limit, CancellationToken cancellation = default) =>
        Read((connection, token) => ReadHashesAsync(connection, buckets as IReadOnlySet<DigestKey> ?? buckets?.ToHashSet(), after, limit, token), cancellation);

    public ValueTask<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation = default) =>
        Read((connection, token) => ReadRowsAsync(connection, keys, token), cancellation);

    public ValueTask<IReadOnlyDictionary<LogId, AppliedSet>> ReadVectorAsync(CancellationToken cancellation = default) =>
        Read(static async (connection, token) => (IReadOnlyDictionary<LogId, AppliedSet>)await ReadVectorAsync(connection, token), cancellation);

    public ValueTask<IReadOnlyList<DeadLetter>> ReadDeadLettersAsync(int limit, CancellationToken cancellation = default) => ListAsync(
        $"""
        select node, incarnation, seq, clock, kind, key, reason, attempts, refused_at, next_attempt_at, body
        from {Schema}.dead_letter where set_id = 0 order by refused_at limit $1
        """,
        [(long)limit],
        static row =>
        {
            var log = StoredLog.Parse(PostgresRows.Text(row, 0), row.GetString(1));
            var mutation = new Mutation(
                new(log, row.GetInt64(2)), new(row.GetInt64(3), log), 0, (MutationKind)row.GetInt32(4), PostgresRows.Text(row, 5), PostgresRows.Bytes(row, 10));
            return new DeadLetter(mutation, Enum.Parse<ApplyOutcome>(row.GetString(6)), row.GetInt32(7), new(row.GetInt64(8)), new(row.GetInt64(9)));
        },
        cancellation);

    public ValueTask<long> CountDeadLettersAsync(CancellationToken cancellation = default) => Read(
        static async (connection, token) =>
        {
            await using var command = Command(connection, $"select count(*) from {Schema}.dead_letter where set_id = 0");
            return await FirstAsync(command, static row => row.GetInt64(0), token);
        },
        cancellation);

    public ValueTask<IReadOnlyList<LogPosition>> ReadHighestRefusedAsync(CancellationToken cancellation = default) => ListAsync(
        $"select node, incarnation, max(seq) from {Schema}.dead_letter where set_id = 0 group by node, incarnation",
        [],
        static row => new LogPosition(StoredLog.Parse(PostgresRows.Text(row, 0), row.GetString(1)), row.GetInt64(2)),
        cancellation);

    public ValueTask<StoreVerification> VerifyAsync(CancellationToken cancellation = default) => Snapshot(VerifyAsync, cancellation);

    public StoreGauges ReadGauges() => new(_upkeep.SizeBytes, 0, 0, IndexComplete: true);

    /// <summary>
    /// Runs a read on a connection of the pool. One whose connection turns out to be dead, as all are after a restart of the server,
    /// is run again on a new one.
    /// </summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/></exception>
    internal static async Task<T> ReadAsync<T>(NpgsqlDataSource source, Func<NpgsqlConnection, CancellationToken, Task<T>> read, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            var isOpen = false;
            try
            {
                await using var connection = await source.OpenConnectionAsync(cancellation);
                isOpen = true;
                try
                {
                    return await read(connection, cancellation);
                }
                catch (Exception exception) when (exception is NpgsqlException or IOException && attempt == 1 && PostgresWriter.IsLost(connection, exception))
                {
                    source.Clear();
                }
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or SocketException or TimeoutException)
            {
                throw Failure(exception, isOpen ? "the store failed" : "the store cannot be reached");
            }
        }
    }

    internal static async Task<List<T>> AllAsync<T>(NpgsqlDataReader reader, Func<NpgsqlDataReader, T> map, CancellationToken cancellation = default)
    {
        var rows = new List<T>();
        while (await reader.ReadAsync(cancellation))
        {
            rows.Add(map(reader));
        }

        return rows;
    }

    internal static async Task<Dictionary<LogId, AppliedSet>> ReadVectorAsync(NpgsqlDataReader reader) =>
        (await AllAsync(reader, static row => (
            Log: StoredLog.Parse(PostgresRows.Text(row, 0), row.GetString(1)),
            Applied: AppliedSet.Parse(row.GetInt64(2), row.GetString(3))))).ToDictionary(static row => row.Log, static row => row.Applied);

    /// <summary>Bytes of the tables with their indexes.</summary>
    internal static async Task<long> ReadSizeAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = Command(
            connection, $"select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c where c.relnamespace = '{Schema}'::regnamespace and c.relkind = 'r'");
        return await FirstAsync(command, static row => row.GetInt64(0), cancellation);
    }

    private static async Task<List<T>> AllAsync<T>(NpgsqlCommand command, Func<NpgsqlDataReader, T> map, CancellationToken cancellation)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await AllAsync(reader, map, cancellation);
    }

    private static async Task<T?> FirstAsync<T>(NpgsqlCommand command, Func<NpgsqlDataReader, T> map, CancellationToken cancellation)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? map(reader) : default;
    }

    private static NpgsqlCommand Command(NpgsqlConnection connection, string sql, params IEnumerable<object> values)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        return command;
    }

    private static async Task<Dictionary<LogId, AppliedSet>> ReadVectorAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = Command(connection, $"select node, incarnation, applied, ranges from {Schema}.vector where set_id = 0");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await ReadVectorAsync(reader);
    }

    private static async Task<Dictionary<DigestKey, Digest>> ReadDigestsAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = Command(connection, $"select namespace, bucket, rows, hash_high, hash_low from {Schema}.digest where set_id = 0 and rows > 0");
        return (await AllAsync(
            command,
            static row => (
                Key: new DigestKey(PostgresRows.Text(row, 0), row.GetInt32(1)),
                Digest: new Digest(row.GetInt64(2), new(unchecked((ulong)row.GetInt64(3)), unchecked((ulong)row.GetInt64(4))))),
            cancellation)).ToDictionary(static pair => pair.Key, static pair => pair.Digest);
    }

    private static async Task<IReadOnlyList<NamespaceCount>> CountNamespacesAsync(NpgsqlConnection connection, string condition, object[] values, CancellationToken cancellation)
    {
        await using var command = Command(
            connection, $"select m.namespace, count(*) from {Schema}.memory m where {condition} group by m.namespace order by count(*) desc, m.namespace", values);
        return await AllAsync(command, static row => new NamespaceCount(PostgresRows.Text(row, 0), row.GetInt64(1)), cancellation);
    }

    private static async Task<Floors> ReadFloorsAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = Command(connection, $"select node, clock from {Schema}.floor where set_id = 0");
        var floors = (await AllAsync(command, static row => (Node: row.GetString(0), Clock: row.GetInt64(1)), cancellation)).ToDictionary(static row => row.Node, static row => row.Clock);
        return new(floors.GetValueOrDefault(PostgresCommit.OwnFloor), floors.GetValueOrDefault(PostgresCommit.CommonFloor));
    }

    private static async Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(NpgsqlConnection connection, IReadOnlyList<RowKey> keys, CancellationToken cancellation)
    {
        await using var command = Command(
            connection,
            $"""
            select u.kind, u.key, t.body, e.body, {PostgresRows.RowColumns}
            from unnest($1::integer[], $2::text[]) with ordinality as u(kind, key, n)
            {PresentOf("u")}
            order by u.n
            """,
            keys.Select(static key => (int)key.Kind).ToArray(), keys.Select(static key => PostgresRows.Escaped(key.Key)).ToArray());
        return [.. (await AllAsync(command, static row => Present(row, new((MutationKind)row.GetInt32(0), PostgresRows.Text(row, 1)), 2), cancellation)).OfType<ReplicatedRow>()];
    }

    internal static string Place(List<object> values, object value)
    {
        values.Add(value);
        return string.Create(CultureInfo.InvariantCulture, $"${values.Count}");
    }

    internal static void AppendSeen(StringBuilder sql, List<object> values, VisibleRows? seen)
    {
        if (seen is null)
        {
            return;
        }

        sql.Append(" and (m.scope = 'collective'");
        if (seen.Author is { } author)
        {
            sql.Append(CultureInfo.InvariantCulture, $" or m.agent_id = {Place(values, PostgresRows.Escaped(author))}");
        }

        if (seen.Granted.Count > 0)
        {
            sql.Append(CultureInfo.InvariantCulture, $" or m.id = any({Place(values, seen.Granted.Select(PostgresRows.Escaped).ToArray())})");
        }

        if (seen.Place is { } exact)
        {
            sql.Append(CultureInfo.InvariantCulture, $" or (m.namespace = {Place(values, PostgresRows.Escaped(exact))} and coalesce(m.scope, '') not in ('team', 'unit', 'org'))");
        }

        foreach (var (scope, root) in seen.Subtrees)
        {
            var place = Place(values, PostgresRows.Escaped(root));
            sql.Append(CultureInfo.InvariantCulture, $" or (m.scope = '{scope}' and (m.namespace = {place} or starts_with(m.namespace, {place} || '/')))");
        }

        sql.Append(')');
    }

    internal static void AppendFilter(StringBuilder sql, List<object> values, MemoryFilter filter)
    {
        Append(filter.Namespace, "m.namespace =");
        Append((short?)filter.Tier, "m.tier =");
        Append((short?)filter.MinPriority, "m.priority >=");
        Append(filter.Since?.Nanoseconds, "m.created_at >=");
        Append(filter.Until?.Nanoseconds, "m.created_at <=");
        Append(filter.Tag, "m.tags ?");
        Append(filter.AgentId, "m.agent_id =");

        void Append(object? value, string condition)
        {
            if (value is not null)
            {
                sql.Append(CultureInfo.InvariantCulture, $" and {condition} {Place(values, value is string text ? PostgresRows.Escaped(text) : value)}");
            }
        }
    }

    /// <summary>Joins what the rows of a table name as it is now: a memory, its tombstone, or an entry.</summary>
    private static string PresentOf(string table) => $"""
        left join lateral (select * from {Schema}.memory x where {table}.kind <= 2 and x.id = {table}.key offset 0) m on true
        left join lateral (select body from {Schema}.tombstone x where {table}.kind <= 2 and x.id = {table}.key offset 0) t on true
        left join lateral (select body from {Schema}.entry x where {table}.kind > 2 and x.kind = {table}.kind and x.key = {table}.key offset 0) e on true
        """;

    /// <summary>A row as it is now: a tombstone's body, an entry's body and a memory's columns stand from the given column on.</summary>
    private static ReplicatedRow? Present(NpgsqlDataReader reader, RowKey key, int first)
    {
        if (key.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete))
        {
            return reader.IsDBNull(first + 1) ? null : new(key, PostgresRows.Bytes(reader, first + 1));
        }

        return !reader.IsDBNull(first + 2) ? new(new(MutationKind.Memory, key.Key), MemoryCodec.Encode(PostgresRows.ReadRow(reader, first + 2).Own))
            : !reader.IsDBNull(first) ? new(new(MutationKind.MemoryDelete, key.Key), PostgresRows.Bytes(reader, first))
            : null;
    }

    /// <summary>One table after the other, each in the order of its key; the place is the table's letter and the last key.</summary>
    private static async Task<RowHashPage> ReadHashesAsync(NpgsqlConnection connection, IReadOnlySet<DigestKey>? buckets, string? after, int limit, CancellationToken cancellation)
    {
        var place = HashPlace.Parse(after ?? "m0");
        var rows = new List<(RowKey, UInt128)>();
        var read = 0;
        string? last = null;
        var (sql, values) = place.Table switch
        {
            'm' => ($"select row, id, namespace, hash from {Schema}.memory where row > $1 order by row limit $2", new object[] { place.Number, (long)limit }),
            't' => ($"select id, hash from {Schema}.tombstone where id > $1 order by id limit $2", [PostgresRows.Escaped(place.Key), (long)limit]),
            _ => (
                $"select kind, key, hash from {Schema}.entry where (kind, key) > ($1, $2) order by kind, key limit $3",
                [(int)Math.Min(place.Number, int.MaxValue), PostgresRows.Escaped(place.Key), (long)limit]),
        };
        await using var command = Command(connection, sql, values);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            read++;
            switch (place.Table)
            {
                case 'm':
                    var memory = PostgresRows.Text(reader, 1);
                    last = string.Create(CultureInfo.InvariantCulture, $"m{reader.GetInt64(0)}");
                    Add(new(MutationKind.Memory, memory), new(PostgresRows.Text(reader, 2), Digest.BucketOf(memory)), 3);
                    break;
                case 't':
                    var deleted = PostgresRows.Text(reader, 0);
                    last = $"t{deleted}";
                    Add(new(MutationKind.MemoryDelete, deleted), DigestKey.Tombstones, 1);
                    break;
                default:
                    var key = new RowKey((MutationKind)reader.GetInt32(0), PostgresRows.Text(reader, 1));
                    last = string.Create(CultureInfo.InvariantCulture, $"e{(int)key.Kind}/{key.Key}");
                    Add(key, DigestKey.Of(key.Kind, key.Key), 2);
                    break;
            }
        }

        return new(rows, read == limit ? last : place.Table switch { 'm' => "t", 't' => "e0/", _ => null });

        void Add(RowKey key, DigestKey bucket, int hash)
        {
            if (buckets?.Contains(bucket) != false)
            {
                rows.Add((key, PostgresRows.ParseHash(PostgresRows.Bytes(reader, hash))));
            }
        }
    }

    private ValueTask<IReadOnlyList<T>> ListAsync<T>(string sql, IReadOnlyList<object> values, Func<NpgsqlDataReader, T> map, CancellationToken cancellation) =>
        Read<IReadOnlyList<T>>(
            async (connection, token) =>
            {
                await using var command = Command(connection, sql, values);
                return await AllAsync(command, map, token);
            },
            cancellation);

    /// <summary>One statement sees one committed state.</summary>
    private async ValueTask<T> Read<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> read, CancellationToken cancellation = default) =>
        await ReadAsync(_readers, read, cancellation);

    /// <summary>Several statements that see one committed state.</summary>
    private async ValueTask<T> Snapshot<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> read, CancellationToken cancellation) => await ReadAsync(
        _readers,
        async (connection, token) =>
        {
            await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, token);
            return await read(connection, token);
        },
        cancellation);
}
