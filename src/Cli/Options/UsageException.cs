using System.CommandLine;

namespace OrleansMemory.Cli.Options;

/// <summary>The command line itself is wrong: exit status 2, with the usage of <paramref name="command"/>.</summary>
internal sealed class UsageException(Command command, string message) : Exception(message)
{
    public Command Command { get; } = command;
}
