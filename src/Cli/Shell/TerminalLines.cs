using OrleansMemory.Cli.Commands;
using RadLine;
using Spectre.Console;

namespace OrleansMemory.Cli.Shell;

/// <summary>Lines from a person at a terminal: edited, completed with Tab, and kept for the next time.</summary>
internal sealed class TerminalLines
{
    private const int KeptLines = 1_000;

    /// <summary>A person's Enter is a carriage return. What a program types ends in a line feed (<c>script</c>, expect, a paste in some terminals), which is told as Ctrl+J.</summary>
    private static readonly (ConsoleKey Key, ConsoleModifiers Modifiers)[] LineFeeds = [(ConsoleKey.J, ConsoleModifiers.Control), (ConsoleKey.Enter, ConsoleModifiers.Control)];

    private readonly LineEditor _editor;
    private readonly string? _file;

    /// <param name="prompt">Written on standard error, as all that is no result.</param>
    public TerminalLines(string prompt)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        _editor = new(console) { Prompt = new LineEditorPrompt(prompt.TrimEnd().EscapeMarkup()), Completion = new Words() };
        _editor.KeyBindings.Add(ConsoleKey.D, ConsoleModifiers.Control, static () => new EndCommand());
        foreach (var lineFeed in LineFeeds)
        {
            _editor.KeyBindings.Add(lineFeed.Key, lineFeed.Modifiers, static () => new SubmitCommand());
        }

        _editor.KeyBindings.Add<PreviousHistoryCommand>(ConsoleKey.UpArrow);
        _editor.KeyBindings.Add<NextHistoryCommand>(ConsoleKey.DownArrow);
        _file = HistoryFile();
        foreach (var line in Remembered())
        {
            _editor.History.Add(line);
        }
    }

    /// <summary>Whether standard input and the screen are a terminal that lines can be edited on.</summary>
    public static bool CanEdit => !Console.IsInputRedirected && !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    /// <returns>Null: there are no more.</returns>
    public async Task<string?> ReadAsync()
    {
        var line = await _editor.ReadLine(CancellationToken.None);
        if (!string.IsNullOrWhiteSpace(line))
        {
            _editor.History.Add(line);
            Remember(line);
        }

        return line;
    }

    private static string? HistoryFile() =>
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify) is { Length: > 0 } folder
            ? Path.Combine(folder, "orleans-memory", "shell-history")
            : null;

    private string[] Remembered()
    {
        try
        {
            return _file is not null && File.Exists(_file) ? [.. File.ReadLines(_file).TakeLast(KeptLines)] : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private void Remember(string line)
    {
        if (_file is null)
        {
            return;
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_file)!);
            File.AppendAllText(_file, line.ReplaceLineEndings(" ") + "\n");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A history is a comfort.
        }
    }

    /// <summary>Ctrl+D on an empty line ends the shell, as the end of a file does.</summary>
    private sealed class EndCommand : LineEditorCommand
    {
        public override void Execute(LineEditorContext context)
        {
            if (context.Buffer.Length == 0)
            {
                context.Buffer.Insert(ShellLine.Quit);
                context.Submit(SubmitAction.Submit);
            }
        }
    }

    /// <summary>The first word: a command; the second of a group: what is below it; one that begins with a hyphen: an option of the command.</summary>
    private sealed class Words : ITextCompletion
    {
        public IEnumerable<string>? GetCompletions(string prefix, string word, string suffix)
        {
            var before = ShellWords.Of(prefix);
            if (before.Count == 0)
            {
                return CommandTree.Names.Concat(ShellLine.Own).Where(name => name.StartsWith(word, StringComparison.Ordinal)).Order(StringComparer.Ordinal);
            }

            var command = CommandTree.Find(ShellLine.Aliases.GetValueOrDefault(before[0], before[0]))?.Command;
            if (command is not null && before.Count > 1)
            {
                command = command.Subcommands.FirstOrDefault(known => known.Name == before[1]) ?? command;
            }

            return command?.Subcommands.Select(static known => known.Name).Concat(command.Options.Select(static option => option.Name))
                .Where(name => name.StartsWith(word, StringComparison.Ordinal)).Order(StringComparer.Ordinal);
        }
    }
}
