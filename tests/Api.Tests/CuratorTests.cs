using Microsoft.Extensions.Logging.Abstractions;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests;

/// <summary>Runs of the curator over HTTP and in the background. What a run does to a store is shown by the store compliance suite.</summary>
public sealed class CuratorTests(TestNode node) : IClassFixture<TestNode>
{
    [Fact]
    public async Task A_run_is_reported_recorded_and_undone()
    {
        var ids = await StoreAlikeAsync("curator/http");
        var dry = await node.PostAsync("/api/v1/curator/run", """{"dry_run":true,"include_namespaces":["curator/http"]}""");
        dry.ShouldSucceed();
        dry.Json.ShouldHaveKeys(
            "auto_tagged", "autonomy", "completed_at", "contradictions_found", "cycle_duration_ms", "dry_run", "errors", "expired", "memories_eligible", "memories_scanned", "operations_attempted",
            "operations_skipped_cap", "started_at");
        Assert.Equal(2, (int)dry.Json["autonomy"]!["memories_consolidated"]!);
        Assert.Equal(200, (await node.GetAsync($"/api/v1/memories/{ids[0]}")).Status);

        var run = await node.PostAsync("/api/v1/curator/run", """{"max_ops":10,"include_namespaces":["curator/http"]}""");
        run.ShouldSucceed();
        Assert.Equal((1, 2, 1), ((int)run.Json["autonomy"]!["clusters_formed"]!, (int)run.Json["autonomy"]!["memories_consolidated"]!, (int)run.Json["autonomy"]!["rollback_entries_written"]!));
        Assert.Equal(404, (await node.GetAsync($"/api/v1/memories/{ids[0]}")).Status);
        var record = (await node.GetAsync("/api/v1/curation")).Json["curations"]!.AsArray().First(record => (string?)record!["run_id"] == (string?)run.Json["run_id"])!;
        Assert.Equal(("consolidate", "ai:curator"), ((string?)record["action"], (string?)record["by"]));
        var status = await node.GetAsync("/api/v1/curator");
        Assert.Equal((false, (string?)run.Json["run_id"]), ((bool)status.Json["running"]!, (string?)status.Json["last"]!["run_id"]));

        var undone = await node.PostAsync("/api/v1/curator/undo", $$"""{"run":"{{run.Json["run_id"]}}"}""");
        Assert.Equal(1, (int)undone.Json["reversed"]!);
        Assert.All(ids, id => Assert.Equal(200, node.GetAsync($"/api/v1/memories/{id}").Result.Status));
        (await node.PostAsync("/api/v1/curator/undo", "{}")).ShouldFail(400, "invalid_curation");
        (await node.PostAsync("/api/v1/curator/run", """{"max_ops":0}""")).ShouldFail(400, "invalid_curation", "max_ops");
        (await node.PostAsync("/api/v1/curator/run", """{"max_ops":"many"}""")).ShouldFail(422, "wrong_type");
        (await node.PostAsync("/api/v1/curator/run", """{"include_namespaces":["a b"]}""")).ShouldFail(400, "namespace_invalid");
    }

    [Fact]
    public async Task In_the_background_it_runs_again_and_again_until_the_node_stops()
    {
        using var loop = new CuratorLoop(
            node.Node, new(Include: ["curator/loop"]), TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(20), TimeProvider.System, NullLogger<CuratorLoop>.Instance);
        await loop.StartAsync(TestContext.Current.CancellationToken);
        for (var round = 0; round < 2; round++)
        {
            var ids = await StoreAlikeAsync("curator/loop");
            await Eventually.HoldsAsync("they are told as one", async () => (await node.GetAsync($"/api/v1/memories/{ids[1]}")).Status == 404);
        }

        await loop.StopAsync(TestContext.Current.CancellationToken);
        Assert.True(loop.ExecuteTask!.IsCompletedSuccessfully);
    }

    private async Task<List<string>> StoreAlikeAsync(string @namespace)
    {
        var ids = new List<string>();
        foreach (var number in (int[])[1, 2])
        {
            var reply = await node.PostAsync(
                "/api/v1/memories", $$"""{"title":"alike {{number}}","content":"what all of them say, word for word, but for the number {{number}}{{number}}{{number}}","namespace":"{{@namespace}}"}""", ("X-Agent-Id", "alice"));
            Assert.Equal(201, reply.Status);
            ids.Add((string)reply.Json["id"]!);
        }

        return ids;
    }
}
