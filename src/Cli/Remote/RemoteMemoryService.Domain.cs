using System.Text.Json;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;

namespace OrleansMemory.Cli.Remote;

internal sealed partial class RemoteMemoryService
{
    public async Task<IReadOnlyList<ArchivedMemory>> ArchivedAsync(ArchiveQuery query, CancellationToken cancellation = default)
    {
        var found = new List<ArchivedMemory>();
        while (true)
        {
            var size = Math.Min(query.Limit - found.Count, ArchiveQuery.MostRows);
            var request = new QueryText().Add("namespace", query.Namespace).Add("limit", size).Add("offset", query.Offset + found.Count);
            var rows = WireReader.Field((await _node.GetAsync(request.Path("archive"), cancellation)).Body, "archived");
            found.AddRange(rows.EnumerateArray().Select(static row => new ArchivedMemory(WireReader.Memory(row), Instant(row, "archived_at"), WireReader.Text(row, "archive_reason"))));
            if (found.Count >= query.Limit || rows.GetArrayLength() < size)
            {
                return found;
            }
        }
    }

    public async Task<ArchiveStatistics> ArchiveStatisticsAsync(CancellationToken cancellation = default)
    {
        var body = (await _node.GetAsync("archive/stats", cancellation)).Body;
        return new(WireReader.Count(body, "archived_total"), NamespaceCounts(body, "by_namespace"));
    }

    public async Task<WriteReceipt> RestoreAsync(string id, WriteContext context) =>
        await ReceiptAsync(await _node.SendAsync(HttpMethod.Post, $"archive/{Uri.EscapeDataString(id)}/restore", null, context));

    public async Task<long> PurgeAsync(long? olderThanDays, WriteContext context) =>
        WireReader.Count((await _node.SendAsync(HttpMethod.Delete, new QueryText().Add("older_than_days", olderThanDays).Path("archive"), null, context)).Body, "purged");

