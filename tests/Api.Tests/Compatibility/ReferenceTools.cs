using System.Text.Json.Nodes;
using OrleansMemory.Api.Tests.Mcp;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests.Compatibility;

/// <summary>One tool: what is claimed of it, what it takes, and the calls that show it.</summary>
/// <param name="Parameters">As ai-memory 0.6.0 has them; a star marks those that are required.</param>
/// <param name="Why">For a reader of the page.</param>
public sealed record ReferenceTool(string Tool, Verdict Verdict, string Why, string Parameters, Func<TestNode, Task> Check);

/// <summary>Every tool of ai-memory 0.6.0. Each check drives a node's <c>/mcp</c> from outside.</summary>
internal static class ReferenceTools
{
    private static readonly string[] MemoryKeys =
        ["access_count", "confidence", "content", "created_at", "id", "metadata", "namespace", "priority", "source", "tags", "tier", "title", "updated_at"];

    public static IReadOnlyList<ReferenceTool> Of060 { get; } =
    [
        Tool("memory_store", Verdict.Better, "answers what is stored, also of an update; by governance, quorum and webhooks as over HTTP",
            "title* content* tier namespace tags priority confidence source metadata agent_id scope", async (client, _) =>
            {
                var made = await client.CallAsync("memory_store", """{"title":"s","content":"x","namespace":"tools/store","tier":"long","agent_id":"alice","scope":"team"}""");
                Same(made, ("agent_id", "alice"), ("namespace", "tools/store"), ("tier", "long"), ("title", "s"));
                var again = await client.CallAsync("memory_store", """{"title":"s","content":"y","namespace":"tools/store","agent_id":"bob"}""");
                Same(again, ("id", (string)made.Json["id"]!), ("duplicate", true), ("action", "updated existing memory"), ("agent_id", "alice"), ("tier", "long"));
                (await client.CallAsync("memory_store", """{"title":" ","content":"x"}""")).ShouldFail("title_empty", "title cannot be empty");
            }),
        Tool("memory_recall", Verdict.Better, "tables keep an excerpt of each content (`toon_compact`) or all of it (`toon`), and tags with commas; `tokens_used` leaves the standards out",
            "context* namespace limit tags since until as_agent budget_tokens context_tokens format", async (client, _) =>
            {
                await client.StoreAsync("walrus", ",\"namespace\":\"tools/recall\"");
                var reply = await client.CallAsync("memory_recall", """{"context":"walrus","namespace":"tools/recall","limit":5,"budget_tokens":400,"context_tokens":["sea"],"format":"json"}""");
                Same(reply, ("count", 1), ("budget_tokens", 400), ("mode", "keyword"));
                Keys(reply.Json["memories"]![0], [.. MemoryKeys, "score"]);
                Assert.StartsWith("count:1|mode:keyword|tokens_used:", (await client.CallAsync("memory_recall", """{"context":"walrus","namespace":"tools/recall"}""")).Text);
            }),
        Tool("memory_search", Verdict.Better, "tables as of `memory_recall`; an unknown tier is an error",
            "query* namespace tier limit agent_id as_agent format", async (client, _) =>
            {
                await client.StoreAsync("narwhal horn", ",\"namespace\":\"tools/search\"");
                var reply = await client.CallAsync("memory_search", """{"query":"horn narwhal","namespace":"tools/search","format":"json"}""");
                Same(reply, ("count", 1));
                Keys(reply.Json["results"]![0], MemoryKeys);
                (await client.CallAsync("memory_search", """{"query":"x","tier":"typo"}""")).ShouldFail("wrong_type", "tier");
            }),
        Tool("memory_list", Verdict.Better, "`offset`; tables as of `memory_recall`",
            "namespace tier limit agent_id format", async (client, _) =>
            {
                await client.StoreAsync("l1", ",\"namespace\":\"tools/list\",\"priority\":9");
                await client.StoreAsync("l2", ",\"namespace\":\"tools/list\"");
                var reply = await client.CallAsync("memory_list", """{"namespace":"tools/list","limit":1,"format":"json"}""");
                Same(reply, ("count", 1));
                Assert.Equal("l1", (string?)reply.Json["memories"]![0]!["title"]);
                Assert.Equal("l2", (string?)(await client.CallAsync("memory_list", """{"namespace":"tools/list","offset":1,"format":"json"}""")).Json["memories"]![0]!["title"]);
            }),
        Tool("memory_get", Verdict.Same, "", "id*", async (client, _) =>
        {
            var id = await client.StoreAsync("got", ",\"namespace\":\"tools/get\"");
            var reply = await client.CallAsync("memory_get", $$"""{"id":"{{id[..12]}}"}""");
            Same(reply, ("id", id), ("title", "got"));
            Keys(reply.Json, [.. MemoryKeys, "links"]);
            (await client.CallAsync("memory_get", """{"id":"nobody"}""")).ShouldFail("not_found", "not found");
        }),
        Tool("memory_update", Verdict.Better, "`expires_at` null or empty clears it, as told; governed",
            "id* title content tier namespace tags priority confidence expires_at metadata", async (client, _) =>
            {
                var id = await client.StoreAsync("u", ",\"namespace\":\"tools/update\"");
                var reply = await client.CallAsync("memory_update", $$"""{"id":"{{id}}","content":"new","expires_at":null}""");
                Same(reply, ("updated", true));
                Keys(reply.Json["memory"], MemoryKeys);
                Assert.Null(reply.Json["memory"]!["expires_at"]);
            }),
        Tool("memory_delete", Verdict.Better, "final on every node", "id*", async (client, _) =>
        {
            var id = await client.StoreAsync("d", ",\"namespace\":\"tools/delete\"");
            Same(await client.CallAsync("memory_delete", $$"""{"id":"{{id}}"}"""), ("deleted", true));
            (await client.CallAsync("memory_delete", $$"""{"id":"{{id}}"}""")).ShouldFail("not_found", "not found");
        }),
        Tool("memory_promote", Verdict.Same, "", "id* to_namespace", async (client, _) =>
        {
            var id = await client.StoreAsync("p", ",\"namespace\":\"tools/promote/deep\"");
            Same(await client.CallAsync("memory_promote", $$"""{"id":"{{id}}"}"""), ("id", id), ("mode", "tier"), ("promoted", true), ("tier", "long"));
            var up = await client.CallAsync("memory_promote", $$"""{"id":"{{id}}","to_namespace":"tools/promote"}""");
            Same(up, ("mode", "vertical"), ("promoted", true), ("source_id", id), ("to_namespace", "tools/promote"));
            Assert.Equal(1, (int)(await client.CallAsync("memory_get_links", $$"""{"id":"{{up.Json["clone_id"]}}"}""")).Json["count"]!);
            (await client.CallAsync("memory_promote", $$"""{"id":"{{id}}","to_namespace":"elsewhere"}""")).ShouldFail("namespace_invalid", "not an ancestor");
        }),
        Tool("memory_forget", Verdict.Better, "keeps the whole row; a pattern without a usable word or an unknown tier forgets nothing", "namespace pattern tier dry_run", async (client, _) =>
        {
            await client.StoreAsync("f1", ",\"namespace\":\"tools/forget\"");
            await client.StoreAsync("f2", ",\"namespace\":\"tools/forget\"");
            Same(await client.CallAsync("memory_forget", """{"namespace":"tools/forget","dry_run":true}"""), ("dry_run", true), ("would_delete", 2));
            Same(await client.CallAsync("memory_forget", """{"namespace":"tools/forget","pattern":"f1","dry_run":true}"""), ("would_delete", 1));
            Same(await client.CallAsync("memory_forget", """{"namespace":"tools/forget"}"""), ("archived", true), ("deleted", 2));
        }),
        Tool("memory_stats", Verdict.Same, "", "", async (client, _) => Keys((await client.CallAsync("memory_stats")).Json, ["by_namespace", "by_tier", "db_size_bytes", "expiring_soon", "links_count", "total"])),
        Tool("memory_link", Verdict.Better, "a missing end is told", "source_id* target_id* relation", async (client, _) =>
        {
            var (source, target) = (await client.StoreAsync("from", ",\"namespace\":\"tools/link\""), await client.StoreAsync("to", ",\"namespace\":\"tools/link\""));
            Same(await client.CallAsync("memory_link", $$"""{"source_id":"{{source}}","target_id":"{{target}}"}"""), ("linked", true), ("relation", "related_to"), ("source_id", source), ("target_id", target));
            (await client.CallAsync("memory_link", $$"""{"source_id":"{{source}}","target_id":"nobody"}""")).ShouldFail("not_found", "not found");
        }),
        Tool("memory_get_links", Verdict.Same, "", "id*", async (client, _) =>
        {
            var (source, target) = (await client.StoreAsync("g1", ",\"namespace\":\"tools/link\""), await client.StoreAsync("g2", ",\"namespace\":\"tools/link\""));
            await client.CallAsync("memory_link", $$"""{"source_id":"{{source}}","target_id":"{{target}}","relation":"supersedes"}""");
            var reply = await client.CallAsync("memory_get_links", $$"""{"id":"{{target}}"}""");
            Same(reply, ("count", 1));
            Keys(reply.Json["links"]![0], ["created_at", "relation", "source_id", "target_id"]);
        }),
        Tool("memory_consolidate", Verdict.Better, "the sources are archived, not deleted, and `curation_id` brings them back",
            "ids* title* summary namespace", async (client, _) =>
            {
                var (one, other) = (await client.StoreAsync("c1", ",\"namespace\":\"tools/join\""), await client.StoreAsync("c2", ",\"namespace\":\"tools/join\""));
                (await client.CallAsync("memory_consolidate", $$"""{"ids":["{{one}}","{{other}}"],"title":"c","namespace":"tools/join"}""")).ShouldFail("model_missing", "model");
                var reply = await client.CallAsync("memory_consolidate", $$"""{"ids":["{{one}}","{{other}}"],"title":"c","summary":"both","namespace":"tools/join"}""");
                Same(reply, ("consolidated", 2));
                Same(await client.CallAsync("memory_get", $$"""{"id":"{{reply.Json["id"]}}"}"""), ("content", "both"), ("tier", "long"));
            }),
        Tool("memory_capabilities", Verdict.Better, "says what works, not what was asked for", "", async (client, _) =>
        {
            var reply = await client.CallAsync("memory_capabilities");
            Keys(reply.Json, ["features", "models", "tier", "version"]);
            Assert.Equal(9, reply.Json["features"]!.AsObject().Count);
            Keys(reply.Json["models"], ["cross_encoder", "embedding", "embedding_dim", "llm"]);
        }),
        NeedsModel("memory_expand_query", "query*", """{"query":"x"}"""),
        NeedsModel("memory_auto_tag", "id*", """{"id":"ID"}"""),
        NeedsModel("memory_detect_contradiction", "id_a* id_b*", """{"id_a":"ID","id_b":"OTHER"}"""),
        Tool("memory_archive_list", Verdict.Better, "the tags as a list too, in `tag_list`", "namespace limit offset", async (client, _) =>
        {
            await client.StoreAsync("a", ",\"namespace\":\"tools/archive\",\"tags\":[\"t\"]");
            await client.CallAsync("memory_forget", """{"namespace":"tools/archive"}""");
            var reply = await client.CallAsync("memory_archive_list", """{"namespace":"tools/archive","limit":5,"offset":0}""");
            Same(reply, ("count", 1));
            Keys(reply.Json["archived"]![0], [.. MemoryKeys, "archive_reason", "archived_at", "expires_at", "last_accessed_at"]);
            Assert.Equal("[\"t\"]", (string?)reply.Json["archived"]![0]!["tags"]);
        }),
        Tool("memory_archive_restore", Verdict.Better, "all fields come back; a live id or a taken title is told", "id*", async (client, _) =>
        {
            var id = await client.StoreAsync("r", ",\"namespace\":\"tools/restore\"");
            await client.CallAsync("memory_forget", """{"namespace":"tools/restore"}""");
            Same(await client.CallAsync("memory_archive_restore", $$"""{"id":"{{id}}"}"""), ("id", id), ("restored", true));
            (await client.CallAsync("memory_archive_restore", """{"id":"nobody"}""")).ShouldFail("not_found", "not found in archive");
        }),
        Tool("memory_archive_purge", Verdict.Better, "a negative age is an error", "older_than_days", async (client, _) =>
        {
            Same(await client.CallAsync("memory_archive_purge", """{"older_than_days":10000}"""), ("purged", 0));
            (await client.CallAsync("memory_archive_purge", """{"older_than_days":-1}""")).ShouldFail("invalid_limit", "older_than_days");
        }),
        Tool("memory_archive_stats", Verdict.Same, "", "", async (client, _) => Keys((await client.CallAsync("memory_archive_stats")).Json, ["archived_total", "by_namespace"])),
        Tool("memory_gc", Verdict.Same, "", "dry_run", async (client, _) =>
        {
            Same(await client.CallAsync("memory_gc", """{"dry_run":true}"""), ("collected", 0), ("dry_run", true));
            Same(await client.CallAsync("memory_gc"), ("collected", 0), ("dry_run", false));
        }),
        Tool("memory_session_start", Verdict.Same, "without `summary`, which a text model wrote there", "namespace limit format", async (client, _) =>
        {
            await client.StoreAsync("first", ",\"namespace\":\"tools/session\"");
            var reply = await client.CallAsync("memory_session_start", """{"namespace":"tools/session","format":"json"}""");
            Same(reply, ("count", 1), ("mode", "session_start"));
            Assert.Equal(0.0, (double)reply.Json["memories"]![0]!["score"]!);
        }),
        Tool("memory_namespace_set_standard", Verdict.Better, "only who set a policy may change it", "namespace* id* parent governance", async (client, _) =>
        {
            var id = await client.StoreAsync("rules", ",\"namespace\":\"tools/standard\"");
            var reply = await client.CallAsync("memory_namespace_set_standard", $$$$"""{"namespace":"tools/standard","id":"{{{{id}}}}","governance":{"write":"any","promote":"any","delete":"owner","approver":{"agent":"tool-caller"}}}""");
            Same(reply, ("set", true), ("namespace", "tools/standard"), ("standard_id", id));
            (await client.CallAsync("memory_namespace_set_standard", $$$"""{"namespace":"tools/standard","id":"{{{id}}}","governance":{"write":"any"}}""")).ShouldFail("invalid_governance", "invalid governance: ");
            (await client.CallAsync("memory_namespace_set_standard", """{"namespace":"tools/standard","id":"nobody"}""")).ShouldFail("not_found", "not found");
        }),
        Tool("memory_namespace_get_standard", Verdict.Same, "", "namespace* inherit", async (client, _) =>
        {
            Assert.Equal("""{"namespace":"tools/unset","standard_id":null}""", (await client.CallAsync("memory_namespace_get_standard", """{"namespace":"tools/unset"}""")).Json.ToJsonString());
            var id = await client.StoreAsync("shown", ",\"namespace\":\"tools/shown\"");
            await client.CallAsync("memory_namespace_set_standard", $$"""{"namespace":"tools/shown","id":"{{id}}"}""");
            Keys((await client.CallAsync("memory_namespace_get_standard", """{"namespace":"tools/shown"}""")).Json, ["content", "governance", "namespace", "priority", "standard_id", "title"]);
            var chain = await client.CallAsync("memory_namespace_get_standard", """{"namespace":"tools/shown/below","inherit":true}""");
            Same(chain, ("count", 1), ("namespace", "tools/shown/below"));
            Assert.Equal(["*", "tools", "tools/shown", "tools/shown/below"], chain.Json["chain"]!.AsArray().Select(name => (string)name!));
        }),
        Tool("memory_namespace_clear_standard", Verdict.Same, "", "namespace*", async (client, _) =>
        {
            var id = await client.StoreAsync("cleared", ",\"namespace\":\"tools/cleared\"");
            await client.CallAsync("memory_namespace_set_standard", $$"""{"namespace":"tools/cleared","id":"{{id}}"}""");
            Same(await client.CallAsync("memory_namespace_clear_standard", """{"namespace":"tools/cleared"}"""), ("cleared", true), ("namespace", "tools/cleared"));
            Same(await client.CallAsync("memory_namespace_clear_standard", """{"namespace":"tools/cleared"}"""), ("cleared", false));
        }),
        Tool("memory_pending_list", Verdict.Same, "", "status limit", async (client, _) =>
        {
            var id = await PendAsync(client, "tools/pending-list");
            var reply = await client.CallAsync("memory_pending_list", """{"status":"pending","limit":1000}""");
            Keys(reply.Json["pending"]!.AsArray().Single(action => (string?)action!["id"] == id), ["action_type", "approvals", "id", "memory_id", "namespace", "payload", "requested_at", "requested_by", "status"]);
        }),
        Tool("memory_pending_approve", Verdict.Better, "what failed to be carried out is tried again by a further consent", "id*", async (client, _) =>
        {
            var id = await PendAsync(client, "tools/pending-approve");
            Same(await client.CallAsync("memory_pending_approve", $$"""{"id":"{{id}}"}"""), ("approved", true), ("executed", true), ("id", id), ("decided_by", "tool-caller"));
            (await client.CallAsync("memory_pending_approve", """{"id":"nobody"}""")).ShouldFail("not_found", "approve rejected: ");
        }),
        Tool("memory_pending_reject", Verdict.Same, "", "id*", async (client, _) =>
        {
            var id = await PendAsync(client, "tools/pending-reject");
            Same(await client.CallAsync("memory_pending_reject", $$"""{"id":"{{id}}"}"""), ("rejected", true), ("id", id), ("decided_by", "tool-caller"));
            (await client.CallAsync("memory_pending_reject", """{"id":"nobody"}""")).ShouldFail("not_found", "pending action not found or already decided: nobody");
        }),
        Tool("memory_agent_register", Verdict.Different, "a registration is a record of its own: `id` names no memory; any `ai:` name is told to be taken, as it is", "agent_id* agent_type* capabilities", async (client, _) =>
            Same(await client.CallAsync("memory_agent_register", """{"agent_id":"tool-agent","agent_type":"ai:anything","capabilities":["x"]}"""), ("agent_id", "tool-agent"), ("agent_type", "ai:anything"), ("registered", true))),
        Tool("memory_agent_list", Verdict.Same, "", "", async (client, _) =>
        {
            await client.CallAsync("memory_agent_register", """{"agent_id":"tool-listed","agent_type":"human"}""");
            Keys((await client.CallAsync("memory_agent_list")).Json["agents"]!.AsArray().Single(agent => (string?)agent!["agent_id"] == "tool-listed"), ["agent_id", "agent_type", "capabilities", "last_seen_at", "registered_at"]);
        }),
        Tool("memory_notify", Verdict.Better, "two messages of one title stay two; a title may have 512 characters, as told", "target_agent_id* title* payload* priority tier", async (client, _) =>
        {
            var one = await client.CallAsync("memory_notify", """{"target_agent_id":"tool-bob","title":"s","payload":"one","priority":99}""");
            Same(one, ("from", "tool-caller"), ("to", "tool-bob"), ("namespace", "_messages/tool-bob"), ("tier", "mid"));
            var other = await client.CallAsync("memory_notify", """{"target_agent_id":"tool-bob","title":"s","payload":"two"}""");
            Assert.NotEqual((string?)one.Json["id"], (string?)other.Json["id"]);
        }),
        Tool("memory_inbox", Verdict.Better, "the filter comes before the limit", "agent_id unread_only limit", async (client, _) =>
        {
            await client.CallAsync("memory_notify", """{"target_agent_id":"tool-carol","title":"s","payload":"p"}""");
            var reply = await client.CallAsync("memory_inbox", """{"agent_id":"tool-carol","unread_only":true,"limit":5}""");
            Same(reply, ("agent_id", "tool-carol"), ("count", 1), ("namespace", "_messages/tool-carol"), ("unread_only", true));
            Keys(reply.Json["messages"]![0], ["access_count", "created_at", "from", "id", "payload", "priority", "read", "tier", "title"]);
        }),
        Tool("memory_subscribe", Verdict.Better, "every change is told, by every front end; tried again, dead letters", "url* events secret namespace_filter agent_filter", async (client, _) =>
        {
            var reply = await SubscribeAsync(client);
            Same(reply, ("created_by", "tool-caller"), ("events", "memory_store"), ("url", "https://example.invalid/tool"), ("namespace_filter", "tools/nowhere"));
            Assert.True(reply.Json.AsObject().ContainsKey("agent_filter"));
        }),
        Tool("memory_unsubscribe", Verdict.Better, "one's own only", "id*", async (client, node) =>
        {
            var id = (string)(await SubscribeAsync(client)).Json["id"]!;
            Same(await new McpTestClient(node, headers: ("X-Agent-Id", "eve")).CallAsync("memory_unsubscribe", $$"""{"id":"{{id}}"}"""), ("removed", false));
            Same(await client.CallAsync("memory_unsubscribe", $$"""{"id":"{{id}}"}"""), ("id", id), ("removed", true));
        }),
        Tool("memory_list_subscriptions", Verdict.Better, "with dead letters; the caller's own", "", async (client, _) =>
        {
            await SubscribeAsync(client);
            Keys((await client.CallAsync("memory_list_subscriptions")).Json["subscriptions"]![0],
                ["agent_filter", "created_at", "created_by", "dispatch_count", "events", "failure_count", "id", "namespace_filter", "url"]);
        }),
    ];

