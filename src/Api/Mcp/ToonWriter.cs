using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <param name="Score">Null: it was not ranked.</param>
internal readonly record struct ToonRow(Memory Memory, double? Score = null);

/// <summary>A column of a table of memories: the same value as text in TOON and as a field in JSON.</summary>
/// <param name="Cell">Not escaped; empty: it has none.</param>
/// <param name="Field">Writes the field, unless there is none.</param>
internal sealed record ToonColumn(string Name, Func<ToonRow, string> Cell, Action<Utf8JsonWriter, ToonRow> Field);

/// <summary>
/// Memories as a table of text: one line of what holds for all, the standards, the names of the columns, a line for each memory. Cells stand between bars;
/// what would end one is escaped. A comma within a tag is escaped once more, so that the list of tags can be told apart.
/// </summary>
internal static class ToonWriter
{
    /// <summary>Characters of a content that the small table shows.</summary>
    public const int ExcerptCharacters = 160;

    private static readonly ToonColumn Id = Text("id", static row => row.Memory.Id);
    private static readonly ToonColumn Title = Text("title", static row => row.Memory.Title);
    private static readonly ToonColumn Tier = Text("tier", static row => row.Memory.Tier.Name());
    private static readonly ToonColumn Namespace = Text("namespace", static row => row.Memory.Namespace);
    private static readonly ToonColumn Score = Real("score", static row => row.Score is { } score ? Math.Round(score, 3, MidpointRounding.AwayFromZero) : null);

    private static readonly ToonColumn Priority = new(
        "priority", static row => row.Memory.Priority.ToString(CultureInfo.InvariantCulture), static (writer, row) => writer.WriteNumber("priority"u8, row.Memory.Priority));

    private static readonly ToonColumn Tags = new(
        "tags",
        static row => string.Join(',', row.Memory.Tags.Select(static tag => tag.Replace("\\", "\\\\", StringComparison.Ordinal).Replace(",", "\\,", StringComparison.Ordinal))),
        static (writer, row) =>
        {
            writer.WriteStartArray("tags"u8);
            foreach (var tag in row.Memory.Tags)
            {
                writer.WriteStringValue(tag);
            }

            writer.WriteEndArray();
        });

    public static IReadOnlyList<ToonColumn> Compact { get; } =
    [
        Id, Title, Tier, Namespace, Priority, Score, Tags, Text("agent_id", static row => row.Memory.Metadata.Text("agent_id")), Text("excerpt", static row => Excerpt(row.Memory.Content)),
    ];

    public static IReadOnlyList<ToonColumn> Full { get; } =
    [
        Id, Title, Tier, Namespace, Priority,
        Real("confidence", static row => row.Memory.Confidence),
        Score,
        new("access_count", static row => row.Memory.AccessCount.ToString(CultureInfo.InvariantCulture), static (writer, row) => writer.WriteNumber("access_count"u8, row.Memory.AccessCount)),
        Tags,
        Text("source", static row => row.Memory.Source),
        Text("created_at", static row => row.Memory.CreatedAt.ToString()),
        Text("updated_at", static row => row.Memory.UpdatedAt.ToString()),
        new(
            "metadata",
            static row => row.Memory.Metadata.IsEmpty ? "" : row.Memory.Metadata.Json,
            static (writer, row) =>
            {
                writer.WritePropertyName("metadata"u8);
                writer.WriteRawValue(row.Memory.Metadata.Json, skipInputValidation: true);
            }),
        Text("expires_at", static row => row.Memory.ExpiresAt?.ToString()),
        Text("content", static row => row.Memory.Content),
    ];

    /// <param name="about">What holds for all, in order.</param>
    public static string Write(IEnumerable<(string Name, string Value)> about, IReadOnlyList<Memory> standards, IReadOnlyList<ToonColumn> columns, IEnumerable<ToonRow> rows)
    {
        var text = new StringBuilder();
        text.AppendJoin('|', about.Select(static pair => $"{pair.Name}:{pair.Value}")).Append('\n');
        if (standards.Count > 0)
        {
            text.Append("standards[id|title|content]:\n");
            foreach (var standard in standards)
            {
                text.AppendJoin('|', Escape(standard.Id), Escape(standard.Title), Escape(standard.Content)).Append('\n');
            }
        }

        text.Append("memories[").AppendJoin('|', columns.Select(static column => column.Name)).Append("]:\n");
        foreach (var row in rows)
        {
            text.AppendJoin('|', columns.Select(column => Escape(column.Cell(row)))).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>The fields that the columns show.</summary>
    public static void WriteRow(Utf8JsonWriter writer, IReadOnlyList<ToonColumn> columns, ToonRow row)
    {
        writer.WriteStartObject();
        foreach (var column in columns)
        {
            column.Field(writer, row);
        }

        writer.WriteEndObject();
    }

    /// <summary>White space is one blank; what is left out is shown by dots.</summary>
    public static string Excerpt(string content)
    {
        var text = new StringBuilder(ExcerptCharacters);
        var characters = 0;
        var gap = false;
        foreach (var rune in content.EnumerateRunes())
        {
            if (Rune.IsWhiteSpace(rune))
            {
                gap = characters > 0;
                continue;
            }

            if (characters + (gap ? 1 : 0) >= ExcerptCharacters)
            {
                return text.Append('…').ToString();
            }

            if (gap)
            {
                text.Append(' ');
                characters++;
                gap = false;
            }

            text.Append(rune.ToString());
            characters++;
        }

        return text.ToString();
    }

    /// <summary>As numbers stand in JSON: a whole value keeps its fraction.</summary>
    public static string Number(double value)
    {
        var buffer = new ArrayBufferWriter<byte>(32);
        using (var writer = new Utf8JsonWriter(buffer, JsonAnswer.WriterOptions))
        {
            MemoryJson.WriteReal(writer, value);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static string Escape(string cell)
    {
        if (cell.AsSpan().IndexOfAny(@"\|:" + "\n\r") < 0)
        {
            return cell;
        }

        var text = new StringBuilder(cell.Length + 8);
        foreach (var character in cell)
        {
            _ = character switch
            {
                '\\' or '|' or ':' => text.Append('\\').Append(character),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                _ => text.Append(character),
            };
        }

        return text.ToString();
    }

    private static ToonColumn Text(string name, Func<ToonRow, string?> value) => new(name, row => value(row) ?? "", (writer, row) =>
    {
        if (value(row) is { } text)
        {
            writer.WriteString(name, text);
        }
    });

    private static ToonColumn Real(string name, Func<ToonRow, double?> value) => new(name, row => value(row) is { } number ? Number(number) : "", (writer, row) =>
    {
        if (value(row) is { } number)
        {
            writer.WritePropertyName(name);
            MemoryJson.WriteReal(writer, number);
        }
    });
}
