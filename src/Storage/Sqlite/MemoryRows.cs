using System.Buffers;
using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>The one mapping of a row of <c>memory</c> to what its readers see.</summary>
internal static class MemoryRows
{
    /// <summary>What <see cref="Read"/> expects, in its order.</summary>
    public const string Columns =
        "id, tier, namespace, title, content, tags, priority, confidence, source, access_count, created_at, updated_at, last_accessed_at, expires_at, metadata";

    public const int ColumnCount = 15;

    public static Memory Read(SqliteStatement statement, int firstColumn) => new()
    {
        Id = statement.Text(firstColumn),
        Tier = (Tier)statement.Integer(firstColumn + 1),
        Namespace = statement.Text(firstColumn + 2),
        Title = statement.Text(firstColumn + 3),
        Content = statement.Text(firstColumn + 4),
        Tags = Tags(statement.Text(firstColumn + 5)),
        Priority = (int)statement.Integer(firstColumn + 6),
        Confidence = statement.Real(firstColumn + 7),
        Source = statement.Text(firstColumn + 8),
        AccessCount = statement.Integer(firstColumn + 9),
        CreatedAt = new(statement.Integer(firstColumn + 10)),
        UpdatedAt = new(statement.Integer(firstColumn + 11)),
        LastAccessedAt = statement.IntegerOrNull(firstColumn + 12) is { } accessed ? new Timestamp(accessed) : null,
        ExpiresAt = statement.IntegerOrNull(firstColumn + 13) is { } expires ? new Timestamp(expires) : null,
        Metadata = Metadata.FromCanonical(statement.Text(firstColumn + 14)),
    };

    /// <summary>The tags of the column's JSON array.</summary>
    public static IReadOnlyList<string> Tags(string json) => json == "[]" ? [] : JsonSerializer.Deserialize<string[]>(json) ?? [];

    /// <summary>What the column holds for these tags.</summary>
    public static string TagsText(IReadOnlyList<string> tags)
    {
        if (tags.Count == 0)
        {
            return "[]";
        }

        var buffer = new ArrayBufferWriter<byte>(64);
        using (var writer = new Utf8JsonWriter(buffer, new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartArray();
            foreach (var tag in tags)
            {
                writer.WriteStringValue(tag);
            }

            writer.WriteEndArray();
        }

        return System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
