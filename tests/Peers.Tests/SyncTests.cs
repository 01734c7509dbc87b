using System.Text.Json.Nodes;
using OrleansMemory.Compliance;

namespace OrleansMemory.Peers.Tests;

/// <summary>Bodies as nodes of the peer system, version 0.6.0, send them.</summary>
public sealed class SyncTests
{
    private const string Push = "/api/v1/sync/push";

    private static string Row(string id, string title, string content, string updatedAt, string more = "") => $$"""
        {"id":"{{id}}","tier":"mid","namespace":"ops","title":"{{title}}","content":"{{content}}","tags":["t"],"priority":5,"confidence":1.0,
         "source":"api","access_count":0,"created_at":"2026-04-20T09:00:00+00:00","updated_at":"{{updatedAt}}","last_accessed_at":null,
         "expires_at":null,"metadata":{"agent_id":"alice"}{{more}}}
        """;

    /// <summary>The leader's fan-out: one memory, no header that names the caller.</summary>
    private static string Body(params string[] rows) =>
        $$$"""{"sender_agent_id":"host:a","sender_clock":{"entries":{}},"memories":[{{{string.Join(',', rows)}}}],"dry_run":false}""";

    private static (int Applied, int Noop, int Skipped) Counts(Reply reply)
    {
        reply.Is(200);
        return ((int)reply.Json["applied"]!, (int)reply.Json["noop"]!, (int)reply.Json["skipped"]!);
    }

    private static async Task<JsonNode> GetAsync(TestCluster node, string id) => (await node.GetAsync(0, $"/api/v1/memories/{id}")).Is(200).Json["memory"]!;

    [Fact]
    public async Task A_push_is_answered_as_documented()
    {
        await using var node = await TestCluster.StartAsync(nodes: 1);
        var reply = (await node.PostAsync(0, Push, Body(Row("a", "Deploy window", "Tuesdays", "2026-04-20T10:00:00+00:00"), Row("b", "", "no title", "2026-04-20T10:00:00+00:00")))).Is(200);
        Assert.Equal(["applied", "dry_run", "errors", "noop", "receiver_agent_id", "receiver_clock", "skipped"], reply.Keys);
        Assert.Equal((1, 0, 1), Counts(reply));
        Assert.False((bool)reply.Json["dry_run"]!);
        Assert.StartsWith("anonymous:req-", (string?)reply.Json["receiver_agent_id"]);
        Assert.Equal("2026-04-20T10:00:00+00:00", (string?)reply.Json["receiver_clock"]!["entries"]!["host:a"]);
        Assert.StartsWith("b: title", (string?)reply.Json["errors"]![0]);
        Assert.Equal("host:b", (string?)(await node.PostAsync(0, Push, Body(), ("X-Agent-Id", "host:b"))).Is(200).Json["receiver_agent_id"]);

        foreach (var (body, header, text) in ((string, string, string)[])
        [
            ("""{"sender_agent_id":"a b","memories":[]}""", "host:b", "invalid sender_agent_id"),
            ("""{"sender_agent_id":"a","memories":[]}""", "host b", "invalid x-agent-id"),
            ($$"""{"sender_agent_id":"a","memories":[{{string.Join(',', Enumerable.Repeat(Row("a", "t", "c", "2026-04-20T10:00:00Z"), 1_001))}}]}""", "host:b", "sync_push limited to 1000 memories per request"),
        ])
        {
            Assert.StartsWith(text, (string?)(await node.PostAsync(0, Push, body, ("X-Agent-Id", header))).Is(400).Json["error"]);
        }

        (await node.PostAsync(0, Push, """{"memories":[]}""")).Is(422);
        var dry = await node.PostAsync(0, Push, Body(Row("c", "dry", "c", "2026-04-20T10:00:00Z")).Replace("\"dry_run\":false", "\"dry_run\":true", StringComparison.Ordinal));
        Assert.Equal((0, 1, 0), Counts(dry));
        Assert.Equal(1, (int)(await node.GetAsync(0, "/api/v1/stats")).Json["total"]!);
    }

    [Fact]
    public async Task The_newer_side_wins_and_nothing_is_taken_twice()
    {
        await using var node = await TestCluster.StartAsync(nodes: 1);
        var first = Row("a", "t", "first", "2026-04-20T10:00:00+00:00");
        Assert.Equal((1, 0, 0), Counts(await node.PostAsync(0, Push, Body(first))));
        Assert.Equal((0, 1, 0), Counts(await node.PostAsync(0, Push, Body(first))));

        // Later by the clock, earlier as text.
        Assert.Equal((1, 0, 0), Counts(await node.PostAsync(0, Push, Body(Row("a", "t", "second", "2026-04-20T09:30:00-01:00", ",\"priority\":9,\"access_count\":4")))));
        var memory = await GetAsync(node, "a");
        Assert.Equal(("second", 9, 4), ((string?)memory["content"], (int)memory["priority"]!, (int)memory["access_count"]!));

        // An older copy changes no text, and only what only rises.
        Assert.Equal((1, 0, 0), Counts(await node.PostAsync(0, Push, Body(Row("a", "t", "old", "2026-04-20T08:00:00Z", ",\"priority\":10,\"tier\":\"long\"")))));
        memory = await GetAsync(node, "a");
        Assert.Equal(("second", 10, 4, "long"), ((string?)memory["content"], (int)memory["priority"]!, (int)memory["access_count"]!, (string?)memory["tier"]));

        // A rename arrives, and an older name does not come back.
        Assert.Equal((1, 0, 0), Counts(await node.PostAsync(0, Push, Body(Row("a", "renamed", "third", "2026-04-20T12:00:00Z")))));
        Assert.Equal((0, 1, 0), Counts(await node.PostAsync(0, Push, Body(first))));
        memory = await GetAsync(node, "a");
        Assert.Equal(("renamed", "third"), ((string?)memory["title"], (string?)memory["content"]));

        // Deleted is deleted.
        (await node.SendAsync(0, HttpMethod.Delete, "/api/v1/memories/a", null)).Is(200);
        Assert.Equal((0, 1, 0), Counts(await node.PostAsync(0, Push, Body(Row("a", "renamed", "again", "2027-04-20T12:00:00Z")))));
        Assert.Equal(0, (int)(await node.GetAsync(0, "/api/v1/stats")).Json["total"]!);
    }

