using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Json;

/// <param name="Draft">Without identity rules applied: <see cref="MemoryDraft.AgentId"/> is the body's own.</param>
/// <param name="Broken">The metadata cannot be taken; reported after the rules that come before it.</param>
internal readonly record struct DraftBody(MemoryDraft Draft, MemoryException? Broken)
{
    /// <param name="draft">As it is to be stored.</param>
    /// <exception cref="MemoryException">The metadata cannot be taken, or a rule that comes before it is broken.</exception>
    public void RequireMetadata(MemoryDraft draft, TimeProvider time)
    {
        if (Broken is { } broken)
        {
            MemoryRules.Check(draft, Timestamp.Now(time));
            throw broken;
        }
    }
}

/// <summary>Reads bodies that ask for a new memory. Null is taken only for expires_at, ttl_secs, agent_id and scope.</summary>
internal static class DraftReader
{
    public static DraftBody Read(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "memory");
        string? title = null;
        string? content = null;
        var tier = Tier.Mid;
        var @namespace = ClosedSets.DefaultNamespace;
        IReadOnlyList<string> tags = [];
        var priority = 5;
        var confidence = 1.0;
        var source = "api";
        string? expiresAt = null;
        long? ttlSeconds = null;
        var metadata = Metadata.Empty;
        MemoryException? broken = null;
        string? agentId = null;
        string? scope = null;
        while (JsonFields.NextProperty(ref reader))
        {
            if (reader.ValueTextEquals("title"u8))
            {
                reader.Read();
                title = JsonFields.Text(ref reader, "title");
            }
            else if (reader.ValueTextEquals("content"u8))
            {
                reader.Read();
                content = JsonFields.Text(ref reader, "content");
            }
            else if (reader.ValueTextEquals("namespace"u8))
            {
                reader.Read();
                @namespace = JsonFields.Text(ref reader, "namespace");
            }
            else if (reader.ValueTextEquals("tier"u8))
            {
                reader.Read();
                tier = JsonFields.Tier(ref reader, "tier");
            }
            else if (reader.ValueTextEquals("tags"u8))
            {
                reader.Read();
                tags = JsonFields.Texts(ref reader, "tags");
            }
            else if (reader.ValueTextEquals("priority"u8))
            {
                reader.Read();
                priority = JsonFields.Integer(ref reader, "priority");
            }
            else if (reader.ValueTextEquals("confidence"u8))
            {
                reader.Read();
                confidence = JsonFields.Number(ref reader, "confidence");
            }
            else if (reader.ValueTextEquals("source"u8))
            {
                reader.Read();
                source = JsonFields.Text(ref reader, "source");
            }
            else if (reader.ValueTextEquals("metadata"u8))
            {
                reader.Read();
                metadata = JsonFields.Metadata(ref reader, out broken);
            }
            else if (reader.ValueTextEquals("agent_id"u8))
            {
                reader.Read();
                agentId = JsonFields.TextOrNull(ref reader, "agent_id");
            }
            else if (reader.ValueTextEquals("expires_at"u8))
            {
                reader.Read();
                expiresAt = JsonFields.TextOrNull(ref reader, "expires_at");
            }
            else if (reader.ValueTextEquals("ttl_secs"u8))
            {
                reader.Read();
                ttlSeconds = reader.TokenType == JsonTokenType.Null ? null : JsonFields.LongInteger(ref reader, "ttl_secs");
            }
            else if (reader.ValueTextEquals("scope"u8))
            {
                reader.Read();
                scope = JsonFields.TextOrNull(ref reader, "scope");
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        var draft = new MemoryDraft
        {
            Title = title ?? throw JsonFields.Missing("title"),
            Content = content ?? throw JsonFields.Missing("content"),
            Tier = tier,
            Namespace = @namespace,
            Tags = tags,
            Priority = priority,
            Confidence = confidence,
            Source = source,
            ExpiresAt = expiresAt,
            TtlSeconds = ttlSeconds,
            Metadata = metadata,
            AgentId = agentId,
            Scope = scope,
        };
        return new(draft, broken);
    }

    /// <summary>An array of bodies, or an object with one under <c>memories</c>.</summary>
    /// <exception cref="MemoryException">More than 1,000 rows: <see cref="ErrorKind.BatchTooLarge"/>.</exception>
    public static List<DraftBody> ReadMany(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.StartArray)
        {
            return ReadArray(ref reader);
        }

        JsonFields.Object(ref reader, "body");
        List<DraftBody>? drafts = null;
        while (JsonFields.NextProperty(ref reader))
        {
            var wanted = reader.ValueTextEquals("memories"u8);
            reader.Read();
            if (wanted)
            {
                drafts = ReadArray(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        return drafts ?? throw JsonFields.Missing("memories");
    }

    private static List<DraftBody> ReadArray(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw JsonFields.WrongType(ref reader, "memories", "an array");
        }

        var drafts = new List<DraftBody>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (drafts.Count == MemoryLimits.BatchRows)
            {
                throw new MemoryException(ErrorKind.BatchTooLarge, $"too many memories: at most {MemoryLimits.BatchRows} in one request");
            }

            drafts.Add(Read(ref reader));
        }

        return drafts;
    }
}
