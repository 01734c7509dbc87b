using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>Key: source, relation and target. Owner: source. Target: target.</summary>
public sealed record LinkBody(long CreatedAt);

/// <summary>
/// Key: memory id and the log that counted, or <see cref="EntryBodies.LegacyCounter"/>. Owner: memory id. Absolute values, merged by maximum,
/// summed over the keys of a memory on read.
/// </summary>
public sealed record AccessBody(long Count, long? LastAccessedAt);

/// <summary>Key and owner: namespace.</summary>
public sealed record StandardBody(string StandardId, string? ParentNamespace, long UpdatedAt);

/// <summary>
/// Key and owner: namespace. <c>quorum_writes</c>: nodes that must hold a write of the namespace and of those below it; null: as the
/// nearest namespace above says. Rules are any, registered, owner or approve; the approver is human, {"agent":id} or {"consensus":n}.
/// Owner: the agent that set the rules; null: the author of the namespace's standard.
/// </summary>
public sealed record PolicyBody(string? Write, string? Promote, string? Delete, JsonElement? Approver, int? QuorumWrites, string? Owner = null)
{
    public static PolicyBody Empty { get; } = new(null, null, null, null, null);
}

/// <summary>Key: pending id. Owner: namespace. Decided by the node that began it. Result: the memory that it made or changed, once it was carried out.</summary>
public sealed record PendingActionBody(
    string ActionType,
    string? MemoryId,
    string Namespace,
    JsonElement Payload,
    string RequestedBy,
    long RequestedAt,
    string Status,
    string? DecidedBy,
    long? DecidedAt,
    string OriginNode,
    string? Result = null);

/// <summary>Key: pending id and voter. Owner: pending id.</summary>
public sealed record VoteBody(bool Approve, long At);

/// <summary>Key and owner: agent id.</summary>
public sealed record AgentBody(string AgentType, IReadOnlyList<string> Capabilities, long RegisteredAt, long LastSeenAt);

/// <summary>
/// Key: subscription id. Owner: the agent that made it. Secret: as it was given, for those who sign with it and not with its hash. IsBound: the agent had a
/// credential, and hears only of what it may see; Place: of that credential.
/// </summary>
public sealed record SubscriptionBody(
    string Url,
    IReadOnlyList<string> Events,
    string? SecretHash,
    string? NamespaceFilter,
    string? AgentFilter,
    string SignatureScheme,
    long CreatedAt,
    string? Secret = null,
    bool? IsBound = null,
    string? Place = null);

/// <summary>Key: subscription id and log. Owner: subscription id. Up to which row of the log the subscriber was told, by the node that writes it.</summary>
/// <param name="Dead">Events that were given up; the latest of them are in <paramref name="DeadLetters"/>.</param>
public sealed record DeliveryBody(long Through, long Delivered, long Dead, long? LastDeliveredAt, IReadOnlyList<UndeliveredEvent> DeadLetters);

/// <summary>What a subscriber did not take, and why.</summary>
public sealed record UndeliveredEvent(string Position, string Event, string MemoryId, string Error, long At);

/// <summary>Key: message id. Owner: the recipient.</summary>
public sealed record MessageBody(
    string From,
    string Subject,
    string Text,
    int Priority,
    Tier Tier,
    long CreatedAt,
    long? ExpiresAt,
    string? MemoryId,
    JsonElement? Payload);

/// <summary>Key: message id. Owner: the recipient. Present: read.</summary>
public sealed record MessageReadBody(long ReadAt);

/// <summary>Key: the id derived from agent and idempotency key. Owner: the memory that the first request made or changed.</summary>
/// <param name="RequestHash">SHA-256 of the request, hex: another request under the same key is refused.</param>
public sealed record IdempotencyReceiptBody(string RequestHash, bool Created);

/// <summary>Key and owner: namespace. The entry's stamp is the epoch; the newest one holds.</summary>
/// <param name="Node">Where its writes are decided.</param>
public sealed record EpochBody(string Node);

/// <summary>Key: the curation's id. Owner: the namespace of what it made. What it takes to undo it.</summary>
/// <param name="SourceIds">The memories that were told as one, as they were shown.</param>
/// <param name="ArchivedIds">Every id that was archived: those of one name together.</param>
/// <param name="ResultId">The memory that it made, or the one that it changed.</param>
/// <param name="TakenLinks">Keys of the links that the new memory took over.</param>
/// <param name="Run">Of the curator; null: somebody asked for this alone.</param>
/// <param name="PriorityBefore">Of an adjusted priority, as <paramref name="PriorityAfter"/>.</param>
public sealed record CurationBody(
    string Action,
    string ResultId,
    IReadOnlyList<string> SourceIds,
    IReadOnlyList<string> ArchivedIds,
    IReadOnlyList<string> TakenLinks,
    string By,
    long At,
    long? UndoneAt,
    string? Run = null,
    int? PriorityBefore = null,
    int? PriorityAfter = null)
{
    public const string Consolidate = "consolidate";
    public const string Forget = "forget";
    public const string AdjustPriority = "priority_adjust";

    public static IReadOnlyList<string> Actions { get; } = [Consolidate, Forget, AdjustPriority];
}

