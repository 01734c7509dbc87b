using System.Globalization;

namespace OrleansMemory.Api.Tests;

public sealed class MemoryRouteTests(TestNode node) : IClassFixture<TestNode>
{
    /// <summary>The fields of every memory without an expiry or an access.</summary>
    private static readonly string[] Fields =
    [
        "access_count", "confidence", "content", "created_at", "id", "metadata", "namespace", "priority", "source", "tags", "tier", "title", "updated_at",
    ];

    [Fact]
    public async Task Create_answers_the_whole_memory()
    {
        var reply = await node.PostAsync("/api/v1/memories", """
            {"title":"Deploy window","content":"Tuesdays","tier":"long","namespace":"ops/eu","tags":["deploy"," ops "],"priority":9,"confidence":0.5,
             "source":"user","metadata":{"b":1,"a":{"z":[1,2],"y":null}},"agent_id":"alice","scope":"team","unknown":{"x":[1]}}
            """);

        reply.ShouldSucceed(201);
        reply.Json.ShouldHaveKeys([.. Fields.Append("agent_id").Order(StringComparer.Ordinal)]);
        Assert.Equal("alice", (string?)reply.Json["agent_id"]);
        Assert.Equal("Deploy window", (string?)reply.Json["title"]);
        Assert.Equal("ops/eu", (string?)reply.Json["namespace"]);
        Assert.Equal("long", (string?)reply.Json["tier"]);
        Assert.Equal(["deploy", "ops"], reply.Json["tags"]!.AsArray().Select(tag => (string?)tag));
        Assert.Equal("""{"a":{"y":null,"z":[1,2]},"agent_id":"alice","b":1,"scope":"team"}""", reply.Json["metadata"]!.ToJsonString());
        Assert.Contains("\"confidence\":0.5,", reply.Text);
        Assert.Equal(36, ((string?)reply.Json["id"])!.Length);
        Assert.EndsWith("+00:00", (string?)reply.Json["created_at"]);
        Assert.NotNull(reply.Header("ETag"));
        Assert.Matches("^.+~[0-9a-f]{16}:[0-9]+$", reply.Header("X-Memory-Token"));
    }

    [Fact]
    public async Task Create_fills_in_the_defaults()
    {
        var reply = await node.PostAsync("/api/v1/memories", """{"content":"c","title":"defaults","expires_at":null,"ttl_secs":null,"agent_id":null,"scope":null}""");

        reply.ShouldSucceed(201);
        Assert.Equal("mid", (string?)reply.Json["tier"]);
        Assert.Equal("global", (string?)reply.Json["namespace"]);
        Assert.Equal(5, (int)reply.Json["priority"]!);
        Assert.Equal("api", (string?)reply.Json["source"]);
        Assert.Contains("\"confidence\":1.0,", reply.Text);
        Assert.Matches("^anonymous:req-[0-9a-f]{8}$", (string?)reply.Json["agent_id"]);
        var created = DateTimeOffset.Parse((string)reply.Json["created_at"]!, CultureInfo.InvariantCulture);
        var expires = DateTimeOffset.Parse((string)reply.Json["expires_at"]!, CultureInfo.InvariantCulture);
        Assert.Equal(TimeSpan.FromDays(7), expires - created);
    }

    [Fact]
    public async Task Create_of_a_title_that_exists_updates_it_and_tells_its_author()
    {
        var id = await node.StoreAsync("twice", ",\"agent_id\":\"first\",\"tier\":\"long\"");
        var reply = await node.PostAsync("/api/v1/memories", """{"title":"twice","content":"new","agent_id":"second","tier":"short"}""");

        reply.ShouldSucceed(201);
        Assert.Equal(id, (string?)reply.Json["id"]);
        Assert.Equal("first", (string?)reply.Json["agent_id"]);
        Assert.Equal("long", (string?)reply.Json["tier"]);
        Assert.Equal("new", (string?)reply.Json["content"]);
    }

