using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using OrleansMemory.Core.Recall;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// What the index holds of a memory: each word once, and once more for its second, third, ... occurrence under names of their own.
/// So the inverted index itself tells how often a row holds a word, and no row has to be read for it.
/// </summary>
internal readonly record struct TextTokens(IReadOnlyDictionary<string, int> Frequencies, int Length)
{
    /// <summary>More occurrences of a word in one memory are not told apart: they add next to nothing to its score.</summary>
    public const int MaxFrequency = 255;

    /// <summary>PostgreSQL takes 2,046; a name for an occurrence takes a few more.</summary>
    private const int WordBytes = 2_000;

    /// <summary>In no word.</summary>
    private const char Mark = '\u0001';

    private static readonly ConcurrentBag<Fts5Tokenizer> Idle = [];

    public static TextTokens Of(string title, IReadOnlyList<string> tags, string content)
    {
        var columns = Columns(title, tags, content);
        var frequencies = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var token in columns.SelectMany(static column => column))
        {
            CollectionsMarshal.GetValueRefOrAddDefault(frequencies, token, out _)++;
        }

        return new(frequencies, columns.Sum(static column => column.Count));
    }

    /// <summary>0 to <see cref="MaxFrequency"/>.</summary>
    public byte FrequencyOf(string word) => (byte)Math.Min(Frequencies.GetValueOrDefault(word), MaxFrequency);

    /// <summary>The words of each indexed column, in order.</summary>
    public static IReadOnlyList<List<string>> Columns(string title, IReadOnlyList<string> tags, string content) =>
        Tokenize(title, string.Join(' ', tags), content);

    /// <summary>The words that a word of a query stands for: one, or several next to each other.</summary>
    public static IReadOnlyList<string> OfQuery(string word) => Tokenize(word)[0];

    /// <summary>How often the words stand next to each other, in this order.</summary>
    public static int CountPhrase(IReadOnlyList<List<string>> columns, IReadOnlyList<string> phrase)
    {
        var count = 0;
        foreach (var column in columns)
        {
            for (var start = 0; start + phrase.Count <= column.Count; start++)
            {
                var part = 0;
                while (part < phrase.Count && column[start + part] == phrase[part])
                {
                    part++;
                }

                count += part == phrase.Count ? 1 : 0;
            }
        }

        return count;
    }

    /// <summary>The tsvector, as text.</summary>
    public string FormatVector()
    {
        var vector = new StringBuilder(Length * 8);
        foreach (var (word, frequency) in Frequencies)
        {
            for (var occurrence = 1; occurrence <= Math.Min(frequency, MaxFrequency); occurrence++)
            {
                AppendLexeme(vector, word, occurrence);
                vector.Append(' ');
            }
        }

        return vector.ToString();
    }

    /// <summary>The tsquery for rows that hold a word at least so often, as text.</summary>
    public static string FormatQuery(string word, int occurrence)
    {
        var query = new StringBuilder(word.Length + 8).Append('\'');
        AppendLexeme(query, word, occurrence);
        return query.Append('\'').ToString();
    }

    /// <summary>A word holds letters, digits and private characters only: none that a tsvector or a tsquery takes for syntax.</summary>
    private static void AppendLexeme(StringBuilder text, string word, int occurrence)
    {
        if (word.Length > WordBytes / 3 && Encoding.UTF8.GetByteCount(word) > WordBytes)
        {
            text.Append(Mark).Append(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(word))));
        }
        else
        {
            text.Append(word);
        }

        if (occurrence > 1)
        {
            text.Append(Mark).Append(occurrence.ToString(CultureInfo.InvariantCulture));
        }
    }

    private static List<string>[] Tokenize(params ReadOnlySpan<string> texts)
    {
        if (!Idle.TryTake(out var tokenizer))
        {
            tokenizer = new();
        }

        var columns = new List<string>[texts.Length];
        for (var column = 0; column < texts.Length; column++)
        {
            tokenizer.Tokenize(TextQuery.WithoutZeroWidth(texts[column]), columns[column] = []);
        }

        Idle.Add(tokenizer);
        return columns;
    }
}