/// <summary>Key: memory id and agent. Owner: the memory. Target: the agent. Permission: as <see cref="Governance.Permissions"/> names it.</summary>
public sealed record GrantBody(string Permission, string By, long At);

/// <summary>The JSON bodies of <see cref="EntryState"/>, snake_case, nulls left out.</summary>
public static class EntryBodies
{
    /// <summary>The counter of accesses that were counted elsewhere, before a memory was imported.</summary>
    public const string LegacyCounter = "legacy";

    /// <summary>A webhook is signed over its timestamp, a dot, and its body.</summary>
    public const string TimestampedBodySignature = "timestamp.body";

    private const char Separator = '\n';

    public static EntryKey LinkKey(string source, string relation, string target) =>
        new(MutationKind.Link, string.Join(Separator, source, relation, target));

    public static EntryKey AccessKey(string memoryId, LogId log) => new(MutationKind.Access, string.Join(Separator, memoryId, log.ToString()));

    public static EntryKey LegacyAccessKey(string memoryId) => new(MutationKind.Access, string.Join(Separator, memoryId, LegacyCounter));

    public static bool IsLegacyCounter(EntryKey key) => key.Key.EndsWith($"{Separator}{LegacyCounter}", StringComparison.Ordinal);

    public static EntryKey VoteKey(string pendingId, string voter) => new(MutationKind.Vote, string.Join(Separator, pendingId, voter));

    public static string Voter(EntryKey vote) => vote.Key[(vote.Key.IndexOf(Separator, StringComparison.Ordinal) + 1)..];

    public static EntryKey SubscriptionKey(string id) => new(MutationKind.Subscription, id);

    public static EntryKey DeliveryKey(string subscriptionId, LogId log) => new(MutationKind.Delivery, string.Join(Separator, subscriptionId, log.ToString()));

    public static EntryKey CurationKey(string id) => new(MutationKind.Curation, id);

    public static EntryKey MessageKey(string id) => new(MutationKind.Message, id);

    public static EntryKey MessageReadKey(string id) => new(MutationKind.MessageRead, id);

    public static EntryKey GrantKey(string memoryId, string agentId) => new(MutationKind.Grant, string.Join(Separator, memoryId, agentId));

    public static EntryKey PendingKey(string id) => new(MutationKind.PendingAction, id);

    public static EntryKey EpochKey(string @namespace) => new(MutationKind.NamespaceEpoch, @namespace);

    public static EntryKey AgentKey(string agentId) => new(MutationKind.Agent, agentId);

    public static EntryKey StandardKey(string @namespace) => new(MutationKind.Standard, @namespace);

    public static EntryKey PolicyKey(string @namespace) => new(MutationKind.Policy, @namespace);

    /// <summary>The link that an entry holds.</summary>
    public static Link Link(EntryState entry) =>
        new(entry.Owner, entry.Target ?? "", entry.Key.Key.Split(Separator)[1], new(Decode(entry.Body, EntryJson.Default.LinkBody).CreatedAt));

    public static AccessBody Access(ReadOnlyMemory<byte> body) => Decode(body, EntryJson.Default.AccessBody);

    public static byte[] Encode(AccessBody body) => JsonSerializer.SerializeToUtf8Bytes(body, EntryJson.Default.AccessBody);

    public static byte[] Encode(LinkBody body) => JsonSerializer.SerializeToUtf8Bytes(body, EntryJson.Default.LinkBody);

    public static PolicyBody Policy(ReadOnlyMemory<byte> body) => Decode(body, EntryJson.Default.PolicyBody);

    public static byte[] Encode(EpochBody body) => JsonSerializer.SerializeToUtf8Bytes(body, EntryJson.Default.EpochBody);

    public static byte[] Encode(PolicyBody body) => JsonSerializer.SerializeToUtf8Bytes(body, EntryJson.Default.PolicyBody);

    public static byte[] Encode(IdempotencyReceiptBody body) => JsonSerializer.SerializeToUtf8Bytes(body, EntryJson.Default.IdempotencyReceiptBody);

    public static IdempotencyReceiptBody Receipt(ReadOnlyMemory<byte> body) => Decode(body, EntryJson.Default.IdempotencyReceiptBody);

    public static byte[] Encode<T>(T body, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(body, type);

    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/></exception>
    public static T Decode<T>(ReadOnlyMemory<byte> body, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(body.Span, type) ?? throw ByteReader.Malformed();
        }
        catch (JsonException)
        {
            throw ByteReader.Malformed();
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LinkBody))]
[JsonSerializable(typeof(AccessBody))]
[JsonSerializable(typeof(StandardBody))]
[JsonSerializable(typeof(PolicyBody))]
[JsonSerializable(typeof(PendingActionBody))]
[JsonSerializable(typeof(VoteBody))]
[JsonSerializable(typeof(AgentBody))]
[JsonSerializable(typeof(SubscriptionBody))]
[JsonSerializable(typeof(MessageBody))]
[JsonSerializable(typeof(MessageReadBody))]
[JsonSerializable(typeof(IdempotencyReceiptBody))]
[JsonSerializable(typeof(EpochBody))]
[JsonSerializable(typeof(CurationBody))]
[JsonSerializable(typeof(DeliveryBody))]
[JsonSerializable(typeof(GrantBody))]
public sealed partial class EntryJson : JsonSerializerContext;
