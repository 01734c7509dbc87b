using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>A row of table <c>memory</c> as a value and back.</summary>
internal static class MemoryRows
{
    /// <summary>What <see cref="Read"/> reads, in its order.</summary>
    public const string Columns =
        "id, tier, namespace, title, content, tags, priority, confidence, source, access_count, created_at, updated_at, last_accessed_at, expires_at, metadata";

    /// <summary>What <see cref="ReadRow"/> reads, in its order.</summary>
    public const string RowColumns = Columns + ", row, state, touches, own, hash";

    public const int ColumnCount = 15;

    /// <summary>The memory as its readers see it.</summary>
    public static Memory Read(SqliteStatement statement, int firstColumn) => new()
    {
        Id = statement.Text(firstColumn),
        Tier = (Tier)statement.Integer(firstColumn + 1),
        Namespace = statement.Text(firstColumn + 2),
        Title = statement.Text(firstColumn + 3),
        Content = statement.Text(firstColumn + 4),
        Tags = ParseTags(statement.Text(firstColumn + 5)),
        Priority = (int)statement.Integer(firstColumn + 6),
        Confidence = statement.Real(firstColumn + 7),
        Source = statement.Text(firstColumn + 8),
        AccessCount = statement.Integer(firstColumn + 9),
        CreatedAt = new(statement.Integer(firstColumn + 10)),
        UpdatedAt = new(statement.Integer(firstColumn + 11)),
        LastAccessedAt = Instant(statement, firstColumn + 12),
        ExpiresAt = Instant(statement, firstColumn + 13),
        Metadata = Metadata.FromCanonical(statement.Text(firstColumn + 14)),
    };

    /// <summary>The whole row.</summary>
    public static MemoryRow ReadRow(SqliteStatement statement)
    {
        var view = Read(statement, 0);
        return new(
            statement.Integer(ColumnCount),
            MemoryCodec.DecodeBeside(statement.Blob(ColumnCount + 3).ToArray(), view),
            view,
            (RowVisibility)statement.Integer(ColumnCount + 1),
            new(view.AccessCount, statement.Integer(ColumnCount + 2), view.LastAccessedAt),
            ParseHash(statement.Blob(ColumnCount + 4)));
    }

    public static string FormatTags(IReadOnlyList<string> tags) => tags.Count == 0 ? "[]" : JsonSerializer.Serialize(tags, TagsJson.Relaxed.IReadOnlyListString);

    public static IReadOnlyList<string> ParseTags(string json) => json == "[]" ? [] : JsonSerializer.Deserialize(json, TagsJson.Relaxed.StringArray) ?? [];

    public static UInt128 ParseHash(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt128BigEndian(bytes);

    public static void FormatHash(UInt128 hash, Span<byte> bytes) => BinaryPrimitives.WriteUInt128BigEndian(bytes, hash);

    private static Timestamp? Instant(SqliteStatement statement, int column) => statement.IntegerOrNull(column) is { } nanoseconds ? new Timestamp(nanoseconds) : null;
}

[JsonSerializable(typeof(IReadOnlyList<string>))]
[JsonSerializable(typeof(string[]))]
internal sealed partial class TagsJson : JsonSerializerContext
{
    public static TagsJson Relaxed { get; } = new(new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
