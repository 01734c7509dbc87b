using System.Globalization;
using System.Text.Json;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>What a recall, a search, a list or the start of a session answers, in any of the formats.</summary>
internal sealed record MemoryList
{
    public required IReadOnlyList<ToonRow> Rows { get; init; }

    public IReadOnlyList<Memory> Standards { get; init; } = [];

    public string? Mode { get; init; }

    public long? TokensUsed { get; init; }

    public long? BudgetTokens { get; init; }

    /// <summary>False: a match may be missing.</summary>
    public bool IsComplete { get; init; } = true;

    /// <summary>Why it is less than the models of the node promise; null: it is not.</summary>
    public string? Degraded { get; init; }

    /// <summary>Where the memories stand in JSON.</summary>
    public string Name { get; init; } = "memories";

    /// <param name="format">Any word but the names of the tables means JSON.</param>
    public ToolAnswer Answer(string? format) => (format ?? ToolFormats.ToonCompact) switch
    {
        ToolFormats.Toon => Table(ToonWriter.Full),
        ToolFormats.ToonCompact => Table(ToonWriter.Compact),
        _ => ToolAnswer.Json(this, static (writer, list) => list.Write(writer, columns: null)),
    };

    private ToolAnswer Table(IReadOnlyList<ToonColumn> columns) =>
        ToolAnswer.Toon(ToonWriter.Write(About(), Standards, columns, Rows), (this, columns), static (writer, answer) => answer.Item1.Write(writer, answer.columns));

    private IEnumerable<(string Name, string Value)> About()
    {
        yield return ("count", Rows.Count.ToString(CultureInfo.InvariantCulture));
        if (Mode is not null)
        {
            yield return ("mode", Mode);
        }

        if (TokensUsed is { } used)
        {
            yield return ("tokens_used", used.ToString(CultureInfo.InvariantCulture));
        }

        if (BudgetTokens is { } budget)
        {
            yield return ("budget_tokens", budget.ToString(CultureInfo.InvariantCulture));
        }

        if (!IsComplete)
        {
            yield return ("complete", "false");
        }

        if (Degraded is not null)
        {
            // A line holds no more than one.
            yield return ("degraded", Degraded.ReplaceLineEndings(" ").Replace('|', '/'));
        }
    }

    /// <param name="columns">Those shown; null: whole memories.</param>
    private void Write(Utf8JsonWriter writer, IReadOnlyList<ToonColumn>? columns)
    {
        writer.WriteStartObject();
        if (BudgetTokens is { } budget)
        {
            writer.WriteNumber("budget_tokens"u8, budget);
        }

        RecallRoutes.WriteCompleteness(writer, IsComplete);
        writer.WriteNumber("count"u8, Rows.Count);
        if (Degraded is not null)
        {
            writer.WriteString("degraded"u8, Degraded);
        }

        writer.WriteStartArray(Name);
        foreach (var row in Rows)
        {
            if (columns is null)
            {
                MemoryJson.Write(writer, row.Memory, new(Score: row.Score));
            }
            else
            {
                ToonWriter.WriteRow(writer, columns, row);
            }
        }

        writer.WriteEndArray();
        if (Mode is not null)
        {
            writer.WriteString("mode"u8, Mode);
        }

        if (columns is null)
        {
            SessionRoutes.WriteStandards(writer, Standards);
        }
        else if (Standards.Count > 0)
        {
            writer.WriteStartArray("standards"u8);
            foreach (var standard in Standards)
            {
                writer.WriteStartObject();
                writer.WriteString("content"u8, standard.Content);
                writer.WriteString("id"u8, standard.Id);
                writer.WriteString("title"u8, standard.Title);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        if (TokensUsed is { } used)
        {
            writer.WriteNumber("tokens_used"u8, used);
        }

        writer.WriteEndObject();
    }
}
