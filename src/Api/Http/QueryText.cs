using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>
/// The query of a request, looked up by name as often as needed: queries are short, and most names are absent. Names that no
/// route asks for are ignored; a name that is asked for and given twice is an error.
/// </summary>
internal readonly struct QueryText(HttpContext context)
{
    private readonly string? _query = context.Request.QueryString.Value;

    public string? Text(string name)
    {
        if (string.IsNullOrEmpty(_query))
        {
            return null;
        }

        string? found = null;
        foreach (var pair in new QueryStringEnumerable(_query))
        {
            if (pair.DecodeName().Span.SequenceEqual(name))
            {
                found = found is null
                    ? pair.DecodeValue().ToString()
                    : throw new MemoryException(ErrorKind.InvalidQuery, $"query parameter `{name}` is given twice");
            }
        }

        return found;
    }

    public long? Integer(string name) => Text(name) switch
    {
        null => null,
        { } text when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) => value,
        _ => throw new MemoryException(ErrorKind.InvalidQuery, $"query parameter `{name}` must be an integer"),
    };

    /// <summary>Absent counts as false.</summary>
    public bool Flag(string name) => Text(name) switch
    {
        null or "false" or "0" or "False" => false,
        "true" or "1" or "True" => true,
        _ => throw new MemoryException(ErrorKind.InvalidQuery, $"query parameter `{name}` must be true or false"),
    };

    public Tier? Tier() => Text("tier") is { } word ? TierNames.Parse(word) : null;
}

/// <summary>The rules that filters of reads share, whether they come in a query or in a body.</summary>
internal static class ReadFilters
{
    /// <summary>Capped silently; 0 gives nothing.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidLimit"/>: negative.</exception>
    public static int Limit(long? asked, int standard, int cap) => asked switch
    {
        null => standard,
        < 0 => throw new MemoryException(ErrorKind.InvalidLimit, "limit must not be negative"),
        _ => (int)Math.Min(asked.Value, cap),
    };

    public static long Offset(long? asked) => asked is < 0
        ? throw new MemoryException(ErrorKind.InvalidLimit, "offset must not be negative")
        : asked ?? 0;

    public static long? BudgetTokens(long? asked) => asked is < 0
        ? throw new MemoryException(ErrorKind.InvalidLimit, "budget_tokens must not be negative")
        : asked;

    public static int? MinPriority(long? asked) => asked is { } value ? (int)Math.Clamp(value, int.MinValue, int.MaxValue) : null;

    public static string? AgentId(string? asked) => asked is null ? null : MemoryRules.AgentId(asked, "invalid agent_id filter: agent_id");

    public static string? AsAgent(string? asked)
    {
        if (asked is null)
        {
            return null;
        }

        try
        {
            return MemoryRules.Namespace(asked);
        }
        catch (MemoryException exception)
        {
            throw new MemoryException(exception.Kind, $"invalid as_agent: {exception.Message}", exception);
        }
    }

    /// <summary>
    /// RFC 3339; also without an offset (UTC), a bare date (its first instant), or with the plus sign of the offset lost to a
    /// blank, as an unescaped one in a query is.
    /// </summary>
    public static Timestamp? Instant(string field, string? asked)
    {
        if (asked is null)
        {
            return null;
        }

        if (Timestamp.TryParse(asked, out var instant)
            || Timestamp.TryParse(asked + "T00:00:00Z", out instant)
            || Timestamp.TryParse(asked + "Z", out instant)
            || (asked.Length > 20 && asked[^6] == ' ' && Timestamp.TryParse(string.Concat(asked.AsSpan(0, asked.Length - 6), "+", asked.AsSpan(asked.Length - 5)), out instant)))
        {
            return instant;
        }

        return MemoryRules.Instant(field, asked);
    }
}
