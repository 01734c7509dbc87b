namespace OrleansMemory.Cli.Tests.Compatibility;

/// <summary>Every option of ai-memory 0.6.0, as <c>--name</c> or <c>--name|-n</c>; one that takes a value ends in <c>=</c>. Arguments are in capitals.</summary>
internal static class ReferenceOptions
{
    public static IReadOnlyDictionary<string, string> All { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        [""] = "--db= --json --agent-id= --db-passphrase-file= --version|-V",
        ["store"] = "--title|-T= --content|-c= --tier|-t= --namespace|-n= --tags= --priority|-p= --confidence= --source|-S= --expires-at= --ttl-secs= --scope=",
        ["update"] = "ID --title|-T= --content|-c= --tier|-t= --namespace|-n= --tags= --priority|-p= --confidence= --expires-at=",
        ["recall"] = "CONTEXT --namespace|-n= --limit= --tags= --since= --until= --tier|-T= --as-agent= --budget-tokens= --context-tokens=",
        ["search"] = "QUERY --namespace|-n= --tier|-t= --limit= --since= --until= --tags= --agent-id= --as-agent=",
        ["list"] = "--namespace|-n= --tier|-t= --limit= --offset= --since= --until= --tags= --agent-id=",
        ["get"] = "ID",
        ["delete"] = "ID",
        ["promote"] = "ID --to-namespace=",
        ["forget"] = "--namespace|-n= --pattern|-p= --tier|-t=",
        ["link"] = "SOURCE_ID TARGET_ID --relation|-r=",
        ["consolidate"] = "IDS --title|-T= --summary|-s= --namespace|-n=",
        ["resolve"] = "WINNER LOSER",
        ["gc"] = "",
        ["stats"] = "",
        ["namespaces"] = "",
        ["export"] = "",
        ["import"] = "--trust-source",
        ["auto-consolidate"] = "--namespace|-n= --short-only --min-count= --dry-run",
        ["shell"] = "",
        ["archive list"] = "--namespace|-n= --limit= --offset=",
        ["archive restore"] = "ID",
        ["archive purge"] = "--older-than-days=",
        ["archive stats"] = "",
        ["agents list"] = "",
        ["agents register"] = "--agent-id= --agent-type= --capabilities=",
        ["pending list"] = "--status= --limit=",
        ["pending approve"] = "ID",
        ["pending reject"] = "ID",
        ["backup"] = "--to= --keep=",
        ["restore"] = "--from= --skip-verify",
        ["migrate"] = "--from= --to= --batch= --namespace= --dry-run",
        ["mine"] = "PATH --format|-f= --namespace|-n= --tier|-t= --min-messages= --dry-run",
        ["sync"] = "REMOTE_DB --direction|-d= --trust-source --dry-run",
        ["serve"] = "--host= --port= --tls-cert= --tls-key= --mtls-allowlist= --shutdown-grace-secs= --quorum-writes= --quorum-peers= --quorum-timeout-ms= --quorum-client-cert= --quorum-client-key=",
        ["mcp"] = "--tier=",
        ["sync-daemon"] = "--peers= --interval= --api-key= --batch-size= --client-cert= --client-key= --insecure-skip-server-verify",
        ["curator"] = "--once --daemon --interval-secs= --max-ops= --dry-run --include-namespace= --exclude-namespace= --rollback= --rollback-last=",
        ["completions"] = "SHELL",
        ["man"] = "",
    };
}
