using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace OrleansMemory.Compliance;

/// <summary>An answer, read to its end.</summary>
public sealed record HostAnswer(HttpStatusCode Status, string Text, string? Token, string? Version, string? RetryAfter)
{
    public JsonObject Json => JsonNode.Parse(Text)!.AsObject();

    public string? this[string field] => Json[field]?.ToString();

    public HostAnswer Is(HttpStatusCode status)
    {
        Assert.True(Status == status, $"{(int)Status}: {Text}");
        return this;
    }

    /// <summary>An error of this code, in the form that all errors have.</summary>
    public HostAnswer Fails(HttpStatusCode status, string code)
    {
        Is(status);
        Assert.Equal(code, this["code"]);
        Assert.False(string.IsNullOrEmpty(this["error"]));
        return this;
    }
}

/// <summary>
/// What every host of a cluster of three nodes answers over HTTP, whichever of its addresses is asked. A host inherits it and adds only
/// how its cluster is started. Tests share the cluster; each keeps to namespaces of its own.
/// </summary>
public abstract class HostCompliance
{
    private static readonly HttpClient Http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(60) };

    private readonly string _namespace = $"host-{Guid.NewGuid():n}";
    private int _turn;
    private string? _last;

    /// <summary>Where clients may go.</summary>
    protected abstract IReadOnlyList<Uri> Addresses { get; }

    /// <summary>Null: none is asked for.</summary>
    protected virtual string? ApiKey => null;

    /// <summary>Ends a node, none of those that are asked if there are others; disposed, it has come back and all hear it.</summary>
    protected abstract Task<IAsyncDisposable> WithoutANodeAsync();

    [Fact]
    public async Task A_store_is_on_a_quorum_and_everywhere_for_whoever_carries_its_token()
    {
        var stored = await StoreAsync("a", "body of a");
        Assert.Equal(("quorum", "a", _namespace), (stored["durability"], stored["title"], stored["namespace"]));
        Assert.True(int.Parse(stored["quorum_acks"]!, CultureInfo.InvariantCulture) >= 2, stored.Text);
        Assert.NotNull(stored["stamp"]);
        Assert.NotNull(stored.Token);
        Assert.NotNull(stored.Version);
        foreach (var address in Addresses)
        {
            var read = (await AskAsync(address, HttpMethod.Get, $"/api/v1/memories/{stored["id"]}", null, ("X-Memory-Token", stored.Token!))).Is(HttpStatusCode.OK);
            Assert.Equal(stored.Version, read.Version);
            Assert.Equal("body of a", read.Json["memory"]?["content"]?.ToString() ?? read["content"]);
            (await AskAsync(address, HttpMethod.Get, $"/api/v1/memories/{stored["id"]}?consistency=quorum", null)).Is(HttpStatusCode.OK);
            var listed = (await AskAsync(address, HttpMethod.Get, $"/api/v1/memories?namespace={_namespace}", null, ("X-Memory-Token", stored.Token!))).Is(HttpStatusCode.OK);
            Assert.Equal("1", listed["count"]);
        }
    }

    [Fact]
    public async Task A_caller_reads_its_own_writes_without_a_token()
    {
        foreach (var address in Addresses)
        {
            for (var write = 0; write < 10; write++)
            {
                var stored = (await AskAsync(address, HttpMethod.Post, "/api/v1/memories", Memory($"own {address.Port} {write}", "c"), ("X-Agent-Id", "ai:own"))).Is(HttpStatusCode.Created);
                (await AskAsync(address, HttpMethod.Get, $"/api/v1/memories/{stored["id"]}", null, ("X-Agent-Id", "ai:own"))).Is(HttpStatusCode.OK);
            }
        }
    }

    [Fact]
    public async Task Changes_are_conditional_and_a_delete_is_final()
    {
        var first = await StoreAsync("a", "one");
        await StoreAsync("taken", "c");
        var id = first["id"];
        var changed = (await AskAsync(HttpMethod.Put, $"/api/v1/memories/{id}", """{"content":"two"}""", ("If-Match", first.Version!))).Is(HttpStatusCode.OK);
        Assert.NotEqual(first.Version, changed.Version);
        (await AskAsync(HttpMethod.Put, $"/api/v1/memories/{id}", """{"content":"three"}""", ("If-Match", first.Version!))).Fails(HttpStatusCode.PreconditionFailed, "precondition_failed");
        (await AskAsync(HttpMethod.Put, $"/api/v1/memories/{id}", """{"title":"taken"}""")).Fails(HttpStatusCode.Conflict, "title_taken");
        Assert.Equal("long", (await AskAsync(HttpMethod.Post, $"/api/v1/memories/{id}/promote", null)).Is(HttpStatusCode.OK)["tier"]);
        var deleted = (await AskAsync(HttpMethod.Delete, $"/api/v1/memories/{id}", null)).Is(HttpStatusCode.OK);
        Assert.Equal("true", deleted["deleted"]);
        foreach (var address in Addresses)
        {
            (await AskAsync(address, HttpMethod.Get, $"/api/v1/memories/{id}", null, ("X-Memory-Token", deleted.Token!))).Fails(HttpStatusCode.NotFound, "not_found");
            (await AskAsync(address, HttpMethod.Put, $"/api/v1/memories/{id}", """{"content":"back"}""", ("X-Memory-Token", deleted.Token!))).Fails(HttpStatusCode.NotFound, "not_found");
        }

        // Its title is free again.
        Assert.NotEqual(id, (await StoreAsync("a", "new"))["id"]);
    }

    [Fact]
    public async Task Standards_approvals_messages_and_archives_work_at_every_address()
    {
        var agent = ("X-Agent-Id", $"{_namespace}-agent");
        var escaped = Uri.EscapeDataString(_namespace);
        (await AskAsync(HttpMethod.Post, "/api/v1/agents", $$"""{"agent_id":"{{agent.Item2}}","agent_type":"human"}""", agent)).Is(HttpStatusCode.Created);
        await Eventually.HoldsAsync("the agent is known everywhere", async () =>
            (await Task.WhenAll(Addresses.Select(address => AskAsync(address, HttpMethod.Get, "/api/v1/agents", null)))).All(answer => answer.Text.Contains(agent.Item2, StringComparison.Ordinal)));
        var rules = (await StoreAsync("rules", "how we work"))["id"];
        var source = (await StoreAsync("source", "one half"))["id"];
        var other = (await StoreAsync("other", "other half"))["id"];
        (await AskAsync(
            HttpMethod.Post,
            $"/api/v1/namespaces/{escaped}/standard",
            $$$"""{"id":"{{{rules}}}","governance":{"write":"approve","promote":"any","delete":"any","approver":"human"}}""",
            agent)).Is(HttpStatusCode.Created);
        await StandardIsAsync(rules);
        Assert.Equal("1", (await AskAsync(HttpMethod.Get, $"/api/v1/namespaces/{escaped}/standard?inherit=true", null))["count"]);
        Assert.Equal("2", (await AskAsync(HttpMethod.Post, "/api/v1/session/start", $$"""{"namespace":"{{_namespace}}"}""")).Is(HttpStatusCode.OK)["count"]);

        var waits = (await AskAsync(HttpMethod.Post, "/api/v1/memories", Memory("asked", "for"), agent)).Is(HttpStatusCode.Accepted)["pending_id"];
        await Eventually.HoldsAsync("whichever address is asked, it carries out what waits", async () =>
            (await AskAsync(HttpMethod.Post, $"/api/v1/pending/{waits}/approve", null, agent)).Status is HttpStatusCode.OK or HttpStatusCode.Forbidden
            && (await AskAsync(HttpMethod.Get, $"/api/v1/memories?namespace={_namespace}", null))["count"] == "4");
        Assert.DoesNotContain(waits!, (await AskAsync(HttpMethod.Get, "/api/v1/pending?status=pending&limit=1000", null)).Is(HttpStatusCode.OK).Text, StringComparison.Ordinal);
        Assert.Equal("true", (await AskAsync(HttpMethod.Delete, $"/api/v1/namespaces/{escaped}/standard", null, agent)).Is(HttpStatusCode.OK)["cleared"]);
        await StandardIsAsync(null);

        var halves = new JsonObject { ["ids"] = new JsonArray(source, other), ["title"] = "joined", ["summary"] = "both halves", ["namespace"] = _namespace };
        var joined = (await AskAsync(HttpMethod.Post, "/api/v1/consolidate", halves.ToJsonString(), agent)).Is(HttpStatusCode.Created);
        Assert.Equal("2", (await AskAsync(HttpMethod.Get, $"/api/v1/archive?namespace={_namespace}", null))["count"]);
        await Eventually.HoldsAsync("it is undone", async () =>
            (await AskAsync(HttpMethod.Post, $"/api/v1/curation/{joined["curation_id"]}/undo", null, agent)).Status == HttpStatusCode.OK);
        await Eventually.HoldsAsync("what was put away is back", async () =>
            (await AskAsync(HttpMethod.Get, $"/api/v1/memories/{source}", null)) is { Status: HttpStatusCode.OK } back && back["content"] == "one half");

        (await AskAsync(HttpMethod.Post, $"/api/v1/memories/{source}/grant", $$"""{"agent_id":"{{agent.Item2}}","permission":"write"}""", agent)).Is(HttpStatusCode.OK);
        await Eventually.HoldsAsync("the grant is listed, wherever it is asked for", async () => (await AskAsync(HttpMethod.Get, $"/api/v1/memories/{source}/grants", null))["count"] == "1");
        (await AskAsync(HttpMethod.Post, $"/api/v1/memories/{source}/revoke", $$"""{"agent_id":"{{agent.Item2}}"}""", agent)).Is(HttpStatusCode.OK);
        (await AskAsync(HttpMethod.Get, $"/api/v1/contradictions?namespace={_namespace}", null)).Is(HttpStatusCode.OK);
        Assert.Equal(2, (await AskAsync(HttpMethod.Post, "/api/v1/cluster", "{}")).Is(HttpStatusCode.OK).Json["peers"]!.AsArray().Count);

        foreach (var number in (int[])[1, 2])
        {
            var alike = new JsonObject { ["title"] = $"alike {number}", ["content"] = $"what both of them say, word for word, but for the number {number}{number}{number}", ["namespace"] = $"{_namespace}/curated" };
            (await AskAsync(HttpMethod.Post, "/api/v1/memories", alike.ToJsonString(), agent)).Is(HttpStatusCode.Created);
        }

        string? run = null;
        await Eventually.HoldsAsync("the curator tells them as one, whichever node it runs on", async () =>
        {
            var curated = await AskAsync(HttpMethod.Post, "/api/v1/curator/run", $$"""{"include_namespaces":["{{_namespace}}/curated"]}""");
            run = curated["run_id"];
            return curated.Status == HttpStatusCode.OK && curated.Json["autonomy"]!["memories_consolidated"]!.ToString() == "2";
        });
        await Eventually.HoldsAsync("the run is undone, whichever node is asked", async () =>
            (await AskAsync(HttpMethod.Post, "/api/v1/curator/undo", $$"""{"run":"{{run}}"}"""))["reversed"] == "1");

        var sent = (await AskAsync(HttpMethod.Post, "/api/v1/notify", $$"""{"to":"{{agent.Item2}}","subject":"s","body":"b"}""", agent)).Is(HttpStatusCode.Created);
        await Eventually.HoldsAsync("the message is in the inbox, wherever that is opened", async () =>
            (await AskAsync(HttpMethod.Get, "/api/v1/inbox?unread=true", null, agent)) is { Status: HttpStatusCode.OK } inbox && inbox["unread"] == "1");
        await Eventually.HoldsAsync("it is marked as read", async () =>
            (await AskAsync(HttpMethod.Post, "/api/v1/inbox/read", new JsonObject { ["ids"] = new JsonArray(sent["id"]) }.ToJsonString(), agent))["marked"] == "1");

        var wanted = new JsonObject { ["callback_url"] = "https://example.invalid/hook", ["events"] = new JsonArray("memory_store"), ["secret"] = "s", ["namespace"] = $"{_namespace}/nowhere" };
        var subscribed = (await AskAsync(HttpMethod.Post, "/api/v1/subscriptions", wanted.ToJsonString(), agent)).Is(HttpStatusCode.Created);
        await Eventually.HoldsAsync("the subscription is listed, wherever it is asked for", async () =>
            (await AskAsync(HttpMethod.Get, "/api/v1/subscriptions", null, agent)).Text.Contains(subscribed["id"]!, StringComparison.Ordinal));
        await Eventually.HoldsAsync("it is taken away", async () =>
            (await AskAsync(HttpMethod.Delete, $"/api/v1/subscriptions/{subscribed["id"]}", null, agent)).Status == HttpStatusCode.OK);

        Task StandardIsAsync(string? id) => Eventually.HoldsAsync($"the standard is {id ?? "none"} everywhere", async () =>
        {
            var shown = await Task.WhenAll(Addresses.Select(address => AskAsync(address, HttpMethod.Get, $"/api/v1/namespaces/{escaped}/standard", null)));
            return Array.TrueForAll(shown, answer => answer["standard_id"] == id);
        });
    }

    [Fact]
    public async Task One_title_stored_everywhere_at_once_is_shown_once()
    {
        // Nodes that decide each for itself may answer with ids of their own; they stand for one memory all the same.
        var stored = await Task.WhenAll(Enumerable.Range(0, 12).Select(async number => await StoreAsync("same", $"c{number}")));
        await Eventually.HoldsAsync("one memory is shown under every id that was answered", async () =>
        {
            var shown = new HashSet<string>();
            foreach (var answer in stored)
            {
                foreach (var address in Addresses)
                {
                    var read = await AskAsync(address, HttpMethod.Get, $"/api/v1/memories/{answer["id"]}", null, ("X-Memory-Token", answer.Token!));
                    shown.Add(read.Status == HttpStatusCode.OK ? read.Json["memory"]!["id"]!.ToString() : read.Text);
                }
            }

            return shown.Count == 1 && (await AskAsync(HttpMethod.Get, $"/api/v1/memories?namespace={_namespace}", null))["count"] == "1";
        });
    }

    [Fact]
    public async Task A_write_with_a_key_is_done_once()
    {
        var first = (await AskAsync(HttpMethod.Post, "/api/v1/memories", Memory("keyed", "c"), ("Idempotency-Key", _namespace))).Is(HttpStatusCode.Created);
        foreach (var address in Addresses)
        {
            var again = (await AskAsync(address, HttpMethod.Post, "/api/v1/memories", Memory("keyed", "c"), ("Idempotency-Key", _namespace), ("X-Memory-Token", first.Token!))).Is(HttpStatusCode.Created);
            Assert.Equal(first["id"], again["id"]);
            (await AskAsync(address, HttpMethod.Post, "/api/v1/memories", Memory("keyed", "other"), ("Idempotency-Key", _namespace), ("X-Memory-Token", first.Token!)))
                .Fails(HttpStatusCode.UnprocessableEntity, "idempotency_mismatch");
        }
    }

    [Fact]
    public async Task Links_lead_both_ways()
    {
        var source = await StoreAsync("source", "c");
        var target = await StoreAsync("target", "c");
        var body = $$"""{"source_id":"{{source["id"]}}","target_id":"{{target["id"]}}","relation":"supersedes"}""";
        var linked = (await AskAsync(HttpMethod.Post, "/api/v1/links", body)).Is(HttpStatusCode.Created);
        foreach (var id in new[] { source["id"], target["id"] })
        {
            await Eventually.HoldsAsync("the link shows at both ends", async () =>
                (await AskAsync(HttpMethod.Get, $"/api/v1/links/{id}", null)).Text.Contains("supersedes", StringComparison.Ordinal));
        }

        (await AskAsync(HttpMethod.Post, "/api/v1/links", $$"""{"source_id":"{{Guid.NewGuid()}}","target_id":"{{target["id"]}}"}""")).Fails(HttpStatusCode.NotFound, "not_found");
        Assert.NotNull(linked.Text);
    }

    [Fact]
    public async Task A_batch_is_judged_row_by_row()
    {
        var body = $$"""[{{Memory("b1", "c")}},{"title":"","content":"c","namespace":"{{_namespace}}"},{{Memory("b2", "c")}}]""";
        var answer = (await AskAsync(HttpMethod.Post, "/api/v1/memories/bulk", body, ("Idempotency-Key", _namespace))).Is(HttpStatusCode.OK);
        Assert.Equal(("2", 1, 3), (answer["created"], answer.Json["errors"]!.AsArray().Count, answer.Json["results"]!.AsArray().Count));
        Assert.Equal("title_empty", answer.Json["results"]![1]!["code"]!.ToString());
        var again = (await AskAsync(HttpMethod.Post, "/api/v1/memories/bulk", body, ("Idempotency-Key", _namespace), ("X-Memory-Token", answer.Token!))).Is(HttpStatusCode.OK);
        Assert.Equal(answer.Json["ids"]!.ToJsonString(), again.Json["ids"]!.ToJsonString());
    }

    [Fact]
    public async Task Memories_are_found_forgotten_and_counted()
    {
        var word = $"w{Guid.NewGuid():n}";
        await StoreAsync("found", $"the {word} of it");
        var last = await StoreAsync("other", "nothing");
        foreach (var address in Addresses)
        {
            var token = ("X-Memory-Token", last.Token!);
            var recalled = (await AskAsync(address, HttpMethod.Get, $"/api/v1/recall?context={word}&namespace={_namespace}", null, token)).Is(HttpStatusCode.OK);
            Assert.Equal("found", Assert.Single(recalled.Json["memories"]!.AsArray())!["title"]!.ToString());
            (await AskAsync(address, HttpMethod.Post, "/api/v1/recall", $$"""{"context":"{{word}}"}""", token)).Is(HttpStatusCode.OK);
            var searched = (await AskAsync(address, HttpMethod.Get, $"/api/v1/search?q={word}", null, token)).Is(HttpStatusCode.OK);
            Assert.Equal("1", searched["count"]);
            Assert.Contains(_namespace, (await AskAsync(address, HttpMethod.Get, "/api/v1/namespaces", null, token)).Is(HttpStatusCode.OK).Text, StringComparison.Ordinal);
            Assert.Contains(_namespace, (await AskAsync(address, HttpMethod.Get, "/api/v1/stats", null, token)).Is(HttpStatusCode.OK).Text, StringComparison.Ordinal);
        }

        await Eventually.HoldsAsync("it is forgotten, by whichever node holds it", async () =>
            (await AskAsync(HttpMethod.Post, $"/api/v1/forget?namespace={_namespace}&pattern={word}", null)) is { Status: HttpStatusCode.OK } forgotten && forgotten["deleted"] == "1");
        (await AskAsync(HttpMethod.Post, "/api/v1/gc", null)).Is(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Tools_do_at_every_address_what_routes_do()
    {
        var place = $"{_namespace}/deep";
        var stored = 0;
        foreach (var address in Addresses)
        {
            var id = Text(await CallAsync(address, "memory_store", $$"""{"title":"tool {{address.Port}}","content":"c","namespace":"{{place}}"}"""), "id");
            Assert.Equal("ai:tools", Text((await CallAsync(address, "memory_get", $$"""{"id":"{{id}}"}"""))["metadata"], "agent_id"));
            Assert.Equal("long", Text(await CallAsync(address, "memory_promote", $$"""{"id":"{{id}}"}"""), "tier"));
            Assert.Equal(_namespace, Text(await CallAsync(address, "memory_promote", $$"""{"id":"{{id}}","to_namespace":"{{_namespace}}"}"""), "to_namespace"));
            Assert.Equal(++stored, (int)(await CallAsync(address, "memory_forget", $$"""{"namespace":"{{place}}","dry_run":true}"""))["would_delete"]!);
            Assert.True((bool)(await CallAsync(address, "memory_gc", """{"dry_run":true}"""))["dry_run"]!);
        }

        foreach (var address in Addresses)
        {
            Assert.Equal(stored, (int)(await CallAsync(address, "memory_list", $$"""{"namespace":"{{place}}"}"""))["count"]!);
        }
    }

    [Fact]
    public async Task What_is_exported_comes_in_again_under_its_ids()
    {
        var stored = await StoreAsync("exported", "c");
        var exported = (await AskAsync(Addresses[0], HttpMethod.Get, "/api/v1/export", null, ("X-Memory-Token", stored.Token!))).Is(HttpStatusCode.OK);
        var memory = exported.Json["memories"]!.AsArray().Single(row => row!["id"]!.ToString() == stored["id"])!;
        memory["id"] = _namespace;
        memory["title"] = "imported";
        var imported = (await AskAsync(HttpMethod.Post, "/api/v1/import", $$"""{"memories":[{{memory.ToJsonString()}}],"links":[]}""")).Is(HttpStatusCode.OK);
        Assert.Equal("1", imported["imported"]);
        (await AskAsync(HttpMethod.Get, $"/api/v1/memories/{_namespace}", null, ("X-Memory-Token", imported.Token!))).Is(HttpStatusCode.OK);
        (await AskAsync(Addresses[0], HttpMethod.Get, "/api/v1/sync/since?limit=2", null)).Is(HttpStatusCode.OK);
        var pushed = (await AskAsync(HttpMethod.Post, "/api/v1/sync/push", $$"""{"sender_agent_id":"ai:other","memories":[{{memory.ToJsonString()}}]}""", ("X-Memory-Token", imported.Token!))).Is(HttpStatusCode.OK);
        Assert.Equal("1", pushed["noop"]);
    }

    [Fact]
    public async Task A_namespace_may_ask_for_more_nodes_and_a_request_for_fewer()
    {
        var path = $"/api/v1/namespaces/policy?namespace={_namespace}";
        Assert.Equal("2", (await AskAsync(HttpMethod.Get, path, null)).Is(HttpStatusCode.OK)["effective_quorum_writes"]);
        (await AskAsync(HttpMethod.Put, path, """{"quorum_writes":3}""")).Is(HttpStatusCode.OK);
        await Eventually.HoldsAsync("every address knows the policy", async () =>
        {
            foreach (var address in Addresses)
            {
                if ((await AskAsync(address, HttpMethod.Get, path, null))["effective_quorum_writes"] != "3")
                {
                    return false;
                }
            }

            return true;
        });
        await Eventually.HoldsAsync("a write is on three nodes", async () =>
            (await AskAsync(HttpMethod.Post, "/api/v1/memories", Memory("three", "c"))) is { Status: HttpStatusCode.Created } stored && stored["quorum_acks"] == "3");
        var less = (await AskAsync(HttpMethod.Post, "/api/v1/memories", Memory("one", "c"), ("X-Quorum", "1"))).Is(HttpStatusCode.Created);
        Assert.Equal("below_quorum", less["durability"]);
        (await AskAsync(HttpMethod.Post, "/api/v1/memories", Memory("bad", "c"), ("X-Quorum", "4"))).Fails(HttpStatusCode.BadRequest, "invalid_quorum");
        (await AskAsync(HttpMethod.Put, path, """{"quorum_writes":9}""")).Fails(HttpStatusCode.BadRequest, "invalid_quorum");
    }

    [Fact]
    public async Task A_token_of_what_is_nowhere_is_not_yet_and_no_token_is_refused()
    {
        var stored = await StoreAsync("a", "c");
        var ahead = stored.Token![..(stored.Token!.LastIndexOf(':') + 1)] + "999999999";
        var early = (await AskAsync(HttpMethod.Get, $"/api/v1/memories/{stored["id"]}", null, ("X-Memory-Token", ahead))).Fails(HttpStatusCode.ServiceUnavailable, "not_yet");
        Assert.NotNull(early.RetryAfter);
        (await AskAsync(HttpMethod.Get, $"/api/v1/memories/{stored["id"]}", null, ("X-Memory-Token", "nonsense"))).Fails(HttpStatusCode.BadRequest, "invalid_token");
    }

    [Fact]
    public async Task Mistakes_are_told_in_one_form()
    {
        foreach (var address in Addresses)
        {
            (await AskAsync(address, HttpMethod.Post, "/api/v1/memories", """{"title":"","content":"c"}""")).Fails(HttpStatusCode.BadRequest, "title_empty");
            (await AskAsync(address, HttpMethod.Post, "/api/v1/memories", """{"title":"t"}""")).Fails(HttpStatusCode.UnprocessableEntity, "missing_field");
            (await AskAsync(address, HttpMethod.Post, "/api/v1/memories", "{")).Fails(HttpStatusCode.BadRequest, "malformed_request");
            (await AskAsync(address, HttpMethod.Get, $"/api/v1/memories/{Guid.NewGuid()}", null)).Fails(HttpStatusCode.NotFound, "not_found");
            (await AskAsync(address, HttpMethod.Delete, $"/api/v1/memories/{Guid.NewGuid()}", null)).Fails(HttpStatusCode.NotFound, "not_found");
            (await AskAsync(address, HttpMethod.Post, $"/api/v1/memories/{Guid.NewGuid()}/promote", null)).Fails(HttpStatusCode.NotFound, "not_found");
            (await AskAsync(address, HttpMethod.Get, "/api/v1/recall?context=", null)).Fails(HttpStatusCode.BadRequest, "query_empty");
            (await AskAsync(address, HttpMethod.Get, "/api/v1/memories?cursor=nonsense", null)).Fails(HttpStatusCode.BadRequest, "invalid_cursor");
            (await AskAsync(address, HttpMethod.Post, "/api/v1/forget", null)).Fails(HttpStatusCode.BadRequest, "filter_missing");
        }
    }

    [Fact]
    public async Task Operators_see_the_cluster()
    {
        foreach (var address in Addresses)
        {
            foreach (var path in new[] { "/livez", "/readyz", "/startupz", "/api/v1/health", "/metrics", "/api/v1/metrics", "/openapi/v1.json" })
            {
                (await AskAsync(address, HttpMethod.Get, path, null)).Is(HttpStatusCode.OK);
            }

            var cluster = (await AskAsync(address, HttpMethod.Get, "/api/v1/cluster?digest=true", null)).Is(HttpStatusCode.OK);
            Assert.Equal(("3", "2", 2), (cluster["nodes"], cluster["quorum_writes"], cluster.Json["peers"]!.AsArray().Count));
            Assert.NotNull(cluster["digest"]);
            Assert.NotEmpty(cluster.Json["vector"]!.AsObject());
        }
    }

    [Fact]
    public async Task Without_one_node_a_quorum_writes_on_and_all_is_refused_with_its_outcome()
    {
        HostAnswer refused;
        await using (await WithoutANodeAsync())
        {
            await Eventually.HoldsAsync("two nodes write", async () =>
            {
                var (status, text, _, _, _) = await AskAsync(HttpMethod.Post, "/api/v1/memories", Memory("two", "c"), ("Idempotency-Key", $"{_namespace}2"));
                Assert.True(status is HttpStatusCode.Created or HttpStatusCode.ServiceUnavailable, text);
                return status == HttpStatusCode.Created;
            });
            refused = (await AskAsync(HttpMethod.Post, "/api/v1/memories", Memory("all", "c"), ("X-Quorum", "all"))).Fails(HttpStatusCode.ServiceUnavailable, "quorum_not_met");
            Assert.Equal(("quorum_not_met", "3", "stored_locally"), (refused["error"], refused["needed"], refused["outcome"]));

            // That it cannot be met may be known before the second node has answered.
            Assert.Contains(refused["got"], new[] { "1", "2" });
            Assert.Contains(refused["reason"], new[] { "unreachable", "timeout" });
            Assert.NotNull(refused.RetryAfter);
            Assert.NotNull(refused.Token);
        }

        // It was stored, and reaches the node that was away.
        foreach (var address in Addresses)
        {
            await Eventually.HoldsAsync("what was stored locally is everywhere", async () =>
                (await AskAsync(address, HttpMethod.Get, $"/api/v1/memories/{refused["id"]}", null)).Status == HttpStatusCode.OK);
        }
    }

    /// <summary>The structured result of a tool, as one caller, who carries what it was last answered.</summary>
    private async Task<JsonNode> CallAsync(Uri address, string tool, string arguments)
    {
        (string, string)[] headers = [("Accept", "application/json, text/event-stream"), ("MCP-Protocol-Version", "2025-06-18"), ("X-Agent-Id", "ai:tools")];
        var body = $$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"{{{tool}}}","arguments":{{{arguments}}}}}""";
        var answer = (await AskAsync(address, HttpMethod.Post, "/mcp", body, _last is null ? headers : [.. headers, ("X-Memory-Token", _last)])).Is(HttpStatusCode.OK);
        var result = JsonNode.Parse(answer.Text.Split('\n').Single(static line => line.StartsWith("data: ", StringComparison.Ordinal))["data: ".Length..])!["result"]!;
        Assert.True(result["isError"] is null, answer.Text);
        _last = (string?)result["_meta"]?["memory_token"] ?? _last;
        return result["structuredContent"]!;
    }

    private static string? Text(JsonNode? node, string field) => (string?)node?[field];

    private string Memory(string title, string content) => new JsonObject { ["title"] = title, ["content"] = content, ["namespace"] = _namespace }.ToJsonString();

    private async Task<HostAnswer> StoreAsync(string title, string content) =>
        (await AskAsync(HttpMethod.Post, "/api/v1/memories", Memory(title, content))).Is(HttpStatusCode.Created);

    /// <summary>To one address after the other, as one caller, who carries what it was last answered.</summary>
    private async Task<HostAnswer> AskAsync(HttpMethod method, string path, string? body, params (string Name, string Value)[] headers)
    {
        var address = Addresses[Interlocked.Increment(ref _turn) % Addresses.Count];
        var carries = _last is null || Array.Exists(headers, static header => header.Name == "X-Memory-Token") ? headers : [.. headers, ("X-Memory-Token", _last)];
        var answer = await AskAsync(address, method, path, body, carries);
        _last = answer.Token ?? _last;
        return answer;
    }

    private async Task<HostAnswer> AskAsync(Uri address, HttpMethod method, string path, string? body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(address, path)) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in ApiKey is { } key ? headers.Prepend(("X-API-Key", key)) : headers)
        {
            request.Headers.TryAddWithoutValidation(name, name == "If-Match" ? $"\"{value}\"" : value);
        }

        using var answer = await Http.SendAsync(request);
        return new(
            answer.StatusCode,
            await answer.Content.ReadAsStringAsync(),
            answer.Headers.TryGetValues("X-Memory-Token", out var tokens) ? tokens.Single() : null,
            answer.Headers.ETag?.Tag.Trim('"'),
            answer.Headers.RetryAfter?.ToString());
    }
}
