using System.Text;
using OrleansMemory.Cli.Mining;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Shell;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Tests;

/// <summary>What conversations become, and the words of a shell.</summary>
public sealed class MineTests
{
    private static readonly Timestamp Now = MemoryRules.Instant("now", "2026-01-01T00:00:00Z");

    [Fact]
    public void A_long_conversation_goes_on_in_further_memories_and_loses_nothing()
    {
        var turns = Enumerable.Range(0, 300).Select(static number => new Turn("user", $"{number} {new string('é', 400)}")).Append(new("user", string.Concat(Enumerable.Repeat("😀", 40_000)))).ToList();
        var memories = Memories().Of(new("id", "Long", null, turns));
        Assert.True(memories.Count > 3);
        Assert.All(memories, static memory => MemoryRules.Check(memory));
        Assert.Equal($"Long (1 of {memories.Count})", memories[0].Title);
        Assert.Equal(memories.Count, memories.Select(static memory => memory.Id).Distinct().Count());
        var told = string.Concat(memories.Select(static memory => memory.Content));
        Assert.All(turns.Take(300), turn => Assert.Contains(turn.Text, told, StringComparison.Ordinal));
        Assert.Equal(40_000, told.EnumerateRunes().Count(static rune => rune == new Rune(0x1f600)));
    }

    [Fact]
    public void Conversations_of_one_title_stay_apart_and_an_export_read_again_gives_the_same_memories()
    {
        IReadOnlyList<Turn> turns = [new("user", "first words\r\nof it"), new("assistant", "a\u0001b")];
        var (first, again) = (Memories(), Memories());
        var (one, other) = (first.Of(new("1", "T", null, turns))[0], first.Of(new("2", "T", null, turns))[0]);
        Assert.Equal("T", one.Title);
        Assert.Matches(@"^T \[[0-9a-f]{8}\]$", other.Title);
        Assert.Equal("[user]: first words\nof it\n[assistant]: a b", one.Content);
        Assert.Equal((one.Id, one.Title), (again.Of(new("1", "T", null, turns))[0].Id, one.Title));
        Assert.Equal("first words of it", Memories().Of(new(null, " ", null, turns))[0].Title);
        Assert.Equal(100, Encoding.UTF8.GetByteCount(Memories().Of(new("3", new string('é', 300), null, turns))[0].Title));
    }

    [Theory]
    [InlineData("a b  c", "a|b|c")]
    [InlineData("store -T 'two words' -c \"x \\\"y\\\" \\n\"", "store|-T|two words|-c|x \"y\" \n")]
    [InlineData("what's new", "what's|new")]
    [InlineData("say 'open", "say|'open")]
    [InlineData("a ''", "a|")]
    [InlineData("", "")]
    public void A_line_is_parted_at_its_blanks(string line, string words) => Assert.Equal(words, string.Join('|', ShellWords.Of(line)));

    [Fact]
    public void Text_is_cut_between_characters()
    {
        Assert.Equal("é", TextCut.Bytes("éé", 3));
        Assert.Equal("", TextCut.Bytes("😀", 3));
        Assert.Equal("abc", TextCut.Bytes("abc", 3));
    }

    private static ConversationMemories Memories() => new(ExportFormat.Claude, "n", Tier.Mid, null, "alice", Now);
}