    /// <summary>One title, written on several nodes at one instant under ids of their own.</summary>
    [Fact]
    public async Task Equal_update_times_end_alike_in_every_order()
    {
        string[] rows = [Row("a", "t", "of a", "2026-04-20T10:00:00Z"), Row("c", "t", "of c", "2026-04-20T10:00:00Z"), Row("b", "t", "of b", "2026-04-20T12:00:00+02:00")];
        foreach (var order in (int[][])[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
        {
            await using var node = await TestCluster.StartAsync(nodes: 1);
            foreach (var index in order)
            {
                (await node.PostAsync(0, Push, Body(rows[index]))).Is(200);
            }

            foreach (var id in (string[])["a", "b", "c"])
            {
                Assert.Equal("of c", (string?)(await GetAsync(node, id))["content"]);
            }

            Assert.Equal(1, (int)(await node.GetAsync(0, "/api/v1/stats")).Json["total"]!);
            Assert.Equal((0, 3, 0), Counts(await node.PostAsync(0, Push, Body(rows))));
            Assert.Empty((await node[0].Store.VerifyAsync()).Differences);
        }
    }

    [Fact]
    public async Task Pushed_rows_reach_the_other_nodes()
    {
        await using var cluster = await TestCluster.StartAsync();
        var reply = (await cluster.PostAsync(0, Push, Body([.. Enumerable.Range(0, 500).Select(static number => Row($"id-{number}", $"t{number}", "c", "2026-04-20T10:00:00Z"))]))).Is(200);
        Assert.Equal((500, 0, 0), Counts(reply));
        await Eventually.HoldsAsync("all nodes hold the rows", async () =>
            (int)(await cluster.GetAsync(1, "/api/v1/stats")).Json["total"]! == 500 && (int)(await cluster.GetAsync(2, "/api/v1/stats")).Json["total"]! == 500);
    }

    [Fact]
    public async Task A_row_that_cannot_be_written_does_not_look_acknowledged()
    {
        await using var cluster = await TestCluster.StartAsync();
        cluster.Faults(0, 1).Hung = true;
        cluster.Faults(0, 2).Hung = true;
        Assert.Equal((1, 0, 0), Counts(await cluster.PostAsync(0, Push, Body(Row("here", "here", "c", "2026-04-20T10:00:00Z")))));
        var refused = (await cluster.PostAsync(0, Push, Body(Row("a", "a", "c", "2026-04-20T10:00:00Z")), ("X-Quorum", "majority"))).Is(503);
        Assert.Equal(("quorum_not_met", "stored_locally"), ((string?)refused.Json["error"], (string?)refused.Json["outcome"]));
    }

    /// <summary>A client that knows the last update time only, and one that follows the cursor.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Pages_lose_no_row_of_one_instant(bool byCursor)
    {
        await using var node = await TestCluster.StartAsync(nodes: 1);
        var rows = Enumerable.Range(0, 40).Select(static number => Row($"id-{number:d2}", $"t{number}", "c", $"2026-04-20T10:00:0{number / 8}Z", number == 39 ? ",\"expires_at\":\"2026-04-21T00:00:00Z\"" : "")).ToArray();
        Assert.Equal((40, 0, 0), Counts(await node.PostAsync(0, Push, Body(rows))));
        var seen = new List<string>();
        var next = "since=";
        while (true)
        {
            var page = (await node.GetAsync(0, $"/api/v1/sync/since?limit=3&peer=host:b&{next}")).Is(200).Json;
            var memories = page["memories"]!.AsArray();
            Assert.Equal((memories.Count, 3), ((int)page["count"]!, (int)page["limit"]!));
            seen.AddRange(memories.Select(static memory => (string)memory!["id"]!));
            if (byCursor ? page["next_cursor"] is null : memories.Count == 0)
            {
                break;
            }

            Assert.True(seen.Count <= 40, "rows come twice");
            next = byCursor ? $"cursor={(string)page["next_cursor"]!}" : $"since={Uri.EscapeDataString((string)memories[^1]!["updated_at"]!)}";
        }

        Assert.Equal(Enumerable.Range(0, 40).Select(static number => $"id-{number:d2}"), seen);
        Assert.Equal("invalid_timestamp", (string?)(await node.GetAsync(0, "/api/v1/sync/since?since=yesterday")).Is(400).Json["code"]);
        Assert.Contains("since", (string?)(await node.GetAsync(0, "/api/v1/sync/since?since=yesterday")).Json["error"]);
        Assert.Equal("invalid_cursor", (string?)(await node.GetAsync(0, "/api/v1/sync/since?cursor=zzz")).Is(400).Json["code"]);
        Assert.Equal(10_000, (int)(await node.GetAsync(0, "/api/v1/sync/since?limit=20000")).Is(200).Json["limit"]!);
    }
}
