using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Sqlite;

public sealed partial class SqliteStore
{
    private const string Live = "state = 0 and (expires_at is null or expires_at > :now)";

    /// <summary>Greater than every id that starts with what stands before it.</summary>
    private const string PrefixEnd = "\U0010FFFF";

    public ValueTask<StoreHead> ReadHeadAsync() => _readers.ReadAsync(
        reader =>
        {
            var clock = reader.Statement("select value from meta where key = 'clock'").First(static row => row.Text(0));
            return new StoreHead(
                ReadVector(reader).GetValueOrDefault(Log)?.Through ?? 0,
                long.Parse(clock ?? "0", CultureInfo.InvariantCulture));
        },
        CancellationToken.None);

    public ValueTask<MemoryRow?> FindAsync(string id, CancellationToken cancellation = default) => _readers.ReadAsync(
        reader => reader.Statement($"select {MemoryRows.RowColumns} from memory where id = ?1").Bind(1, id).First(MemoryRows.ReadRow),
        cancellation);

    public ValueTask<MemoryRow?> FindShownAsync(MemoryName name, CancellationToken cancellation = default) => _readers.ReadAsync(
        reader => reader.Statement($"select {MemoryRows.RowColumns} from memory where namespace = ?1 and title = ?2 and state < 2 and state = 0")
            .Bind(1, name.Namespace).Bind(2, name.Title).First(MemoryRows.ReadRow),
        cancellation);