    private static ReferenceTool Tool(string tool, Verdict verdict, string why, string parameters, Func<McpTestClient, TestNode, Task> check) =>
        new(tool, verdict, why, parameters, node => check(new(node, headers: ("X-Agent-Id", "tool-caller")), node));

    /// <summary>This node has no text model.</summary>
    private static ReferenceTool NeedsModel(string tool, string parameters, string arguments) =>
        Tool(tool, Verdict.Better, "without a text model it says so, whatever tier was asked for", parameters, async (client, _) =>
        {
            var id = await client.StoreAsync(tool, ",\"namespace\":\"tools/model\"");
            var other = await client.StoreAsync($"{tool} other", ",\"namespace\":\"tools/model\"");
            (await client.CallAsync(tool, arguments.Replace("ID", id, StringComparison.Ordinal).Replace("OTHER", other, StringComparison.Ordinal))).ShouldFail("model_missing", "model");
            (await client.CallAsync(tool, "{}")).ShouldFail("missing_field", "missing field");
        });

    private static async Task<string> PendAsync(McpTestClient client, string @namespace)
    {
        var rules = await client.StoreAsync("rules", $",\"namespace\":\"{@namespace}\"");
        await client.CallAsync("memory_namespace_set_standard", $$$"""{"namespace":"{{{@namespace}}}","id":"{{{rules}}}","governance":{"write":"approve","promote":"any","delete":"any","approver":"human"}}""");
        return (string)(await client.CallAsync("memory_store", $$"""{"title":"asked","content":"c","namespace":"{{@namespace}}"}""")).ShouldSucceed().Json["pending_id"]!;
    }

    private static async Task<ToolReply> SubscribeAsync(McpTestClient client)
    {
        (await client.CallAsync("memory_agent_register", """{"agent_id":"tool-caller","agent_type":"human"}""")).ShouldSucceed();
        return (await client.CallAsync("memory_subscribe", """{"url":"https://example.invalid/tool","events":"memory_store","namespace_filter":"tools/nowhere"}""")).ShouldSucceed();
    }

    private static void Same(ToolReply reply, params (string Field, JsonNode Value)[] fields)
    {
        reply.ShouldSucceed();
        foreach (var (field, value) in fields)
        {
            Assert.True(JsonNode.DeepEquals(value, reply.Json[field]), $"{field} is not {value.ToJsonString()} in {reply.Text}");
        }
    }

    private static void Keys(JsonNode? node, string[] keys) => Assert.Superset(keys.ToHashSet(StringComparer.Ordinal), node!.AsObject().Select(field => field.Key).ToHashSet(StringComparer.Ordinal));
}
