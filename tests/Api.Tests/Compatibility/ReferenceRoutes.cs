using System.Text.Json.Nodes;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests.Compatibility;

/// <summary>One route: what is claimed of it, and the requests that show it.</summary>
/// <param name="Why">For a reader of the page.</param>
public sealed record ReferenceRoute(string Route, Verdict Verdict, string Why, Func<TestNode, Task> Check);

/// <summary>Every route of ai-memory 0.6.0, then those that its later releases and its SDKs have. Each check drives a node from outside.</summary>
internal static class ReferenceRoutes
{
    private static readonly string[] MemoryKeys =
        ["access_count", "confidence", "content", "created_at", "id", "metadata", "namespace", "priority", "source", "tags", "tier", "title", "updated_at"];

    private static readonly string[] LinkKeys = ["created_at", "relation", "source_id", "target_id"];

    public static IReadOnlyList<ReferenceRoute> Of060 { get; } =
    [
        new("GET /api/v1/health", Verdict.Better, "reads no rows and holds no lock; warns of an unsafe set-up", async node =>
            Same(await node.GetAsync("/api/v1/health"), 200, ("service", "ai-memory"), ("status", "ok"))),
        new("GET /metrics", Verdict.Better, "counters count", MetricsAsync("/metrics")),
        new("GET /api/v1/metrics", Verdict.Better, "as `/metrics`", MetricsAsync("/api/v1/metrics")),
        new("POST /api/v1/memories", Verdict.Better, "the whole memory as it is stored, also of an upsert; `Idempotency-Key`; `potential_contradictions` never name the memory itself, and only titles that share a word; left out, and said so, while a node has its hands full", async node =>
        {
            var known = await node.StoreAsync("Change window Thursday", ",\"namespace\":\"compat/similar\"");
            await node.StoreAsync("Something else", ",\"namespace\":\"compat/similar\"");
            var similar = await node.PostAsync("/api/v1/memories", """{"title":"Change window Friday","content":"x","namespace":"compat/similar"}""");
            Same(similar, 201, ("potential_contradictions", new JsonArray(known)));
            Assert.False((await node.PostAsync("/api/v1/memories", """{"title":"Unheard of","content":"x","namespace":"compat/similar"}""")).Json.AsObject().ContainsKey("potential_contradictions"));
            var reply = await node.PostAsync("/api/v1/memories", """{"title":"c","content":"x","namespace":"compat/create","tier":"long","agent_id":"alice"}""");
            Same(reply, 201, ("agent_id", "alice"), ("namespace", "compat/create"), ("tier", "long"), ("title", "c"));
            var again = await node.PostAsync("/api/v1/memories", """{"title":"c","content":"y","namespace":"compat/create","agent_id":"bob"}""");
            Same(again, 201, ("id", (string)reply.Json["id"]!), ("agent_id", "alice"), ("tier", "long"));
            (await node.PostAsync("/api/v1/memories", """{"title":" ","content":"x"}""")).ShouldFail(400, "title_empty", "title cannot be empty");
            (await node.PostAsync("/api/v1/memories", """{"title":"x"}""")).ShouldFail(422, "missing_field");
            (await node.PostAsync("/api/v1/memories", "{")).ShouldFail(400, "malformed_request");
            Assert.Equal(415, (await node.SendAsync(HttpMethod.Post, "/api/v1/memories", new StringContent("{}"))).Status);
        }),
        new("GET /api/v1/memories", Verdict.Better, "pages by `cursor`; instants in any notation", async node =>
        {
            await node.StoreAsync("listed", ",\"namespace\":\"compat/list\",\"priority\":3");
            await node.StoreAsync("listed first", ",\"namespace\":\"compat/list\",\"priority\":9");
            var reply = await node.GetAsync("/api/v1/memories?namespace=compat/list&limit=1000&offset=0&min_priority=1&since=2020-01-01T00:00:00Z");
            Same(reply, 200, ("count", 2));
            Assert.Equal(["listed first", "listed"], reply.Json["memories"]!.AsArray().Select(memory => (string?)memory!["title"]));
            Keys(reply.Json["memories"]![0], MemoryKeys);
            Assert.Equal(400, (await node.GetAsync("/api/v1/memories?limit=abc")).Status);
        }),
        new("POST /api/v1/memories/bulk", Verdict.Better, "`ids` and a result for each row; authors and scopes count; an array or an object with `memories`", async node =>
        {
            var reply = await node.PostAsync("/api/v1/memories/bulk", """[{"title":"b1","content":"x","namespace":"compat/bulk"},{"title":"","content":"x"}]""");
            Same(reply, 200, ("created", 1));
            Assert.Single(reply.Json["errors"]!.AsArray());
            Assert.Single(reply.Json["ids"]!.AsArray());
        }),
        new("GET /api/v1/memories/{id}", Verdict.Better, "the fields at the top as well, which the SDKs read; an ambiguous prefix lists ten ids", async node =>
        {
            var id = await node.StoreAsync("to get", ",\"namespace\":\"compat/get\"");
            var reply = await node.GetAsync($"/api/v1/memories/{id}");
            Same(reply, 200, ("id", id));
            Keys(reply.Json["memory"], MemoryKeys);
            Assert.Empty(reply.Json["links"]!.AsArray());
            Same(await node.GetAsync("/api/v1/memories/nobody"), 404, ("error", "not found"));
        }),
        new("PUT /api/v1/memories/{id}", Verdict.Better, "`expires_at` can be cleared; `If-Match`", async node =>
        {
            await node.StoreAsync("taken", ",\"namespace\":\"compat/put\"");
            var id = await node.StoreAsync("to put", ",\"namespace\":\"compat/put\"");
            var reply = await node.PutAsync($"/api/v1/memories/{id}", """{"content":"new","tier":"short"}""");
            Same(reply, 200, ("id", id), ("content", "new"), ("tier", "mid"));
            Keys(reply.Json, MemoryKeys);
            (await node.PutAsync($"/api/v1/memories/{id}", """{"title":"taken"}""")).ShouldFail(409, "title_taken", "already exists in namespace");
            Assert.Equal(404, (await node.PutAsync("/api/v1/memories/nobody", "{}")).Status);
        }),
        new("DELETE /api/v1/memories/{id}", Verdict.Better, "final on every node; `If-Match`", async node =>
        {
            var id = await node.StoreAsync("to delete", ",\"namespace\":\"compat/delete\"");
            Same(await node.DeleteAsync($"/api/v1/memories/{id}", ("X-Agent-Id", "alice")), 200, ("deleted", true));
            Assert.Equal(404, (await node.DeleteAsync($"/api/v1/memories/{id}")).Status);
        }),
        new("POST /api/v1/memories/{id}/promote", Verdict.Same, "", async node =>
        {
            var id = await node.StoreAsync("to promote", ",\"namespace\":\"compat/promote\"");
            Same(await node.SendAsync(HttpMethod.Post, $"/api/v1/memories/{id}/promote"), 200, ("promoted", true), ("id", id), ("tier", "long"));
        }),
        new("GET /api/v1/search", Verdict.Better, "hits under `results` and `memories`; a query without a usable word is an error", async node =>
        {
            await node.StoreAsync("zebra crossing", ",\"namespace\":\"compat/search\"");
            var reply = await node.GetAsync("/api/v1/search?q=zebra&namespace=compat/search");
            Same(reply, 200, ("count", 1), ("query", "zebra"));
            Keys(reply.Json["results"]![0], MemoryKeys);
            (await node.GetAsync("/api/v1/search?q=%20")).ShouldFail(400, "query_empty", "query is required");
            Assert.Equal(400, (await node.GetAsync("/api/v1/search")).Status);
        }),
        new("GET /api/v1/recall", Verdict.Better, "hybrid where an embedding model is configured; says its `mode`, and in `degraded` why it is less; the best matches are ranked once more as parts of their passages, which a setting turns off", async node => await RecallAsync(node, await node.GetAsync("/api/v1/recall?context=giraffe&namespace=compat/recall&budget_tokens=500"))),
        new("POST /api/v1/recall", Verdict.Better, "as `GET`", async node =>
        {
            await RecallAsync(node, await node.PostAsync("/api/v1/recall", """{"context":"giraffe","namespace":"compat/recall","budget_tokens":500}"""));
            (await node.PostAsync("/api/v1/recall", "{}")).ShouldFail(422, "missing_field");
        }),
        new("POST /api/v1/forget", Verdict.Better, "keeps the whole row; takes a query as well as a body; a pattern without a usable word deletes nothing", async node =>
        {
            await node.StoreAsync("to forget", ",\"namespace\":\"compat/forget\"");
            Same(await node.PostAsync("/api/v1/forget", """{"namespace":"compat/forget"}"""), 200, ("deleted", 1));
            Assert.Equal(400, (await node.PostAsync("/api/v1/forget", "{}")).Status);
        }),
        new("POST /api/v1/consolidate", Verdict.Better, "the sources are archived, not deleted; the new memory takes over their links; `POST /api/v1/curation/{id}/undo`; a missing id is 404, a source's title may be used again", async node =>
        {
            var ids = new List<string> { await node.StoreAsync("c1", ",\"namespace\":\"compat/join\",\"agent_id\":\"alice\""), await node.StoreAsync("c2", ",\"namespace\":\"compat/join\"") };
            var reply = await node.PostAsync("/api/v1/consolidate", $$"""{"ids":["{{ids[0]}}","{{ids[1]}}"],"title":"c1","summary":"both","namespace":"compat/join"}""", ("X-Agent-Id", "alice"));
            Same(reply, 201, ("consolidated", 2));
            var made = await node.GetAsync($"/api/v1/memories/{reply.Json["id"]}");
            Same(made, 200, ("title", "c1"), ("content", "both"), ("tier", "long"), ("confidence", 1.0), ("source", "consolidation"));
            Assert.Equal(ids, made.Json["metadata"]!["derived_from"]!.AsArray().Select(id => (string?)id));
            Assert.All(ids, id => Assert.Equal(404, node.GetAsync($"/api/v1/memories/{id}").Result.Status));
            Assert.Equal(200, (await node.SendAsync(HttpMethod.Post, $"/api/v1/curation/{reply.Json["curation_id"]}/undo")).Status);
            Assert.All(ids, id => Assert.Equal(200, node.GetAsync($"/api/v1/memories/{id}").Result.Status));
            (await node.PostAsync("/api/v1/consolidate", """{"ids":["x"],"title":"t","summary":"s"}""")).ShouldFail(400, "invalid_consolidation", "need at least 2");
            (await node.PostAsync("/api/v1/consolidate", """{"ids":["x","x"],"title":"t","summary":"s"}""")).ShouldFail(400, "invalid_consolidation", "duplicate memory ID");
            (await node.PostAsync("/api/v1/consolidate", """{"ids":["x","y"],"title":"t","summary":"s"}""")).ShouldFail(404, "not_found");
        }),
        new("POST /api/v1/links", Verdict.Better, "the link beside `linked`; a missing end is 404", async node =>
        {
            var (source, target) = (await node.StoreAsync("from", ",\"namespace\":\"compat/links\""), await node.StoreAsync("to", ",\"namespace\":\"compat/links\""));
            Same(await node.PostAsync("/api/v1/links", $$"""{"source_id":"{{source}}","target_id":"{{target}}"}"""), 201, ("linked", true));
            (await node.PostAsync("/api/v1/links", $$"""{"source_id":"{{source}}","target_id":"nobody"}""")).ShouldFail(404, "not_found");
            (await node.PostAsync("/api/v1/links", $$"""{"source_id":"{{source}}","target_id":"{{source}}"}""")).ShouldFail(400, "self_link", "cannot link a memory to itself");
        }),
        new("GET /api/v1/links/{id}", Verdict.Better, "`count`; oldest first", async node =>
        {
            var (source, target) = (await node.StoreAsync("one", ",\"namespace\":\"compat/links\""), await node.StoreAsync("other", ",\"namespace\":\"compat/links\""));
            await node.PostAsync("/api/v1/links", $$"""{"source_id":"{{source}}","target_id":"{{target}}","relation":"supersedes"}""");
            var reply = await node.GetAsync($"/api/v1/links/{target}");
            Keys(reply.Json["links"]!.AsArray().Single(), LinkKeys);
        }),
        new("GET /api/v1/namespaces", Verdict.Same, "with `namespace` it answers that one's standard, as later releases do", async node =>
        {
            await node.StoreAsync("counted", ",\"namespace\":\"compat/namespaces\"");
            var reply = await node.GetAsync("/api/v1/namespaces");
            Assert.Contains(reply.Json["namespaces"]!.AsArray(), row => (string?)row!["namespace"] == "compat/namespaces" && (int)row["count"]! == 1);
        }),
        new("GET /api/v1/stats", Verdict.Same, "", async node =>
            Keys((await node.GetAsync("/api/v1/stats")).Json, ["by_namespace", "by_tier", "db_size_bytes", "expiring_soon", "links_count", "total"])),
        new("POST /api/v1/gc", Verdict.Same, "", async node => Same(await node.SendAsync(HttpMethod.Post, "/api/v1/gc"), 200, ("expired_deleted", 0))),
        new("GET /api/v1/export", Verdict.Better, "streams", async node => Keys((await node.GetAsync("/api/v1/export")).Json, ["count", "exported_at", "links", "memories"])),
        new("POST /api/v1/import", Verdict.Better, "links follow their memories to the ids they got", async node =>
        {
            Same(await node.PostAsync("/api/v1/import", TestNode.Import(TestNode.Row("compat-import", "imported", "compat/import"))), 200, ("imported", 1));
            Assert.Equal(400, (await node.PostAsync("/api/v1/import", $$"""{"memories":[{{string.Join(',', Enumerable.Range(0, 1_001).Select(n => TestNode.Row($"m{n}", $"t{n}", "n").ToJsonString()))}}]}""")).Status);
        }),
        new("GET /api/v1/archive", Verdict.Better, "the tags as a list too, in `tag_list`", async node =>
        {
            var id = await ArchiveAsync(node, "archived", ",\"tags\":[\"a\",\"b\"]");
            var reply = await node.GetAsync("/api/v1/archive?namespace=compat/archive&limit=5000");
            var row = reply.Json["archived"]!.AsArray().Single(row => (string?)row!["id"] == id);
            Keys(row, [.. MemoryKeys, "archived_at", "archive_reason", "expires_at", "last_accessed_at"]);
            Assert.Equal("""["a","b"]""", (string?)row!["tags"]);
            Assert.Equal("forget", (string?)row["archive_reason"]);
            Assert.True(row.AsObject().ContainsKey("last_accessed_at"));
        }),
        new("DELETE /api/v1/archive", Verdict.Better, "a negative age is 400; final on every node", async node =>
        {
            await ArchiveAsync(node, "to purge");
            Same(await node.DeleteAsync("/api/v1/archive?older_than_days=1"), 200, ("purged", 0));
            (await node.DeleteAsync("/api/v1/archive?older_than_days=-1")).ShouldFail(400, "invalid_limit");
            Assert.True((int)(await node.DeleteAsync("/api/v1/archive")).Json["purged"]! >= 1);
            Assert.Equal(0, (int)(await node.GetAsync("/api/v1/archive")).Json["count"]!);
        }),
        new("POST /api/v1/archive/{id}/restore", Verdict.Better, "all fields come back; a live id or a taken title is 409", async node =>
        {
            var id = await ArchiveAsync(node, "to restore", ",\"metadata\":{\"kept\":true},\"agent_id\":\"alice\"");
            Same(await node.SendAsync(HttpMethod.Post, $"/api/v1/archive/{id}/restore"), 200, ("restored", true), ("id", id));
            var reply = await node.GetAsync($"/api/v1/memories/{id}");
            Same(reply, 200, ("tier", "long"));
            Assert.Equal("""{"agent_id":"alice","kept":true}""", reply.Json["metadata"]!.ToJsonString());
            Same(await node.SendAsync(HttpMethod.Post, "/api/v1/archive/nobody/restore"), 404, ("error", "not found in archive"));
            Assert.Equal(409, (await node.SendAsync(HttpMethod.Post, $"/api/v1/archive/{id}/restore")).Status);
        }),
        new("GET /api/v1/archive/stats", Verdict.Same, "", async node =>
        {
            await ArchiveAsync(node, "counted in the archive");
            var reply = await node.GetAsync("/api/v1/archive/stats");
            Assert.True((int)reply.Json["archived_total"]! >= 1);
            Assert.Contains(reply.Json["by_namespace"]!.AsArray(), row => (string?)row!["namespace"] == "compat/archive");
        }),
        new("GET /api/v1/agents", Verdict.Same, "", async node =>
        {
            await RegisterAsync(node, "compat-listed");
            var reply = await node.GetAsync("/api/v1/agents");
            Keys(reply.Json["agents"]!.AsArray().Single(agent => (string?)agent!["agent_id"] == "compat-listed"), ["agent_id", "agent_type", "capabilities", "last_seen_at", "registered_at"]);
            Assert.Equal(reply.Json["agents"]!.AsArray().Count, (int)reply.Json["count"]!);
        }),
        new("POST /api/v1/agents", Verdict.Different, "a registration is a record of its own: no memory in `_agents` that anyone could forge or forget, so `id` names no memory", async node =>
        {
            var first = await RegisterAsync(node, "compat-agent");
            Same(first, 201, ("registered", true), ("agent_id", "compat-agent"), ("agent_type", "ai:test"));
            var again = await RegisterAsync(node, "compat-agent");
            Assert.Equal((string?)first.Json["registered_at"], (string?)again.Json["registered_at"]);
            Assert.Equal((string?)first.Json["id"], (string?)again.Json["id"]);
            (await node.PostAsync("/api/v1/agents", """{"agent_id":"a","agent_type":"robot"}""")).ShouldFail(400, "invalid_agent_type", "agent_type");
        }),
        new("GET /api/v1/pending", Verdict.Same, "", async node =>
        {
            var id = await ProposeAsync(node, "listed");
            var reply = await node.GetAsync("/api/v1/pending?status=pending&limit=1000");
            var action = reply.Json["pending"]!.AsArray().Single(action => (string?)action!["id"] == id);
            Keys(action, ["action_type", "approvals", "id", "memory_id", "namespace", "payload", "requested_at", "requested_by", "status"]);
            Assert.Equal(("store", "compat/governed", "eve", "pending"), ((string?)action!["action_type"], (string?)action["namespace"], (string?)action["requested_by"], (string?)action["status"]));
        }),
        new("POST /api/v1/pending/{id}/approve", Verdict.Better, "an unknown id is 404; what failed to be carried out is tried again by a further consent; an update can wait too", async node =>
        {
            var id = await ProposeAsync(node, "approved");
            var reply = await node.SendAsync(HttpMethod.Post, $"/api/v1/pending/{id}/approve", null, ("X-Agent-Id", "carol"));
            Same(reply, 200, ("approved", true), ("decided_by", "carol"), ("executed", true), ("id", id));
            Same(await node.GetAsync($"/api/v1/memories/{reply.Json["memory_id"]}"), 200, ("title", "approved"));
            (await node.SendAsync(HttpMethod.Post, $"/api/v1/pending/{id}/approve")).ShouldFail(403, "forbidden", "approve rejected: already decided: status=approved");
            (await node.SendAsync(HttpMethod.Post, "/api/v1/pending/nobody/approve")).ShouldFail(404, "not_found", "approve rejected: ");
        }),
        new("POST /api/v1/pending/{id}/reject", Verdict.Same, "", async node =>
        {
            var id = await ProposeAsync(node, "rejected");
            Same(await node.SendAsync(HttpMethod.Post, $"/api/v1/pending/{id}/reject", null, ("X-Agent-Id", "carol")), 200, ("rejected", true), ("decided_by", "carol"), ("id", id));
            (await node.SendAsync(HttpMethod.Post, $"/api/v1/pending/{id}/reject")).ShouldFail(404, "not_found", "pending action not found or already decided");
        }),
        new("POST /api/v1/sync/push", Verdict.Better, "each row is answered alone; a deleted id stays deleted", async node =>
        {
            var reply = await node.PostAsync("/api/v1/sync/push", new JsonObject { ["sender_agent_id"] = "peer", ["memories"] = new JsonArray(TestNode.Row("compat-pushed", "pushed", "compat/sync")) }.ToJsonString());
            Same(reply, 200, ("applied", 1), ("noop", 0), ("skipped", 0));
        }),
        new("GET /api/v1/sync/since", Verdict.Better, "pages by `cursor`", async node => Keys((await node.GetAsync("/api/v1/sync/since?limit=1")).Json, ["count", "limit", "memories"])),
    ];

