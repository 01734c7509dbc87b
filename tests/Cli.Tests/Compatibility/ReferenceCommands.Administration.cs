using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests.Compatibility;

internal static partial class ReferenceCommands
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private static async Task BackupAsync(Probe probe)
    {
        await IdAsync(probe, "store -T kept -c x -n compat");
        var manifest = (await probe.RunAsync("backup", "--to", "saved", "--keep", "48", "--json")).Exits(0).Json;
        Assert.StartsWith("snapshot,sha256,bytes,source_db,version,created_at", string.Join(',', manifest.EnumerateObject().Select(static field => field.Name)), StringComparison.Ordinal);
        var file = probe.Om.PathTo(Path.Combine("saved", manifest.GetProperty("snapshot").GetString()!));
        Assert.Matches($@"/{(probe.Name == "om" ? "orleans-memory" : "ai-memory")}-\d{{4}}-\d\d-\d\dT\d{{6}}Z\.db$", file);
        Assert.True(File.Exists(Path.ChangeExtension(file, ".manifest.json")));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(file))), manifest.GetProperty("sha256").GetString());
        await IdAsync(probe, "store -T lost -c x -n compat");
        var restored = (await probe.RunAsync("restore", "--from", "saved")).Exits(0);
        Assert.Matches(@"^Previous DB moved to \S+\nRestored \S+ → \S+\n$", restored.Output);
        Assert.Equal(1, (await probe.RunAsync("list", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
        File.Delete(Path.ChangeExtension(file, ".manifest.json"));
        (await probe.RunAsync("restore", "--from", file)).Exits(1);
        var unverified = (await probe.RunAsync("--db", "fresh.db", "restore", "--from", file, "--skip-verify", "--json")).Exits(0).Json;
        Keys(unverified, "from,status,to");
        Assert.Equal("restored", Text(unverified, "status"));
        Assert.Matches(@"^Snapshot: \S+\nManifest: \S+\nSHA-256 : [0-9a-f]{64}\nBytes   : \d+\n$", (await probe.RunAsync("backup", "--to", "other")).Exits(0).Output);
    }

    private static async Task MigrateAsync(Probe probe)
    {
        await IdAsync(probe, "store -T a -c x -n compat");
        var (from, to) = ($"sqlite://{probe.Database}", $"sqlite://{probe.Om.PathTo("target.db")}");
        var report = (await probe.RunAsync("migrate", "--from", from, "--to", to, "--batch", "10", "--namespace", "compat", "--json")).Exits(0);
        Keys(report.Json, "batches,dry_run,errors,from_url,memories_read,memories_written,to_url");
        Assert.StartsWith("{\n  \"batches\": ", report.Output, StringComparison.Ordinal);
        Assert.Equal(1, report.Json.GetProperty("memories_written").GetInt32());
        Assert.Contains("unrecognised store URL", (await probe.RunAsync("migrate", "--from", "ftp://x", "--to", to)).Exits(1).Error, StringComparison.Ordinal);
        Assert.StartsWith("migration report\n  from_url: sqlite://", (await probe.RunAsync("migrate", "--from", from, "--to", to, "--dry-run")).Exits(0).Output, StringComparison.Ordinal);
    }

    private static async Task MineAsync(Probe probe)
    {
        await File.WriteAllTextAsync(probe.Om.PathTo("claude.jsonl"), """
            {"uuid":"u1","name":"Deploys","created_at":"2025-01-01T00:00:00Z","chat_messages":[{"sender":"human","text":"When do we deploy?"},{"sender":"assistant","content":[{"type":"text","text":"On Tuesdays."}]},{"role":"human","text":"Thanks"}]}
            {"uuid":"u2","name":"Deploys","chat_messages":[{"sender":"human","text":"a"},{"sender":"assistant","text":"b"},{"sender":"human","text":"c"}]}
            {"uuid":"u3","name":"short","chat_messages":[{"sender":"human","text":"hi"}]}
            """);
        await File.WriteAllTextAsync(probe.Om.PathTo("chatgpt.json"), """
            [{"id":"g1","title":"Plans","create_time":1735689600,"mapping":{"c":{"message":{"author":{"role":"user"},"content":{"parts":["second"]},"create_time":2}},
              "b":{"message":{"author":{"role":"user"},"content":{"parts":["first"]},"create_time":1}},"s":{"message":{"author":{"role":"system"},"content":{"parts":["hidden"]}}},"r":{"message":null}}}]
            """);
        Directory.CreateDirectory(probe.Om.PathTo("slack/general"));
        await File.WriteAllTextAsync(probe.Om.PathTo("slack/general/2025-01-01.json"), """[{"user":"U1","text":"one","ts":"1735689600.1"},{"username":"bot","text":"two","ts":"1735689601.2"},{"user":"U1","text":"three","ts":"1735689602.3"}]""");

        var preview = (await probe.RunAsync("mine", "claude.jsonl", "-f", "claude", "--dry-run", "--json")).Exits(0);
        Assert.Equal("dry_run,filtered,memories,namespace,tier,total_conversations,would_import", string.Join(',', preview.Json.EnumerateObject().Select(static field => field.Name)));
        Assert.StartsWith("{\n  \"dry_run\": true,", preview.Output, StringComparison.Ordinal);
        Assert.Equal("content_length,messages,source,title", string.Join(',', preview.Json.GetProperty("memories")[0].EnumerateObject().Select(static field => field.Name)));
        var mined = (await probe.RunAsync("mine", "claude.jsonl", "--format", "claude", "-n", "mined", "-t", "long", "--json")).Exits(0);
        Assert.Equal("{\"errors\":0,\"imported\":2,\"namespace\":\"mined\",\"skipped\":1,\"tier\":\"long\",\"total_conversations\":3}\n", mined.Output);
        var answers = await probe.BatchAsync(
            $"mine {probe.Om.PathTo("chatgpt.json")} -f chatgpt --min-messages 2", $"mine {probe.Om.PathTo("slack")} -f slack", "list -n mined --json", "list -n chatgpt-export --json", "list -n slack-export --json",
            "mine x -f typo", $"mine {probe.Om.PathTo("claude.jsonl")} -f claude -t typo", $"mine {probe.Om.PathTo("claude.jsonl")} -f chatgpt", "mine nowhere -f slack", "mine x", $"mine {probe.Om.PathTo("claude.jsonl")} -f claude -n mined -t long");
        Assert.Equal("Imported 1 memories from 1 conversations (skipped: 0, errors: 0)\nNamespace: chatgpt-export, Tier: mid\n", answers[0].Exits(0).Output);
        Assert.Equal("Imported 1 memories from 1 conversations (skipped: 0, errors: 0)\nNamespace: slack-export, Tier: mid\n", answers[1].Exits(0).Output);
        var deploys = answers[2].Exits(0).Json.GetProperty("memories").EnumerateArray().Single(static memory => Text(memory, "title") == "Deploys");
        Assert.Equal("[human]: When do we deploy?\n[assistant]: On Tuesdays.\n[human]: Thanks", Text(deploys, "content"));
        Assert.Equal(("mine-claude", "mine-claude", 0.8, 5), (Text(deploys, "source"), deploys.GetProperty("tags")[0].GetString(), deploys.GetProperty("confidence").GetDouble(), deploys.GetProperty("priority").GetInt32()));
        Assert.Equal("claude", Text(deploys.GetProperty("metadata"), "mined_from"));
        Assert.StartsWith("2025-01-01", Text(deploys, "created_at"), StringComparison.Ordinal);
        Assert.Equal("[user]: first\n[user]: second", Text(answers[3].Exits(0).Json.GetProperty("memories")[0], "content"));
        Assert.Equal("#general", Text(answers[4].Exits(0).Json.GetProperty("memories")[0], "title"));
        Assert.All(answers.Skip(5).Take(4), static answer => answer.Exits(1));
        Assert.Contains("invalid tier: typo", answers[6].Error, StringComparison.Ordinal);
        answers[9].Exits(2);

        // Again: the same memories.
        answers[10].Exits(0);
        Assert.Equal(2, (await probe.BatchAsync("list -n mined --json"))[0].Exits(0).Json.GetProperty("count").GetInt32());
    }

    private static async Task SyncAsync(Probe probe)
    {
        await IdAsync(probe, "store -T here -c x -n compat");
        var other = probe.Om.PathTo("other.db");
        (await probe.RunAsync("--db", other, "--agent-id", "bob", "store", "-T", "there", "-c", "x", "-n", "compat")).Exits(0);
        var planned = (await probe.RunAsync("sync", other, "--dry-run", "--json")).Exits(0).Json;
        Assert.Equal("direction,dry_run,pull,push", string.Join(',', planned.EnumerateObject().Select(static field => field.Name)));
        Assert.Equal("{\"links\":0,\"new\":1,\"noop\":0,\"update\":0}", planned.GetProperty("pull").GetRawText());
        var answers = await probe.BatchAsync(
            $"sync {other} -d pull --json", $"sync {other} --direction push", $"sync {other} --json", $"sync {other} -d sideways", $"sync {other} -d sideways --dry-run", $"sync {probe.Om.PathTo("fresh.db")} -d push --trust-source --json",
            "search there --json");
        Assert.Equal("{\"direction\":\"pull\",\"imported\":1}\n", answers[0].Exits(0).Output);
        Assert.Equal("pushed 2 memories to remote\n", answers[1].Exits(0).Output);
        Assert.Equal("{\"direction\":\"merge\",\"pulled\":0,\"pushed\":0}\n", answers[2].Exits(0).Output);
        answers[3].Exits(1);
        answers[4].Exits(1);
        Assert.Equal("{\"direction\":\"push\",\"exported\":2}\n", answers[5].Exits(0).Output);
        var metadata = answers[6].Exits(0).Json.GetProperty("results")[0].GetProperty("metadata");
        Assert.Equal(("alice", "bob"), (Text(metadata, "agent_id"), Text(metadata, "imported_from_agent_id")));
    }

    private static async Task ServeAsync(Probe probe)
    {
        await using var node = await ServedNode.StartAsync(probe.Om.StartAs(probe.Name, "serve", "--host", "127.0.0.1", "--port", "0", "--shutdown-grace-secs", "5", "--quorum-writes", "0"));
        Assert.Contains($"ai-memory listening on {node.Url}", node.Introduction, StringComparison.Ordinal);
        using var http = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(node.Url + "/api/v1/health")).StatusCode);

        // The file is the node's; a command that names it is answered by the node.
        (await probe.RunAsync("store", "-T", "beside", "-c", "x", "-n", "compat")).Exits(0);
        Assert.Contains("beside", await http.GetStringAsync(node.Url + "/api/v1/memories?namespace=compat"), StringComparison.Ordinal);
        Assert.Equal(1, (await probe.BatchAsync("list -n compat --json"))[0].Exits(0).Json.GetProperty("count").GetInt32());
        (await node.StopAsync()).Exits(0);
        Assert.Equal(1, (await probe.RunAsync("list", "--json")).Exits(0).Json.GetProperty("count").GetInt32());
        (await probe.RunAsync("serve", "--tls-cert", "x.pem")).Exits(2);
        (await probe.RunAsync("serve", "--mtls-allowlist", "x")).Exits(2);
    }

    private static async Task McpAsync(Probe probe)
    {
        const string frames = """
            {"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","clientInfo":{"name":"claude","version":"1"},"capabilities":{}}}
            {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"memory_store","arguments":{"title":"by tool","content":"x","namespace":"compat"}}}

            """;
        var outcome = (await probe.FeedAsync(frames, "mcp", "--tier", "semantic", "--agent-id", "alice")).Exits(0);
        Assert.Contains("ai-memory MCP server started (stdio", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("2024-11-05", outcome.Output.Split('\n')[0], StringComparison.Ordinal);
        var stored = (await probe.RunAsync("list", "-n", "compat", "--json")).Exits(0).Json.GetProperty("memories")[0];
        Assert.Equal("by tool", stored.GetProperty("title").GetString());
        Assert.Equal("alice", stored.GetProperty("metadata").GetProperty("agent_id").GetString());
    }

    private static async Task SyncDaemonAsync(Probe probe)
    {
        Assert.Contains("at least one --peers URL is required", (await probe.RunAsync("sync-daemon")).Exits(1).Error, StringComparison.Ordinal);
        await using var peer = await ServedNode.StartAsync(probe.Om.StartAs(probe.Name, "--db", probe.Om.PathTo("peer.db"), "serve", "--port", "0"));
        await using var own = await ServedNode.StartAsync(probe.Om.StartAs(probe.Name, "serve", "--port", "0"));
        (await probe.RunAsync("--url", peer.Url, "store", "-T", "theirs", "-c", "x", "-n", "compat")).Exits(0);
        (await probe.RunAsync("--url", own.Url, "store", "-T", "ours", "-c", "x", "-n", "compat")).Exits(0);
        using var daemon = probe.Om.StartAs(probe.Name, "sync-daemon", "--peers", peer.Url, "--interval", "1", "--batch-size", "100", "--agent-id", "relay");
        try
        {
            await Eventually.HoldsAsync("both nodes hold both memories", async () => await TitlesAsync(own.Url) == "ours,theirs" && await TitlesAsync(peer.Url) == "ours,theirs");
        }
        finally
        {
            daemon.Kill();
        }
    }

    private static async Task<string> TitlesAsync(string url)
    {
        using var http = new HttpClient();
        using var listed = JsonDocument.Parse(await http.GetStringAsync(url + "/api/v1/memories?namespace=compat"));
        return string.Join(',', listed.RootElement.GetProperty("memories").EnumerateArray().Select(static memory => Text(memory, "title")).Order(StringComparer.Ordinal));
    }

    private static async Task CuratorAsync(Probe probe)
    {
        const string Text = "we deploy on tuesdays at ten and never on fridays because nobody is there";
        await probe.BatchAsync($"store -T one -c '{Text}' -n compat", $"store -T two -c '{Text} again' -n compat", $"store -T three -c '{Text}' -n left");
        var report = (await probe.RunAsync("curator", "--once", "--max-ops", "50", "--exclude-namespace", "left", "--dry-run", "--json")).Exits(0);
        Assert.StartsWith(
            "started_at,completed_at,cycle_duration_ms,memories_scanned,memories_eligible,auto_tagged,contradictions_found,operations_attempted,operations_skipped_cap,autonomy,errors,dry_run",
            string.Join(',', report.Json.EnumerateObject().Select(static field => field.Name)), StringComparison.Ordinal);
        Keys(report.Json.GetProperty("autonomy"), "clusters_formed,memories_consolidated,memories_forgotten,priority_adjustments,rollback_entries_written,errors");
        Assert.StartsWith("{\n  \"started_at\": ", report.Output, StringComparison.Ordinal);
        Assert.Equal(2, report.Json.GetProperty("autonomy").GetProperty("memories_consolidated").GetInt32());
        var answers = await probe.BatchAsync(
            "curator --once --include-namespace compat", "list -n compat --json", "curator --rollback-last 1", "list -n compat --json", "curator --rollback-last 1", $"curator --rollback {Missing}", "curator", "curator --once --daemon",
            "curator --once --rollback x");
        Assert.StartsWith("curator cycle report\n  started_at: ", answers[0].Exits(0).Output, StringComparison.Ordinal);
        Assert.Equal(1, answers[1].Exits(0).Json.GetProperty("count").GetInt32());
        Assert.Equal("reversed 1 rollback entries\n", answers[2].Exits(0).Output);
        Assert.Equal(2, answers[3].Exits(0).Json.GetProperty("count").GetInt32());
        Assert.Equal("reversed 0 rollback entries\n", answers[4].Exits(0).Output);
        answers[5].Exits(1);
        answers[6].Exits(1);
        answers[7].Exits(2);
        answers[8].Exits(2);
        var ids = (await probe.BatchAsync("list -n compat --json"))[0].Json.GetProperty("memories").EnumerateArray().Select(static row => row.GetProperty("id").GetString());
        var made = (await probe.RunAsync("consolidate", string.Join(',', ids), "-T", "both", "-s", "x", "-n", "compat", "--json")).Exits(0).Json.GetProperty("curation_id").GetString();
        var undone = await probe.BatchAsync($"curator --rollback {made}", $"curator --rollback {made}");
        Assert.Equal($"rollback {made}: applied\n", undone[0].Exits(0).Output);
        Assert.Equal($"rollback {made}: no-op\n", undone[1].Exits(0).Output);
        await CuratorDaemonAsync(probe);
    }

    /// <summary>The database is free between two runs, and SIGTERM ends it in order.</summary>
    private static async Task CuratorDaemonAsync(Probe probe)
    {
        using var daemon = probe.Start("curator", "--daemon", "--interval-secs", "1", "--include-namespace", "compat", "--json");
        var report = new StringBuilder();
        while (await daemon.StandardOutput.ReadLineAsync().WaitAsync(Deadline) is { } line && report.Append(line).ToString() is var text && line != "}")
        {
            Assert.StartsWith("{", text, StringComparison.Ordinal);
        }

        Assert.False(JsonDocument.Parse(report.ToString()).RootElement.GetProperty("dry_run").GetBoolean());
        (await probe.RunAsync("stats")).Exits(0);
        Assert.Equal(0, await Om.TerminateAsync(daemon));
        Assert.Empty(await daemon.StandardError.ReadToEndAsync());
        Assert.Empty(await daemon.StandardOutput.ReadToEndAsync());
    }

    private static async Task CompletionsAsync(Probe probe)
    {
        var answers = await probe.BatchAsync("completions bash", "completions zsh", "completions fish", "completions elvish", "completions powershell", "completions tcsh", "completions");
        Assert.All(answers.Take(5), answer =>
        {
            Assert.Contains("auto-consolidate", answer.Exits(0).Output, StringComparison.Ordinal);
            Assert.Contains(probe.Name, answer.Output, StringComparison.Ordinal);
            Assert.Contains("min-messages", answer.Output, StringComparison.Ordinal);
        });
        answers[5].Exits(2);
        answers[6].Exits(2);
        await File.WriteAllTextAsync(probe.Om.PathTo("complete.bash"), answers[0].Output);
        var function = $"_{probe.Name.Replace('-', '_')}";
        var script = $"source ./complete.bash; COMP_WORDS=({probe.Name} archive re); COMP_CWORD=2; {function}; echo \"${{COMPREPLY[*]}}\"; COMP_WORDS=({probe.Name} store --ti); COMP_CWORD=2; {function}; echo \"${{COMPREPLY[*]}}\"";
        Assert.Equal("restore\n--tier --title\n", Sorted((await probe.Om.RunAsync("/bin/bash", ["-c", script], input: null)).Exits(0).Output));

        static string Sorted(string text) => string.Concat(text.TrimEnd('\n').Split('\n').Select(static line => $"{string.Join(' ', line.Split(' ').Order(StringComparer.Ordinal))}\n"));
    }

    private static async Task ManAsync(Probe probe)
    {
        var page = (await probe.RunAsync("man")).Exits(0).Output;
        Assert.StartsWith($".TH {probe.Name.ToUpperInvariant()} 1", page, StringComparison.Ordinal);
        Assert.Contains(".SS archive restore ID\n", page.Replace("\\-", "-"), StringComparison.Ordinal);
        Assert.Contains(".SH EXIT STATUS", page, StringComparison.Ordinal);
    }

    private static async Task HelpAsync(Probe probe)
    {
        var help = (await probe.RunAsync("help", "archive", "list")).Exits(0).Output;
        Assert.Contains("--offset", help, StringComparison.Ordinal);
        Assert.Empty((await probe.RunAsync()).Exits(2).Output);
        var version = (await probe.RunAsync("-V")).Exits(0).Output;
        Assert.StartsWith(probe.Name == "om" ? "om " : "ai-memory 0.6.0 (OrleansMemory ", version, StringComparison.Ordinal);
    }
}
