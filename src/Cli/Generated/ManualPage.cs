using System.CommandLine;
using System.Text;

namespace OrleansMemory.Cli.Generated;

/// <summary>The manual, as one page of roff, from the tree of commands.</summary>
internal static class ManualPage
{
    private static readonly (string Name, string About)[] Variables =
    [
        ("OM_DB, AI_MEMORY_DB", "The database; --db wins."),
        ("OM_URL", "Work on the node at this address; --url and --db win."),
        ("OM_AGENT_ID, AI_MEMORY_AGENT_ID", "Who you are; --agent-id wins."),
        ("OM_ANONYMIZE, AI_MEMORY_ANONYMIZE", "1, true, yes or on: a caller without a name gets one that does not tell the host's."),
        ("OM_API_KEY", "The key that a node asks for, or is asked with."),
        ("OM_CONFIG", "The configuration file."),
        ("OM_NO_CONFIG, AI_MEMORY_NO_CONFIG", "Set to anything: read no configuration file; the latter leaves out that of ai-memory only."),
        ("OM_INVOKED_AS", "om or ai-memory: under which name the program runs, whatever its file is called."),
        ("RUST_LOG", "What serve logs: error, warn, info, debug, trace or off."),
        ("NO_COLOR", "Set to anything: no colours, also on a terminal."),
    ];

    private static readonly (string Status, string About)[] ExitStatuses =
    [
        ("0", "Success; also when nothing was found by search, list or recall, and when a change waits for approval."),
        ("1", "Not found by its id, refused by a rule, or any other error; standard error says which."),
        ("2", "Wrong usage: an unknown command or option, a missing or malformed value."),
    ];

    public static string Of(Command root, string version)
    {
        var page = new StringBuilder();
        page.Append($".TH {root.Name.ToUpperInvariant()} 1 \"\" \"{Escaped($"{root.Name} {version}")}\" \"User Commands\"\n");
        page.Append($".SH NAME\n{Escaped(root.Name)} \\- {Escaped(CommandOutline.Line(root.Description))}\n");
        page.Append($".SH SYNOPSIS\n.B {Escaped(root.Name)}\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n");
        page.Append(".SH DESCRIPTION\nStores and recalls the memories of agents, in a database file of its own or on a node that serves one. Results are on standard output, ");
        page.Append("everything else on standard error; with \\-\\-json a result is one JSON document on one line.\n");
        page.Append(".SH OPTIONS\n");
        foreach (var option in CommandOutline.Globals(root))
        {
            Entry(page, option);
        }

        page.Append(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nShow help.\n.TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nPrint the version.\n.SH COMMANDS\n");
        foreach (var command in CommandOutline.Of(root).Skip(1))
        {
            page.Append($".SS {Escaped(string.Join(' ', command.Path.Skip(1)))}{string.Concat(command.Command.Arguments.Select(Argument))}\n");
            page.Append($"{Escaped(CommandOutline.Line(command.Command.Description))}.\n");
            foreach (var argument in command.Command.Arguments.Where(static argument => argument.Description is not null))
            {
                page.Append($".TP\n\\fI{Escaped(argument.Name)}\\fR\n{Escaped(CommandOutline.Line(argument.Description))}.\n");
            }

            foreach (var option in command.Options)
            {
                Entry(page, option);
            }
        }

        page.Append(".SH ENVIRONMENT\n");
        foreach (var (name, about) in Variables)
        {
            page.Append($".TP\n\\fB{Escaped(name)}\\fR\n{Escaped(about)}\n");
        }

        page.Append(".SH FILES\n.TP\n\\fI~/.config/orleans\\-memory/config.toml\\fR\nThe configuration.\n.TP\n\\fI~/.config/ai\\-memory/config.toml\\fR\nThat of ai\\-memory, which is read too; the own one wins.\n");
        page.Append(".TP\n\\fI~/.local/share/orleans\\-memory/orleans\\-memory.db\\fR\nThe database when none is named; \\fIai\\-memory.db\\fR in the working directory when invoked as ai\\-memory.\n");
        page.Append(".SH EXIT STATUS\n");
        foreach (var (status, about) in ExitStatuses)
        {
            page.Append($".TP\n\\fB{status}\\fR\n{Escaped(about)}\n");
        }

        return page.ToString();
    }

    private static void Entry(StringBuilder page, Option option)
    {
        var names = option.Aliases.Order(StringComparer.Ordinal).Append(option.Name).Distinct().Select(static name => $"\\fB{Escaped(name)}\\fR");
        var value = CommandOutline.TakesValue(option) ? $" \\fI{Escaped(option.Name.TrimStart('-').ToUpperInvariant().Replace('-', '_'))}\\fR" : "";
        page.Append($".TP\n{string.Join(", ", names)}{value}\n{Escaped(CommandOutline.Line(option.Description))}.{(option.Required ? " Required." : "")}\n");
    }

    private static string Argument(Argument argument) => $" {(argument.Arity.MinimumNumberOfValues == 0 ? $"[{Escaped(argument.Name)}]" : Escaped(argument.Name))}";

    /// <summary>A line that begins with a dot or a quote is a request; a backslash begins an escape; a bare hyphen is a dash.</summary>
    private static string Escaped(string text)
    {
        var escaped = text.Replace("\\", "\\e", StringComparison.Ordinal).Replace("-", "\\-", StringComparison.Ordinal);
        return escaped.StartsWith('.') || escaped.StartsWith('\'') ? $"\\&{escaped}" : escaped;
    }
}
