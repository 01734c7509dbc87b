using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>A change that waits for approval, or what became of it.</summary>
/// <param name="Status">One of <see cref="PendingStatuses"/>.</param>
/// <param name="MemoryId">Of what it would change; null: something new.</param>
/// <param name="Payload">The request, as it will be carried out.</param>
/// <param name="Result">The memory that it made or changed; null before that was done.</param>
public sealed record PendingAction(
    string Id,
    string ActionType,
    string Namespace,
    string Status,
    string? MemoryId,
    JsonElement Payload,
    string RequestedBy,
    Timestamp RequestedAt,
    string? DecidedBy,
    Timestamp? DecidedAt,
    string? Result,
    IReadOnlyList<Approval> Approvals)
{
    public static PendingAction Of(EntryState entry, IReadOnlyList<Approval> approvals)
    {
        var body = EntryBodies.Decode(entry.Body, EntryJson.Default.PendingActionBody);
        return new(
            entry.Key.Key, body.ActionType, body.Namespace, body.Status, body.MemoryId, body.Payload, body.RequestedBy, new(body.RequestedAt), body.DecidedBy,
            body.DecidedAt is { } at ? new(at) : null, body.Result, approvals);
    }
}

/// <summary>A consent.</summary>
public sealed record Approval(string AgentId, Timestamp At);

public static class PendingStatuses
{
    public const string Pending = "pending";
    public const string Approved = "approved";
    public const string Rejected = "rejected";
}

/// <summary>What a vote led to.</summary>
/// <param name="Votes">Consents so far.</param>
/// <param name="Needed">Consents that decide it.</param>
/// <param name="IsElsewhere">Another node began it, and decides when it hears of the vote.</param>
public sealed record VoteOutcome(PendingAction Action, int Votes, int Needed, bool IsElsewhere);

/// <summary>A change was not made: it waits for approval under the given id.</summary>
public sealed class PendingException(string pendingId, string actionType, string @namespace, string? memoryId)
    : MemoryException(ErrorKind.ApprovalPending, "governance requires approval")
{
    public string PendingId { get; } = pendingId;

    public string ActionType { get; } = actionType;

    public string Namespace { get; } = @namespace;

    public string? MemoryId { get; } = memoryId;
}

/// <summary>A decision ran into a rule that asks for approval; nothing was changed.</summary>
internal sealed class ApprovalNeededException(PendingRequest request) : Exception("governance requires approval")
{
    public PendingRequest Request { get; } = request;
}

/// <summary>What is to be approved.</summary>
internal sealed record PendingRequest(string ActionType, string? MemoryId, JsonElement Payload, string? RequestedBy);

/// <summary>The requests that can wait, as JSON in the words of the HTTP API, and back.</summary>
internal static class PendingPayloads
{
    public const string Store = "store";
    public const string Update = "update";
    public const string Delete = "delete";
    public const string Promote = "promote";

    public static PendingRequest OfStore(MemoryDraft draft) => new(
        Store,
        null,
        Element(new()
        {
            ["title"] = draft.Title,
            ["content"] = draft.Content,
            ["tier"] = draft.Tier.Name(),
            ["namespace"] = draft.Namespace,
            ["tags"] = Array(draft.Tags),
            ["priority"] = draft.Priority,
            ["confidence"] = draft.Confidence,
            ["source"] = draft.Source,
            ["expires_at"] = draft.ExpiresAt,
            ["ttl_secs"] = draft.TtlSeconds,
            ["metadata"] = JsonNode.Parse(draft.Metadata.Json),
        }),
        draft.Metadata.Text("agent_id"));

    public static PendingRequest OfUpdate(string id, MemoryPatch patch) => new(
        Update,
        id,
        Element(new()
        {
            ["title"] = patch.Title,
            ["content"] = patch.Content,
            ["tier"] = patch.Tier?.Name(),
            ["namespace"] = patch.Namespace,
            ["tags"] = patch.Tags is null ? null : Array(patch.Tags),
            ["priority"] = patch.Priority,
            ["confidence"] = patch.Confidence,
            ["expires_at"] = patch.ClearExpiry ? "" : patch.ExpiresAt,
            ["metadata"] = patch.Metadata is null ? null : JsonNode.Parse(patch.Metadata.Json),
        }),
        null);

    public static PendingRequest Of(string actionType, string id) => new(actionType, id, Element(new() { ["id"] = id }), null);

    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/></exception>
    public static MemoryDraft ReadStore(JsonElement payload) => Read(payload, static fields => new MemoryDraft
    {
        Title = Text(fields, "title") ?? throw ByteReader.Malformed(),
        Content = Text(fields, "content") ?? throw ByteReader.Malformed(),
        Tier = Text(fields, "tier") is { } tier ? TierNames.Parse(tier) : Tier.Mid,
        Namespace = Text(fields, "namespace") ?? ClosedSets.DefaultNamespace,
        Tags = Texts(fields, "tags") ?? [],
        Priority = fields.TryGetProperty("priority", out var priority) ? priority.GetInt32() : 5,
        Confidence = fields.TryGetProperty("confidence", out var confidence) ? confidence.GetDouble() : 1.0,
        Source = Text(fields, "source") ?? "api",

        // What has ended while it waited has no instant any more.
        ExpiresAt = Text(fields, "expires_at"),
        TtlSeconds = fields.TryGetProperty("ttl_secs", out var ttl) && ttl.ValueKind == JsonValueKind.Number ? ttl.GetInt64() : null,
        Metadata = fields.TryGetProperty("metadata", out var metadata) && metadata.ValueKind == JsonValueKind.Object ? Metadata.From(metadata) : Metadata.Empty,
        AgentId = Text(fields, "agent_id"),
        Scope = Text(fields, "scope"),
    });

    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/></exception>
    public static MemoryPatch ReadUpdate(JsonElement payload) => Read(payload, static fields => new MemoryPatch
    {
        Title = Text(fields, "title"),
        Content = Text(fields, "content"),
        Tier = Text(fields, "tier") is { } tier ? TierNames.Parse(tier) : null,
        Namespace = Text(fields, "namespace"),
        Tags = Texts(fields, "tags"),
        Priority = fields.TryGetProperty("priority", out var priority) ? priority.GetInt32() : null,
        Confidence = fields.TryGetProperty("confidence", out var confidence) ? confidence.GetDouble() : null,
        ExpiresAt = Text(fields, "expires_at"),
        Metadata = fields.TryGetProperty("metadata", out var metadata) ? Metadata.From(metadata) : null,
    });

    private static T Read<T>(JsonElement payload, Func<JsonElement, T> read)
    {
        try
        {
            return read(payload);
        }
        catch (Exception exception) when (exception is InvalidOperationException or FormatException)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, "the pending action holds a request that cannot be read", exception);
        }
    }

    /// <summary>Without what is null.</summary>
    private static JsonElement Element(JsonObject fields)
    {
        foreach (var name in fields.Where(static field => field.Value is null).Select(static field => field.Key).ToList())
        {
            fields.Remove(name);
        }

        using var document = JsonDocument.Parse(fields.ToJsonString());
        return document.RootElement.Clone();
    }

    private static JsonArray Array(IEnumerable<string> texts) => [.. texts.Select(static text => (JsonNode)text)];

    private static string? Text(JsonElement fields, string name) => fields.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static IReadOnlyList<string>? Texts(JsonElement fields, string name) =>
        fields.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray().Select(static item => item.GetString() ?? "")] : null;
}
