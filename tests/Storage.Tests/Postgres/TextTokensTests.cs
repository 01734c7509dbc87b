using OrleansMemory.Storage.Postgres;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Postgres;

public sealed class TextTokensTests
{
    private const string Alphabet = "abcdefghijklmnopqrstuvwxyzABCEISTZ0123456789 -_'\"./éÉüßıİſǅ日本語かな한글\u0301\u0308\u200B\u00AD\uE000\uD83D\uDE80🚀٣Ⅷ½ªµ\0\n\t";

    private static readonly string[] Endings = ["s", "ies", "ed", "ing", "ational", "iveness", "ement", "y", "e", "ll", "sses", "ably", "ization"];

    [Fact]
    public void Words_are_those_that_the_other_index_holds()
    {
        using var database = SqliteDatabase.Open(":memory:");
        database.Execute("""
            create virtual table ft using fts5(text, content='', tokenize='porter unicode61 remove_diacritics 2');
            create virtual table tokens using fts5vocab(ft, instance);
            """);
        using var insert = database.Prepare("insert into ft(rowid, text) values (?1, ?2)");
        using var words = database.Prepare("select term from tokens where doc = ?1 order by offset");
        var random = new Random(3);
        for (var row = 1; row <= 3_000; row++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 60)).Select(_ => random.Next(6) == 0 ? Endings[random.Next(Endings.Length)] : $"{Alphabet[random.Next(Alphabet.Length)]}"));
            text = Core.Recall.TextQuery.WithoutZeroWidth(text).Replace('\0', ' ');
            insert.Bind(1, row).Bind(2, text).Run();
            Assert.Equal(words.Bind(1, row).All(static term => term.Text(0)), TextTokens.OfQuery(text));
        }
    }

    [Fact]
    public void Phrases_are_counted_within_a_column()
    {
        var columns = TextTokens.Columns("to be or", ["not to be"], "to be, to be");
        Assert.Equal(4, TextTokens.CountPhrase(columns, ["to", "be"]));
        Assert.Equal(0, TextTokens.CountPhrase(columns, ["or", "not"]));
        Assert.Equal(2, TextTokens.CountPhrase([["a", "a", "a"]], ["a", "a"]));
    }

    [Fact]
    public void Long_words_and_many_occurrences_fit()
    {
        var tokens = TextTokens.Of("t", [], string.Join(' ', Enumerable.Repeat("x", 1_000)) + " " + new string('é', 3_000));
        Assert.Equal(1_002, tokens.Length);
        Assert.Equal(TextTokens.MaxFrequency, tokens.FrequencyOf("x"));
        Assert.All(tokens.FormatVector().Split(' ', StringSplitOptions.RemoveEmptyEntries), lexeme => Assert.InRange(System.Text.Encoding.UTF8.GetByteCount(lexeme), 1, 2_046));
    }
}
