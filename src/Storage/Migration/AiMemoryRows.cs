using System.Globalization;
using System.Text.Json;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Migration;

/// <summary>
/// The rows of an ai-memory 0.6.0 database (its schema 13), as if a node of ours had written them at the instants that they carry. A
/// row maps to the same bytes each time, so files of a federation that were brought to several nodes agree, and a newer change
/// in the target stays. The file is only read. Embeddings are computed anew and are left behind; so are the marks of its syncs.
/// </summary>
public sealed class AiMemoryRows : IRowSource
{
    private const string AgentsNamespace = "_agents";
    private const string AgentTitle = "agent:";

    private static readonly LogId Log = new("ai-memory", 0x0600);
    private static readonly string[] Needed = ["id", "tier", "namespace", "title", "content", "tags", "priority", "confidence", "source", "access_count", "created_at", "updated_at"];
    private static readonly string[] MemoryColumns = [.. Needed, "last_accessed_at", "expires_at", "metadata", "archived_at", "archive_reason"];

    private readonly SqliteDatabase _database;
    private readonly string _originNode;

    private AiMemoryRows(SqliteDatabase database, string originNode)
    {
        _database = database;
        _originNode = originNode;
    }

    public string Description => $"sqlite://{_database.Path} (ai-memory)";

    public IReadOnlyDictionary<string, long> LeftBehind
    {
        get
        {
            var left = new SortedDictionary<string, long>(StringComparer.Ordinal);
            if (Columns("memories").Contains("embedding"))
            {
                left["embeddings"] = _database.QueryInteger("select count(embedding) from memories") ?? 0;
            }

            if (Columns("sync_state").Count > 0)
            {
                left["sync_state"] = _database.QueryInteger("select count(*) from sync_state") ?? 0;
            }

            return left;
        }
    }

    /// <summary>Whether a file is such a database.</summary>
    public static bool IsOne(string path)
    {
        if (!File.Exists(path))
        {
            return false;
        }

        try
        {
            using var database = SqliteDatabase.Open(path, readOnly: true);
            return database.QueryInteger("select 1 from sqlite_master where type = 'table' and name = 'memories'") is not null;
        }
        catch (SqliteException)
        {
            return false;
        }
    }

    /// <param name="originNode">The node that goes on with pending actions.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreNotOurs"/>: the tables are not those of 0.6.0.</exception>
    public static AiMemoryRows Open(string path, string originNode)
    {
        var database = SqliteDatabase.Open(path, readOnly: true);
        try
        {
            // One instant, whatever a daemon writes meanwhile.
            database.Execute("begin");
            var rows = new AiMemoryRows(database, originNode);
            var missing = Needed.Except(rows.Columns("memories")).ToList();
            return missing.Count == 0 ? rows : throw new MemoryException(
                ErrorKind.StoreNotOurs, $"{path} is not an ai-memory 0.6.0 database: its table memories has no column {string.Join(", ", missing)}; start it once with ai-memory 0.6.0, which brings older files up to date");
        }
        catch (Exception exception)
        {
            database.Dispose();
            throw exception is SqliteException ? new MemoryException(ErrorKind.StoreNotOurs, $"{path} cannot be read: {exception.Message}", exception) : exception;
        }
    }

    public Task<long> CountAsync() => Task.FromResult(((string[])["memories", "archived_memories", "memory_links"])
        .Where(table => Columns(table).Count > 0).Sum(table => _database.QueryInteger($"select count(*) from {table}") ?? 0));

    public async IAsyncEnumerable<IReadOnlyList<ReplicatedRow>> ReadAsync(int rows, Action<string> report)
    {
        foreach (var part in (IEnumerable<IEnumerable<ReplicatedRow>>)
        [
            Memories("memories", "", rows, report),
            Memories("archived_memories", " and not exists (select 1 from memories where memories.id = archived_memories.id)", rows, report),
            Links(rows, report),
            Standards(report),
            PendingActions(report),
            Subscriptions(report),
        ])
        {
            foreach (var batch in part.Chunk(rows))
            {
                yield return batch;
            }
        }

        await Task.CompletedTask;
    }

