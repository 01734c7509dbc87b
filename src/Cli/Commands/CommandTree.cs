using System.CommandLine;

namespace OrleansMemory.Cli.Commands;

/// <summary>A command: how it is written, and what it does. <paramref name="Run"/> returns the exit status.</summary>
internal sealed record CliCommand(Command Command, Func<Session, Task<int>> Run);

/// <summary>Every command, in the order of the help text.</summary>
internal static class CommandTree
{
    public static IEnumerable<CliCommand> All() =>
    [
        ServeCommands.Up(),
        ServeCommands.Serve(),
        StoreCommand.Create(),
        UpdateCommand.Create(),
        RecallCommand.Create(),
        SearchCommands.Search(),
        SearchCommands.List(),
        SingleCommands.Get(),
        SingleCommands.Delete(),
        PromoteCommand.Create(),
        ForgetCommand.Create(),
        LinkCommand.Create(),
        OverviewCommands.Stats(),
        OverviewCommands.Namespaces(),
        OverviewCommands.Gc(),
        TransferCommands.Export(),
        TransferCommands.Import(),
        BenchCommand.Create(),
    ];
}