    public async Task<RegisteredAgent> RegisterAgentAsync(string agentId, string agentType, IReadOnlyList<string> capabilities, WriteContext context) => Agent((await _node.SendAsync(
        HttpMethod.Post,
        "agents",
        writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("agent_id", agentId);
            writer.WriteString("agent_type", agentType);
            WriteTexts(writer, "capabilities", capabilities);
            writer.WriteEndObject();
        },
        context)).Body);

    public async Task<IReadOnlyList<RegisteredAgent>> AgentsAsync(CancellationToken cancellation = default) =>
        WireReader.Field((await _node.GetAsync("agents", cancellation)).Body, "agents").EnumerateArray().Select(Agent).ToList();

    public Task SetStandardAsync(string @namespace, string standardId, string? parent, GovernancePolicy? policy, WriteContext context) => _node.SendAsync(
        HttpMethod.Post,
        StandardPath(@namespace),
        writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("id", standardId);
            WriteOptional(writer, "parent", parent);
            if (policy is not null)
            {
                writer.WritePropertyName("governance");
                Api.Routes.StandardRoutes.Write(writer, policy);
            }

            writer.WriteEndObject();
        },
        context);

    public async Task<bool> ClearStandardAsync(string @namespace, WriteContext context) =>
        WireReader.Field((await _node.SendAsync(HttpMethod.Delete, StandardPath(@namespace), null, context)).Body, "cleared").GetBoolean();

    public async Task<NamespaceStandard> StandardAsync(string @namespace, CancellationToken cancellation = default) =>
        await StandardAsync((await _node.GetAsync(StandardPath(@namespace), cancellation)).Body, cancellation);

    public async Task<StandardChain> StandardChainAsync(string @namespace, CancellationToken cancellation = default)
    {
        var body = (await _node.GetAsync(StandardPath(@namespace) + "?inherit=true", cancellation)).Body;
        var standards = new List<NamespaceStandard>();
        foreach (var standard in WireReader.Field(body, "standards").EnumerateArray())
        {
            standards.Add(await StandardAsync(standard, cancellation));
        }

        return new(Texts(body, "chain"), standards);
    }

    public async Task<IReadOnlyList<PendingAction>> PendingAsync(string? status, int limit, CancellationToken cancellation = default) =>
        WireReader.Field((await _node.GetAsync(new QueryText().Add("status", status).Add("limit", limit).Path("pending"), cancellation)).Body, "pending")
            .EnumerateArray().Select(Pending).ToList();

    /// <summary>The answer names no more of the action than was decided.</summary>
    public async Task<VoteOutcome> VoteAsync(string id, bool approve, WriteContext context)
    {
        var body = (await _node.SendVoteAsync($"pending/{Uri.EscapeDataString(id)}/{(approve ? "approve" : "reject")}", context)).Body;
        var status = body.TryGetProperty("approved", out var approved)
            ? approved.GetBoolean() ? PendingStatuses.Approved : PendingStatuses.Pending
            : PendingStatuses.Rejected;
        var action = new PendingAction(
            id, "", "", status, null, default, "", default, WireReader.OptionalText(body, "decided_by"), null, WireReader.OptionalText(body, "memory_id"), []);
        return status == PendingStatuses.Pending
            ? new(action, (int)WireReader.Count(body, "votes"), (int)WireReader.Count(body, "quorum"), IsElsewhere: WireReader.Text(body, "reason").StartsWith("the node", StringComparison.Ordinal))
            : new(action, 0, 0, IsElsewhere: false);
    }

    public async Task<Message> NotifyAsync(MessageDraft draft, WriteContext context)
    {
        var body = (await _node.SendAsync(
            HttpMethod.Post,
            "notify",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("to", draft.To);
                writer.WriteString("subject", draft.Subject);
                writer.WriteString("body", draft.Text);
                writer.WriteNumber("priority", draft.Priority);
                writer.WriteString("tier", draft.Tier.Name());
                WriteOptional(writer, "memory_id", draft.MemoryId);
                if (draft.Payload is { } payload)
                {
                    writer.WritePropertyName("payload");
                    payload.WriteTo(writer);
                }

                writer.WriteEndObject();
            },
            context)).Body;
        return new(
            WireReader.Text(body, "id"), WireReader.Text(body, "from"), WireReader.Text(body, "to"), draft.Subject, draft.Text, draft.Priority, draft.Tier, Instant(body, "delivered_at"), null,
            draft.MemoryId, draft.Payload, null);
    }

    public async Task<Inbox> InboxAsync(InboxQuery query, WriteContext context, CancellationToken cancellation = default)
    {
        var request = new QueryText().Add("agent_id", query.AgentId).Add("unread_only", query.UnreadOnly ? "true" : null).Add("limit", query.Limit).Add("since", query.Since?.ToString());
        var body = (await _node.SendAsync(HttpMethod.Get, request.Path("inbox"), null, context, cancellation)).Body;
        var owner = WireReader.Text(body, "agent_id");
        return new(owner, WireReader.Field(body, "messages").EnumerateArray().Select(row => Message(row, owner)).ToList(), WireReader.Count(body, "unread"));
    }

    public async Task<long> ReadMessagesAsync(string agentId, IReadOnlyList<string> ids, bool take, WriteContext context)
    {
        if (!take)
        {
            var body = (await _node.SendAsync(
                HttpMethod.Post,
                "inbox/read",
                writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("agent_id", agentId);
                    WriteTexts(writer, "ids", ids);
                    writer.WriteEndObject();
                },
                context)).Body;
            return WireReader.Count(body, "marked");
        }

        long taken = 0;
        foreach (var id in ids)
        {
            try
            {
                await _node.SendAsync(HttpMethod.Delete, new QueryText().Add("agent_id", agentId).Path($"inbox/{Uri.EscapeDataString(id)}"), null, context);
                taken++;
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
            {
                // Gone before.
            }
        }

        return taken;
    }

    public async Task<Consolidated> ConsolidateAsync(ConsolidationDraft draft, WriteContext context)
    {
        var answer = await _node.SendAsync(
            HttpMethod.Post,
            "consolidate",
            writer =>
            {
                writer.WriteStartObject();
                WriteTexts(writer, "ids", draft.Ids);
                writer.WriteString("title", draft.Title);
                writer.WriteString("summary", draft.Summary);
                writer.WriteString("namespace", draft.Namespace);
                writer.WriteString("tier", draft.Tier.Name());
                writer.WriteString("source", draft.Source);
                writer.WriteEndObject();
            },
            context);
        return new(await ReceiptAsync(answer), (int)WireReader.Count(answer.Body, "consolidated"), WireReader.Text(answer.Body, "curation_id"));
    }

    public async Task<IReadOnlyList<CurationRecord>> CurationsAsync(int limit, CancellationToken cancellation = default) =>
        WireReader.Field((await _node.GetAsync(new QueryText().Add("limit", limit).Path("curation"), cancellation)).Body, "curations").EnumerateArray().Select(Curation).ToList();

    public async Task<CurationRecord> UndoAsync(string curationId, WriteContext context) =>
        Curation((await _node.SendAsync(HttpMethod.Post, $"curation/{Uri.EscapeDataString(curationId)}/undo", null, context)).Body);

    public async Task<CuratorReport> CurateAsync(CuratorOrder order, WriteContext context)
    {
        var body = (await _node.SendAsync(
            HttpMethod.Post,
            "curator/run",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteNumber("max_ops", order.MostOperations);
                writer.WriteBoolean("dry_run", order.DryRun);
                if (order.Include is { } include)
                {
                    WriteTexts(writer, "include_namespaces", include);
                }

                if (order.Exclude is { } exclude)
                {
                    WriteTexts(writer, "exclude_namespaces", exclude);
                }

                writer.WriteEndObject();
            },
            context)).Body;
        var done = WireReader.Field(body, "autonomy");
        return new(
            WireReader.OptionalText(body, "run_id"), Instant(body, "started_at"), Instant(body, "completed_at"), WireReader.Count(body, "memories_scanned"), WireReader.Count(body, "memories_eligible"),
            WireReader.Count(body, "operations_attempted"), WireReader.Count(body, "operations_skipped_cap"), WireReader.Count(body, "expired"), WireReader.Count(done, "clusters_formed"),
            WireReader.Count(done, "memories_consolidated"), WireReader.Count(done, "memories_forgotten"), WireReader.Count(done, "priority_adjustments"),
            WireReader.Count(done, "rollback_entries_written"), Texts(body, "errors"), WireReader.Field(body, "dry_run").GetBoolean());
    }

    public async Task<UndoneRuns> UndoRunsAsync(string? runId, int? last, WriteContext context)
    {
        var body = (await _node.SendAsync(
            HttpMethod.Post,
            "curator/undo",
            writer =>
            {
                writer.WriteStartObject();
                WriteOptional(writer, "run", runId);
                if (last is { } count)
                {
                    writer.WriteNumber("last", count);
                }

                writer.WriteEndObject();
            },
            context)).Body;
        return new((int)WireReader.Count(body, "reversed"), Texts(body, "errors"));
    }

    public async Task<WriteReceipt> SupersedeAsync(string winnerId, string loserId, WriteContext context)
    {
        var answer = await _node.SendAsync(
            HttpMethod.Post,
            "resolve",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("winner", winnerId);
                writer.WriteString("loser", loserId);
                writer.WriteEndObject();
            },
            context);
        return new((await GetAsync(loserId)).Memory, Created: false, answer.Position, default, answer.Version);
    }

    public async Task<SessionStart> StartSessionAsync(string? @namespace, int limit, CancellationToken cancellation = default)
    {
        var body = (await _node.SendAsync(
            HttpMethod.Post,
            "session/start",
            writer =>
            {
                writer.WriteStartObject();
                WriteOptional(writer, "namespace", @namespace);
                writer.WriteNumber("limit", limit);
                writer.WriteEndObject();
            },
            null,
            cancellation)).Body;
        List<Memory> standards = body.TryGetProperty("standard", out var one) ? [WireReader.Memory(one)]
            : body.TryGetProperty("standards", out var several) ? several.EnumerateArray().Select(WireReader.Memory).ToList()
            : [];
        return new(WireReader.Field(body, "memories").EnumerateArray().Select(WireReader.Memory).ToList(), standards);
    }

    public async Task<IReadOnlyList<SyncOutcome>> SyncAsync(IReadOnlyList<Memory> memories, WriteContext context)
    {
        var answer = await _node.SendAsync(
            HttpMethod.Post,
            "sync/push",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("sender_agent_id", context.AgentId ?? "om");
                writer.WriteStartObject("sender_clock");
                writer.WriteStartObject("entries");
                writer.WriteEndObject();
                writer.WriteEndObject();
                writer.WriteStartArray("memories");
                foreach (var memory in memories)
                {
                    MemoryJson.WriteSorted(writer, memory);
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
            },
            context);

        // Refused rows are named, of the others only their number is told.
        var refused = Refused(answer.Body);
        var applied = WireReader.Count(answer.Body, "applied");
        return memories.Select(memory => refused.TryGetValue(memory.Id, out var why)
            ? new SyncOutcome(false, answer.Position, new MemoryException(ErrorKind.MalformedRequest, why))
            : new SyncOutcome(applied-- > 0, answer.Position)).ToList();
    }

    public async Task<IReadOnlyList<Memory>> ChangesAsync(ChangePlace after, int limit, CancellationToken cancellation = default)
    {
        var request = new QueryText().Add("limit", limit);
        if (after != ChangePlace.Start)
        {
            request.Add("cursor", after.ToCursor());
        }

        return WireReader.Field((await _node.GetAsync(request.Path("sync/since"), cancellation)).Body, "memories").EnumerateArray().Select(WireReader.Memory).ToList();
    }

    private async Task<NamespaceStandard> StandardAsync(JsonElement body, CancellationToken cancellation)
    {
        var id = WireReader.OptionalText(body, "standard_id");
        var memory = id is not null && body.TryGetProperty("content", out _) ? (await GetAsync(id, cancellation)).Memory : null;
        return new(
            WireReader.Text(body, "namespace"), id, WireReader.OptionalText(body, "parent"), memory,
            body.TryGetProperty("governance", out var governance) && governance.ValueKind == JsonValueKind.Object ? GovernancePolicy.Parse(governance) : null);
    }

    private static RegisteredAgent Agent(JsonElement row) =>
        new(WireReader.Text(row, "agent_id"), WireReader.Text(row, "agent_type"), Texts(row, "capabilities"), Instant(row, "registered_at"), Instant(row, "last_seen_at"));

    private static PendingAction Pending(JsonElement row) => new(
        WireReader.Text(row, "id"), WireReader.Text(row, "action_type"), WireReader.Text(row, "namespace"), WireReader.Text(row, "status"), WireReader.OptionalText(row, "memory_id"),
        WireReader.Field(row, "payload"), WireReader.Text(row, "requested_by"), Instant(row, "requested_at"), WireReader.OptionalText(row, "decided_by"),
        WireReader.OptionalText(row, "decided_at") is { } at ? MemoryRules.Instant("decided_at", at) : null, null,
        WireReader.Field(row, "approvals").EnumerateArray().Select(static vote => new Approval(WireReader.Text(vote, "agent_id"), Instant(vote, "approved_at"))).ToList());

    private static Message Message(JsonElement row, string owner) => new(
        WireReader.Text(row, "id"), WireReader.Text(row, "from"), owner, WireReader.Text(row, "subject"), WireReader.Text(row, "body"), (int)WireReader.Count(row, "priority"),
        WireReader.Tier(row), Instant(row, "created_at"), null, WireReader.OptionalText(row, "memory_id"),
        row.TryGetProperty("payload", out var payload) && payload.ValueKind == JsonValueKind.Object ? payload : null,
        WireReader.Field(row, "read").GetBoolean() ? Instant(row, "created_at") : null);

    private static CurationRecord Curation(JsonElement row) => new(
        WireReader.Text(row, "id"), WireReader.Text(row, "action"), WireReader.Text(row, "namespace"), WireReader.Text(row, "result_id"), Texts(row, "source_ids"),
        WireReader.Text(row, "by"), Instant(row, "at"), WireReader.OptionalText(row, "undone_at") is { } undone ? MemoryRules.Instant("undone_at", undone) : null);

    private static Timestamp Instant(JsonElement row, string name) => MemoryRules.Instant(name, WireReader.Text(row, name));

    private static List<string> Texts(JsonElement row, string name) => WireReader.Field(row, name).EnumerateArray().Select(static text => text.GetString() ?? "").ToList();

    private static void WriteTexts(Utf8JsonWriter writer, string name, IReadOnlyList<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (var text in texts)
        {
            writer.WriteStringValue(text);
        }

        writer.WriteEndArray();
    }

    private static string StandardPath(string @namespace) => $"namespaces/{Uri.EscapeDataString(@namespace)}/standard";
}