    public static IReadOnlyList<ReferenceRoute> Later { get; } =
    [
        new("GET /api/v1/capabilities", Verdict.Better, "says what works, not what was asked for", async node =>
            Keys((await node.GetAsync("/api/v1/capabilities")).Json, ["features", "models", "tier", "version"])),
        new("POST /api/v1/session/start", Verdict.Same, "", async node =>
        {
            var standard = await node.StoreAsync("how we work", ",\"namespace\":\"compat/session\"");
            await node.StoreAsync("a fact", ",\"namespace\":\"compat/session\"");
            await node.PostAsync("/api/v1/namespaces/compat%2Fsession/standard", $$"""{"id":"{{standard}}"}""");
            var reply = await node.PostAsync("/api/v1/session/start", """{"namespace":"compat/session"}""");
            Same(reply, 200, ("count", 1), ("mode", "session_start"));
            Assert.Equal(standard, (string?)reply.Json["standard"]!["id"]);
            Assert.Equal("a fact", (string?)reply.Json["memories"]![0]!["title"]);
        }),
        new("POST /api/v1/namespaces/{namespace}/standard", Verdict.Better, "only who set a policy may change it", async node =>
        {
            var id = await node.StoreAsync("rules", ",\"namespace\":\"compat/standard\"");
            var reply = await node.PostAsync("/api/v1/namespaces/compat%2Fstandard/standard", $$"""{"id":"{{id}}","parent":"other"}""");
            Same(reply, 201, ("set", true), ("namespace", "compat/standard"), ("standard_id", id), ("parent", "other"));
            (await node.PostAsync("/api/v1/namespaces/x/standard", """{"id":"nobody"}""")).ShouldFail(404, "not_found", "memory not found: nobody");
            (await node.PostAsync("/api/v1/namespaces/x/standard", $$$"""{"id":"{{{id}}}","governance":{"write":"any"}}""")).ShouldFail(400, "invalid_governance", "invalid governance: ");
        }),
        new("GET /api/v1/namespaces/{namespace}/standard", Verdict.Same, "", async node =>
        {
            var id = await node.StoreAsync("shown rules", ",\"namespace\":\"compat/shown\"");
            Assert.Equal("""{"namespace":"compat/shown","standard_id":null}""", (await node.GetAsync("/api/v1/namespaces/compat%2Fshown/standard")).Text);
            await node.PostAsync("/api/v1/namespaces", $$"""{"namespace":"compat/shown","id":"{{id}}"}""");
            var reply = await node.GetAsync("/api/v1/namespaces?namespace=compat/shown");
            Same(reply, 200, ("standard_id", id), ("title", "shown rules"), ("namespace", "compat/shown"), ("priority", 5));
            Assert.Equal("""{"approver":"human","delete":"owner","promote":"any","write":"any"}""", reply.Json["governance"]!.ToJsonString());
        }),
        new("DELETE /api/v1/namespaces/{namespace}/standard", Verdict.Same, "", async node =>
        {
            var id = await node.StoreAsync("to clear", ",\"namespace\":\"compat/cleared\"");
            await node.PostAsync("/api/v1/namespaces", $$"""{"namespace":"compat/cleared","id":"{{id}}"}""");
            Same(await node.DeleteAsync("/api/v1/namespaces/compat%2Fcleared/standard"), 200, ("cleared", true), ("namespace", "compat/cleared"));
            Same(await node.DeleteAsync("/api/v1/namespaces?namespace=compat/cleared"), 200, ("cleared", false));
        }),
        new("POST /api/v1/notify", Verdict.Better, "two messages of one subject stay two; the fields of the MCP tool too", async node =>
        {
            var first = await node.PostAsync("/api/v1/notify", """{"to":"compat-bob","subject":"s","body":"one","metadata":{"k":1}}""", ("X-Agent-Id", "alice"));
            Same(first, 201, ("sent", true), ("to", "compat-bob"), ("from", "alice"), ("tier", "mid"));
            var second = await node.PostAsync("/api/v1/notify", """{"target_agent_id":"compat-bob","title":"s","payload":"two"}""", ("X-Agent-Id", "alice"));
            Same(second, 201, ("sent", true));
            Assert.NotEqual((string?)first.Json["id"], (string?)second.Json["id"]);
            Assert.Equal(2, (int)(await node.GetAsync("/api/v1/inbox?agent_id=compat-bob")).Json["count"]!);
        }),
        new("GET /api/v1/inbox", Verdict.Better, "`unread` counts what is not marked as read (`POST /api/v1/inbox/read`); the filter comes before the limit", async node =>
        {
            var id = (string)(await node.PostAsync("/api/v1/notify", """{"to":"compat-carol","subject":"s","body":"b","payload":{"k":1}}""")).Json["id"]!;
            await node.PostAsync("/api/v1/notify", """{"to":"compat-carol","subject":"urgent","body":"b","priority":9}""");
            var inbox = await node.GetAsync("/api/v1/inbox?unread=true", ("X-Agent-Id", "compat-carol"));
            Same(inbox, 200, ("count", 2), ("unread", 2), ("agent_id", "compat-carol"), ("namespace", "_messages/compat-carol"), ("unread_only", true));
            Keys(inbox.Json["messages"]![1], ["access_count", "body", "created_at", "from", "id", "payload", "priority", "read", "received_at", "subject", "tier", "title", "to"]);
            Assert.Equal(["urgent", "s"], inbox.Json["messages"]!.AsArray().Select(message => (string?)message!["subject"]));
            Assert.Equal("""{"marked":1}""", (await node.PostAsync("/api/v1/inbox/read", $$"""{"ids":["{{id}}","nobody"]}""", ("X-Agent-Id", "compat-carol"))).Text);
            var unread = await node.GetAsync("/api/v1/inbox?agent_id=compat-carol&unread_only=true&limit=1");
            Same(unread, 200, ("count", 1), ("unread", 1));
            Assert.Equal(404, (await node.DeleteAsync($"/api/v1/inbox/{id}", ("X-Agent-Id", "eve"))).Status);
            Same(await node.DeleteAsync($"/api/v1/inbox/{id}", ("X-Agent-Id", "compat-carol")), 200, ("deleted", true));
            Same(await node.GetAsync("/api/v1/inbox?agent_id=compat-carol"), 200, ("count", 1));
        }),
        new("POST /api/v1/subscriptions", Verdict.Better, "stores, updates, promotions, archivings and deletions are told, by every front end; tried again, dead letters; signed both ways; no private address", async node =>
        {
            await RegisterAsync(node, "compat-hooks");
            var reply = await node.PostAsync("/api/v1/subscriptions", """{"callback_url":"https://example.invalid/hook","events":["memory_store"],"secret":"s","namespace":"compat/nowhere"}""", ("X-Agent-Id", "compat-hooks"));
            Same(reply, 201, ("url", "https://example.invalid/hook"), ("callback_url", "https://example.invalid/hook"), ("agent_id", "compat-hooks"), ("namespace", "compat/nowhere"), ("events", new JsonArray("memory_store")));
            Keys(reply.Json, ["created_at", "id"]);
        }),
        new("GET /api/v1/subscriptions", Verdict.Better, "with dead letters; a named caller's own only", async node =>
        {
            await RegisterAsync(node, "compat-lister");
            await node.PostAsync("/api/v1/subscriptions", """{"url":"https://example.invalid/","namespace_filter":"compat/nowhere"}""", ("X-Agent-Id", "compat-lister"));
            var reply = await node.GetAsync("/api/v1/subscriptions", ("X-Agent-Id", "compat-lister"));
            Same(reply, 200, ("count", 1));
            Keys(reply.Json["subscriptions"]![0], ["agent_filter", "created_at", "created_by", "dispatch_count", "events", "failure_count", "id", "namespace_filter", "url"]);
        }),
        new("DELETE /api/v1/subscriptions/{id}", Verdict.Better, "one's own only", async node =>
        {
            await RegisterAsync(node, "compat-leaver");
            var id = (string)(await node.PostAsync("/api/v1/subscriptions", """{"url":"https://example.invalid/","namespace_filter":"compat/nowhere"}""", ("X-Agent-Id", "compat-leaver"))).Json["id"]!;
            Assert.Equal(404, (await node.DeleteAsync($"/api/v1/subscriptions/{id}", ("X-Agent-Id", "eve"))).Status);
            Same(await node.DeleteAsync($"/api/v1/subscriptions/{id}", ("X-Agent-Id", "compat-leaver")), 200, ("deleted", true));
        }),
        new("GET /api/v1/contradictions", Verdict.Same, "without a model's verdict: what says different things of one topic", async node =>
        {
            var red = await node.StoreAsync("sky red", ",\"namespace\":\"compat/sky\",\"metadata\":{\"topic\":\"sky\"}");
            var blue = await node.StoreAsync("sky blue", ",\"namespace\":\"compat/sky\",\"metadata\":{\"topic\":\"Sky\"}");
            var reply = await node.GetAsync("/api/v1/contradictions?topic=sky&namespace=compat/sky");
            Same(reply, 200, ("count", 2));
            Assert.Equal(new[] { red, blue }.Order(), reply.Json["memories"]!.AsArray().Select(memory => (string)memory!["id"]!).Order());
            var link = reply.Json["links"]!.AsArray().Single()!;
            Assert.Equal(("contradicts", true), ((string?)link["relation"], (bool)link["synthesized"]!));
            await node.PostAsync("/api/v1/links", $$"""{"source_id":"{{red}}","target_id":"{{blue}}","relation":"contradicts"}""");
            var made = (await node.GetAsync("/api/v1/contradictions?namespace=compat/sky")).Json["links"]!.AsArray().Single()!;
            Assert.False((bool)made["synthesized"]!);
            Keys(made, LinkKeys);
            (await node.GetAsync("/api/v1/contradictions")).ShouldFail(400, "filter_missing", "topic");
        }),
        new("POST /api/v1/contradictions", Verdict.Same, "of two memories, `id_a` and `id_b`; 501 without a text model", async node =>
        {
            var (one, other) = (await node.StoreAsync("claims", ",\"namespace\":\"compat/model\""), await node.StoreAsync("denies", ",\"namespace\":\"compat/model\""));
            var reply = await node.PostAsync("/api/v1/contradictions", $$"""{"id_a":"{{one}}","id_b":"{{one}}"}""");
            Same(reply, 200, ("contradicts", false));
            Keys(reply.Json["memory_a"], ["id", "title"]);
            (await node.PostAsync("/api/v1/contradictions", $$"""{"id_a":"{{one}}","id_b":"{{other}}"}""")).ShouldFail(501, "model_missing");
        }),
        new("POST /api/v1/expand_query", Verdict.Same, "501 without a text model", async node =>
            (await node.PostAsync("/api/v1/expand_query", """{"query":"outage"}""")).ShouldFail(501, "model_missing")),
        new("POST /api/v1/auto_tag", Verdict.Same, "501 without a text model", async node =>
        {
            var id = await node.StoreAsync("to tag", ",\"namespace\":\"compat/model\"");
            (await node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id}}"}""")).ShouldFail(501, "model_missing");
        }),
        new("POST /api/v1/memories/{id}/grant", Verdict.Same, "holds for agents with a key or certificate of their own, as others see everything; `GET /api/v1/memories/{id}/grants`", async node =>
        {
            var id = await node.StoreAsync("granted", ",\"namespace\":\"compat/grant\"");
            Same(await node.PostAsync($"/api/v1/memories/{id}/grant", """{"agent_id":"bob"}"""), 200, ("granted", true), ("permission", "read"));
            Same(await node.PostAsync($"/api/v1/memories/{id}/grant", """{"agent_id":"bob","permission":"admin"}"""), 200, ("granted", true));
            Same(await node.GetAsync($"/api/v1/memories/{id}/grants"), 200, ("count", 1));
            (await node.PostAsync($"/api/v1/memories/{id}/grant", """{"agent_id":"bob","permission":"all"}""")).ShouldFail(400, "invalid_permission");
            (await node.PostAsync("/api/v1/memories/nobody/grant", """{"agent_id":"bob"}""")).ShouldFail(404, "not_found");
        }),
        new("POST /api/v1/memories/{id}/revoke", Verdict.Same, "", async node =>
        {
            var id = await node.StoreAsync("revoked", ",\"namespace\":\"compat/grant\"");
            await node.PostAsync($"/api/v1/memories/{id}/grant", """{"agent_id":"bob"}""");
            Same(await node.PostAsync($"/api/v1/memories/{id}/revoke", """{"agent_id":"bob"}"""), 200, ("revoked", true), ("changed", true));
            Same(await node.PostAsync($"/api/v1/memories/{id}/revoke", """{"agent_id":"bob"}"""), 200, ("revoked", true), ("changed", false));
            Same(await node.GetAsync($"/api/v1/memories/{id}/grants"), 200, ("count", 0));
        }),
        new("POST /api/v1/cluster", Verdict.Different, "members are configured: `join` and `leave` of what is not so already are 409", async node =>
        {
            foreach (var body in (string[])["{}", """{"action":"list"}""", """{"action":"status"}""", """{"action":"leave","endpoint":"http://10.0.0.9:9077"}"""])
            {
                var reply = await node.PostAsync("/api/v1/cluster", body);
                Same(reply, 200, ("peers", new JsonArray()));
                Keys(reply.Json["self"], ["agent_id", "endpoint", "last_seen_at", "status"]);
                Assert.Equal("healthy", (string?)reply.Json["self"]!["status"]);
            }

            (await node.PostAsync("/api/v1/cluster", """{"action":"join","endpoint":"http://10.0.0.9:9077"}""")).ShouldFail(409, "members_configured", "--quorum-peers");
            (await node.PostAsync("/api/v1/cluster", """{"action":"dance"}""")).ShouldFail(400, "invalid_query");
        }),
    ];

    private static Func<TestNode, Task> MetricsAsync(string path) => async node =>
    {
        var reply = await node.GetAsync(path);
        Assert.Equal(200, reply.Status);
        Assert.StartsWith("text/plain; version=0.0.4", reply.ContentType);
        Assert.Contains("ai_memory_memories", reply.Text);
    };

    private static async Task RecallAsync(TestNode node, Reply before)
    {
        Assert.Equal(200, before.Status);
        await node.StoreAsync("giraffe", ",\"namespace\":\"compat/recall\"");
        var reply = await node.GetAsync("/api/v1/recall?context=giraffe&namespace=compat/recall&budget_tokens=500");
        Same(reply, 200, ("count", 1), ("budget_tokens", 500));
        Keys(reply.Json, ["budget_tokens", "count", "memories", "tokens_used"]);
        Keys(reply.Json["memories"]![0], [.. MemoryKeys, "score"]);
        (await node.GetAsync("/api/v1/recall?context=")).ShouldFail(400, "query_empty", "context is required");
    }

    private static async Task<string> ArchiveAsync(TestNode node, string title, string extra = "")
    {
        var id = await node.StoreAsync(title, ",\"namespace\":\"compat/archive\"" + extra);
        Same(await node.PostAsync("/api/v1/forget", """{"namespace":"compat/archive"}"""), 200);
        return id;
    }

    /// <summary>Asks for a memory in a namespace whose policy asks for approval.</summary>
    private static async Task<string> ProposeAsync(TestNode node, string title)
    {
        var rules = await node.StoreAsync("approve all", ",\"namespace\":\"compat\",\"agent_id\":\"alice\"");
        var policy = """{"write":"approve","promote":"any","delete":"owner","approver":"human"}""";
        Assert.Equal(201, (await node.PostAsync("/api/v1/namespaces/compat%2Fgoverned/standard", $$"""{"id":"{{rules}}","governance":{{policy}}}""", ("X-Agent-Id", "alice"))).Status);
        var reply = await node.PostAsync("/api/v1/memories", $$"""{"title":"{{title}}","content":"x","namespace":"compat/governed","agent_id":"eve"}""");
        Same(reply, 202, ("action", "store"), ("namespace", "compat/governed"), ("reason", "governance requires approval"), ("status", "pending"));
        return (string)reply.Json["pending_id"]!;
    }

    private static Task<Reply> RegisterAsync(TestNode node, string id) => node.PostAsync("/api/v1/agents", $$"""{"agent_id":"{{id}}","agent_type":"ai:test","capabilities":["read"]}""");

    /// <summary>As long as this holds the page says that the route is missing.</summary>
    private static Func<TestNode, Task> Missing(HttpMethod method, string path) => async node =>
        Assert.Contains((await node.SendAsync(method, path)).Status, (int[])[404, 405]);

    private static void Same(Reply reply, int status, params (string Field, JsonNode Value)[] fields)
    {
        Assert.True(reply.Status == status, $"{reply.Status}: {reply.Text}");
        Assert.Equal("application/json", reply.ContentType);
        foreach (var (field, value) in fields)
        {
            Assert.True(JsonNode.DeepEquals(value, reply.Json[field]), $"{field} is not {value} in {reply.Text}");
        }
    }

    private static void Keys(JsonNode? node, IEnumerable<string> keys)
    {
        foreach (var key in keys)
        {
            Assert.True(node!.AsObject().ContainsKey(key), $"{key} is not in {node.ToJsonString()}");
        }
    }
}
