using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Npgsql;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Postgres;

/// <summary>Rows of table <c>memory</c>, and values that PostgreSQL holds otherwise than this program, as values and back.</summary>
internal static class PostgresRows
{
    /// <summary>What <see cref="Read"/> reads, in its order; of the table <c>m</c>.</summary>
    public const string Columns =
        "m.id, m.tier, m.namespace, m.title, m.content, m.tags, m.priority, m.confidence, m.source, m.access_count, m.created_at, m.updated_at, m.last_accessed_at, m.expires_at, m.metadata";

    /// <summary>What <see cref="ReadRow"/> reads, in its order.</summary>
    public const string RowColumns = Columns + ", m.row, m.state, m.touches, m.own, m.hash";

    public const int ColumnCount = 15;
    public const int RowColumnCount = 20;

    private const char Escape = '\u0001';
    private const int LargestExponent = 1_000;
    private const int LongestNumber = 1_000;

    public static Memory Read(NpgsqlDataReader reader, int first = 0) => new()
    {
        Id = Text(reader, first),
        Tier = (Tier)reader.GetInt16(first + 1),
        Namespace = Text(reader, first + 2),
        Title = Text(reader, first + 3),
        Content = Text(reader, first + 4),
        Tags = ParseTags(reader.GetString(first + 5)),
        Priority = reader.GetInt16(first + 6),
        Confidence = reader.GetDouble(first + 7),
        Source = Text(reader, first + 8),
        AccessCount = reader.GetInt64(first + 9),
        CreatedAt = new(reader.GetInt64(first + 10)),
        UpdatedAt = new(reader.GetInt64(first + 11)),
        LastAccessedAt = reader.IsDBNull(first + 12) ? null : new Timestamp(reader.GetInt64(first + 12)),
        ExpiresAt = reader.IsDBNull(first + 13) ? null : new Timestamp(reader.GetInt64(first + 13)),
        Metadata = Metadata.FromCanonical(Text(reader, first + 14)),
    };

    public static MemoryRow ReadRow(NpgsqlDataReader reader, int first = 0)
    {
        var view = Read(reader, first);
        return new(
            reader.GetInt64(first + ColumnCount),
            MemoryCodec.DecodeBeside(Bytes(reader, first + ColumnCount + 3), view),
            view,
            (RowVisibility)reader.GetInt16(first + ColumnCount + 1),
            new(view.AccessCount, reader.GetInt64(first + ColumnCount + 2), view.LastAccessedAt),
            ParseHash(Bytes(reader, first + ColumnCount + 4)));
    }

    public static string Text(NpgsqlDataReader reader, int column) => Unescaped(reader.GetString(column));

    public static string? TextOrNull(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : Text(reader, column);

    public static byte[] Bytes(NpgsqlDataReader reader, int column) => reader.GetFieldValue<byte[]>(column);

    /// <summary>
    /// A text as PostgreSQL can hold it: U+0000, which it cannot, is written as U+0001 '0', and U+0001 as U+0001 '1'. Texts keep their
    /// order. What is no Unicode becomes U+FFFD, as on SQLite.
    /// </summary>
    public static string Escaped(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
        {
            text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        }

        return text.AsSpan().IndexOfAny('\0', Escape) < 0 ? text : text.Replace("\u0001", "\u00011", StringComparison.Ordinal).Replace("\0", "\u00010", StringComparison.Ordinal);
    }

    public static string? EscapedOrNull(string? text) => text is null ? null : Escaped(text);

    public static string Unescaped(string text) => !text.Contains(Escape, StringComparison.Ordinal)
        ? text
        : text.Replace("\u00010", "\0", StringComparison.Ordinal).Replace("\u00011", "\u0001", StringComparison.Ordinal);

    public static string FormatTags(IReadOnlyList<string> tags) => tags.Count == 0 ? "[]" : MemoryRows.FormatTags([.. tags.Select(FormatTag)]);

    /// <summary>A tag within jsonb, which holds no U+0000 either.</summary>
    public static string FormatTag(string tag) => Escaped(tag);

    /// <summary>The metadata for jsonb; null when that could not hold it: U+0000, half a character, a number beyond all measure.</summary>
    public static string? FormatJson(Metadata metadata)
    {
        if (metadata.Json == "{}")
        {
            return metadata.Json;
        }

        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(metadata.Json));
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName or JsonTokenType.String when reader.ValueIsEscaped && HoldsWhatJsonbCannot(Encoding.UTF8.GetString(reader.ValueSpan)):
                case JsonTokenType.Number when !IsMeasured(Encoding.UTF8.GetString(reader.ValueSpan)):
                    return null;
                default:
                    break;
            }
        }

        return metadata.Json;
    }

    public static UInt128 ParseHash(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt128BigEndian(bytes);

    public static byte[] FormatHash(UInt128 hash)
    {
        var bytes = new byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, hash);
        return bytes;
    }

    /// <summary>Stands for a name in an index; names may share one. FNV-1a, 64 bits.</summary>
    public static long HashOf(MemoryName name)
    {
        var hash = 14_695_981_039_346_656_037UL;
        foreach (var part in Encoding.UTF8.GetBytes($"{name.Namespace}\n{name.Title}"))
        {
            hash = (hash ^ part) * 1_099_511_628_211UL;
        }

        return unchecked((long)hash);
    }

    public static IReadOnlyList<string> ParseTags(string json)
    {
        var tags = MemoryRows.ParseTags(json);
        return tags.Any(static tag => tag.Contains(Escape, StringComparison.Ordinal)) ? [.. tags.Select(Unescaped)] : tags;
    }

    private static bool HoldsWhatJsonbCannot(string escaped) =>
        escaped.Contains("\\u0000", StringComparison.Ordinal) || escaped.Contains("\\ud", StringComparison.OrdinalIgnoreCase);

    private static bool IsMeasured(string number)
    {
        var exponent = number.AsSpan().IndexOfAny('e', 'E');
        return number.Length <= LongestNumber
            && (exponent < 0 || (int.TryParse(number.AsSpan(exponent + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var power) && Math.Abs(power) <= LargestExponent));
    }
}