    [Fact]
    public async Task Get_has_the_fields_at_the_top_and_under_memory()
    {
        var id = await node.StoreAsync("to get", ",\"tier\":\"long\"");
        var reply = await node.GetAsync($"/api/v1/memories/{id}");

        reply.ShouldSucceed();
        reply.Json.ShouldHaveKeys([.. Fields.Concat(["links", "memory"]).Order(StringComparer.Ordinal)]);
        reply.Json["memory"].ShouldHaveKeys(Fields);
        Assert.Equal(id, (string?)reply.Json["memory"]!["id"]);
        Assert.Equal("[]", reply.Json["links"]!.ToJsonString());
        Assert.NotNull(reply.Header("ETag"));

        (await node.GetAsync($"/api/v1/memories/{id[..13]}")).ShouldSucceed();
        var head = await node.SendAsync(HttpMethod.Head, $"/api/v1/memories/{id}");
        Assert.Equal(200, head.Status);
        Assert.Equal("", head.Text);
    }

    [Fact]
    public async Task An_id_may_hold_any_character()
    {
        foreach (var id in (string[])["a/b c", "per%2Fcent", "q?x=1#y", "ünï/📌", "..", "plus+"])
        {
            var imported = await node.PostAsync("/api/v1/import", TestNode.Import(TestNode.Row(id, id, "ids")));
            Assert.Equal("""{"errors":[],"imported":1}""", imported.Text);
            if (id == "..")
            {
                // A path cannot carry it: clients and servers resolve it first.
                continue;
            }

            var reply = await node.GetAsync("/api/v1/memories/" + Uri.EscapeDataString(id));
            reply.ShouldSucceed();
            Assert.Equal(id, (string?)reply.Json["id"]);
        }
    }

