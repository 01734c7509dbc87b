using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using OrleansMemory.Core.Recall;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// What the index holds of a memory: each word, and for a word that comes more than once a lexeme that says so, and how often. So the
/// inverted index itself tells how often a row holds a word, and no row has to be read for it.
/// </summary>
internal readonly record struct TextTokens(IReadOnlyDictionary<string, int> Frequencies, int Length)
{
    /// <summary>More occurrences of a word in one memory are not told apart: they add next to nothing to its score.</summary>
    public const int MaxFrequency = 255;

    /// <summary>PostgreSQL takes 2,046; a frequency takes a few more.</summary>
    private const int WordBytes = 2_000;

    /// <summary>Between a word and its frequency; in no word.</summary>
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
        var lexemes = new List<string>(Frequencies.Count * 3 / 2);
        foreach (var (word, frequency) in Frequencies)
        {
            var lexeme = Lexeme(word);
            lexemes.Add(lexeme);
            if (frequency > 1)
            {
                lexemes.Add(WithFrequency(lexeme, Math.Min(frequency, MaxFrequency)));
            }
        }

        // In the order in which the server keeps them: it has nothing to sort.
        lexemes.Sort(StringComparer.Ordinal);
        return string.Join(' ', lexemes);
    }

    /// <summary>The tsquery, as text, for rows that hold a word.</summary>
    public static string FormatQuery(string word) => $"'{Lexeme(word)}'";

    /// <summary>The tsquery, as text, for rows that hold a word more than once.</summary>
    public static string FormatRepeatedQuery(string word) => $"'{Lexeme(word)}{Mark}':*";

    /// <summary>The tsquery, as text, for rows that hold a word exactly so often, at least twice.</summary>
    public static string FormatQuery(string word, int frequency) => $"'{WithFrequency(Lexeme(word), frequency)}'";

    /// <summary>A word holds letters, digits and private characters only: none that a tsvector or a tsquery takes for syntax.</summary>
    private static string Lexeme(string word) => word.Length > WordBytes / 3 && Encoding.UTF8.GetByteCount(word) > WordBytes
        ? Mark + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(word)))
        : word;

    private static string WithFrequency(string lexeme, int frequency) => string.Create(CultureInfo.InvariantCulture, $"{lexeme}{Mark}{frequency}");

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
