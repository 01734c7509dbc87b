using OrleansMemory.Cli.Generated;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests.Compatibility;

/// <summary>The sections of docs/compatibility.md about the command line say what the checks show, and are written by them.</summary>
public sealed class CommandCompatibilityTests
{
    public static TheoryData<string, string> Rows
    {
        get
        {
            var rows = new TheoryData<string, string>();
            foreach (var row in ReferenceCommands.All.DistinctBy(static row => row.Check).Concat(ReferenceVariables.All))
            {
                rows.Add(row.Name, "om");
                rows.Add(row.Name, "ai-memory");
            }

            return rows;
        }
    }

    public static TheoryData<string> Commands => [.. ReferenceOptions.All.Keys];

    [Theory]
    [MemberData(nameof(Rows))]
    public async Task A_row_is_as_the_page_says(string row, string program)
    {
        using var probe = new Probe(program);
        await ReferenceCommands.All.Concat(ReferenceVariables.All).First(known => known.Name == row).Check(probe);
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public void A_command_has_every_option_of_the_reference(string name)
    {
        var outline = CommandOutline.Of(CommandLine.Tree(new(Invocation.AiMemory)));
        var command = outline.Single(known => string.Join(' ', known.Path.Skip(1)) == name).Command;
        foreach (var word in ReferenceOptions.All[name].Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (word[0] != '-')
            {
                Assert.Contains(command.Arguments, argument => argument.Name == word);
                continue;
            }

            var names = word.TrimEnd('=').Split('|');
            var option = Assert.Single(command.Options, option => option.Name == names[0]);
            Assert.All(names.Skip(1), alias => Assert.Contains(alias, option.Aliases));
            Assert.Equal(word.EndsWith('='), CommandOutline.TakesValue(option));
        }
    }

    [Fact]
    public async Task The_page_is_the_committed_one()
    {
        // Every command of the reference is compared.
        Assert.Equal(
            ReferenceOptions.All.Keys.Where(static name => name.Length > 0).Append("help").Order(StringComparer.Ordinal),
            ReferenceCommands.All.Select(static row => row.Name).Order(StringComparer.Ordinal));
        await CompatibilityPage.HoldAsync("Commands", "command", ReferenceCommands.All.Select(static row => new ComparedRow(row.Name, row.Verdict, row.Why)));
        await CompatibilityPage.HoldAsync("Variables and configuration of the command line", "name", ReferenceVariables.All.Select(static row => new ComparedRow(row.Name, row.Verdict, row.Why)));
    }
}
