using System.CommandLine;

namespace OrleansMemory.Cli.Commands;

/// <summary>A command: how it is written, and what it does. <paramref name="Run"/> returns the exit status.</summary>
internal sealed record CliCommand(Command Command, Func<Session, Task<int>> Run);

/// <summary>Every command, in the order of the help text; built when it is asked for.</summary>
internal static class CommandTree
{
    private static readonly (string Name, Func<CliCommand> Create)[] Commands =
    [
        ("up", UpCommand.Create),
        ("serve", ServeCommands.Serve),
        ("mcp", McpCommand.Create),
        ("store", StoreCommand.Create),
        ("update", UpdateCommand.Create),
        ("recall", RecallCommand.Create),
        ("search", SearchCommands.Search),
        ("list", SearchCommands.List),
        ("get", SingleCommands.Get),
        ("delete", SingleCommands.Delete),
        ("promote", PromoteCommand.Create),
        ("forget", ForgetCommand.Create),
        ("link", LinkCommand.Create),
        ("stats", OverviewCommands.Stats),
        ("namespaces", OverviewCommands.Namespaces),
        ("gc", OverviewCommands.Gc),
        ("export", TransferCommands.Export),
        ("import", TransferCommands.Import),
        ("migrate", MigrateCommand.Create),
        ("backup", BackupCommands.Backup),
        ("restore", BackupCommands.Restore),
        ("verify", BackupCommands.Verify),
        ("backfills", BackfillCommands.Create),
        ("cluster", ClusterCommands.Create),
        ("bench", BenchCommand.Create),
        ("postgres", PostgresCommand.Create),
    ];

    public static IEnumerable<string> Names => Commands.Select(command => command.Name);

    public static CliCommand? Find(string name) => Array.Find(Commands, command => command.Name == name).Create?.Invoke();
}
