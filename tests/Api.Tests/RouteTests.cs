using System.Net;
using System.Text.Json.Nodes;

namespace OrleansMemory.Api.Tests;

public sealed class RouteTests(TestNode node) : IClassFixture<TestNode>
{
    [Fact]
    public async Task Health_routes_answer()
    {
        Assert.Equal("""{"service":"ai-memory","status":"ok"}""", (await node.GetAsync("/api/v1/health")).Text);
        Assert.Equal("""{"status":"alive"}""", (await node.GetAsync("/livez")).Text);
        Assert.Equal("""{"status":"ready"}""", (await node.GetAsync("/readyz")).Text);
    }

    [Fact]
    public async Task The_line_on_the_output_names_the_bound_port()
    {
        Assert.Equal($"ai-memory listening on http://127.0.0.1:{node.Address.Port}{Environment.NewLine}", node.Output.ToString());
        Assert.Equal(HttpStatusCode.OK, (await node.Client.GetAsync("/livez")).StatusCode);
    }

    [Theory]
    [InlineData("GET", "/")]
    [InlineData("GET", "/api/v1")]
    [InlineData("GET", "/api/v1/health/")]
    [InlineData("GET", "/API/v1/health")]
    [InlineData("GET", "/api/v1/Memories/x")]
    [InlineData("POST", "/api/v1/memories/")]
    [InlineData("GET", "/api/v1/archive/")]
    [InlineData("GET", "/api/v1/namespaces/a/b/standard")]
    [InlineData("GET", "/api/v1/memories/a/b/c")]
    public async Task An_unknown_path_is_not_found_and_empty(string method, string path)
    {
        var reply = await node.SendAsync(new(method), path);
        Assert.Equal(404, reply.Status);
        Assert.Equal("", reply.Text);
    }

    [Theory]
    [InlineData("PATCH", "/api/v1/memories", "GET, HEAD, POST")]
    [InlineData("POST", "/api/v1/memories/x", "DELETE, GET, HEAD, PUT")]
    [InlineData("GET", "/api/v1/forget", "POST")]
    [InlineData("GET", "/api/v1/gc", "POST")]
    [InlineData("DELETE", "/api/v1/stats", "GET, HEAD")]
    [InlineData("POST", "/api/v1/health", "GET, HEAD")]
    [InlineData("GET", "/api/v1/memories/x/promote", "POST")]
    public async Task A_wrong_method_tells_the_right_ones(string method, string path, string allowed)
    {
        var reply = await node.SendAsync(new(method), path);
        Assert.Equal(405, reply.Status);
        Assert.Equal("", reply.Text);
        Assert.Equal(allowed, string.Join(", ", reply.Message.Content.Headers.Allow.Order(StringComparer.Ordinal)));
    }

    [Fact]
    public async Task Links_are_stored_once_and_read_from_both_ends()
    {
        var source = await node.StoreAsync("link source");
        var target = await node.StoreAsync("link target");
        var body = $$"""{"source_id":"{{source}}","target_id":"{{target}}","relation":"supersedes"}""";
        var reply = await node.PostAsync("/api/v1/links", body);
        reply.ShouldSucceed(201);
        reply.Json.ShouldHaveKeys("created_at", "linked", "relation", "source_id", "target_id");
        Assert.True((bool)reply.Json["linked"]!);
        Assert.NotNull(reply.Header("X-Memory-Token"));
        (await node.PostAsync("/api/v1/links", body)).ShouldSucceed(201);

        foreach (var end in (string[])[source, target])
        {
            var links = await node.GetAsync($"/api/v1/links/{end}");
            links.ShouldSucceed();
            links.Json.ShouldHaveKeys("count", "links");
            Assert.Equal(1, (int)links.Json["count"]!);
            links.Json["links"]![0].ShouldHaveKeys("created_at", "relation", "source_id", "target_id");
        }

        Assert.Single((await node.GetAsync($"/api/v1/memories/{source}")).Json["links"]!.AsArray());
        Assert.Equal("""{"count":0,"links":[]}""", (await node.GetAsync("/api/v1/links/nobody")).Text);
    }

    [Fact]
    public async Task Links_that_break_a_rule_are_refused()
    {
        var id = await node.StoreAsync("linked to nothing");
        (await node.PostAsync("/api/v1/links", $$"""{"source_id":"{{id}}","target_id":"nobody"}""")).ShouldFail(404, "not_found");
        (await node.PostAsync("/api/v1/links", $$"""{"source_id":"{{id}}","target_id":"{{id}}"}""")).ShouldFail(400, "self_link", "cannot link a memory to itself");
        (await node.PostAsync("/api/v1/links", $$"""{"source_id":"{{id}}","target_id":"x","relation":"likes"}""")).ShouldFail(400, "invalid_relation", "invalid relation");
        (await node.PostAsync("/api/v1/links", """{"source_id":"a"}""")).ShouldFail(422, "missing_field");
    }

