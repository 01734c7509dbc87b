using System.CommandLine;
using System.Globalization;
using System.Text;
using OrleansMemory.Cli.Shell;

namespace OrleansMemory.Cli.Commands;

/// <summary>Commands one after the other, over one open store: at a terminal, or from a file of lines.</summary>
internal static class ShellCommand
{
    private const string Prompt = "memory> ";

    public static CliCommand Create() => new(new Command("shell", "Run commands line by line, with history and completion at a terminal"), async session =>
    {
        var read = Lines(session);
        var status = 0;
        while (await read() is { } line)
        {
            var words = ShellWords.Of(line);
            if (words.Count == 0 || words[0][0] == '#')
            {
                continue;
            }

            switch (ShellLine.Aliases.GetValueOrDefault(words[0], words[0]))
            {
                case ShellLine.Quit:
                    session.Text.WriteLine("goodbye");
                    return 0;
                case ShellLine.Echo:
                    session.Text.WriteLine(string.Join(' ', words.Skip(1)));
                    break;
                case ShellLine.Status:
                    session.Text.WriteLine(status.ToString(CultureInfo.InvariantCulture));
                    break;
                case ShellLine.Help when words.Count == 1:
                    Help(session);
                    break;
                case var _ when ShellLine.Translate(words) is { } arguments:
                    status = await CommandLine.RunAsync(session.Invocation, arguments, session.Report, session);
                    break;
                default:
                    session.Error.WriteLine($"unknown command: {words[0]} (help lists them)");
                    status = 2;
                    break;
            }

            session.Report.Flush();
        }

        return 0;
    });

    private static Func<Task<string?>> Lines(Session session)
    {
        if (TerminalLines.CanEdit)
        {
            return new TerminalLines(Prompt).ReadAsync;
        }

        var reader = new StreamReader(session.OpenInput(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), detectEncodingFromByteOrderMarks: false);
        return async () =>
        {
            session.Error.Write(Prompt);
            return await reader.ReadLineAsync();
        };
    }

    private static void Help(Session session)
    {
        session.Text.WriteLine("""
            recall|r TEXT      find the memories that matter to a text
            search|s TEXT      find memories that hold every word
            list|ls [NS]       list memories
            get ID             show a memory
            stats              count memories, links and bytes
            namespaces|ns      list namespaces
            delete|del|rm ID   delete a memory for good
            echo TEXT          print a text
            status             print the exit status of the last command
            help|h [COMMAND]   this, or the options of a command
            quit|exit|q        leave
            """.ReplaceLineEndings("\n"));
        session.Text.WriteLine($"and: {string.Join(' ', CommandTree.Names.Where(static name => ShellLine.Translate([name]) is not null))}");
    }
}