    public Task<IReadOnlyDictionary<string, string>> FindNamespacesAsync(IReadOnlyCollection<string> memoryIds)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var table in (string[])["archived_memories", "memories"])
        {
            if (Columns(table).Count == 0)
            {
                continue;
            }

            using var statement = _database.Prepare($"select namespace from {table} where id = ?1");
            foreach (var id in memoryIds)
            {
                if (statement.Bind(1, id).Step())
                {
                    found[id] = statement.Text(0);
                }

                statement.Reset();
            }
        }

        return Task.FromResult<IReadOnlyDictionary<string, string>>(found);
    }

    public ValueTask DisposeAsync()
    {
        _database.Dispose();
        return ValueTask.CompletedTask;
    }

    private IEnumerable<ReplicatedRow> Memories(string table, string condition, int page, Action<string> report)
    {
        var present = Columns(table);
        if (present.Count == 0)
        {
            yield break;
        }

        var columns = string.Join(", ", MemoryColumns.Select(column => present.Contains(column) ? column : $"null as {column}"));
        using var statement = _database.Prepare($"select {columns} from {table} where id > ?1{condition} order by id limit ?2");
        var after = "";
        while (true)
        {
            var found = statement.Bind(1, after).Bind(2, page).All(static row => MemoryColumns.Select((_, index) => row.TextOrNull(index)).ToArray());
            foreach (var fields in found)
            {
                after = fields[0]!;
                foreach (var row in Taken($"{table} {after}", () => Memory(fields), report))
                {
                    yield return row;
                }
            }

            if (found.Count < page)
            {
                yield break;
            }
        }
    }

    private static List<ReplicatedRow> Memory(string?[] fields)
    {
        var of = MemoryColumns.Zip(fields).ToDictionary(static pair => pair.First, static pair => pair.Second);
        var count = Whole(of["access_count"]);
        var memory = MemoryRules.Check(new Memory
        {
            Id = of["id"]!,
            Tier = TierNames.TryParse(of["tier"]!, out var tier) ? tier : throw new MemoryException(ErrorKind.InvalidTier, $"tier {of["tier"]} is none of short, mid, long"),
            Namespace = of["namespace"]!,
            Title = of["title"]!,
            Content = of["content"]!,
            Tags = of["tags"] is { Length: > 0 } tags ? Texts(tags) : [],
            Priority = (int)Whole(of["priority"]),
            Confidence = double.Parse(of["confidence"]!, CultureInfo.InvariantCulture),
            Source = of["source"]!,
            AccessCount = count,
            CreatedAt = Instant(of, "created_at"),
            UpdatedAt = Instant(of, "updated_at"),
            LastAccessedAt = of["last_accessed_at"] is null ? null : Instant(of, "last_accessed_at"),
            ExpiresAt = of["expires_at"] is null ? null : Instant(of, "expires_at"),
            Metadata = of["metadata"] is { Length: > 0 } json ? Metadata.Parse(json) : Metadata.Empty,
        });
        var stamp = StampAt(memory.UpdatedAt);
        var state = new MemoryState
        {
            Id = memory.Id,
            Name = new(new(memory.Namespace, memory.Title), stamp),
            Body = new(new(memory.Content, memory.Tags, memory.Source), stamp),
            Metadata = new(memory.Metadata, stamp),
            Priority = new(memory.Priority, stamp),
            Confidence = new(memory.Confidence, stamp),
            Tier = memory.Tier,
            Expiry = new(memory.Tier == Tier.Long ? null : memory.ExpiresAt, stamp),
            CreatedAt = memory.CreatedAt,
            UpdatedAt = memory.UpdatedAt,
        };
        if (of["archived_at"] is not null)
        {
            var at = Instant(of, "archived_at");
            var reason = of["archive_reason"] ?? ArchiveMark.Forgotten;
            state = state with { Archive = new(new ArchiveMark(at, reason, reason == ArchiveMark.Expired ? memory.ExpiresAt : null), StampAt(at)) };
        }

        List<ReplicatedRow> rows = [new(new(MutationKind.Memory, state.Id), MemoryCodec.Encode(state))];
        if (count > 0)
        {
            var last = memory.LastAccessedAt;
            rows.Add(Entry(new(EntryBodies.LegacyAccessKey(state.Id), state.Id, null, Live: true, StampAt(last ?? memory.UpdatedAt), EntryBodies.Encode(new AccessBody(count, last?.Nanoseconds)))));
        }

        if (memory.Namespace == AgentsNamespace && memory.Title.StartsWith(AgentTitle, StringComparison.Ordinal))
        {
            var agent = memory.Title[AgentTitle.Length..];
            using var metadata = JsonDocument.Parse(memory.Metadata.Json);
            var body = new AgentBody(
                memory.Metadata.Text("agent_type") ?? "system",
                metadata.RootElement.TryGetProperty("capabilities", out var capabilities) && capabilities.ValueKind == JsonValueKind.Array ? Texts(capabilities.GetRawText()) : [],
                InstantOr(memory.Metadata.Text("registered_at"), memory.CreatedAt).Nanoseconds,
                InstantOr(memory.Metadata.Text("last_seen_at"), memory.UpdatedAt).Nanoseconds);
            rows.Add(Entry(new(new(MutationKind.Agent, agent), agent, null, Live: true, stamp, JsonSerializer.SerializeToUtf8Bytes(body, EntryJson.Default.AgentBody))));
        }

        return rows;
    }

    private IEnumerable<ReplicatedRow> Links(int page, Action<string> report)
    {
        if (Columns("memory_links").Count == 0)
        {
            yield break;
        }

        using var statement = _database.Prepare("""
            select source_id, target_id, relation, created_at from memory_links
            where (source_id, target_id, relation) > (?1, ?2, ?3) order by source_id, target_id, relation limit ?4
            """);
        var (source, target, relation) = ("", "", "");
        while (true)
        {
            var found = statement.Bind(1, source).Bind(2, target).Bind(3, relation).Bind(4, page)
                .All(static row => Tuple.Create(row.Text(0), row.Text(1), row.Text(2), row.Text(3)));
            foreach (var link in found)
            {
                (source, target, relation, var createdAt) = link;
                foreach (var row in Taken($"memory_links {source} {relation} {target}", () => [Link(link.Item1, link.Item3, link.Item2, createdAt)], report))
                {
                    yield return row;
                }
            }

            if (found.Count < page)
            {
                yield break;
            }
        }
    }

    private static ReplicatedRow Link(string source, string relation, string target, string createdAt)
    {
        var at = MemoryRules.Instant("created_at", createdAt);
        return Entry(new(EntryBodies.LinkKey(source, MemoryRules.Relation(relation), target), source, target, Live: true, StampAt(at), EntryBodies.Encode(new LinkBody(at.Nanoseconds))));
    }

    /// <summary>Standards of namespaces, and the policies that stand in the metadata of the memories they name.</summary>
    private IEnumerable<ReplicatedRow> Standards(Action<string> report) => Rows("namespace_meta", ["namespace", "standard_id", "parent_namespace", "updated_at"], report, of =>
    {
        var @namespace = of["namespace"]!;
        var at = Instant(of, "updated_at");
        var standard = new StandardBody(of["standard_id"] ?? "", of["parent_namespace"], at.Nanoseconds);
        List<ReplicatedRow> rows =
        [
            Entry(new(new(MutationKind.Standard, @namespace), @namespace, null, Live: of["standard_id"] is not null, StampAt(at), JsonSerializer.SerializeToUtf8Bytes(standard, EntryJson.Default.StandardBody))),
        ];
        using var statement = _database.Prepare("select metadata from memories where id = ?1");
        if (of["standard_id"] is { } id && statement.Bind(1, id).First(static row => row.Text(0)) is { Length: > 0 } metadata)
        {
            using var document = JsonDocument.Parse(metadata);
            if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("governance", out var governance) && governance.ValueKind == JsonValueKind.Object)
            {
                var policy = new PolicyBody(Text(governance, "write"), Text(governance, "promote"), Text(governance, "delete"), governance.TryGetProperty("approver", out var approver) ? approver.Clone() : null, null);
                rows.Add(Entry(new(EntryBodies.PolicyKey(@namespace), @namespace, null, Live: true, StampAt(at), EntryBodies.Encode(policy))));
            }
        }

        return rows;
    });

    private IEnumerable<ReplicatedRow> PendingActions(Action<string> report) =>
        Rows("pending_actions", ["id", "action_type", "memory_id", "namespace", "payload", "requested_by", "requested_at", "status", "decided_by", "decided_at", "approvals"], report, of =>
        {
            var id = of["id"]!;
            var requested = Instant(of, "requested_at");
            Timestamp? decided = of["decided_at"] is null ? null : Instant(of, "decided_at");
            using var payload = JsonDocument.Parse(of["payload"] is { Length: > 0 } json ? json : "null");
            var body = new PendingActionBody(
                of["action_type"]!, of["memory_id"], of["namespace"]!, payload.RootElement.Clone(), of["requested_by"] ?? "", requested.Nanoseconds, of["status"] ?? "pending", of["decided_by"], decided?.Nanoseconds, _originNode);
            List<ReplicatedRow> rows =
            [
                Entry(new(new(MutationKind.PendingAction, id), of["namespace"]!, null, Live: true, StampAt(decided ?? requested), JsonSerializer.SerializeToUtf8Bytes(body, EntryJson.Default.PendingActionBody))),
            ];
            using var approvals = JsonDocument.Parse(of["approvals"] is { Length: > 0 } votes ? votes : "[]");
            foreach (var vote in approvals.RootElement.EnumerateArray())
            {
                var at = InstantOr(Text(vote, "approved_at"), requested);
                var voter = Text(vote, "agent_id") ?? throw new MemoryException(ErrorKind.MissingField, "an approval names no agent_id");
                rows.Add(Entry(new(EntryBodies.VoteKey(id, voter), id, null, Live: true, StampAt(at), JsonSerializer.SerializeToUtf8Bytes(new VoteBody(Approve: true, at.Nanoseconds), EntryJson.Default.VoteBody))));
            }

            return rows;
        });

    private IEnumerable<ReplicatedRow> Subscriptions(Action<string> report) =>
        Rows("subscriptions", ["id", "url", "events", "secret_hash", "namespace_filter", "agent_filter", "created_by", "created_at"], report, of =>
        {
            var at = Instant(of, "created_at");
            var text = of["events"] ?? "";
            var events = text.StartsWith('[') ? Texts(text) : [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
            var body = new SubscriptionBody(of["url"]!, events, of["secret_hash"], of["namespace_filter"], of["agent_filter"], EntryBodies.TimestampedBodySignature, at.Nanoseconds);
            return [Entry(new(new(MutationKind.Subscription, of["id"]!), of["created_by"] ?? "", null, Live: true, StampAt(at), JsonSerializer.SerializeToUtf8Bytes(body, EntryJson.Default.SubscriptionBody)))];
        });

    /// <summary>The rows of a small table, which is read at once.</summary>
    private IEnumerable<ReplicatedRow> Rows(string table, string[] wanted, Action<string> report, Func<Dictionary<string, string?>, List<ReplicatedRow>> map)
    {
        var present = Columns(table);
        if (present.Count == 0)
        {
            return [];
        }

        var columns = string.Join(", ", wanted.Select(column => present.Contains(column) ? column : $"null as {column}"));
        using var statement = _database.Prepare($"select {columns} from {table} order by 1");
        var found = statement.All(row => wanted.Select((column, index) => (column, Text: row.TextOrNull(index))).ToDictionary(static pair => pair.column, static pair => pair.Text));
        return found.SelectMany(of => Taken($"{table} {of[wanted[0]]}", () => map(of), report)).ToList();
    }

    private static List<ReplicatedRow> Taken(string what, Func<List<ReplicatedRow>> map, Action<string> report)
    {
        try
        {
            return map();
        }
        catch (Exception exception) when (exception is MemoryException or JsonException or FormatException or OverflowException or InvalidOperationException or ArgumentNullException)
        {
            report($"{what}: {exception.Message}");
            return [];
        }
    }

    private HashSet<string> Columns(string table)
    {
        using var statement = _database.Prepare("select name from pragma_table_info(?1)");
        return [.. statement.Bind(1, table).All(static row => row.Text(0))];
    }

    private static ReplicatedRow Entry(EntryState entry) => new(new(entry.Key.Kind, entry.Key.Key), entry.Encode());

    private static Stamp StampAt(Timestamp instant) => new(instant.Nanoseconds / 1_000_000 << Stamp.CounterBits, Log);

    private static Timestamp Instant(Dictionary<string, string?> of, string column) => MemoryRules.Instant(column, of[column] ?? "");

    private static Timestamp InstantOr(string? text, Timestamp otherwise) => text is not null && Timestamp.TryParse(text, out var instant) ? instant : otherwise;

    private static long Whole(string? number) => long.Parse(number ?? "0", CultureInfo.InvariantCulture);

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static List<string> Texts(string json)
    {
        using var document = JsonDocument.Parse(json);
        return [.. document.RootElement.EnumerateArray().Select(static item => item.GetString() ?? throw new JsonException("a text is expected"))];
    }
}