    [Fact]
    public async Task Namespaces_and_statistics_count()
    {
        await node.StoreAsync("counted", ",\"namespace\":\"counting\",\"tier\":\"short\",\"ttl_secs\":60");
        var namespaces = await node.GetAsync("/api/v1/namespaces");
        namespaces.ShouldSucceed();
        namespaces.Json.ShouldHaveKeys("namespaces");
        namespaces.Json["namespaces"]![0].ShouldHaveKeys("count", "namespace");
        Assert.Contains(namespaces.Json["namespaces"]!.AsArray(), entry => (string?)entry!["namespace"] == "counting");

        var statistics = await node.GetAsync("/api/v1/stats");
        statistics.ShouldSucceed();
        statistics.Json.ShouldHaveKeys("by_namespace", "by_tier", "db_size_bytes", "expiring_soon", "links_count", "total");
        statistics.Json["by_tier"]![0].ShouldHaveKeys("count", "tier");
        Assert.True((long)statistics.Json["db_size_bytes"]! > 0);
        Assert.True((long)statistics.Json["expiring_soon"]! > 0);
        Assert.Equal((long)statistics.Json["total"]!, statistics.Json["by_tier"]!.AsArray().Sum(entry => (long)entry!["count"]!));
    }

    [Fact]
    public async Task Garbage_is_collected_on_request()
    {
        var id = await node.StoreAsync("to expire");
        (await node.PutAsync($"/api/v1/memories/{id}", """{"expires_at":"2020-01-01T00:00:00Z"}""")).ShouldSucceed();
        var reply = await node.SendAsync(HttpMethod.Post, "/api/v1/gc");
        reply.ShouldSucceed();
        Assert.Equal("""{"expired_deleted":1}""", reply.Text);
        (await node.GetAsync($"/api/v1/memories/{id}")).ShouldFail(404, "not_found");
    }

    [Fact]
    public async Task Search_answers_both_client_libraries()
    {
        await node.StoreAsync("zebra crossing", ",\"namespace\":\"searched\"");
        var reply = await node.GetAsync("/api/v1/search?q=zebra%20crossing&namespace=searched");
        reply.ShouldSucceed();
        reply.Json.ShouldHaveKeys("count", "memories", "query", "results");
        Assert.Equal(1, (int)reply.Json["count"]!);
        Assert.Equal("zebra crossing", (string?)reply.Json["query"]);
        Assert.Equal(reply.Json["memories"]!.ToJsonString(), reply.Json["results"]!.ToJsonString());
        Assert.Null(reply.Json["results"]![0]!["score"]);
        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/search?q=zebra&namespace=searched&limit=0")).Json["count"]!);
        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/search?q=zebra+okapi&namespace=searched")).Json["count"]!);
    }

    [Fact]
    public async Task Recall_by_query_and_by_body_agree()
    {
        await node.StoreAsync("okapi habitat", ",\"namespace\":\"recalled\",\"tags\":[\"fauna\"]");
        await node.StoreAsync("okapi diet", ",\"namespace\":\"recalled\"");
        var byBody = await node.PostAsync("/api/v1/recall", """{"context":"where okapi live","namespace":"recalled","tags":"fauna","budget_tokens":200,"limit":5,"since":null}""");
        byBody.ShouldSucceed();
        byBody.Json.ShouldHaveKeys("budget_tokens", "count", "memories", "mode", "recall_mode", "tokens_used");
        Assert.Equal(1, (int)byBody.Json["count"]!);
        var score = byBody.Json["memories"]![0]!["score"]!.ToJsonString();
        Assert.Matches(@"^[0-9]+\.[0-9]{1,3}$", score);

        var byQuery = await node.GetAsync("/api/v1/recall?context=okapi&namespace=recalled");
        byQuery.ShouldSucceed();
        byQuery.Json.ShouldHaveKeys("count", "memories", "mode", "recall_mode", "tokens_used");
        Assert.Equal(2, (int)byQuery.Json["count"]!);
        Assert.True((long)byQuery.Json["tokens_used"]! > 0);
        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/recall?context=okapi&namespace=recalled&budget_tokens=0")).Json["count"]!);
    }

    [Fact]
    public async Task Forget_takes_a_body_or_a_query()
    {
        await node.StoreAsync("forget 1", ",\"namespace\":\"forgotten\"");
        await node.StoreAsync("forget 2", ",\"namespace\":\"forgotten\",\"tier\":\"long\"");
        await node.StoreAsync("keep quokka", ",\"namespace\":\"forgotten\"");
        Assert.Equal("""{"deleted":1}""", (await node.PostAsync("/api/v1/forget", """{"namespace":"forgotten","tier":"long"}""")).Text);
        Assert.Equal("""{"deleted":1}""", (await node.SendAsync(HttpMethod.Post, "/api/v1/forget?namespace=forgotten&pattern=quokka")).Text);
        Assert.Equal("""{"deleted":1}""", (await node.SendAsync(HttpMethod.Post, "/api/v1/forget?namespace=forgotten")).Text);
    }

