using System.CommandLine;

namespace OrleansMemory.Cli.Commands;

/// <summary>A command: how it is written, and what it does.</summary>
/// <param name="Run">Returns the exit status. Null: one of <paramref name="Subcommands"/> must be named.</param>
/// <param name="Subcommands">Commands below it, in the order of the help text.</param>
internal sealed record CliCommand(Command Command, Func<Session, Task<int>>? Run, IReadOnlyList<CliCommand>? Subcommands = null)
{
    /// <summary>A command that only holds others.</summary>
    /// <param name="run">What it does when none of them is named; null: that is wrong usage.</param>
    public static CliCommand Group(string name, string description, IReadOnlyList<CliCommand> subcommands, Func<Session, Task<int>>? run = null)
    {
        var command = new Command(name, description);
        foreach (var subcommand in subcommands)
        {
            command.Add(subcommand.Command);
        }

        return new(command, run, subcommands);
    }
}

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
        ("consolidate", ConsolidateCommand.Create),
        ("auto-consolidate", AutoConsolidateCommand.Create),
        ("resolve", ResolveCommand.Create),
        ("curator", CuratorCommand.Create),
        ("archive", ArchiveCommands.Create),
        ("agents", AgentCommands.Create),
        ("pending", PendingCommands.Create),
        ("standard", StandardCommands.Create),
        ("session", SessionCommand.Create),
        ("notify", MessageCommands.Notify),
        ("inbox", MessageCommands.Inbox),
        ("stats", OverviewCommands.Stats),
        ("namespaces", OverviewCommands.Namespaces),
        ("gc", OverviewCommands.Gc),
        ("export", TransferCommands.Export),
        ("import", TransferCommands.Import),
        ("mine", MineCommand.Create),
        ("sync", SyncCommand.Create),
        ("sync-daemon", SyncDaemonCommand.Create),
        ("migrate", MigrateCommand.Create),
        ("backup", BackupCommands.Backup),
        ("restore", BackupCommands.Restore),
        ("verify", BackupCommands.Verify),
        ("backfills", BackfillCommands.Create),
        ("cluster", ClusterCommands.Create),
        ("config", ConfigCommands.Create),
        ("shell", ShellCommand.Create),
        ("completions", GeneratedCommands.Completions),
        ("man", GeneratedCommands.Man),
        ("bench", BenchCommand.Create),
        ("gate", GateCommands.Create),
        ("postgres", PostgresCommand.Create),
    ];

    public static IEnumerable<string> Names => Commands.Select(command => command.Name);

    public static CliCommand? Find(string name) => Array.Find(Commands, command => command.Name == name).Create?.Invoke();
}
