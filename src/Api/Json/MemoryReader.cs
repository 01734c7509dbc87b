using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Json;

/// <param name="Memory">Null when <paramref name="Broken"/> tells why the row cannot be taken.</param>
internal readonly record struct ImportRow(string Id, Memory? Memory, MemoryException? Broken);

internal readonly record struct ImportBody(List<ImportRow> Rows, List<Link> Links);

/// <summary>Reads the document that an export writes. Every field of a memory is required but the two that may be absent.</summary>
internal static class MemoryReader
{
    /// <exception cref="MemoryException">More than 1,000 memories: <see cref="ErrorKind.BatchTooLarge"/>.</exception>
    public static ImportBody ReadDocument(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "body");
        List<ImportRow>? rows = null;
        List<Link> links = [];
        while (JsonFields.NextProperty(ref reader))
        {
            if (reader.ValueTextEquals("memories"u8))
            {
                reader.Read();
                rows = ReadMemories(ref reader, $"too many memories: at most {MemoryLimits.BatchRows} in one request");
            }
            else if (reader.ValueTextEquals("links"u8))
            {
                reader.Read();
                if (reader.TokenType != JsonTokenType.Null)
                {
                    links = ReadLinks(ref reader);
                }
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        return new(rows ?? throw JsonFields.Missing("memories"), links);
    }

    /// <param name="tooMany">What the error says of more than 1,000.</param>
    public static List<ImportRow> ReadMemories(ref Utf8JsonReader reader, string tooMany)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw JsonFields.WrongType(ref reader, "memories", "an array");
        }

        var rows = new List<ImportRow>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (rows.Count == MemoryLimits.BatchRows)
            {
                throw new MemoryException(ErrorKind.BatchTooLarge, tooMany);
            }

            rows.Add(ReadMemory(ref reader));
        }

        return rows;
    }

    private static ImportRow ReadMemory(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "memory");
        string? id = null, @namespace = null, title = null, content = null, source = null;
        string? createdAt = null, updatedAt = null, lastAccessedAt = null, expiresAt = null;
        Tier? tier = null;
        IReadOnlyList<string>? tags = null;
        int? priority = null;
        double? confidence = null;
        long? accessCount = null;
        var metadata = Metadata.Empty;
        MemoryException? broken = null;
        while (JsonFields.NextProperty(ref reader))
        {
            var field = reader.GetString()!;
            reader.Read();
            switch (field)
            {
                case "id":
                    id = JsonFields.Text(ref reader, field);
                    break;
                case "tier":
                    tier = JsonFields.Tier(ref reader, field);
                    break;
                case "namespace":
                    @namespace = JsonFields.Text(ref reader, field);
                    break;
                case "title":
                    title = JsonFields.Text(ref reader, field);
                    break;
                case "content":
                    content = JsonFields.Text(ref reader, field);
                    break;
                case "tags":
                    tags = JsonFields.Texts(ref reader, field);
                    break;
                case "priority":
                    priority = JsonFields.Integer(ref reader, field);
                    break;
                case "confidence":
                    confidence = JsonFields.Number(ref reader, field);
                    break;
                case "source":
                    source = JsonFields.Text(ref reader, field);
                    break;
                case "access_count":
                    accessCount = JsonFields.LongInteger(ref reader, field);
                    break;
                case "created_at":
                    createdAt = JsonFields.Text(ref reader, field);
                    break;
                case "updated_at":
                    updatedAt = JsonFields.Text(ref reader, field);
                    break;
                case "last_accessed_at":
                    lastAccessedAt = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "expires_at":
                    expiresAt = JsonFields.TextOrNull(ref reader, field);
                    break;
                case "metadata":
                    metadata = JsonFields.Metadata(ref reader, out broken);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        var known = id ?? throw JsonFields.Missing("id");
        _ = createdAt ?? throw JsonFields.Missing("created_at");
        _ = updatedAt ?? throw JsonFields.Missing("updated_at");
        var memory = new Memory
        {
            Id = known,
            Tier = tier ?? throw JsonFields.Missing("tier"),
            Namespace = @namespace ?? throw JsonFields.Missing("namespace"),
            Title = title ?? throw JsonFields.Missing("title"),
            Content = content ?? throw JsonFields.Missing("content"),
            Tags = tags ?? throw JsonFields.Missing("tags"),
            Priority = priority ?? throw JsonFields.Missing("priority"),
            Confidence = confidence ?? throw JsonFields.Missing("confidence"),
            Source = source ?? throw JsonFields.Missing("source"),
            AccessCount = accessCount ?? throw JsonFields.Missing("access_count"),
            CreatedAt = default,
            UpdatedAt = default,
            Metadata = metadata,
        };
        if (broken is not null)
        {
            return new(known, null, broken);
        }

        try
        {
            return new(known, memory with
            {
                CreatedAt = MemoryRules.Instant("created_at", createdAt),
                UpdatedAt = MemoryRules.Instant("updated_at", updatedAt),
                LastAccessedAt = lastAccessedAt is null ? null : MemoryRules.Instant("last_accessed_at", lastAccessedAt),
                ExpiresAt = expiresAt is null ? null : MemoryRules.Instant("expires_at", expiresAt),
            }, null);
        }
        catch (MemoryException exception)
        {
            return new(known, null, exception);
        }
    }

    private static List<Link> ReadLinks(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw JsonFields.WrongType(ref reader, "links", "an array");
        }

        var links = new List<Link>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            JsonFields.Object(ref reader, "link");
            string? source = null, target = null, relation = null, createdAt = null;
            while (JsonFields.NextProperty(ref reader))
            {
                var field = reader.GetString()!;
                reader.Read();
                switch (field)
                {
                    case "source_id":
                        source = JsonFields.Text(ref reader, field);
                        break;
                    case "target_id":
                        target = JsonFields.Text(ref reader, field);
                        break;
                    case "relation":
                        relation = JsonFields.Text(ref reader, field);
                        break;
                    case "created_at":
                        createdAt = JsonFields.Text(ref reader, field);
                        break;
                    default:
                        reader.Skip();
                        break;
                }
            }

            links.Add(new(
                source ?? throw JsonFields.Missing("source_id"),
                target ?? throw JsonFields.Missing("target_id"),
                relation ?? throw JsonFields.Missing("relation"),
                MemoryRules.Instant("created_at", createdAt ?? throw JsonFields.Missing("created_at"))));
        }

        return links;
    }
}