    public ValueTask<IReadOnlyList<string>> FindIdsAsync(string prefix, int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<string>>(
            reader => reader.Statement("select id from memory where id >= ?1 and id < ?2 and state < 2 order by id limit ?3")
                .Bind(1, prefix).Bind(2, prefix + PrefixEnd).Bind(3, limit).All(static statement => statement.Text(0)),
            cancellation);

    public ValueTask<IReadOnlyList<Memory>> ListAsync(ListScan scan, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<Memory>>(
            reader =>
            {
                var sql = new StringBuilder($"select {MemoryRows.Columns} from memory where {Live}");
                AppendFilter(sql, scan.Filter);
                AppendSeen(sql, scan.Seen?.Rows);
                if (scan.After is not null)
                {
                    sql.Append(" and (priority, updated_at) <= (:priority, :updated) and not (priority = :priority and updated_at = :updated and id <= :id)");
                }

                sql.Append(" order by priority desc, updated_at desc, id limit :limit offset :offset");
                var statement = reader.Statement(sql.ToString());
                BindFilter(statement, scan.Filter, scan.Now);
                BindSeen(statement, scan.Seen?.Rows);
                if (scan.After is { } after)
                {
                    statement.Bind(":priority", after.Priority).Bind(":updated", after.UpdatedAt.Nanoseconds).Bind(":id", after.Id);
                }

                statement.Bind(":limit", scan.Limit).Bind(":offset", scan.Offset);
                return statement.All(static row => MemoryRows.Read(row, 0));
            },
            cancellation);

    public ValueTask<IReadOnlyList<EntryState>> ListEntriesAsync(EntryScan scan, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<EntryState>>(
            reader =>
            {
                // Each in the order of an index, so that a page costs its rows and not the table.
                var (where, order) = scan switch
                {
                    { Owner: null } => ("key > :key", "key"),
                    { ByTarget: true } => ("target = :owner and (clock, key) > (:clock, :key)", "clock, key"),
                    _ => ("owner = :owner and (clock, key) > (:clock, :key)", "clock, key"),
                };
                var statement = reader.Statement($"select body from entry where kind = :kind and live = 1 and {where} order by {order} limit :limit");
                statement.Bind(":kind", (long)scan.Kind).Bind(":limit", scan.Limit).Bind(":key", scan.After?.Key ?? "");
                if (scan.Owner is not null)
                {
                    statement.Bind(":owner", scan.Owner).Bind(":clock", scan.After?.Clock ?? long.MinValue);
                }

                return statement.All(static row => EntryState.Decode(row.Blob(0).ToArray()));
            },
            cancellation);

    public ValueTask<IReadOnlyList<string>> FindExpiredAsync(Timestamp now, int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<string>>(
            reader => reader.Statement("select id from memory where state = 0 and expires_at is not null and expires_at <= ?1 order by expires_at limit ?2")
                .Bind(1, now.Nanoseconds).Bind(2, limit).All(static statement => statement.Text(0)),
            cancellation);

    public ValueTask<IReadOnlyList<string>> FindIdsAsync(MemoryFilter filter, Timestamp now, string afterId, int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<string>>(
            reader =>
            {
                var sql = new StringBuilder($"select id from memory where {Live} and id > :id");
                AppendFilter(sql, filter);
                var statement = reader.Statement(sql.Append(" order by id limit :limit").ToString());
                BindFilter(statement, filter, now);
                statement.Bind(":id", afterId).Bind(":limit", limit);
                return statement.All(static row => row.Text(0));
            },
            cancellation);

    public ValueTask<IReadOnlyList<Memory>> ExportAsync(
        Timestamp now, (Timestamp CreatedAt, string Id)? after, int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<Memory>>(
            reader =>
            {
                var from = after is null ? "" : "and created_at >= :created and (created_at, id) > (:created, :id)";
                var statement = reader.Statement($"select {MemoryRows.Columns} from memory where {Live} {from} order by created_at, id limit :limit");
                statement.Bind(":now", now.Nanoseconds).Bind(":limit", limit);
                if (after is { } key)
                {
                    statement.Bind(":created", key.CreatedAt.Nanoseconds).Bind(":id", key.Id);
                }

                return statement.All(static row => MemoryRows.Read(row, 0));
            },
            cancellation);

    public ValueTask<IReadOnlyList<Memory>> ListChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<Memory>>(
            reader =>
            {
                var from = after.Id is null ? "updated_at > :updated" : "updated_at >= :updated and (updated_at, id) > (:updated, :id)";
                var statement = reader.Statement($"select {MemoryRows.Columns} from memory where state = 0 and {from} order by updated_at, id limit :limit");
                statement.Bind(":updated", after.UpdatedAt.Nanoseconds).Bind(":limit", limit);
                if (after.Id is { } id)
                {
                    statement.Bind(":id", id);
                }

                return statement.All(static row => MemoryRows.Read(row, 0));
            },
            cancellation);

    public ValueTask<IReadOnlyList<MemoryRow>> ListArchivedAsync(ArchiveScan scan, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<MemoryRow>>(
            reader =>
            {
                var sql = new StringBuilder($"select {MemoryRows.RowColumns} from memory where state = 2");
                sql.Append(scan.Namespace is null ? "" : " and namespace = :namespace");
                sql.Append(scan.After is null ? "" : " and archived_at <= :at and not (archived_at = :at and id <= :id)");
                var statement = reader.Statement(sql.Append(" order by archived_at desc, id limit :limit").ToString()).Bind(":limit", scan.Limit);
                if (scan.Namespace is { } @namespace)
                {
                    statement.Bind(":namespace", @namespace);
                }

                if (scan.After is { } after)
                {
                    statement.Bind(":at", after.ArchivedAt.Nanoseconds).Bind(":id", after.Id);
                }

                return statement.All(MemoryRows.ReadRow);
            },
            cancellation);

    public ValueTask<StoreStatistics> ReadStatisticsAsync(Timestamp now, CancellationToken cancellation = default) => _readers.ReadAsync(
        reader =>
        {
            var byNamespace = CountNamespaces(reader, "state = 0", null);
            var byTier = reader
                .Statement("select tier, count(*) from memory indexed by memory_namespace_list where state = 0 group by tier order by count(*) desc, tier")
                .All(static row => new TierCount((Tier)row.Integer(0), row.Integer(1)));
            return new StoreStatistics(
                byNamespace.Sum(static count => count.Count),
                byTier,
                byNamespace,
                Number(reader.Statement("select count(*) from memory where state = 0 and expires_at is not null and expires_at > ?1 and expires_at <= ?2")
                    .Bind(1, now.Nanoseconds).Bind(2, now.AddSeconds(3600).Nanoseconds)),
                Number(reader.Statement("select count(*) from entry where kind = ?1 and live = 1").Bind(1, (long)MutationKind.Link)),
                SizeBytes());
        },
        cancellation);

    public ValueTask<IReadOnlyList<NamespaceCount>> ReadNamespacesAsync(Timestamp now, CancellationToken cancellation = default) =>
        _readers.ReadAsync(reader => CountNamespaces(reader, Live, now), cancellation);

    public ValueTask<IReadOnlyDictionary<DigestKey, Digest>> ReadDigestsAsync(CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyDictionary<DigestKey, Digest>>(ReadDigests, cancellation);

    public ValueTask<IReadOnlyList<Mutation>> ReadLogAsync(long afterSequence, int rows, int bytes, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<Mutation>>(
            reader =>
            {
                var log = reader.Statement("""
                        select seq, clock, epoch, kind, key, idempotency_key from mutation_log
                        where set_id = 0 and incarnation = ?1 and seq > ?2 order by seq limit ?3
                        """)
                    .Bind(1, StoredLog.FormatIncarnation(Log)).Bind(2, afterSequence).Bind(3, rows)
                    .All(static row => new LogRow(
                        row.Integer(0), row.Integer(1), row.Integer(2), (MutationKind)row.Integer(3), row.Text(4), row.TextOrNull(5)));
                var mutations = new List<Mutation>(log.Count);
                var size = 0;
                foreach (var row in log)
                {
                    var mutation = Present(reader, row);
                    size += mutation.Body.Length;
                    if (mutations.Count > 0 && size > bytes)
                    {
                        break;
                    }

                    mutations.Add(mutation);
                }

                return mutations;
            },
            cancellation);

    public ValueTask<DigestSnapshot> ReadDigestSnapshotAsync(long floor = 0, CancellationToken cancellation = default) => _readers.ReadAsync(
        reader =>
        {
            var digests = ReadDigests(reader);
            var tombstones = default(Digest);
            var statement = reader.Statement("select hash from tombstone where clock >= ?1").Bind(1, floor);
            while (statement.Step())
            {
                tombstones = tombstones.With(MemoryRows.ParseHash(statement.Blob(0)));
            }

            statement.Reset();
            digests[DigestKey.Tombstones] = tombstones;
            return new DigestSnapshot(digests, ReadVector(reader));
        },
        cancellation);

    public ValueTask<IReadOnlyList<Tombstone>> ReadTombstonesAsync(long floor, Timestamp before, int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<Tombstone>>(
            reader => [.. reader.Statement("select body from tombstone where clock < ?1 order by clock limit ?2").Bind(1, floor).Bind(2, limit)
                .All(static row => MemoryCodec.DecodeTombstone(row.Blob(0).ToArray()))
                .Where(tombstone => tombstone.DeletedAt < before)],
            cancellation);

    public ValueTask<Floors> ReadFloorsAsync(CancellationToken cancellation = default) => _readers.ReadAsync(
        static reader =>
        {
            var floors = reader.Statement("select node, clock from floor where set_id = 0")
                .All(static row => (Node: row.Text(0), Clock: row.Integer(1))).ToDictionary(static row => row.Node, static row => row.Clock);
            return new Floors(floors.GetValueOrDefault(SqliteWriter.OwnFloor), floors.GetValueOrDefault(SqliteWriter.CommonFloor));
        },
        cancellation);

    public ValueTask<RowHashPage> ReadHashesAsync(
        IReadOnlyCollection<DigestKey>? buckets, string? after, int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync(reader => ReadHashes(reader, buckets as IReadOnlySet<DigestKey> ?? buckets?.ToHashSet(), after, limit), cancellation);

    public ValueTask<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<ReplicatedRow>>(
            reader =>
            {
                var rows = new List<ReplicatedRow>(keys.Count);
                foreach (var key in keys)
                {
                    if (Present(reader, key) is { } row)
                    {
                        rows.Add(row);
                    }
                }

                return rows;
            },
            cancellation);

    public ValueTask<IReadOnlyDictionary<LogId, AppliedSet>> ReadVectorAsync(CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyDictionary<LogId, AppliedSet>>(ReadVector, cancellation);

    public ValueTask<IReadOnlyList<DeadLetter>> ReadDeadLettersAsync(int limit, CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<DeadLetter>>(
            reader => reader.Statement("""
                    select node, incarnation, seq, clock, kind, key, reason, attempts, refused_at, next_attempt_at, body
                    from dead_letter where set_id = 0 order by refused_at limit ?1
                    """).Bind(1, limit).All(static row =>
                {
                    var log = StoredLog.Parse(row.Text(0), row.Text(1));
                    var mutation = new Mutation(
                        new(log, row.Integer(2)), new(row.Integer(3), log), 0, (MutationKind)row.Integer(4), row.Text(5), row.Blob(10).ToArray());
                    return new DeadLetter(
                        mutation, Enum.Parse<ApplyOutcome>(row.Text(6)), (int)row.Integer(7), new(row.Integer(8)), new(row.Integer(9)));
                }),
            cancellation);

    public ValueTask<long> CountDeadLettersAsync(CancellationToken cancellation = default) =>
        _readers.ReadAsync(static reader => Number(reader.Statement("select count(*) from dead_letter where set_id = 0")), cancellation);

    public ValueTask<IReadOnlyList<LogPosition>> ReadHighestRefusedAsync(CancellationToken cancellation = default) =>
        _readers.ReadAsync<IReadOnlyList<LogPosition>>(
            static reader => reader.Statement("select node, incarnation, max(seq) from dead_letter where set_id = 0 group by node, incarnation")
                .All(static row => new LogPosition(StoredLog.Parse(row.Text(0), row.Text(1)), row.Integer(2))),
            cancellation);

    public async ValueTask<StoreVerification> VerifyAsync(CancellationToken cancellation = default)
    {
        var rows = await VerifyRowsAsync(cancellation);
        return rows with { Differences = [.. rows.Differences, .. await _index.VerifyAsync(cancellation)] };
    }

    /// <summary>As <see cref="VerifyAsync"/>, without the index.</summary>
    internal ValueTask<StoreVerification> VerifyRowsAsync(CancellationToken cancellation = default) => _readers.ReadAsync(Verify, cancellation);

    public StoreGauges ReadGauges() => new(SizeBytes(), _index.LagRows, _index.LagSeconds, _index.IsComplete);

    private long SizeBytes()
    {
        long size = 0;
        foreach (var suffix in (ReadOnlySpan<string>)["", "-wal", "-index", "-index-wal"])
        {
            var file = new FileInfo(Path + suffix);
            size += file.Exists ? file.Length : 0;
        }

        return size;
    }

    private static void AppendFilter(StringBuilder sql, MemoryFilter filter)
    {
        Append(filter.Namespace, " and namespace = :namespace");
        Append(filter.Tier, " and tier = :tier");
        Append(filter.MinPriority, " and priority >= :min_priority");
        Append(filter.Since, " and created_at >= :since");
        Append(filter.Until, " and created_at <= :until");
        Append(filter.Tag, " and exists (select 1 from json_each(tags) where value = :tag)");
        Append(filter.AgentId, " and agent_id = :agent_id");

        void Append(object? value, string condition)
        {
            if (value is not null)
            {
                sql.Append(condition);
            }
        }
    }

    private static void AppendSeen(StringBuilder sql, VisibleRows? seen)
    {
        if (seen is null)
        {
            return;
        }

        sql.Append(" and (scope = 'collective'");
        sql.Append(seen.Author is null ? "" : " or agent_id = :author");
        sql.Append(seen.Granted.Count == 0 ? "" : " or id in (select value from json_each(:granted))");
        foreach (var (scope, _) in seen.Subtrees)
        {
            sql.Append(CultureInfo.InvariantCulture, $" or (scope = '{scope}' and (namespace = :{scope} or substr(namespace, 1, length(:{scope}) + 1) = :{scope} || '/'))");
        }

        sql.Append(')');
    }

    private static void BindSeen(SqliteStatement statement, VisibleRows? seen)
    {
        if (seen?.Author is { } author)
        {
            statement.Bind(":author", author);
        }

        if (seen?.Granted.Count > 0)
        {
            statement.Bind(":granted", JsonSerializer.Serialize(seen.Granted));
        }

        foreach (var (scope, root) in seen?.Subtrees ?? [])
        {
            statement.Bind($":{scope}", root);
        }
    }

    private static void BindFilter(SqliteStatement statement, MemoryFilter filter, Timestamp now)
    {
        statement.Bind(":now", now.Nanoseconds);
        if (filter.Namespace is not null)
        {
            statement.Bind(":namespace", filter.Namespace);
        }

        if (filter.Tier is { } tier)
        {
            statement.Bind(":tier", (long)tier);
        }

        if (filter.MinPriority is { } priority)
        {
            statement.Bind(":min_priority", priority);
        }

        if (filter.Since is { } since)
        {
            statement.Bind(":since", since.Nanoseconds);
        }

        if (filter.Until is { } until)
        {
            statement.Bind(":until", until.Nanoseconds);
        }

        if (filter.Tag is not null)
        {
            statement.Bind(":tag", filter.Tag);
        }

        if (filter.AgentId is not null)
        {
            statement.Bind(":agent_id", filter.AgentId);
        }
    }

    private static IReadOnlyList<NamespaceCount> CountNamespaces(SqliteReader reader, string condition, Timestamp? now)
    {
        var statement = reader.Statement(
            $"select namespace, count(*) from memory indexed by memory_namespace_list where {condition} group by namespace order by count(*) desc, namespace");
        if (now is { } instant)
        {
            statement.Bind(":now", instant.Nanoseconds);
        }

        return statement.All(static row => new NamespaceCount(row.Text(0), row.Integer(1)));
    }

    private static long Number(SqliteStatement statement)
    {
        statement.Step();
        var number = statement.Integer(0);
        statement.Reset();
        return number;
    }

    private static Dictionary<DigestKey, Digest> ReadDigests(SqliteReader reader) =>
        reader.Statement("select namespace, bucket, rows, hash from digest where set_id = 0 and rows > 0")
            .All(static row => (Key: new DigestKey(row.Text(0), (int)row.Integer(1)), Digest: new Digest(row.Integer(2), MemoryRows.ParseHash(row.Blob(3)))))
            .ToDictionary(static pair => pair.Key, static pair => pair.Digest);

    private static Dictionary<LogId, AppliedSet> ReadVector(SqliteReader reader) =>
        reader.Statement("select node, incarnation, applied, ranges from vector where set_id = 0")
            .All(static row => (Log: StoredLog.Parse(row.Text(0), row.Text(1)), Applied: AppliedSet.Parse(row.Integer(2), row.Text(3))))
            .ToDictionary(static pair => pair.Log, static pair => pair.Applied);

    /// <summary>One table after the other, each in the order of its key; the place is the table's letter and the last key.</summary>
    private static RowHashPage ReadHashes(SqliteReader reader, IReadOnlySet<DigestKey>? buckets, string? after, int limit)
    {
        var (table, number, key) = HashPlace.Parse(after ?? "m0");
        var rows = new List<(RowKey, UInt128)>();
        string? last = null;
        var read = 0;
        switch (table)
        {
            case 'm':
                foreach (var (row, id, bucket, hash) in reader.Statement("select row, id, namespace, hash from memory where row > ?1 order by row limit ?2")
                    .Bind(1, number).Bind(2, limit)
                    .All(static found => Tuple.Create(found.Integer(0), found.Text(1), new DigestKey(found.Text(2), Digest.BucketOf(found.Text(1))), MemoryRows.ParseHash(found.Blob(3)))))
                {
                    read++;
                    last = row.ToString(CultureInfo.InvariantCulture);
                    if (buckets?.Contains(bucket) != false)
                    {
                        rows.Add((new(MutationKind.Memory, id), hash));
                    }
                }

                return new(rows, read == limit ? $"m{last}" : "t");
            case 't':
                foreach (var (id, hash) in reader.Statement("select id, hash from tombstone where id > ?1 order by id limit ?2")
                    .Bind(1, key).Bind(2, limit).All(static found => Tuple.Create(found.Text(0), MemoryRows.ParseHash(found.Blob(1)))))
                {
                    read++;
                    last = id;
                    if (buckets?.Contains(DigestKey.Tombstones) != false)
                    {
                        rows.Add((new(MutationKind.MemoryDelete, id), hash));
                    }
                }

                return new(rows, read == limit ? $"t{last}" : "e0/");
            case 'e':
                foreach (var (kind, name, hash) in reader.Statement("select kind, key, hash from entry where (kind, key) > (?1, ?2) order by kind, key limit ?3")
                    .Bind(1, number).Bind(2, key).Bind(3, limit)
                    .All(static found => Tuple.Create((MutationKind)found.Integer(0), found.Text(1), MemoryRows.ParseHash(found.Blob(2)))))
                {
                    read++;
                    last = $"{(int)kind}/{name}";
                    if (buckets?.Contains(DigestKey.Of(kind, name)) != false)
                    {
                        rows.Add((new(kind, name), hash));
                    }
                }

                return new(rows, read == limit ? $"e{last}" : null);
            default:
                throw new UnreachableException();
        }
    }

    /// <summary>A log row with the present state of what it names.</summary>
    private Mutation Present(SqliteReader reader, LogRow row)
    {
        var present = Present(reader, new RowKey(row.Kind, row.Key))
            ?? throw new MemoryException(ErrorKind.StoreFailed, $"log row {row.Sequence} names a row that is not there");
        return new(new(Log, row.Sequence), new(row.Clock, Log), row.Epoch, present.Key.Kind, row.Key, present.Body, row.IdempotencyKey);
    }

    /// <summary>A memory's put may have become a delete since, which is then its state.</summary>
    private static ReplicatedRow? Present(SqliteReader reader, RowKey key)
    {
        if (key.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete))
        {
            return reader.Statement("select body from entry where kind = ?1 and key = ?2").Bind(1, (long)key.Kind).Bind(2, key.Key)
                .First(row => new ReplicatedRow(key, row.Blob(0).ToArray()));
        }

        return reader.Statement($"select {MemoryRows.RowColumns} from memory where id = ?1").Bind(1, key.Key)
                .First(static row => new ReplicatedRow(new(MutationKind.Memory, row.Text(0)), MemoryCodec.Encode(MemoryRows.ReadRow(row).Own)))
            ?? reader.Statement("select body from tombstone where id = ?1").Bind(1, key.Key)
                .First(row => new ReplicatedRow(new(MutationKind.MemoryDelete, key.Key), row.Blob(0).ToArray()));
    }

    private static StoreVerification Verify(SqliteReader reader)
    {
        var verifier = new RowVerifier();
        foreach (var entry in reader.Statement("select body from entry").All(static row => EntryState.Decode(row.Blob(0).ToArray())))
        {
            verifier.Add(entry);
        }

        var statement = reader.Statement($"select {MemoryRows.RowColumns} from memory order by namespace, title");
        try
        {
            while (statement.Step())
            {
                verifier.Add(MemoryRows.ReadRow(statement));
            }
        }
        finally
        {
            statement.Reset();
        }

        statement = reader.Statement($"select d.row, d.step, d.marker, d.value, {MemoryRows.Columns} from derived d left join memory m on m.row = d.row and m.state = 0");
        try
        {
            while (statement.Step())
            {
                verifier.Add(
                    new(statement.Integer(0), statement.Text(1), statement.Text(2), statement.Blob(3).ToArray()),
                    statement.IsNull(4) ? null : MemoryRows.Read(statement, 4));
            }
        }
        finally
        {
            statement.Reset();
        }

        return verifier.Finish(ReadDigests(reader));
    }
}
