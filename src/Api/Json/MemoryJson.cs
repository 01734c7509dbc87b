using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Json;

/// <summary>What some routes say beside the fifteen fields of a memory; null or false: not said.</summary>
internal readonly record struct MemoryExtras(
    string? AgentId = null,
    double? Score = null,
    bool Promoted = false,
    MemoryWithLinks? Whole = null,
    WriteReceipt? Receipt = null,
    SimilarIds? Similar = null,
    IReadOnlyList<Link>? Links = null);

/// <param name="Ids">Null: nobody looked.</param>
internal readonly record struct SimilarIds(IReadOnlyList<string>? Ids);

/// <summary>Writes memories and links: keys in alphabetical order, absent instants left out, metadata as it is stored.</summary>
internal static class MemoryJson
{
    private static readonly JsonEncodedText AccessCount = JsonEncodedText.Encode("access_count");
    private static readonly JsonEncodedText AgentId = JsonEncodedText.Encode("agent_id");
    private static readonly JsonEncodedText Confidence = JsonEncodedText.Encode("confidence");
    private static readonly JsonEncodedText Content = JsonEncodedText.Encode("content");
    private static readonly JsonEncodedText CreatedAt = JsonEncodedText.Encode("created_at");
    private static readonly JsonEncodedText ExpiresAt = JsonEncodedText.Encode("expires_at");
    private static readonly JsonEncodedText Id = JsonEncodedText.Encode("id");
    private static readonly JsonEncodedText LastAccessedAt = JsonEncodedText.Encode("last_accessed_at");
    private static readonly JsonEncodedText LinksName = JsonEncodedText.Encode("links");
    private static readonly JsonEncodedText MemoryName = JsonEncodedText.Encode("memory");
    private static readonly JsonEncodedText MetadataName = JsonEncodedText.Encode("metadata");
    private static readonly JsonEncodedText Namespace = JsonEncodedText.Encode("namespace");
    private static readonly JsonEncodedText Priority = JsonEncodedText.Encode("priority");
    private static readonly JsonEncodedText Promoted = JsonEncodedText.Encode("promoted");
    private static readonly JsonEncodedText Relation = JsonEncodedText.Encode("relation");
    private static readonly JsonEncodedText Score = JsonEncodedText.Encode("score");
    private static readonly JsonEncodedText Source = JsonEncodedText.Encode("source");
    private static readonly JsonEncodedText SourceId = JsonEncodedText.Encode("source_id");
    private static readonly JsonEncodedText Tags = JsonEncodedText.Encode("tags");
    private static readonly JsonEncodedText TargetId = JsonEncodedText.Encode("target_id");
    private static readonly JsonEncodedText TierName = JsonEncodedText.Encode("tier");
    private static readonly JsonEncodedText Title = JsonEncodedText.Encode("title");
    private static readonly JsonEncodedText UpdatedAt = JsonEncodedText.Encode("updated_at");

    public static void Write(Utf8JsonWriter writer, Memory memory, MemoryExtras extras = default)
    {
        writer.WriteStartObject();
        writer.WriteNumber(AccessCount, memory.AccessCount);
        if (extras.AgentId is not null)
        {
            writer.WriteString(AgentId, extras.AgentId);
        }

        writer.WritePropertyName(Confidence);
        WriteReal(writer, memory.Confidence);
        writer.WriteString(Content, memory.Content);
        if (extras.Similar is { Ids: null })
        {
            writer.WriteBoolean("contradictions_checked"u8, false);
        }

        var createdAt = memory.CreatedAt.ToString();
        writer.WriteString(CreatedAt, createdAt);
        var receipt = extras.Receipt;
        QuorumJson.WriteDurability(writer, receipt?.Quorum, receipt?.Durability ?? "");

        if (memory.ExpiresAt is { } expiresAt)
        {
            writer.WriteString(ExpiresAt, expiresAt.ToString());
        }

        writer.WriteString(Id, memory.Id);
        if (memory.LastAccessedAt is { } lastAccessedAt)
        {
            writer.WriteString(LastAccessedAt, lastAccessedAt.ToString());
        }

        if (extras.Whole is { } whole)
        {
            writer.WritePropertyName(LinksName);
            WriteLinks(writer, whole.Links);
            writer.WritePropertyName(MemoryName);
            Write(writer, whole.Memory);
        }
        else if (extras.Links is { } links)
        {
            writer.WritePropertyName(LinksName);
            WriteLinks(writer, links);
        }

        writer.WritePropertyName(MetadataName);
        writer.WriteRawValue(memory.Metadata.Json, skipInputValidation: true);
        writer.WriteString(Namespace, memory.Namespace);
        if (extras.Similar is { } found)
        {
            WriteSimilar(writer, found.Ids);
        }

        writer.WriteNumber(Priority, memory.Priority);
        if (extras.Promoted)
        {
            writer.WriteBoolean(Promoted, true);
        }

        QuorumJson.WriteAcks(writer, receipt?.Quorum);
        if (extras.Score is { } score)
        {
            writer.WritePropertyName(Score);
            WriteReal(writer, Math.Round(score, 3, MidpointRounding.AwayFromZero));
        }

        writer.WriteString(Source, memory.Source);
        QuorumJson.WriteStamp(writer, receipt?.Quorum, receipt?.Stamp ?? default);
        writer.WriteStartArray(Tags);
        foreach (var tag in memory.Tags)
        {
            writer.WriteStringValue(tag);
        }

        writer.WriteEndArray();
        writer.WriteString(TierName, memory.Tier.Name());
        writer.WriteString(Title, memory.Title);
        writer.WriteString(UpdatedAt, memory.UpdatedAt == memory.CreatedAt ? createdAt : memory.UpdatedAt.ToString());
        writer.WriteEndObject();
    }

