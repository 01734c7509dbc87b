using System.Globalization;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Cli.Tests.Compatibility;

/// <summary>Every variable and configuration key of ai-memory 0.6.0 that the commands read.</summary>
internal static class ReferenceVariables
{
    private const string Config = ".config/ai-memory/config.toml";

    public static IReadOnlyList<ReferenceCommand> All { get; } =
    [
        new("AI_MEMORY_DB", Verdict.Same, "", async probe =>
        {
            (await probe.RunWithAsync([("AI_MEMORY_DB", "var.db")], "stats")).Exits(0);
            (await probe.RunWithAsync([("AI_MEMORY_DB", "var.db")], "--db", "flag.db", "stats")).Exits(0);
            Assert.True(File.Exists(probe.Om.PathTo("var.db")));
            Assert.True(File.Exists(probe.Om.PathTo("flag.db")));
        }),
        new("AI_MEMORY_AGENT_ID", Verdict.Same, "", async probe =>
        {
            Assert.Equal("bob", await AuthorAsync(probe, [("AI_MEMORY_AGENT_ID", "bob")]));
            Assert.Equal("carol", await AuthorAsync(probe, [("AI_MEMORY_AGENT_ID", "bob")], "--agent-id", "carol"));
        }),
        new("AI_MEMORY_NO_CONFIG", Verdict.Better, "no default file is written either, and standard error does not tell of a file that was read", async probe =>
        {
            await ConfigureAsync(probe, "db = \"configured.db\"");
            (await probe.RunWithAsync([("AI_MEMORY_NO_CONFIG", "")], "stats")).Exits(0);
            Assert.False(File.Exists(probe.Om.PathTo("configured.db")));
            (await probe.RunAsync("stats")).Exits(0);
            Assert.True(File.Exists(probe.Om.PathTo("configured.db")));
        }),
        new("AI_MEMORY_ANONYMIZE", Verdict.Same, "", async probe =>
        {
            Assert.StartsWith("host:", await AuthorAsync(probe, []), StringComparison.Ordinal);
            Assert.Matches("^anonymous:pid-[0-9]+-[0-9a-f]{8}$", await AuthorAsync(probe, [("AI_MEMORY_ANONYMIZE", "yes")]));
        }),
        new("AI_MEMORY_DB_PASSPHRASE, --db-passphrase-file", Verdict.Different, "databases are not encrypted, as in builds without encryption; a file is checked", async probe =>
        {
            await File.WriteAllTextAsync(probe.Om.PathTo("phrase"), "secret\n");
            await File.WriteAllTextAsync(probe.Om.PathTo("empty"), "\n");
            (await probe.RunWithAsync([("AI_MEMORY_DB_PASSPHRASE", "secret")], "--db-passphrase-file", "phrase", "stats")).Exits(0);
            (await probe.RunAsync("stats", "--db-passphrase-file", "empty")).Exits(1);
        }),
        new("RUST_LOG", Verdict.Better, "what serve logs; the log is on standard error", async probe =>
        {
            await using var node = await ServedNode.StartAsync(probe.Om.StartAs(probe.Name, [("RUST_LOG", "ai_memory=off")], "serve", "--port", "0"));
            using var http = new HttpClient();
            await http.GetStringAsync(node.Url + "/api/v1/health");
            Assert.Empty((await node.StopAsync()).Exits(0).Error);
        }),
        new("[identity] anonymize_default", Verdict.Same, "", async probe =>
        {
            await ConfigureAsync(probe, "[identity]\nanonymize_default = true");
            Assert.StartsWith("anonymous:", await AuthorAsync(probe, []), StringComparison.Ordinal);
            Assert.StartsWith("host:", await AuthorAsync(probe, [("AI_MEMORY_ANONYMIZE", "0")]), StringComparison.Ordinal);
            Assert.StartsWith("host:", await AuthorAsync(probe, [("AI_MEMORY_ANONYMIZE", "")]), StringComparison.Ordinal);
        }),
        new("[ttl] short_ttl_secs, ...", Verdict.Same, "", async probe =>
        {
            await ConfigureAsync(probe, "[ttl]\nmid_ttl_secs = 60");
            var memory = (await probe.BatchAsync("store -T a -c x -n compat --json"))[0].Exits(0).Json;
            var created = DateTimeOffset.Parse(memory.GetProperty("created_at").GetString()!, CultureInfo.InvariantCulture);
            Assert.Equal(60, (DateTimeOffset.Parse(memory.GetProperty("expires_at").GetString()!, CultureInfo.InvariantCulture) - created).TotalSeconds, 1);
        }),
        new("archive_max_days", Verdict.Same, "", async probe =>
        {
            // One was forgotten three days ago, one today.
            var time = new ManualTime();
            time.Advance(DateTimeOffset.UtcNow.AddDays(-3) - time.GetUtcNow());
            Directory.CreateDirectory(Path.GetDirectoryName(probe.Database)!);
            await using (var store = SqliteStore.Open(probe.Database, time: time))
            {
                await using var old = await MemoryNode.StartAsync(store, new NodeSettings(), time, new Random(1));
                await old.StoreAsync(new() { Title = "old", Content = "x", Namespace = "compat" }, new());
                await old.ForgetAsync(new("compat", null, null), new());
            }

            await probe.BatchAsync("store -T new -c x -n compat", "forget -n compat");
            await ConfigureAsync(probe, "archive_max_days = 2");
            await using var node = await ServedNode.StartAsync(probe.Om.StartAs(probe.Name, [("OM_GC_INTERVAL_SECS", "1")], "serve", "--port", "0"));
            using var http = new HttpClient();
            await Eventually.HoldsAsync("the older one is gone", async () => (await http.GetStringAsync(node.Url + "/api/v1/archive")) is var archive
                && archive.Contains("\"new\"", StringComparison.Ordinal) && !archive.Contains("\"old\"", StringComparison.Ordinal));
        }),
        new("a configuration file that cannot be parsed", Verdict.Same, "", async probe =>
        {
            await ConfigureAsync(probe, "db = ");
            Assert.Contains("config parse error (", (await probe.RunAsync("stats")).Exits(0).Error, StringComparison.Ordinal);
        }),
    ];

    private static async Task ConfigureAsync(Probe probe, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(probe.Om.PathTo(Config))!);
        await File.WriteAllTextAsync(probe.Om.PathTo(Config), text + "\n");
    }

    private static async Task<string> AuthorAsync(Probe probe, (string, string)[] environment, params string[] options)
    {
        var stored = (await probe.RunWithAsync(environment, [.. options, "store", "-T", Guid.NewGuid().ToString(), "-c", "x", "-n", "compat", "--json"])).Exits(0);
        return stored.Json.GetProperty("metadata").GetProperty("agent_id").GetString()!;
    }
}
