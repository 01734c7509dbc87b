using System.CommandLine;

namespace OrleansMemory.Cli.Options;

/// <summary>
/// Brings every notation that scripts use (<c>--limit 5</c>, <c>--limit=5</c>, <c>-p5</c>, <c>-p=5</c>, empty values, values and
/// arguments that begin with a hyphen where that is allowed) into one form, and refuses what would otherwise be read as a value by
/// mistake: <c>forget -n --json</c> names no namespace.
/// </summary>
internal static class ArgumentForms
{
    /// <param name="find">The command of a name; null when there is none. Asked at most once.</param>
    /// <returns>Tokens in which options are <c>--name=value</c> and arguments come last, after <c>--</c>.</returns>
    /// <exception cref="UsageException">An unknown option or subcommand, or an option without its value.</exception>
    public static IReadOnlyList<string> Normalize(Command root, IReadOnlyList<string> arguments, Func<string, Command?> find)
    {
        var command = root;
        var tokens = new List<string>(arguments.Count + 1);
        var positional = new List<string>();
        for (var index = 0; index < arguments.Count; index++)
        {
            var argument = arguments[index];
            if (argument == "--")
            {
                positional.AddRange(arguments.Skip(index + 1));
                break;
            }

            if (argument.Length < 2 || argument[0] != '-')
            {
                if (command != root && (command.Subcommands.Count == 0 || positional.Count > 0))
                {
                    positional.Add(argument);
                    continue;
                }

                command = (command == root ? find(argument) : command.Subcommands.FirstOrDefault(known => known.Name == argument))
                    ?? throw new UsageException(command, $"unrecognized subcommand '{argument}'");
                tokens.Add(argument);
                continue;
            }

            var (name, value) = Split(argument);
            if (Find(root, command, name) is not { } option)
            {
                if (!command.Arguments.Any(known => known is IHyphenValue))
                {
                    throw new UsageException(command, $"unexpected argument '{argument}' found");
                }

                positional.Add(argument);
                continue;
            }

            if (option.Arity.MaximumNumberOfValues == 0)
            {
                tokens.Add(value is null ? name : throw new UsageException(command, $"unexpected value '{value}' for '{option.Name}' found; no more were expected"));
                continue;
            }

            if (value is null)
            {
                value = index + 1 < arguments.Count ? arguments[++index] : null;
                if (value is null || (value.Length > 1 && value[0] == '-' && option is not IHyphenValue))
                {
                    throw new UsageException(command, $"a value is required for '{option.Name}' but none was supplied");
                }
            }

            if (value.Length == 0)
            {
                tokens.Add(option.Name);
                tokens.Add(value);
            }
            else
            {
                tokens.Add($"{option.Name}={value}");
            }
        }

        if (positional.Count > 0)
        {
            tokens.Add("--");
            tokens.AddRange(positional);
        }

        return tokens;
    }

    private static (string Name, string? Value) Split(string argument)
    {
        if (argument.StartsWith("--", StringComparison.Ordinal))
        {
            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            return equals < 0 ? (argument, null) : (argument[..equals], argument[(equals + 1)..]);
        }

        return argument.Length == 2 ? (argument, null) : (argument[..2], argument[2] == '=' ? argument[3..] : argument[2..]);
    }

    /// <summary>The command's own options come before those that every command has.</summary>
    private static Option? Find(Command root, Command command, string name) =>
        command.Options.FirstOrDefault(option => Named(option, name))
        ?? root.Options.FirstOrDefault(option => option.Recursive && Named(option, name));

    private static bool Named(Option option, string name) => option.Name == name || option.Aliases.Contains(name);
}
