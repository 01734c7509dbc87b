using System.CommandLine;
using OrleansMemory.Cli.Generated;
using OrleansMemory.Cli.Options;

namespace OrleansMemory.Cli.Commands;

/// <summary>Commands that print what is generated from the tree of commands.</summary>
internal static class GeneratedCommands
{
    public static CliCommand Completions()
    {
        var shell = new Argument<string>("SHELL") { Description = string.Join(", ", CompletionScripts.Shells) };
        var command = new Command("completions", "Print the completion script of a shell") { shell };
        return new(command, session =>
        {
            var name = session.Required(shell);
            var script = CompletionScripts.Of(name, CommandLine.Tree(session.Invocation))
                ?? throw new UsageException(command, $"invalid value '{name}' for SHELL: use {string.Join(", ", CompletionScripts.Shells)}");
            session.Text.Write(script);
            return Task.FromResult(0);
        });
    }

    public static CliCommand Man() => new(new Command("man", "Print the manual page, as roff"), session =>
    {
        session.Text.Write(ManualPage.Of(CommandLine.Tree(session.Invocation), Invocation.Version));
        return Task.FromResult(0);
    });
}