    [Fact]
    public async Task List_answers_count_and_memories_in_order()
    {
        for (var priority = 1; priority <= 3; priority++)
        {
            await node.StoreAsync($"listed {priority}", $",\"namespace\":\"listed\",\"priority\":{priority},\"tags\":[\"t{priority % 2}\"],\"agent_id\":\"lister\"");
        }

        var all = await node.GetAsync("/api/v1/memories?namespace=listed&unknown=1");
        all.ShouldSucceed();
        all.Json.ShouldHaveKeys("count", "memories");
        Assert.Equal(3, (int)all.Json["count"]!);
        Assert.Equal(["listed 3", "listed 2", "listed 1"], all.Json["memories"]!.AsArray().Select(memory => (string?)memory!["title"]));

        var first = await node.GetAsync("/api/v1/memories?namespace=listed&limit=2");
        first.Json.ShouldHaveKeys("count", "memories", "next_cursor");
        var second = await node.GetAsync($"/api/v1/memories?namespace=listed&limit=2&cursor={Uri.EscapeDataString((string)first.Json["next_cursor"]!)}");
        second.Json.ShouldHaveKeys("count", "memories");
        Assert.Equal("listed 1", (string?)second.Json["memories"]![0]!["title"]);

        Assert.Equal(1, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&offset=2")).Json["count"]!);
        Assert.Equal(2, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&min_priority=2")).Json["count"]!);
        Assert.Equal(2, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&tags=t1")).Json["count"]!);
        Assert.Equal(3, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&agent_id=lister&tier=mid")).Json["count"]!);
        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&tier=long")).Json["count"]!);
        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&limit=0")).Json["count"]!);
        Assert.Equal(3, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&limit=100000")).Json["count"]!);
        Assert.Equal(3, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&since=2020-01-01")).Json["count"]!);
        Assert.Equal(3, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&since=2020-01-01T00:00:00+00:00")).Json["count"]!);
        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/memories?namespace=listed&until=2020-01-01T00:00:00Z")).Json["count"]!);
    }

    [Fact]
    public async Task Update_answers_the_memory_itself_and_can_clear_the_expiry()
    {
        foreach (var clearing in (string[])["null", "\"\""])
        {
            var id = await node.StoreAsync($"to update {clearing.Length}", ",\"metadata\":{\"old\":1},\"agent_id\":\"author\"");
            var reply = await node.PutAsync($"/api/v1/memories/{id}", """{"content":"changed","priority":8,"metadata":{"new":2},"title":null,"tier":null,"expires_at":"2030-01-01T00:00:00Z"}""");
            reply.ShouldSucceed();
            reply.Json.ShouldHaveKeys([.. Fields.Append("expires_at").Order(StringComparer.Ordinal)]);
            Assert.Equal("changed", (string?)reply.Json["content"]);
            Assert.Equal("2030-01-01T00:00:00+00:00", (string?)reply.Json["expires_at"]);
            Assert.Equal("""{"agent_id":"author","new":2}""", reply.Json["metadata"]!.ToJsonString());

            var kept = await node.PutAsync($"/api/v1/memories/{id}", "{}");
            Assert.NotNull(kept.Json["expires_at"]);
            var cleared = await node.PutAsync($"/api/v1/memories/{id}", $$"""{"expires_at":{{clearing}}}""");
            cleared.ShouldSucceed();
            cleared.Json.ShouldHaveKeys(Fields);
        }
    }

    [Fact]
    public async Task Update_to_a_taken_title_is_a_conflict()
    {
        await node.StoreAsync("taken");
        var id = await node.StoreAsync("free");
        (await node.PutAsync($"/api/v1/memories/{id}", """{"title":"taken"}""")).ShouldFail(409, "title_taken", "already exists in namespace");
    }

    [Fact]
    public async Task Entity_tags_guard_updates_and_deletes()
    {
        var id = await node.StoreAsync("guarded");
        var before = (await node.GetAsync($"/api/v1/memories/{id}")).Header("ETag")!;
        var after = (await node.PutAsync($"/api/v1/memories/{id}", """{"content":"1"}""", ("If-Match", before))).Header("ETag")!;
        Assert.NotEqual(before, after);

        (await node.PutAsync($"/api/v1/memories/{id}", """{"content":"2"}""", ("If-Match", before))).ShouldFail(412, "precondition_failed");
        (await node.DeleteAsync($"/api/v1/memories/{id}", ("If-Match", before))).ShouldFail(412, "precondition_failed");
        (await node.PutAsync($"/api/v1/memories/{id}", """{"content":"3"}""", ("If-Match", "*"))).ShouldSucceed();
        var last = (await node.GetAsync($"/api/v1/memories/{id}")).Header("ETag")!;
        (await node.DeleteAsync($"/api/v1/memories/{id}", ("If-Match", $"\"other\", {last}"))).ShouldSucceed();
    }

    [Fact]
    public async Task Delete_is_final()
    {
        var id = await node.StoreAsync("to delete");
        var reply = await node.DeleteAsync($"/api/v1/memories/{id}");
        reply.ShouldSucceed();
        Assert.Equal($$"""{"deleted":true,"id":"{{id}}"}""", reply.Text);
        Assert.NotNull(reply.Header("X-Memory-Token"));
        (await node.DeleteAsync($"/api/v1/memories/{id}")).ShouldFail(404, "not_found", "not found");
        (await node.GetAsync($"/api/v1/memories/{id}")).ShouldFail(404, "not_found");
    }

    [Fact]
    public async Task Promote_answers_the_memory_and_that_it_is_long()
    {
        var id = await node.StoreAsync("to promote");
        var reply = await node.SendAsync(HttpMethod.Post, $"/api/v1/memories/{id}/promote");
        reply.ShouldSucceed();
        reply.Json.ShouldHaveKeys([.. Fields.Append("promoted").Order(StringComparer.Ordinal)]);
        Assert.True((bool)reply.Json["promoted"]!);
        Assert.Equal(id, (string?)reply.Json["id"]);
        Assert.Equal("long", (string?)reply.Json["tier"]);
        (await node.SendAsync(HttpMethod.Post, "/api/v1/memories/nobody/promote")).ShouldFail(404, "not_found");
    }

    [Fact]
    public async Task An_ambiguous_prefix_names_the_ids()
    {
        foreach (var id in (string[])["ambi-1", "ambi-2"])
        {
            await node.PostAsync("/api/v1/import", TestNode.Import(TestNode.Row(id, id, "ambi")));
        }

        var reply = await node.GetAsync("/api/v1/memories/ambi-");
        reply.ShouldFail(400, "ambiguous_id", "ambi-2");
        Assert.StartsWith("ambiguous ID prefix", (string?)reply.Json["error"]);
    }
}
