using System.CommandLine;

namespace OrleansMemory.Cli.Options;

/// <summary>What every command takes, before or after its name.</summary>
internal sealed class GlobalOptions
{
    public Option<string?> Db { get; } = OptionKinds.Text("Database: a file, or postgres://host/name with its password in PGPASSWORD or a passfile [env: OM_DB, AI_MEMORY_DB]", "--db");

    public Option<string?> Url { get; } = OptionKinds.Text("Work on the node at this address instead of a local database [env: OM_URL]", "--url");

    public Option<bool> Json { get; } = OptionKinds.Flag("Machine-readable output", "--json");

    public Option<string?> AgentId { get; } = OptionKinds.Text("Who you are [env: OM_AGENT_ID, AI_MEMORY_AGENT_ID]", "--agent-id");

    public Option<string?> PassphraseFile { get; } =
        OptionKinds.Text("File with a passphrase; read and checked, but databases are not encrypted", "--db-passphrase-file");

    public void AddTo(Command root)
    {
        foreach (var option in new Option[] { Db, Url, Json, AgentId, PassphraseFile })
        {
            option.Recursive = true;
            root.Add(option);
        }
    }
}
