using System.CommandLine;
using System.CommandLine.Help;

namespace OrleansMemory.Cli.Generated;

/// <summary>One command of the tree, as completions and the manual need it.</summary>
/// <param name="Path">Names from the program's to the command's.</param>
/// <param name="Options">Its own, without those that every command has.</param>
internal sealed record OutlinedCommand(IReadOnlyList<string> Path, Command Command, IReadOnlyList<Option> Options)
{
    public string Name => string.Join(' ', Path);

    public IReadOnlyList<Command> Subcommands { get; } = [.. Command.Subcommands.Where(static command => !command.Hidden)];
}

/// <summary>The tree of commands laid flat, each before those below it: the one source of help, completions and manual.</summary>
internal static class CommandOutline
{
    public static IReadOnlyList<OutlinedCommand> Of(Command root) => [.. Walk(root, [root.Name])];

    /// <summary>Options that every command takes.</summary>
    public static IReadOnlyList<Option> Globals(Command root) => [.. root.Options.Where(static option => option.Recursive && option is not HelpOption && !option.Hidden)];

    /// <summary>A word or a sentence without what would end a line.</summary>
    public static string Line(string? text) => (text ?? "").ReplaceLineEndings(" ").Trim();

    public static bool TakesValue(Option option) => option.Arity.MaximumNumberOfValues > 0;

    public static string? ShortName(Option option) => option.Aliases.FirstOrDefault(static alias => alias.Length == 2 && alias[0] == '-');

    private static IEnumerable<OutlinedCommand> Walk(Command command, IReadOnlyList<string> path)
    {
        var options = command.Options.Where(option => !option.Hidden && option is not HelpOption && !(path.Count == 1 && option.Recursive));
        yield return new(path, command, [.. options]);
        foreach (var subcommand in command.Subcommands.Where(static known => !known.Hidden))
        {
            foreach (var below in Walk(subcommand, [.. path, subcommand.Name]))
            {
                yield return below;
            }
        }
    }
}