    [Fact]
    public async Task Bulk_judges_each_row_alone()
    {
        var reply = await node.PostAsync("/api/v1/memories/bulk", """
            [{"title":"bulk 1","content":"c","agent_id":"bulker","scope":"org"},
             {"title":" ","content":"c"},
             {"title":"bulk 3","content":"c","metadata":[]},
             {"title":"bulk 4","content":"c","agent_id":"b d"},
             {"title":"bulk 5","content":"c"}]
            """, ("X-Agent-Id", "caller"));
        reply.ShouldSucceed();
        reply.Json.ShouldHaveKeys("created", "errors", "ids", "results");
        Assert.Equal(2, (int)reply.Json["created"]!);
        Assert.Equal(
            [" : title cannot be empty", "bulk 3: metadata must be a JSON object", "bulk 4: invalid agent_id: agent_id may contain only letters, digits and _ - : @ . /"],
            reply.Json["errors"]!.AsArray().Select(error => (string?)error));
        Assert.Equal(2, reply.Json["ids"]!.AsArray().Count);
        Assert.Equal(5, reply.Json["results"]!.AsArray().Count);
        reply.Json["results"]![0].ShouldHaveKeys("created", "id");
        reply.Json["results"]![1].ShouldHaveKeys("code", "error");

        var authors = new List<string?>();
        foreach (var id in reply.Json["ids"]!.AsArray())
        {
            authors.Add((string?)(await node.GetAsync($"/api/v1/memories/{id}")).Json["metadata"]!["agent_id"]);
        }

        Assert.Equal(["bulker", "caller"], authors);

        var wrapped = await node.PostAsync("/api/v1/memories/bulk", """{"memories":[{"title":"bulk 1","content":"again"}]}""");
        Assert.Equal(1, (int)wrapped.Json["created"]!);
        Assert.False((bool)wrapped.Json["results"]![0]!["created"]!);
        Assert.Equal("""{"created":0,"errors":[],"ids":[],"results":[]}""", (await node.PostAsync("/api/v1/memories/bulk", "[]")).Text);
    }

    [Fact]
    public async Task An_export_imported_elsewhere_is_equal()
    {
        await using var from = await TestNode.StartAsync();
        await using var to = await TestNode.StartAsync();
        var ids = new List<string>();
        for (var index = 0; index < 700; index++)
        {
            ids.Add(await from.StoreAsync($"row {index}", $$""","namespace":"ns{{index % 7}}","tier":"{{(index % 2 == 0 ? "long" : "mid")}}","metadata":{"n":{{index}},"é":"ü"},"agent_id":"exporter","tags":["a{{index}}"]"""));
        }

        for (var index = 0; index < 50; index++)
        {
            (await from.PostAsync("/api/v1/links", $$"""{"source_id":"{{ids[index]}}","target_id":"{{ids[index + 100]}}"}""")).ShouldSucceed(201);
        }

        var exported = await from.GetAsync("/api/v1/export");
        exported.ShouldSucceed();
        Assert.Equal(700, (int)exported.Json["count"]!);
        Assert.Equal(50, exported.Json["links"]!.AsArray().Count);
        Assert.Equal(["count", "exported_at", "links", "memories"], exported.Json.AsObject().Select(field => field.Key).Order(StringComparer.Ordinal));
        Assert.Equal(ids, exported.Json["memories"]!.AsArray().Select(memory => (string?)memory!["id"]));

        var imported = await to.PostAsync("/api/v1/import", exported.Text);
        Assert.Equal("""{"errors":[],"imported":700}""", imported.Text);
        var again = await to.GetAsync("/api/v1/export");
        Assert.Equal(exported.Json["memories"]!.ToJsonString(), again.Json["memories"]!.ToJsonString());
        Assert.Equal(exported.Json["links"]!.ToJsonString(), again.Json["links"]!.ToJsonString());
    }

    [Fact]
    public async Task Import_reports_rows_and_links_that_cannot_be_taken()
    {
        var bad = TestNode.Row("imported-2", "two", "imported");
        bad["created_at"] = "yesterday";
        var document = JsonNode.Parse(TestNode.Import(TestNode.Row("imported-1", "one", "imported"), bad, TestNode.Row("imported-3", " ", "imported")))!.AsObject();
        document["links"] = JsonNode.Parse("""[{"source_id":"imported-1","target_id":"nobody","relation":"related_to","created_at":"2026-01-01T00:00:00Z"}]""");
        var reply = await node.PostAsync("/api/v1/import", document.ToJsonString());
        reply.ShouldSucceed();
        reply.Json.ShouldHaveKeys("errors", "imported");
        Assert.Equal(1, (int)reply.Json["imported"]!);
        var errors = reply.Json["errors"]!.AsArray().Select(error => (string)error!).ToList();
        Assert.Equal(3, errors.Count);
        Assert.StartsWith("imported-2: created_at is not valid RFC3339", errors[0]);
        Assert.Equal("imported-3: title cannot be empty", errors[1]);
        Assert.StartsWith("imported-1 -> nobody: ", errors[2]);
        var taken = (await node.GetAsync("/api/v1/memories/imported-1")).Json;
        Assert.Equal("claimed", (string?)taken["metadata"]!["agent_id"]);
        Assert.Equal(3, (int)taken["access_count"]!);
        Assert.Equal("2026-01-01T22:00:00.123456789+00:00", (string?)taken["updated_at"]);
    }
}
