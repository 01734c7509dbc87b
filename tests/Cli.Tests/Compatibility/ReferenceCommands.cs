using System.Text.Json;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests.Compatibility;

/// <summary>One command: what is claimed of it, and the runs that show it.</summary>
/// <param name="Why">For a reader of the page.</param>
internal sealed record ReferenceCommand(string Name, Verdict Verdict, string Why, Func<Probe, Task> Check);

/// <summary>Every command of ai-memory 0.6.0, in the order of its reference. Each check runs the program under one of its two names.</summary>
internal static partial class ReferenceCommands
{
    private const string MemoryKeys = "access_count,confidence,content,created_at,id,metadata,namespace,priority,source,tags,tier,title,updated_at";
    private const string Missing = "00000000-0000-4000-8000-000000000000";

    public static IReadOnlyList<ReferenceCommand> All { get; } =
    [
        new("store", Verdict.Better, "the memory as it is stored, also after an upsert; an approval that is asked for is exit 0, as there", StoreAsync),
        new("update", Verdict.Better, "governed; an unknown tier is an error", UpdateAsync),
        new("recall", Verdict.Better, "writes nothing on its path; instants in any notation", RecallAsync),
        new("search", Verdict.Better, "`--agent-id` filters behind the command's name only; an unknown tier is an error", SearchAsync),
        new("list", Verdict.Better, "as search", ListAsync),
        new("get", Verdict.Same, "", GetAsync),
        new("delete", Verdict.Same, "final on every node", DeleteAsync),
        new("promote", Verdict.Same, "", PromoteAsync),
        new("forget", Verdict.Better, "an unknown tier deletes nothing; the whole row goes to the archive", ForgetAsync),
        new("link", Verdict.Same, "", LinkAsync),
        new("consolidate", Verdict.Better, "the sources are archived, not deleted, and `curation_id` undoes it", ConsolidateAsync),
        new("resolve", Verdict.Better, "one transaction", ResolveAsync),
        new("gc", Verdict.Same, "", GcAsync),
        new("stats", Verdict.Same, "", StatsAsync),
        new("namespaces", Verdict.Same, "", NamespacesAsync),
        new("export", Verdict.Better, "streams", ExportAsync),
        new("import", Verdict.Better, "malformed JSON anywhere imports nothing; a refused row is exit 1; links follow their memories to the ids they got", ImportAsync),
        new("auto-consolidate", Verdict.Better, "every row; contents are kept whole while they fit; groups in one order; can be undone", AutoConsolidateAsync),
        new("shell", Verdict.Better, "every command, options and quotes; history and completion at a terminal; deletes are governed", ShellAsync),
        new("archive list", Verdict.Same, "the tags as a list too, in `tag_list`", ArchiveAsync),
        new("archive restore", Verdict.Better, "all fields come back; not found is exit 1 with `--json` too", ArchiveAsync),
        new("archive purge", Verdict.Same, "", ArchiveAsync),
        new("archive stats", Verdict.Same, "", ArchiveAsync),
        new("agents list", Verdict.Same, "", AgentsAsync),
        new("agents register", Verdict.Different, "a registration is a record of its own, so `id` names no memory", AgentsAsync),
        new("pending list", Verdict.Same, "", PendingAsync),
        new("pending approve", Verdict.Same, "", PendingAsync),
        new("pending reject", Verdict.Same, "", PendingAsync),
        new("backup", Verdict.Better, "checked, with counts and a digest in its manifest; also while a node serves the database", BackupAsync),
        new("restore", Verdict.Better, "refuses a database that is in use; leaves no stale log behind", BackupAsync),
        new("migrate", Verdict.Better, "every kind of row, counted on both sides; killed and run again it goes on; shows no password", MigrateAsync),
        new("mine", Verdict.Better, "an export that cannot be read to its end imports nothing; no conversation is cut or told as another's", MineAsync),
        new("sync", Verdict.Better, "an unknown direction is an error in a dry run too; what was deleted stays so", SyncAsync),
        new("serve", Verdict.Better, "says that it listens once it does; SIGTERM drains; commands that name a served database reach its node", ServeAsync),
        new("sync-daemon", Verdict.Better, "marks pass no row that was not taken, and survive a restart; a client certificate does not turn the check of the server's off", SyncDaemonAsync),
        new("mcp", Verdict.Better, "holds the database only while calls run, so that scripts and further clients use it too; goes through a node that serves it; the agent id of the command line counts", McpAsync),
        new("curator", Verdict.Better, "works without a text model; each change is undone by its record, written in the same transaction; stops on SIGTERM", CuratorAsync),
        new("completions", Verdict.Same, "", CompletionsAsync),
        new("man", Verdict.Better, "every command, the variables and exit statuses", ManAsync),
        new("help", Verdict.Same, "", HelpAsync),
    ];

