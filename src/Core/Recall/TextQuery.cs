using System.Buffers;
using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

public enum MatchMode
{
    /// <summary>A memory that holds at least one word.</summary>
    Any,

    /// <summary>A memory that holds every word.</summary>
    All,
}

/// <summary>What the ranker is asked: words, filters and how many rows.</summary>
public sealed record TextQuery
{
    /// <summary>
    /// Characters without width, which text copied from pages and chats carries. They are taken out of queries and of what is
    /// indexed alike, so a word is found with or without them.
    /// </summary>
    private static readonly SearchValues<char> ZeroWidth = SearchValues.Create("\u00AD\u180E\u200B\u200C\u200D\u2060\uFEFF");

    /// <summary>
    /// Words as the caller wrote them, without white space and quotation marks. One with inner punctuation ("well-known") stands
    /// for its parts next to each other. At least one; their parts are at most <see cref="MemoryLimits.QueryWords"/>.
    /// </summary>
    public required IReadOnlyList<string> Words { get; init; }

    public required MatchMode Mode { get; init; }

    public MemoryFilter Filter { get; init; } = new();

    public Visibility Visibility { get; init; } = Visibility.Everything;

    /// <summary>The store's numbers of memories that others granted to the caller.</summary>
    public IReadOnlySet<long> GrantedRows { get; init; } = FrozenSet<long>.Empty;

    /// <summary>Words that are in so many memories that all looked at would be more than this are left out, common ones first; null: none is.</summary>
    public int? MostMatches { get; init; }

    /// <summary>Rows wanted, at least 0; null means all.</summary>
    public int? Limit { get; init; }

    /// <summary>The instant of the query: expiry and age are taken at it.</summary>
    public required Timestamp Now { get; init; }

    /// <exception cref="MemoryException"><see cref="ErrorKind.QueryEmpty"/>: no usable word.</exception>
    public static TextQuery From(RecallQuery query, Timestamp now, Principal? principal = null) => new()
    {
        Words = [.. Parse(query.Context).Select(WithoutPossessive)],
        Mode = MatchMode.Any,
        Filter = query,
        Visibility = Visibility.Of(principal, query.AsAgent),
        Limit = query.Limit,
        Now = now,
    };

    /// <summary>A limit of <see cref="int.MaxValue"/> means: all.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.QueryEmpty"/>: no usable word.</exception>
    public static TextQuery From(SearchQuery query, Timestamp now, Principal? principal = null) => new()
    {
        Words = Parse(query.Text),
        Mode = MatchMode.All,
        Filter = query,
        Visibility = Visibility.Of(principal, query.AsAgent),
        Limit = query.Limit == int.MaxValue ? null : query.Limit,
        Now = now,
    };

    /// <summary>The usable words of a text, in order; operators of the full-text syntax are none.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.QueryEmpty"/>: there is none.</exception>
    public static IReadOnlyList<string> Parse(string text)
    {
        var words = new List<string>();
        var left = MemoryLimits.QueryWords;
        var rest = WithoutZeroWidth(text).AsSpan();
        while (left > 0 && !rest.IsEmpty)
        {
            var length = 0;
            while (length < rest.Length && !IsSeparator(rest[length]))
            {
                length++;
            }

            var word = FirstParts(rest[..length], ref left);
            rest = rest[Math.Min(length + 1, rest.Length)..];
            if (!word.IsEmpty)
            {
                words.Add(new string(word));
            }
        }

        return words.Count > 0 ? words : throw new MemoryException(ErrorKind.QueryEmpty, "query has no usable word");
    }

    /// <summary>The text without characters that have no width.</summary>
    public static string WithoutZeroWidth(string text)
    {
        if (text.AsSpan().IndexOfAny(ZeroWidth) < 0)
        {
            return text;
        }

        var kept = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            if (!ZeroWidth.Contains(character))
            {
                kept.Append(character);
            }
        }

        return kept.ToString();
    }

    /// <summary>The word without punctuation around it and without a final "'s": "Anna's?" asks for Anna.</summary>
    private static string WithoutPossessive(string word)
    {
        var end = word.Length;
        while (end > 0 && !char.IsLetterOrDigit(word[end - 1]) && char.IsAscii(word[end - 1]))
        {
            end--;
        }

        var start = 0;
        while (start < end && !char.IsLetterOrDigit(word[start]) && char.IsAscii(word[start]))
        {
            start++;
        }

        var bare = word.AsSpan(start, end - start);
        if (bare.Length > 2 && bare[^1] is 's' or 'S' && bare[^2] is '\'' or '\u2019' && char.IsLetterOrDigit(bare[^3]))
        {
            bare = bare[..^2];
        }

        return bare.IsEmpty ? word : bare.ToString();
    }

    private static bool IsSeparator(char character) => char.IsWhiteSpace(character) || char.IsControl(character) || character == '"';

    /// <summary>The word cut after as many parts (runs of letters and digits) as are left; empty when it has none or is an operator.</summary>
    private static ReadOnlySpan<char> FirstParts(ReadOnlySpan<char> word, ref int left)
    {
        if (word is "AND" or "OR" or "NOT" or "NEAR")
        {
            return default;
        }

        var inside = false;
        var any = false;
        var end = 0;
        while (end < word.Length)
        {
            // A lone surrogate reads as U+FFFD, which is no letter.
            Rune.DecodeFromUtf16(word[end..], out var rune, out var consumed);
            var usable = IsUsable(Rune.GetUnicodeCategory(rune));
            if (usable && !inside)
            {
                if (left == 0)
                {
                    break;
                }

                left--;
                any = true;
            }

            // A mark goes with the letter before it.
            inside = usable || (inside && Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark);
            end += consumed;
        }

        return any ? word[..end] : default;
    }

    /// <summary>Letters, numbers and private use: what makes a token in the index.</summary>
    private static bool IsUsable(UnicodeCategory category) =>
        category is <= UnicodeCategory.OtherLetter or UnicodeCategory.PrivateUse
            or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;
}
