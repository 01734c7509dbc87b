using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Cli.Remote;

/// <summary>A node over HTTP, as commands see it. Stamps stay on the node; receipts carry none.</summary>
internal sealed partial class RemoteMemoryService(Uri address, NodeClientOptions options) : IDomainService, IAsyncDisposable
{
    private readonly NodeClient _node = new(address, options);

    public RemoteMemoryService(Uri address, string? apiKey)
        : this(address, new NodeClientOptions(apiKey))
    {
    }

    /// <summary>For requests that are nobody else's.</summary>
    public NodeClient Node => _node;

    public async Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context) => (await StoreNotingAsync(draft, context)).Receipt;

    /// <summary>Stores, and takes note of the memories that the new one may contradict.</summary>
    public async Task<(WriteReceipt Receipt, IReadOnlyList<string> Similar)> StoreNotingAsync(MemoryDraft draft, WriteContext context)
    {
        var answer = await _node.SendAsync(HttpMethod.Post, "memories", writer => WriteDraft(writer, draft), context);
        return (await ReceiptAsync(answer), answer.Body.TryGetProperty("potential_contradictions", out _) ? Texts(answer.Body, "potential_contradictions") : []);
    }

    public async Task<IReadOnlyList<RowOutcome>> StoreManyAsync(IReadOnlyList<MemoryDraft> drafts, WriteContext context)
    {
        // One request for each: the answer to a batch names no error codes for its rows.
        var outcomes = new List<RowOutcome>(drafts.Count);
        foreach (var draft in drafts)
        {
            try
            {
                outcomes.Add(await StoreAsync(draft, context));
            }
            catch (MemoryException exception) when (exception.Kind.HttpStatus is >= 400 and < 500)
            {
                outcomes.Add(exception);
            }
        }

        return outcomes;
    }

    public async Task<IReadOnlyList<RowOutcome>> ImportAsync(
        IReadOnlyList<Memory> memories,
        IReadOnlyList<Link> links,
        ImportOptions options,
        WriteContext context)
    {
        var answer = await _node.SendAsync(
            HttpMethod.Post,
            "import",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteStartArray("memories");
                foreach (var memory in memories)
                {
                    MemoryJson.WriteSorted(writer, memory);
                }

                writer.WriteEndArray();
                writer.WriteStartArray("links");
                foreach (var link in links)
                {
                    MemoryJson.WriteLink(writer, link);
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
            },
            context);
        return Outcomes(memories, answer);
    }

    public async Task<WriteReceipt> UpdateAsync(string idOrPrefix, MemoryPatch patch, WriteContext context)
    {
        var answer = await _node.SendAsync(HttpMethod.Put, MemoryPath(idOrPrefix), writer => WritePatch(writer, patch), context);
        return await ReceiptAsync(answer);
    }

    public async Task<WriteReceipt> DeleteAsync(string idOrPrefix, WriteContext context)
    {
        // The answer to a delete does not name the memory; a prefix must be told in full.
        var memory = (await GetAsync(idOrPrefix)).Memory;
        var answer = await _node.SendAsync(HttpMethod.Delete, MemoryPath(memory.Id), null, context);
        return new(memory, Created: false, answer.Position, default, answer.Version);
    }

    public async Task<WriteReceipt> PromoteAsync(string idOrPrefix, WriteContext context)
    {
        var answer = await _node.SendAsync(HttpMethod.Post, MemoryPath(idOrPrefix) + "/promote", null, context);
        return await ReceiptAsync(answer);
    }

    public async Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, WriteContext context)
    {
        var answer = await _node.SendAsync(
            HttpMethod.Post,
            "links",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("source_id", sourceId);
                writer.WriteString("target_id", targetId);
                writer.WriteString("relation", relation);
                writer.WriteEndObject();
            },
            context);
        var createdAt = WireReader.OptionalText(answer.Body, "created_at") is { } text ? MemoryRules.Instant("created_at", text) : Timestamp.Now(TimeProvider.System);
        return new(new(sourceId, targetId, relation, createdAt), Linked: true, answer.Position);
    }

    public async Task<long> ForgetAsync(ForgetQuery query, WriteContext context)
    {
        var answer = await _node.SendAsync(
            HttpMethod.Post,
            "forget",
            writer =>
            {
                writer.WriteStartObject();
                WriteOptional(writer, "namespace", query.Namespace);
                WriteOptional(writer, "pattern", query.Pattern);
                WriteOptional(writer, "tier", query.Tier?.Name());
                if (query.DryRun)
                {
                    writer.WriteBoolean("dry_run", true);
                }

                writer.WriteEndObject();
            },
            context);
        return WireReader.Count(answer.Body, query.DryRun ? "would_delete" : "deleted");
    }

    public async Task<long> CollectGarbageAsync(bool dryRun = false)
    {
        var answer = await _node.SendAsync(HttpMethod.Post, dryRun ? "gc?dry_run=true" : "gc", null, null);
        return WireReader.Count(answer.Body, dryRun ? "would_delete" : "expired_deleted");
    }

    public async Task<MemoryWithLinks> GetAsync(string idOrPrefix, CancellationToken cancellation = default)
    {
        var answer = await _node.GetAsync(MemoryPath(idOrPrefix), cancellation);
        var memory = WireReader.Memory(answer.Body.TryGetProperty("memory", out var inner) ? inner : answer.Body);
        return new(memory, ReadLinks(answer.Body), answer.Version);
    }

    /// <summary>As many requests as the node's page size asks for.</summary>
    public async Task<MemoryPage> ListAsync(ListQuery query, CancellationToken cancellation = default)
    {
        var memories = new List<Memory>();
        var cursor = query.Cursor;
        var offset = query.Offset;
        do
        {
            var size = Math.Min(query.Limit - memories.Count, MemoryLimits.ListRows);
            var request = Filtered(query).Add("limit", size).Add("cursor", cursor);
            if (cursor is null)
            {
                request.Add("offset", offset);
            }

            var answer = await _node.GetAsync(request.Path("memories"), cancellation);
            var rows = WireReader.Field(answer.Body, "memories");
            memories.AddRange(rows.EnumerateArray().Select(WireReader.Memory));
            cursor = WireReader.OptionalText(answer.Body, "next_cursor");
            offset += rows.GetArrayLength();
            if (rows.GetArrayLength() < size)
            {
                break;
            }
        }
        while (memories.Count < query.Limit);

        return new(memories, cursor);
    }

    public async Task<Ranking> SearchAsync(SearchQuery query, CancellationToken cancellation = default)
    {
        var request = Filtered(query).Add("q", query.Text).Add("limit", query.Limit).Add("as_agent", query.AsAgent);
        var answer = await _node.GetAsync(request.Path("search"), cancellation);
        return new(
            WireReader.Field(answer.Body, "results").EnumerateArray().Select(row => new RankedMemory(WireReader.Memory(row), 0)).ToList(),
            IsComplete(answer.Body));
    }

    public async Task<RecallResult> RecallAsync(RecallQuery query, CancellationToken cancellation = default)
    {
        var answer = await _node.SendAsync(
            HttpMethod.Post,
            "recall",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("context", query.Context);
                writer.WriteNumber("limit", query.Limit);
                WriteOptional(writer, "namespace", query.Namespace);
                WriteOptional(writer, "tags", query.Tag);
                WriteOptional(writer, "since", query.Since?.ToString());
                WriteOptional(writer, "until", query.Until?.ToString());
                WriteOptional(writer, "as_agent", query.AsAgent);
                if (query.BudgetTokens is { } budget)
                {
                    writer.WriteNumber("budget_tokens", budget);
                }

                if (query.ContextTokens.Count > 0)
                {
                    writer.WriteStartArray("context_tokens");
                    foreach (var token in query.ContextTokens)
                    {
                        writer.WriteStringValue(token);
                    }

                    writer.WriteEndArray();
                }

                if (query.KeywordOnly)
                {
                    writer.WriteString("tier", "keyword");
                }

                writer.WriteEndObject();
            },
            null,
            cancellation);
        var hits = WireReader.Field(answer.Body, "memories").EnumerateArray()
            .Select(row => new RankedMemory(WireReader.Memory(row), WireReader.Field(row, "score").GetDouble()))
            .ToList();
        return new(hits, WireReader.Count(answer.Body, "tokens_used"), WireReader.OptionalText(answer.Body, "mode") ?? "keyword", IsComplete(answer.Body))
        {
            Degraded = WireReader.OptionalText(answer.Body, "degraded"),
        };
    }

    /// <summary>Said only when it is not so.</summary>
    private static bool IsComplete(JsonElement body) => !(body.TryGetProperty("complete", out var complete) && complete.ValueKind == JsonValueKind.False);

    public async Task<IReadOnlyList<Link>> LinksAsync(string id, CancellationToken cancellation = default) =>
        ReadLinks((await _node.GetAsync($"links/{Uri.EscapeDataString(id)}", cancellation)).Body);

    public async Task<IReadOnlyList<NamespaceCount>> NamespacesAsync(CancellationToken cancellation = default) =>
        NamespaceCounts((await _node.GetAsync("namespaces", cancellation)).Body, "namespaces");

    public async Task<StoreStatistics> StatisticsAsync(CancellationToken cancellation = default)
    {
        var body = (await _node.GetAsync("stats", cancellation)).Body;
        var tiers = WireReader.Field(body, "by_tier").EnumerateArray()
            .Select(row => new TierCount(WireReader.Tier(row), WireReader.Count(row, "count")))
            .ToList();
        return new(
            WireReader.Count(body, "total"),
            tiers,
            NamespaceCounts(body, "by_namespace"),
            WireReader.Count(body, "expiring_soon"),
            WireReader.Count(body, "links_count"),
            WireReader.Count(body, "db_size_bytes"));
    }

    public async IAsyncEnumerable<Memory> ExportMemoriesAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await foreach (var element in ExportAsync("memories", cancellation))
        {
            yield return WireReader.Memory(element);
        }
    }

    public async IAsyncEnumerable<Link> ExportLinksAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await foreach (var element in ExportAsync("links", cancellation))
        {
            yield return WireReader.Link(element);
        }
    }

    /// <summary>What the node last said is not known here; a command finds out by asking.</summary>
    public ServiceHealth Health() => new(Ready: true, Reason: null);

    public ValueTask DisposeAsync()
    {
        _node.Dispose();
        return ValueTask.CompletedTask;
    }

    private static RowOutcome[] Outcomes(IReadOnlyList<Memory> memories, NodeAnswer answer)
    {
        // `errors` holds "<id>: <why>"; `ids` holds the id under which each row lives now, null for a refused one.
        var refused = Refused(answer.Body);

        var ids = answer.Body.TryGetProperty("ids", out var list) && list.ValueKind == JsonValueKind.Array && list.GetArrayLength() == memories.Count ? list : default;
        var outcomes = new RowOutcome[memories.Count];
        for (var row = 0; row < outcomes.Length; row++)
        {
            var memory = memories[row];
            outcomes[row] = refused.TryGetValue(memory.Id, out var why)
                ? new MemoryException(ErrorKind.MalformedRequest, why)
                : new WriteReceipt(
                    ids.ValueKind == JsonValueKind.Array && ids[row].ValueKind == JsonValueKind.String ? memory with { Id = ids[row].GetString()! } : memory,
                    Created: true,
                    answer.Position,
                    default,
                    "");
        }

        return outcomes;
    }

    /// <summary>What <c>errors</c> says of each id; a node of the peer system names none.</summary>
    private static Dictionary<string, string> Refused(JsonElement body)
    {
        var refused = new Dictionary<string, string>();
        if (body.TryGetProperty("errors", out var errors) && errors.ValueKind == JsonValueKind.Array)
        {
            foreach (var error in errors.EnumerateArray().Select(error => error.GetString()!))
            {
                var separator = error.IndexOf(": ", StringComparison.Ordinal);
                refused[separator < 0 ? error : error[..separator]] = separator < 0 ? error : error[(separator + 2)..];
            }
        }

        return refused;
    }

    private static void WriteDraft(Utf8JsonWriter writer, MemoryDraft draft)
    {
        writer.WriteStartObject();
        writer.WriteString("title", draft.Title);
        writer.WriteString("content", draft.Content);
        writer.WriteString("tier", draft.Tier.Name());
        writer.WriteString("namespace", draft.Namespace);
        WriteTags(writer, draft.Tags);
        writer.WriteNumber("priority", draft.Priority);
        MemoryJson.WriteReal(writer, "confidence", draft.Confidence);
        writer.WriteString("source", draft.Source);
        WriteOptional(writer, "expires_at", draft.ExpiresAt);
        if (draft.TtlSeconds is { } ttl)
        {
            writer.WriteNumber("ttl_secs", ttl);
        }

        writer.WritePropertyName("metadata");
        writer.WriteRawValue(draft.Metadata.Json, skipInputValidation: true);
        WriteOptional(writer, "agent_id", draft.AgentId);
        WriteOptional(writer, "scope", draft.Scope);
        writer.WriteEndObject();
    }

    private static void WritePatch(Utf8JsonWriter writer, MemoryPatch patch)
    {
        writer.WriteStartObject();
        WriteOptional(writer, "title", patch.Title);
        WriteOptional(writer, "content", patch.Content);
        WriteOptional(writer, "tier", patch.Tier?.Name());
        WriteOptional(writer, "namespace", patch.Namespace);
        if (patch.Tags is { } tags)
        {
            WriteTags(writer, tags);
        }

        if (patch.Priority is { } priority)
        {
            writer.WriteNumber("priority", priority);
        }

        if (patch.Confidence is { } confidence)
        {
            MemoryJson.WriteReal(writer, "confidence", confidence);
        }

        WriteOptional(writer, "expires_at", patch.ClearExpiry ? "" : patch.ExpiresAt);
        if (patch.Metadata is { } metadata)
        {
            writer.WritePropertyName("metadata");
            writer.WriteRawValue(metadata.Json, skipInputValidation: true);
        }

        writer.WriteEndObject();
    }

    private static void WriteTags(Utf8JsonWriter writer, IReadOnlyList<string> tags)
    {
        writer.WriteStartArray("tags");
        foreach (var tag in tags)
        {
            writer.WriteStringValue(tag);
        }

        writer.WriteEndArray();
    }

    private static void WriteOptional(Utf8JsonWriter writer, string name, string? value)
    {
        if (value is not null)
        {
            writer.WriteString(name, value);
        }
    }

    private static List<NamespaceCount> NamespaceCounts(JsonElement body, string name) => WireReader.Field(body, name).EnumerateArray()
        .Select(row => new NamespaceCount(WireReader.Text(row, "namespace"), WireReader.Count(row, "count")))
        .ToList();

    private static List<Link> ReadLinks(JsonElement body) => WireReader.Field(body, "links").EnumerateArray().Select(WireReader.Link).ToList();

    private static string MemoryPath(string id) => $"memories/{Uri.EscapeDataString(id)}";

    private static QueryText Filtered(MemoryFilter filter) => new QueryText()
        .Add("namespace", filter.Namespace)
        .Add("tier", filter.Tier?.Name())
        .Add("min_priority", filter.MinPriority)
        .Add("since", filter.Since?.ToString())
        .Add("until", filter.Until?.ToString())
        .Add("tags", filter.Tag)
        .Add("agent_id", filter.AgentId);

    /// <summary>The memory that a write answered with; read again when the answer names its id only.</summary>
    private async Task<WriteReceipt> ReceiptAsync(NodeAnswer answer)
    {
        var memory = answer.Body.TryGetProperty("content", out _) ? WireReader.Memory(answer.Body) : (await GetAsync(WireReader.Text(answer.Body, "id"))).Memory;
        return new(memory, Created: answer.Status == System.Net.HttpStatusCode.Created, answer.Position, default, answer.Version);
    }

    /// <summary>The elements of one array of the node's export; stops reading when that array is over.</summary>
    private async IAsyncEnumerable<JsonElement> ExportAsync(string array, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var (response, body) = await _node.StreamAsync("export", cancellation);
        using (response)
        {
            var reader = new ArrayElementReader(body);
            while (await reader.ReadAsync() is { } element)
            {
                if (reader.Member == array)
                {
                    yield return element;
                }
                else if (reader.Arrays.Contains(array))
                {
                    break;
                }
            }
        }
    }

    /// <summary>A query string; values that are null are left out.</summary>
    private sealed class QueryText
    {
        private readonly StringBuilder _text = new();

        public QueryText Add(string name, IFormattable? value) => Add(name, value?.ToString(null, CultureInfo.InvariantCulture));

        public QueryText Add(string name, string? value)
        {
            if (value is not null)
            {
                _text.Append(_text.Length == 0 ? '?' : '&').Append(name).Append('=').Append(Uri.EscapeDataString(value));
            }

            return this;
        }

        public string Path(string path) => path + _text;
    }
}
