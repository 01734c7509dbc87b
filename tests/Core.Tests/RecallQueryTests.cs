using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Core.Tests;

public sealed class RecallQueryTests
{
    [Theory]
    [InlineData("deploy", "deploy")]
    [InlineData("  roll back\tthe\nrelease ", "roll|back|the|release")]
    [InlineData("well-known", "well-known")]
    [InlineData("cats AND dogs OR birds NOT fish NEAR water", "cats|dogs|birds|fish|water")]
    [InlineData("and or not near", "and|or|not|near")]
    [InlineData("say \"hello world\"", "say|hello|world")]
    [InlineData("zero\u200Bwidth \uFEFFmark", "zerowidth|mark")]
    [InlineData("\u200B\u2060key", "key")]
    [InlineData("title:secret col*", "title:secret|col*")]
    [InlineData("a - b", "a|b")]
    [InlineData("... ready ...", "ready")]
    [InlineData("(x) ^y {z}", "(x)|^y|{z}")]
    [InlineData("über naïve Ünïcode", "über|naïve|Ünïcode")]
    [InlineData("日本語 テスト", "日本語|テスト")]
    [InlineData("the the", "the|the")]
    public void Words_are_taken_from_text(string text, string expected) => Assert.Equal(expected.Split('|'), TextQuery.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("\u200B\u200C\uFEFF")]
    [InlineData("AND OR NOT NEAR")]
    [InlineData("\"\"")]
    [InlineData("--- *** +++ ()")]
    [InlineData("\uD800")]
    [InlineData("🙂")]
    public void Text_without_a_usable_word_is_refused(string text)
    {
        var exception = Assert.Throws<MemoryException>(() => TextQuery.Parse(text));
        Assert.Equal(ErrorKind.QueryEmpty, exception.Kind);
    }

    [Fact]
    public void Words_beyond_the_limit_are_ignored()
    {
        var words = TextQuery.Parse(string.Join(' ', Enumerable.Range(0, 1_000).Select(word => $"w{word}")));
        Assert.Equal(MemoryLimits.QueryWords, words.Count);
        Assert.Equal("w63", words[^1]);
    }

    [Fact]
    public void The_parts_of_one_word_count_too()
    {
        var words = TextQuery.Parse(string.Join('-', Enumerable.Range(0, 1_000).Select(part => $"p{part}")) + " more");
        var word = Assert.Single(words);
        Assert.Equal(MemoryLimits.QueryWords, word.Split('-', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public void Any_text_gives_words_or_query_empty()
    {
        const string Alphabet = "ab9 -\"'*():^{}|+\t\n\0\u200B\uFEFF\uD83D\uDE42é\u0301日.\\/ANDORT%_";
        var random = new Random(7);
        for (var round = 0; round < 10_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(0, 40)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            try
            {
                var words = TextQuery.Parse(text);
                Assert.InRange(words.Count, 1, MemoryLimits.QueryWords);
                Assert.All(words, word => Assert.True(word.Length > 0 && !word.Contains('"') && !word.Any(char.IsWhiteSpace)));
            }
            catch (MemoryException exception)
            {
                Assert.Equal(ErrorKind.QueryEmpty, exception.Kind);
            }
        }
    }

    [Fact]
    public void Recall_matches_any_word_and_search_all()
    {
        var now = new Timestamp(1);
        Assert.Equal(MatchMode.Any, TextQuery.From(new RecallQuery { Context = "a b" }, now).Mode);
        Assert.Equal(MatchMode.All, TextQuery.From(new SearchQuery { Text = "a b" }, now).Mode);
        Assert.Null(TextQuery.From(new SearchQuery { Text = "a", Limit = int.MaxValue }, now).Limit);
        Assert.Equal(20, TextQuery.From(new SearchQuery { Text = "a" }, now).Limit);
    }
}
