using System.CommandLine;
using System.CommandLine.Help;
using OrleansMemory.Cli.Commands;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli;

/// <summary>The whole command line: the tree of commands, and what happens around a run.</summary>
internal sealed class CommandLine
{
    private const int WrongUsage = 2;
    private const string HelpName = "help";

    private static readonly ParserConfiguration Parser = new() { EnablePosixBundling = false, ResponseFileTokenReplacer = null };

    private readonly Invocation _invocation;
    private readonly Report _report;
    private readonly GlobalOptions _globals = new();
    private readonly Option<bool> _version = OptionKinds.Flag("Print the version", "--version", "-V");
    private readonly Command _root;
    private readonly Session? _shell;

    private CommandLine(Invocation invocation, Report report, Session? shell)
    {
        _invocation = invocation;
        _report = report;
        _shell = shell;
        _root = new(invocation.Name, "Replicated memory for AI agents.");
        _globals.AddTo(_root);
        _root.Add(new HelpOption());
        _root.Add(_version);
    }

    /// <param name="shell">The shell that the line was given to; null: none.</param>
    /// <returns>0 success; 1 "not found" and every runtime error; 2 wrong usage.</returns>
    public static async Task<int> RunAsync(Invocation invocation, IReadOnlyList<string> arguments, Report report, Session? shell = null)
    {
        var line = new CommandLine(invocation, report, shell);
        try
        {
            var status = await line.RunAsync(arguments);
            report.Flush();
            return status;
        }
        catch (UsageException exception)
        {
            return line.Refuse(exception.Command, exception.Message);
        }
        catch (Exception exception)
        {
            return Failure.Write(report.Error, exception);
        }
    }

    /// <summary>The whole tree of commands, for what is generated from it.</summary>
    public static Command Tree(Invocation invocation)
    {
        var line = new CommandLine(invocation, Report.Silent(), shell: null);
        line.BuildAll();
        return line._root;
    }

    private async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var tokens = ArgumentForms.Normalize(_root, arguments, Find);
        if (_root.Subcommands.Count == 0)
        {
            // Nothing was named: the help shows them all.
            BuildAll();
        }

        var parse = _root.Parse(tokens, Parser);
        if (parse.CommandResult.Command == _root && parse.Action is not HelpAction)
        {
            if (parse.GetValue(_version))
            {
                _report.Text.WriteLine(_invocation.VersionLine);
                return 0;
            }

            _root.Parse(["--help"], Parser).Invoke(new InvocationConfiguration { Output = _report.Error, Error = _report.Error });
            return WrongUsage;
        }

        if (parse.CommandResult.Command is { Action: null, Subcommands.Count: > 0 } group && parse.Action is not HelpAction)
        {
            _root.Parse([.. PathOf(group).Skip(1), "--help"], Parser).Invoke(new InvocationConfiguration { Output = _report.Error, Error = _report.Error });
            return WrongUsage;
        }

        if (parse.Errors.Count > 0 && parse.Action is not HelpAction)
        {
            return Refuse(parse.CommandResult.Command, parse.Errors[0].Message);
        }

        return await parse.InvokeAsync(new InvocationConfiguration
        {
            Output = _report.Text,
            Error = _report.Error,
            EnableDefaultExceptionHandler = false,
            // Signals belong to the commands that run long.
            ProcessTerminationTimeout = null,
        });
    }

    /// <summary>Builds the command that was named and no other: a tree of all of them would cost each run a tenth of its time.</summary>
    private Command? Find(string name)
    {
        if (_root.Subcommands.FirstOrDefault(known => known.Name == name) is { } built)
        {
            return built;
        }

        var command = name == HelpName ? HelpCommand() : CommandTree.Find(name) is { } definition ? Bind(definition) : null;
        if (command is not null)
        {
            _root.Add(command);
        }

        return command;
    }

    private void BuildAll()
    {
        foreach (var name in CommandTree.Names.Append(HelpName))
        {
            Find(name);
        }
    }

    private Command Bind(CliCommand definition)
    {
        var command = definition.Command;
        if (definition.Run is { } run)
        {
            command.SetAction(async (parse, _) =>
            {
                await using var session = new Session(_invocation, _globals, parse, _report, _shell);
                try
                {
                    return await run(session);
                }
                catch (PendingException pending)
                {
                    return GovernanceAnswer.Write(session, pending);
                }
                catch (MemoryException denied) when (denied.Kind == ErrorKind.GovernanceDenied)
                {
                    return GovernanceAnswer.Write(session, denied);
                }
            });
        }

        foreach (var subcommand in definition.Subcommands ?? [])
        {
            Bind(subcommand);
        }

        return command;
    }

    private Command HelpCommand()
    {
        var name = new Argument<string[]>("COMMAND") { Description = "The command to explain", Arity = ArgumentArity.ZeroOrMore };
        var help = new Command(HelpName, "Print help for a command") { name };
        help.SetAction(parse =>
        {
            string[] about = [.. parse.GetValue(name) ?? [], "--help"];
            if (about.Length == 1)
            {
                BuildAll();
            }

            return _root.Parse(ArgumentForms.Normalize(_root, about, Find), Parser).Invoke(new InvocationConfiguration { Output = _report.Text, Error = _report.Error });
        });
        return help;
    }

    /// <summary>The names from the program's to the command's.</summary>
    private static IEnumerable<string> PathOf(Command command) =>
        command.Parents.OfType<Command>().FirstOrDefault() is { } parent ? PathOf(parent).Append(command.Name) : [command.Name];

    private int Refuse(Command command, string message)
    {
        var path = string.Join(' ', PathOf(command));
        var arguments = string.Concat(command.Arguments.Select(argument => argument.Arity.MinimumNumberOfValues == 0 ? $" [{argument.Name}]" : $" <{argument.Name}>"));
        var rest = command.Subcommands.Count > 0 || command == _root ? " <COMMAND>" : arguments;
        _report.Error.WriteLine($"error: {message}");
        _report.Error.WriteLine();
        _report.Error.WriteLine($"Usage: {path} [OPTIONS]{rest}");
        _report.Error.WriteLine();
        _report.Error.WriteLine("For more information, try '--help'.");
        return WrongUsage;
    }
}