    private static async Task StoreAsync(Probe probe)
    {
        var stored = (await probe.RunAsync(
            "--agent-id", "alice", "--json", "store", "--tier", "long", "-T", "-title", "-c", "content", "-n", "compat", "--tags", "a, b", "-p", "7", "--confidence", "0.5", "-S", "hook",
            "--scope", "team")).Exits(0);
        Keys(stored.Json, MemoryKeys);
        Assert.Contains("\"namespace\":\"compat\"", stored.Output, StringComparison.Ordinal);
        Assert.Single(stored.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        var similar = (await probe.RunAsync("store", "-T", "title two", "-c", "x", "-n", "compat", "--json")).Exits(0);
        Assert.Equal(stored.Json.GetProperty("id").GetString(), similar.Json.GetProperty("potential_contradictions")[0].GetString());
        Assert.Equal("warning: 1 similar memories exist in compat\n", similar.Error);
        (await probe.FeedAsync("from stdin", "store", "-T", "piped", "-c", "-", "-n", "compat")).Exits(0);
        var answers = await probe.BatchAsync(
            "store -T text -c x -n compat",
            "store -T timed -c x -n compat --ttl-secs 60 --json",
            "store -T dated -c x -n compat --expires-at 2099-01-01T00:00:00Z --ttl-secs 60 --json",
            "store -T tier -c x -n compat --tier typo",
            "store -T only-title",
            "store -T -title -c changed -n compat --json",
            "store -T bad -c x -n compat -p 11",
            "store -T bad -c x -n compat --source nowhere",
            "store -T past -c x -n compat --expires-at 2020-01-01T00:00:00Z");
        Assert.Matches(@"^stored: [0-9a-f-]{36} \[mid\] \(ns=compat\)\n$", answers[0].Exits(0).Output);
        Assert.True(answers[1].Exits(0).Json.TryGetProperty("expires_at", out _));
        Assert.StartsWith("2099-01-01", answers[2].Exits(0).Json.GetProperty("expires_at").GetString(), StringComparison.Ordinal);
        Assert.Contains("invalid tier: typo (use short, mid, long)", answers[3].Exits(1).Error, StringComparison.Ordinal);
        answers[4].Exits(2);
        Assert.Equal(stored.Json.GetProperty("id").GetString(), answers[5].Exits(0).Json.GetProperty("id").GetString());
        Assert.Contains("priority must be between", answers[6].Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("invalid source", answers[7].Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("expires_at is in the past", answers[8].Exits(1).Error, StringComparison.Ordinal);
    }

    private static async Task UpdateAsync(Probe probe)
    {
        var id = await IdAsync(probe, "store -T old -c x -n compat --tags a --tier long");
        await IdAsync(probe, "store -T taken -c x -n compat");
        var changed = (await probe.RunAsync(
            "update", id[..8], "-T", "new", "-c", "y", "-t", "short", "-n", "compat/b", "--tags", "", "-p", "9", "--confidence", "0.25", "--expires-at", "", "--json")).Exits(0).Json;
        Assert.Equal(
            "id,tier,namespace,title,content,tags,priority,confidence,source,access_count,created_at,updated_at,metadata",
            string.Join(',', changed.EnumerateObject().Select(static field => field.Name)));
        Assert.Equal("long", changed.GetProperty("tier").GetString());
        var answers = await probe.BatchAsync($"update {id} -n compat -T text", $"update {id} -T taken", $"update {Missing} -T x", $"update {id} --tier typo");
        Assert.Equal($"updated: {id} [text]\n", answers[0].Exits(0).Output);
        Assert.Contains("already exists in namespace", answers[1].Exits(1).Error, StringComparison.Ordinal);
        Assert.Equal($"not found: {Missing}\n", answers[2].Exits(1).Error);
        answers[3].Exits(1);
    }

    private static async Task RecallAsync(Probe probe)
    {
        await probe.BatchAsync(
            "store -T 'Deploy window' -c 'We deploy on Tuesdays' -n compat --tags deploy --confidence 0.8",
            "store -T Lunch -c 'Noon on Tuesdays' -n other");
        var found = (await probe.RunAsync("recall", "when do we deploy on tuesdays", "--namespace", "compat", "--limit", "5", "--json", "--tier", "keyword", "--budget-tokens", "500")).Exits(0);
        Assert.Matches("^{\"budget_tokens\":500,\"count\":1,\"memories\":\\[", found.Output);
        Keys(found.Json, "count,memories,mode,tokens_used");
        Keys(found.Json.GetProperty("memories")[0], MemoryKeys + ",score");
        Assert.Equal("keyword", found.Json.GetProperty("mode").GetString());
        var answers = await probe.BatchAsync(
            "recall deploy -n compat -T keyword",
            "recall nothing-of-the-kind -T keyword",
            "recall tuesdays --tags deploy --since 2020-01-01T00:00:00Z --until 2099-01-01T00:00:00Z --as-agent compat --context-tokens a,b -T keyword --json",
            "recall tuesdays --since yesterday");
        Assert.Matches(@"^\[mid/[0-9a-f]{8}\] Deploy window [█░]{10} score=\d+\.\d\d \(ns=compat, \d+x, just now conf=80%\)\n  We deploy on Tuesdays\n\n1 memory\(ies\) recalled \[keyword\]\n$", answers[0].Exits(0).Output);
        Assert.Contains("no memories found for: nothing-of-the-kind\n", answers[1].Exits(0).Error, StringComparison.Ordinal);
        Assert.Equal(1, answers[2].Exits(0).Json.GetProperty("count").GetInt32());
        answers[3].Exits(1);
    }

    private static async Task SearchAsync(Probe probe)
    {
        await probe.BatchAsync("store -T 'Zebra crossing' -c x -n compat --tags a", "store -T Zebra -c x -n other --agent-id bob");
        var found = (await probe.RunWithAsync([("AI_MEMORY_AGENT_ID", "bob")], "search", "zebra", "--json")).Exits(0);
        Keys(found.Json, "count,results");
        Assert.Equal(2, found.Json.GetProperty("count").GetInt32());
        Keys(found.Json.GetProperty("results")[0], MemoryKeys);
        var answers = await probe.BatchAsync(
            "search zebra crossing", "search nothing-here",
            "search zebra -n compat -t mid --limit 5 --since 2020-01-01T00:00:00Z --until 2099-01-01T00:00:00Z --tags a --agent-id alice --as-agent compat --json", "search zebra --tier typo");
        Assert.Matches(@"^\[mid/[0-9a-f]{8}\] Zebra crossing \(p=5, ns=compat, just now\)\n\n1 result\(s\)\n$", answers[0].Exits(0).Output);
        Assert.Equal("no results for: nothing-here\n", answers[1].Exits(0).Error);
        Assert.Equal(1, answers[2].Exits(0).Json.GetProperty("count").GetInt32());
        answers[3].Exits(1);
    }

    private static async Task ListAsync(Probe probe)
    {
        var none = (await probe.RunAsync("list")).Exits(0);
        Assert.Equal(("", "no memories stored\n"), (none.Output, none.Error));
        var answers = await probe.BatchAsync(
            "store -T low -c x -n compat --tags a -p 1", "store -T high -c x -n compat -p 9", "list --json", "list -n compat",
            "list -t mid --limit 1 --offset 1 --since 2020-01-01T00:00:00Z --until 2099-01-01T00:00:00Z --tags a --agent-id alice --json", "list --tier typo");
        Keys(answers[2].Exits(0).Json, "count,memories");
        Assert.Equal("high", answers[2].Json.GetProperty("memories")[0].GetProperty("title").GetString());
        Assert.Matches(@"^\[mid/[0-9a-f]{8}\] high \(p=9, ns=compat, just now\)\n\[mid/[0-9a-f]{8}\] low \(p=1, ns=compat, just now\)\n\n2 memory\(ies\)\n$", answers[3].Exits(0).Output);
        Assert.Equal(0, answers[4].Exits(0).Json.GetProperty("count").GetInt32());
        answers[5].Exits(1);
    }

    private static async Task GetAsync(Probe probe)
    {
        var (a, b) = (await IdAsync(probe, "store -T a -c x -n compat"), await IdAsync(probe, "store -T b -c x -n compat"));
        var answers = await probe.BatchAsync($"link {a} {b} -r supersedes", $"get {a[..10]} --json", $"get {a}", $"get {Missing}");
        Keys(answers[1].Exits(0).Json, "links,memory");
        Keys(answers[1].Json.GetProperty("links")[0], "created_at,relation,source_id,target_id");
        Keys(answers[1].Json.GetProperty("memory"), MemoryKeys);
        Assert.StartsWith($"{{\n  \"id\": \"{a}\",\n  \"tier\": \"mid\",", answers[2].Exits(0).Output, StringComparison.Ordinal);
        Assert.EndsWith($"}}\n\nlinks:\n  {a} --[supersedes]--> {b}\n", answers[2].Output, StringComparison.Ordinal);
        Assert.Equal($"not found: {Missing}\n", answers[3].Exits(1).Error);
        await ImportAsync(probe, """{"id":"aa-1","title":"one"}""", """{"id":"aa-2","title":"two"}""");
        var ambiguous = (await probe.RunAsync("get", "aa-")).Exits(1);
        Assert.StartsWith("Error: ambiguous ID prefix 'aa-': 2 matches", ambiguous.Error, StringComparison.Ordinal);
        Assert.Contains("aa-1", ambiguous.Error, StringComparison.Ordinal);
    }

    private static async Task DeleteAsync(Probe probe)
    {
        var (a, b) = (await IdAsync(probe, "store -T a -c x -n compat"), await IdAsync(probe, "store -T b -c x -n compat"));
        var deleted = (await probe.RunAsync("delete", a[..8], "--json")).Exits(0);
        Assert.Equal($"{{\"deleted\":true,\"id\":\"{a}\"}}\n", deleted.Output);
        var answers = await probe.BatchAsync($"delete {b}", $"delete {b}");
        Assert.Equal($"deleted: {b}\n", answers[0].Exits(0).Output);
        Assert.Equal($"not found: {b}\n", answers[1].Exits(1).Error);
    }

    private static async Task PromoteAsync(Probe probe)
    {
        var id = await IdAsync(probe, "store -T a -c x -n compat/a/b");
        var answers = await probe.BatchAsync(
            $"promote {id} --json", $"promote {id}", $"promote {id} --to-namespace compat --json", $"promote {id} --to-namespace compat", $"promote {id} --to-namespace elsewhere", $"promote {Missing}");
        Assert.Equal($"{{\"id\":\"{id}\",\"promoted\":true,\"tier\":\"long\"}}\n", answers[0].Exits(0).Output);
        Assert.Equal($"promoted to long-term: {id}\n", answers[1].Exits(0).Output);
        Keys(answers[2].Exits(0).Json, "clone_id,mode,promoted,source_id,to_namespace");
        Assert.Matches($@"^promoted \(vertical\): {id[..8]} → compat \(clone: [0-9a-f]{{8}}\)\n$", answers[3].Exits(0).Output);
        answers[4].Exits(1);
        Assert.Equal($"not found: {Missing}\n", answers[5].Exits(1).Error);
    }

    private static async Task ForgetAsync(Probe probe)
    {
        await probe.BatchAsync("store -T 'probe one' -c x -n compat", "store -T two -c x -n compat", "store -T three -c x -n compat -t short");
        Assert.Equal("{\"deleted\":1}\n", (await probe.RunAsync("forget", "--pattern", "probe", "--json")).Exits(0).Output);
        var answers = await probe.BatchAsync("forget", "forget -n compat --tier typo", "forget -t short", "forget -n compat", "archive stats --json");
        Assert.StartsWith("error: ", answers[0].Exits(1).Error, StringComparison.Ordinal);
        answers[1].Exits(1);
        Assert.Equal("forgot 1 memories\n", answers[2].Exits(0).Output);
        Assert.Equal("forgot 1 memories\n", answers[3].Exits(0).Output);
        Assert.Equal(3, answers[4].Exits(0).Json.GetProperty("archived_total").GetInt32());
    }

    private static async Task LinkAsync(Probe probe)
    {
        var (a, b) = (await IdAsync(probe, "store -T a -c x -n compat"), await IdAsync(probe, "store -T b -c x -n compat"));
        var answers = await probe.BatchAsync($"link {a} {b}", $"link {a} {b} -r contradicts --json", $"link {a} {Missing}", $"link {Missing} {b}", $"link {a} {a}", $"link {a} {b} -r loves");
        Assert.Equal($"linked: {a} --[related_to]--> {b}\n", answers[0].Exits(0).Output);
        Assert.Equal("{\"linked\":true}\n", answers[1].Exits(0).Output);
        Assert.Contains($"target memory not found: {Missing}", answers[2].Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains($"source memory not found: {Missing}", answers[3].Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("cannot link a memory to itself", answers[4].Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("invalid relation", answers[5].Exits(1).Error, StringComparison.Ordinal);
    }

    private static async Task ConsolidateAsync(Probe probe)
    {
        var (a, b) = (await IdAsync(probe, "store -T a -c x -n compat"), await IdAsync(probe, "store -T b -c x -n compat"));
        var (c, d) = (await IdAsync(probe, "store -T c -c x -n compat"), await IdAsync(probe, "store -T d -c x -n compat"));
        var made = (await probe.RunAsync("consolidate", $"{a},{b}", "-T", "both", "-s", "all of it", "-n", "compat", "--json")).Exits(0).Json;
        Assert.Equal(2, made.GetProperty("consolidated").GetInt32());
        var answers = await probe.BatchAsync(
            $"get {made.GetProperty("id").GetString()} --json", $"get {a}", $"consolidate {c},{d} -T more -s all -n compat", $"consolidate {c} -T x -s y", $"consolidate {c},{c} -T x -s y",
            $"consolidate {c},{Missing} -T x -s y");
        var memory = answers[0].Exits(0).Json.GetProperty("memory");
        Assert.Equal(("long", "cli"), (memory.GetProperty("tier").GetString(), memory.GetProperty("source").GetString()));
        answers[1].Exits(1);
        Assert.Matches("^consolidated 2 memories into: [0-9a-f-]{36}\n$", answers[2].Exits(0).Output);
        Assert.Contains("need at least 2", answers[3].Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("duplicate memory ID", answers[4].Exits(1).Error, StringComparison.Ordinal);
        answers[5].Exits(1);
    }

    private static async Task ResolveAsync(Probe probe)
    {
        var (a, b) = (await IdAsync(probe, "store -T a -c x -n compat"), await IdAsync(probe, "store -T b -c x -n compat -p 9"));
        Assert.Equal($"{{\"loser\":\"{b}\",\"resolved\":true,\"winner\":\"{a}\"}}\n", (await probe.RunAsync("resolve", a, b, "--json")).Exits(0).Output);
        var answers = await probe.BatchAsync($"get {b} --json", $"get {a} --json", $"resolve {a} {b}", $"resolve {a} {Missing}", $"resolve {a} {a}");
        var loser = answers[0].Exits(0).Json.GetProperty("memory");
        Assert.Equal((1, 0.1), (loser.GetProperty("priority").GetInt32(), loser.GetProperty("confidence").GetDouble()));
        Assert.Equal("supersedes", answers[0].Json.GetProperty("links")[0].GetProperty("relation").GetString());
        Assert.Equal(1, answers[1].Exits(0).Json.GetProperty("memory").GetProperty("access_count").GetInt32());
        Assert.Equal($"resolved: {a} supersedes {b}\n", answers[2].Exits(0).Output);
        answers[3].Exits(1);
        answers[4].Exits(1);
    }

    private static async Task GcAsync(Probe probe)
    {
        await ImportAsync(probe, """{"id":"old","title":"old","expires_at":"2021-01-01T00:00:00Z"}""");
        Assert.Equal("{\"expired_deleted\":1}\n", (await probe.RunAsync("gc", "--json")).Exits(0).Output);
        Assert.Equal("expired memories deleted: 0\n", (await probe.BatchAsync("gc"))[0].Exits(0).Output);
    }

    private static async Task StatsAsync(Probe probe)
    {
        await IdAsync(probe, "store -T a -c x -n compat");
        var counted = (await probe.RunAsync("stats", "--json")).Exits(0).Json;
        Assert.Equal("total,by_tier,by_namespace,expiring_soon,links_count,db_size_bytes", string.Join(',', counted.EnumerateObject().Select(static field => field.Name)));
        Assert.Matches(
            @"^total memories: 1\nexpiring within 1h: 0\nlinks: 0\ndatabase size: \d+ bytes\nby tier:\n  mid: 1\nby namespace:\n  compat: 1\n$", (await probe.BatchAsync("stats"))[0].Exits(0).Output);
    }

    private static async Task NamespacesAsync(Probe probe)
    {
        Assert.Equal("no namespaces\n", (await probe.RunAsync("namespaces")).Exits(0).Error);
        var answers = await probe.BatchAsync("store -T a -c x -n compat", "namespaces --json", "namespaces");
        Assert.Equal("{\"namespaces\":[{\"count\":1,\"namespace\":\"compat\"}]}\n", answers[1].Exits(0).Output);
        Assert.Equal("  compat: 1 memories\n", answers[2].Exits(0).Output);
    }

    private static async Task ExportAsync(Probe probe)
    {
        await IdAsync(probe, "store -T a -c x -n compat");
        var exported = (await probe.RunAsync("export")).Exits(0);
        Keys(exported.Json, "count,exported_at,links,memories");
        Assert.StartsWith("{\n  \"count\": 1,\n", exported.Output, StringComparison.Ordinal);
        Keys(exported.Json.GetProperty("memories")[0], MemoryKeys);
    }

    private static async Task ImportAsync(Probe probe)
    {
        var rows = MemoryTests.Export("""{"id":"a","title":"a","metadata":{"agent_id":"bob"}}""", """{"id":"b","title":"b","tags":[""]}""");
        var taken = (await probe.FeedAsync(rows, "--agent-id", "alice", "import", "--json")).Exits(1).Json;
        Assert.Equal("errors,imported,restamped,trusted_source", string.Join(',', taken.EnumerateObject().Select(static field => field.Name)));
        Assert.Equal((1, 1, false), (taken.GetProperty("imported").GetInt32(), taken.GetProperty("restamped").GetInt32(), taken.GetProperty("trusted_source").GetBoolean()));
        Assert.StartsWith("b: tags cannot contain empty", taken.GetProperty("errors")[0].GetString(), StringComparison.Ordinal);
        Assert.Equal("imported: 1 (restamped agent_id on 0)\n", (await probe.FeedAsync(MemoryTests.Export("""{"id":"c","title":"c"}"""), "import", "--trust-source")).Exits(0).Output);
        (await probe.FeedAsync(rows[..^3], "import")).Exits(1);
    }

    private static async Task AutoConsolidateAsync(Probe probe)
    {
        var answers = await probe.BatchAsync(
            "store -T a -c one -n compat --tags t", "store -T b -c two -n compat --tags t,u", "store -T c -c three -n compat --tags t", "store -T d -c x -n compat", "store -T e -c x -n other -t short",
            "auto-consolidate --dry-run --json", "auto-consolidate --dry-run", "auto-consolidate -n other --short-only --min-count 2 --json", "auto-consolidate", "search one --json", "archive stats --json");
        Assert.StartsWith("{\"dry_run\":true,\"groups\":[{\"count\":3,\"namespace\":\"compat\",\"tag\":\"t\",\"titles\":[", answers[5].Exits(0).Output, StringComparison.Ordinal);
        Assert.Equal("dry run — would consolidate:\n  \"compat\" [\"t\"]: 3 memories\n", answers[6].Exits(0).Output);
        Assert.Equal("{\"consolidated\":0}\n", answers[7].Exits(0).Output);
        Assert.Equal("auto-consolidated 3 memories\n", answers[8].Exits(0).Output);
        Assert.Equal("auto-consolidate", answers[9].Exits(0).Json.GetProperty("results")[0].GetProperty("source").GetString());
        Assert.Equal(3, answers[10].Exits(0).Json.GetProperty("archived_total").GetInt32());
    }

    private static async Task ShellAsync(Probe probe)
    {
        var id = await IdAsync(probe, "store -T 'Deploy window' -c Tuesdays -n compat");
        var shell = (await probe.FeedAsync($"r deploy window\ns deploy\nls compat\nlist\nget {id}\nstats\nns\nh\nfrobnicate\n\nrm {id}\nq\nstats\n", "shell", "--json")).Exits(0);
        Assert.Contains("1 memory(ies) recalled [", shell.Output, StringComparison.Ordinal);
        Assert.Contains("1 result(s)", shell.Output, StringComparison.Ordinal);
        Assert.Contains("  compat: 1 memories", shell.Output, StringComparison.Ordinal);
        Assert.EndsWith($"deleted: {id}\ngoodbye\n", shell.Output, StringComparison.Ordinal);
        Assert.Contains("memory> ", shell.Error, StringComparison.Ordinal);
        Assert.Contains("unknown command: frobnicate", shell.Error, StringComparison.Ordinal);
        (await probe.FeedAsync("", "shell")).Exits(0);
    }

    private static async Task ArchiveAsync(Probe probe)
    {
        var id = await IdAsync(probe, "store -T a -c x -n compat --tags t");
        Assert.Equal("no archived memories\n", (await probe.RunAsync("archive", "list")).Exits(0).Output);
        var answers = await probe.BatchAsync(
            "forget -n compat", "archive list -n compat --limit 5 --offset 0 --json", "archive list", "archive stats --json", "archive stats", $"archive restore {id} --json", $"archive restore {id}",
            "forget -n compat", "archive purge --older-than-days 1 --json", "archive purge", $"archive restore {id} --json", "archive purge --older-than-days=-1", "archive");
        var row = answers[1].Exits(0).Json.GetProperty("archived")[0];
        Keys(answers[1].Json, "archived,count");
        Keys(row, MemoryKeys + ",archived_at,archive_reason,last_accessed_at,expires_at");
        Assert.Equal("[\"t\"]", row.GetProperty("tags").GetString());
        Assert.Matches($@"^\[{id[..8]}\] a \(archived: [^)]+\)\n1 archived memories\n$", answers[2].Exits(0).Output);
        Assert.Equal("{\"archived_total\":1,\"by_namespace\":[{\"count\":1,\"namespace\":\"compat\"}]}\n", answers[3].Exits(0).Output);
        Assert.Equal("archived: 1 total\n  compat: 1\n", answers[4].Exits(0).Output);
        Assert.Equal($"{{\"id\":\"{id}\",\"restored\":true}}\n", answers[5].Exits(0).Output);
        answers[6].Exits(1);
        answers[7].Exits(0);
        Assert.Equal("{\"purged\":0}\n", answers[8].Exits(0).Output);
        Assert.Equal("purged 1 archived memories\n", answers[9].Exits(0).Output);
        Assert.Equal($"not found in archive: {id}\n", answers[10].Exits(1).Error);
        answers[11].Exits(1);
        answers[12].Exits(2);
    }

    private static async Task AgentsAsync(Probe probe)
    {
        Assert.Equal("no registered agents\n", (await probe.RunAsync("agents")).Exits(0).Output);
        var made = (await probe.RunAsync("agents", "register", "--agent-id", "alice", "--agent-type", "human", "--capabilities", "a,b", "--json")).Exits(0).Json;
        Keys(made, "agent_id,agent_type,capabilities,id,registered");
        var answers = await probe.BatchAsync("agents register --agent-id bob --agent-type ai:bot", "agents list --json", "agents list", "agents register --agent-id x", "agents register --agent-id x --agent-type robot");
        Assert.Equal("registered bob (type=ai:bot, capabilities=-)\n", answers[0].Exits(0).Output);
        Keys(answers[1].Exits(0).Json, "agents,count");
        Keys(answers[1].Json.GetProperty("agents")[0], "agent_id,agent_type,capabilities,last_seen_at,registered_at");
        Assert.Matches(@"^alice  type=human  registered=\S+  last_seen=\S+ \[a,b\]\nbob  type=ai:bot  registered=\S+  last_seen=\S+\n2 registered agents\n$", answers[2].Exits(0).Output);
        answers[3].Exits(2);
        answers[4].Exits(1);
    }

    private static async Task PendingAsync(Probe probe)
    {
        var standard = await IdAsync(probe, "store -T rules -c x -n gated");
        var asked = await probe.BatchAsync(
            "pending list", $"standard set gated {standard} --write approve --delete approve --promote approve --approver human", "store -T new -c x -n gated --json", "store -T text -c x -n gated",
            $"delete {standard} --json", $"promote {standard}", "pending list --status pending --limit 10 --json", "pending list", "pending");
        Assert.Equal("no pending actions\n", asked[0].Exits(0).Output);
        asked[1].Exits(0);
        var pending = asked[2].Exits(0).Json;
        Assert.Equal("action,namespace,pending_id,reason,status", string.Join(',', pending.EnumerateObject().Select(static field => field.Name)));
        Assert.Equal(("store", "gated", "governance requires approval", "pending"), (Text(pending, "action"), Text(pending, "namespace"), Text(pending, "reason"), Text(pending, "status")));
        Assert.Matches(@"^store queued for approval: pending_id=\S+ ns=gated\n$", asked[3].Exits(0).Output);
        Assert.Equal("action,memory_id,pending_id,reason,status", string.Join(',', asked[4].Exits(0).Json.EnumerateObject().Select(static field => field.Name)));
        Assert.Matches($@"^promote queued for approval: pending_id=\S+ id={standard}\n$", asked[5].Exits(0).Output);
        Keys(asked[6].Exits(0).Json.GetProperty("pending")[0], "action_type,approvals,id,memory_id,namespace,payload,requested_at,requested_by,status");
        Assert.Contains("4 pending action(s)\n", asked[7].Exits(0).Output, StringComparison.Ordinal);
        Assert.Matches(@"^\[[0-9a-f]{8}\] pending ns=gated action=promote by=alice \(\S+\)\n", asked[7].Output);
        asked[8].Exits(2);
        var ids = asked[6].Json.GetProperty("pending").EnumerateArray().Select(static row => Text(row, "id")).ToList();
        var decided = await probe.BatchAsync(
            $"pending approve {Text(pending, "pending_id")} --json", $"pending approve {ids[2]}", $"pending reject {ids[0]} --json", $"pending reject {ids[1]}", $"pending approve {ids[0]}", $"pending approve {Missing}",
            $"pending reject {Missing}", "list -n gated --json");
        Keys(decided[0].Exits(0).Json, "approved,decided_by,executed,id,memory_id");
        Assert.Equal($"approved + executed: {ids[2]} (by alice)\n", decided[1].Exits(0).Output);
        Keys(decided[2].Exits(0).Json, "decided_by,id,rejected");
        Assert.Equal($"rejected: {ids[1]} (by alice)\n", decided[3].Exits(0).Output);
        Assert.Equal("approve rejected: already decided: status=rejected\n", decided[4].Exits(1).Error);
        Assert.StartsWith("approve rejected: ", decided[5].Exits(1).Error, StringComparison.Ordinal);
        Assert.Equal($"pending action not found or already decided: {Missing}\n", decided[6].Exits(1).Error);
        Assert.Equal(3, decided[7].Exits(0).Json.GetProperty("count").GetInt32());
        var quorum = await probe.BatchAsync(
            "agents register --agent-id alice --agent-type human", "agents register --agent-id bob --agent-type human", $"store -T open -c x -n open", "list -n open --json");
        var open = Text(quorum[3].Exits(0).Json.GetProperty("memories")[0], "id");
        var gated = await probe.BatchAsync($"standard set open {open} --write approve --approver consensus:2", "store -T v -c x -n open --json", "standard set shut " + open + " --write owner --approver human");
        var voted = gated[1].Exits(0).Json.GetProperty("pending_id").GetString();
        var votes = await probe.BatchAsync($"pending approve {voted} --json", $"pending approve {voted}", $"pending approve {voted} --agent-id nobody", "store -T denied -c x -n shut --agent-id eve");
        Assert.Equal("approved,id,quorum,reason,status,votes", string.Join(',', votes[0].Exits(0).Json.EnumerateObject().Select(static field => field.Name)));
        Assert.Equal($"approval recorded: {voted} (1/2 consensus, not yet met)\n", votes[1].Exits(0).Output);
        Assert.StartsWith("approve rejected: ", votes[2].Exits(1).Error, StringComparison.Ordinal);
        Assert.StartsWith("store denied by governance: ", votes[3].Exits(1).Error, StringComparison.Ordinal);
    }

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    private static void Keys(JsonElement element, string keys)
    {
        foreach (var key in keys.Split(','))
        {
            Assert.True(element.TryGetProperty(key, out _), $"{key} is not in {element.GetRawText()}");
        }
    }

    private static async Task<string> IdAsync(Probe probe, string line) => (await probe.BatchAsync(line + " --json"))[0].Exits(0).Json.GetProperty("id").GetString()!;

    private static async Task ImportAsync(Probe probe, params string[] rows) => (await probe.FeedAsync(MemoryTests.Export(rows), "import", "--trust-source")).Exits(0);
}