    /// <summary>As clients know archived rows: tags as JSON in a string, and null where other answers leave an instant out. The tags are in <c>tag_list</c> too.</summary>
    public static void Write(Utf8JsonWriter writer, ArchivedMemory archived)
    {
        var memory = archived.Memory;
        writer.WriteStartObject();
        writer.WriteNumber(AccessCount, memory.AccessCount);
        writer.WriteString("archive_reason"u8, archived.Reason);
        writer.WriteString("archived_at"u8, archived.ArchivedAt.ToString());
        writer.WritePropertyName(Confidence);
        WriteReal(writer, memory.Confidence);
        writer.WriteString(Content, memory.Content);
        writer.WriteString(CreatedAt, memory.CreatedAt.ToString());
        writer.WriteString(ExpiresAt, memory.ExpiresAt?.ToString());
        writer.WriteString(Id, memory.Id);
        writer.WriteString(LastAccessedAt, memory.LastAccessedAt?.ToString());
        writer.WritePropertyName(MetadataName);
        writer.WriteRawValue(memory.Metadata.Json, skipInputValidation: true);
        writer.WriteString(Namespace, memory.Namespace);
        writer.WriteNumber(Priority, memory.Priority);
        writer.WriteString(Source, memory.Source);
        writer.WriteStartArray("tag_list"u8);
        foreach (var tag in memory.Tags)
        {
            writer.WriteStringValue(tag);
        }

        writer.WriteEndArray();
        writer.WriteString(Tags, JsonSerializer.Serialize(memory.Tags, StringsJson.Relaxed.IReadOnlyListString));
        writer.WriteString(TierName, memory.Tier.Name());
        writer.WriteString(Title, memory.Title);
        writer.WriteString(UpdatedAt, memory.UpdatedAt.ToString());
        writer.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter writer, Link link)
    {
        writer.WriteStartObject();
        writer.WriteString(CreatedAt, link.CreatedAt.ToString());
        writer.WriteString(Relation, link.Relation);
        writer.WriteString(SourceId, link.SourceId);
        writer.WriteString(TargetId, link.TargetId);
        writer.WriteEndObject();
    }

    /// <summary>The answer to a request for a link.</summary>
    public static void Write(Utf8JsonWriter writer, LinkReceipt receipt)
    {
        writer.WriteStartObject();
        writer.WriteString(CreatedAt, receipt.Link.CreatedAt.ToString());
        QuorumJson.WriteDurability(writer, receipt.Quorum, receipt.Durability);
        writer.WriteBoolean("linked"u8, true);
        QuorumJson.WriteAcks(writer, receipt.Quorum);
        writer.WriteString(Relation, receipt.Link.Relation);
        writer.WriteString(SourceId, receipt.Link.SourceId);
        QuorumJson.WriteStamp(writer, receipt.Quorum, receipt.Stamp);
        writer.WriteString(TargetId, receipt.Link.TargetId);
        writer.WriteEndObject();
    }

    /// <summary>Not said where there are none.</summary>
    public static void WriteSimilar(Utf8JsonWriter writer, IReadOnlyList<string>? ids)
    {
        if (ids is { Count: > 0 })
        {
            writer.WriteStartArray("potential_contradictions"u8);
            foreach (var id in ids)
            {
                writer.WriteStringValue(id);
            }

            writer.WriteEndArray();
        }
    }

    public static void WriteLinks(Utf8JsonWriter writer, IReadOnlyList<Link> links)
    {
        writer.WriteStartArray();
        foreach (var link in links)
        {
            Write(writer, link);
        }

        writer.WriteEndArray();
    }

    public static void WriteAll(Utf8JsonWriter writer, IReadOnlyList<Memory> memories)
    {
        writer.WriteStartArray();
        foreach (var memory in memories)
        {
            Write(writer, memory);
        }

        writer.WriteEndArray();
    }

    /// <summary>A whole value keeps its fraction (<c>1.0</c>), so that readers with types see one type.</summary>
    internal static void WriteReal(Utf8JsonWriter writer, double value)
    {
        if (value == Math.Truncate(value) && Math.Abs(value) < 1e15)
        {
            Span<byte> text = stackalloc byte[24];
            ((long)value).TryFormat(text, out var length, default, CultureInfo.InvariantCulture);
            ".0"u8.CopyTo(text[length..]);
            writer.WriteRawValue(text[..(length + 2)], skipInputValidation: true);
        }
        else
        {
            writer.WriteNumberValue(value);
        }
    }
}

[JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class StringsJson : JsonSerializerContext
{
    public static StringsJson Relaxed { get; } = new(new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
