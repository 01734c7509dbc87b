using OrleansMemory.Cli.Commands;

namespace OrleansMemory.Cli.Shell;

/// <summary>What a line of the shell means in the words of the command line.</summary>
internal static class ShellLine
{
    public static IReadOnlyDictionary<string, string> Aliases { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["r"] = "recall",
        ["s"] = "search",
        ["ls"] = "list",
        ["ns"] = "namespaces",
        ["del"] = "delete",
        ["rm"] = "delete",
        ["h"] = Help,
        ["q"] = Quit,
        ["exit"] = Quit,
    };

    public const string Help = "help";
    public const string Quit = "quit";
    public const string Echo = "echo";
    public const string Status = "status";

    /// <summary>Commands that run for long, or read the shell's own input.</summary>
    private static readonly string[] Outside = ["shell", "serve", "up", "mcp", "sync-daemon"];

    /// <summary>Words that the shell knows itself.</summary>
    public static IEnumerable<string> Own => [.. Aliases.Keys, Help, Quit, Echo, Status];

    /// <summary>The arguments of the command line.</summary>
    /// <returns>Null: there is no such command, or none that runs in a shell.</returns>
    public static IReadOnlyList<string>? Translate(IReadOnlyList<string> words)
    {
        var name = Aliases.GetValueOrDefault(words[0], words[0]);
        if (name != Help && (Array.IndexOf(Outside, name) >= 0 || !CommandTree.Names.Contains(name)))
        {
            return null;
        }

        var rest = words.Skip(1).ToList();
        return name switch
        {
            "recall" or "search" => [name, .. Joined(name, rest)],
            "list" when rest.Count > 0 && rest[0][0] != '-' => [name, "--namespace", .. rest],
            _ => [name, .. rest],
        };
    }

    /// <summary>Words up to the first option are one text.</summary>
    private static IEnumerable<string> Joined(string name, List<string> words)
    {
        var options = CommandTree.Find(name)!.Command.Options;
        var text = words.TakeWhile(word => !word.StartsWith("--", StringComparison.Ordinal) && !options.Any(option => option.Aliases.Contains(word))).ToList();
        return text.Count == 0 ? words : [string.Join(' ', text), .. words.Skip(text.Count)];
    }
}
