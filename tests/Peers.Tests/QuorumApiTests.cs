using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Peers.Tests;

/// <summary>What clients see of several nodes.</summary>
public sealed class QuorumApiTests
{
    private static readonly string[] Refusal = ["code", "error", "got", "message", "needed", "outcome", "reason"];

    private static void ShouldBeRefused(Reply reply, string reason, string outcome, int got, params string[] more)
    {
        reply.Is(503);
        Assert.Equal("2", reply.Header("Retry-After"));
        Assert.Equal([.. Refusal.Concat(more).Order(StringComparer.Ordinal)], reply.Keys);
        Assert.Equal(("quorum_not_met", "quorum_not_met"), ((string?)reply.Json["error"], (string?)reply.Json["code"]));
        Assert.Equal((reason, outcome), ((string?)reply.Json["reason"], (string?)reply.Json["outcome"]));
        Assert.Equal((got, 2), ((int)reply.Json["got"]!, (int)reply.Json["needed"]!));
    }

    private static void ShouldBeAcknowledged(JsonNode? body, int least = 2, string durability = "quorum")
    {
        Assert.InRange((int)body!["quorum_acks"]!, least, 3);
        Assert.Equal(durability, (string?)body["durability"]);
        Assert.Matches("^[0-9a-f]{16}@n0~[0-9a-f]{16}$", (string?)body["stamp"]);
    }

    [Fact]
    public async Task Every_answer_to_a_write_tells_what_it_promises()
    {
        await using var cluster = await TestCluster.StartAsync();
        var created = (await cluster.StoreAsync(0, "first")).Is(201);
        ShouldBeAcknowledged(created.Json);
        var id = (string)created.Json["id"]!;
        var other = (string)(await cluster.StoreAsync(0, "second")).Is(201).Json["id"]!;
        ShouldBeAcknowledged((await cluster.SendAsync(0, HttpMethod.Put, $"/api/v1/memories/{id}", TestCluster.Json("""{"content":"new"}"""))).Is(200).Json);
        ShouldBeAcknowledged((await cluster.PostAsync(0, $"/api/v1/memories/{id}/promote", "")).Is(200).Json);
        var link = $$"""{"source_id":"{{id}}","target_id":"{{other}}"}""";
        ShouldBeAcknowledged((await cluster.PostAsync(0, "/api/v1/links", link)).Is(201).Json);
        ShouldBeAcknowledged((await cluster.PostAsync(0, "/api/v1/links", link)).Is(201).Json);
        var rows = (await cluster.PostAsync(0, "/api/v1/memories/bulk", """[{"title":"a","content":"c"},{"title":"","content":"c"}]""")).Is(200).Json["results"]!;
        ShouldBeAcknowledged(rows[0]);
        Assert.Equal("title_empty", (string?)rows[1]!["code"]);
        ShouldBeAcknowledged((await cluster.SendAsync(0, HttpMethod.Delete, $"/api/v1/memories/{id}", null)).Is(200).Json);
    }

    [Fact]
    public async Task A_request_sets_its_own_quorum()
    {
        await using var cluster = await TestCluster.StartAsync();
        ShouldBeAcknowledged((await cluster.StoreAsync(0, "all", ("X-Quorum", "all"))).Is(201).Json, least: 3);
        ShouldBeAcknowledged((await cluster.StoreAsync(0, "majority", ("X-Quorum", "majority"))).Is(201).Json);
        ShouldBeAcknowledged((await cluster.StoreAsync(0, "one", ("X-Quorum", "1"))).Is(201).Json, least: 1, "below_quorum");
        foreach (var word in (string[])["0", "4", "most", ""])
        {
            Assert.Equal("invalid_quorum", (string?)(await cluster.StoreAsync(0, "never", ("X-Quorum", word))).Is(400).Json["code"]);
        }

        Assert.Equal(3, (int)(await cluster.GetAsync(0, "/api/v1/stats")).Json["total"]!);
    }

    [Fact]
    public async Task A_namespace_sets_a_quorum_for_itself_and_those_below_it()
    {
        await using var cluster = await TestCluster.StartAsync();
        const string Policy = "/api/v1/namespaces/policy?namespace=";
        Task<Reply> PutAsync(string @namespace, string body) => cluster.SendAsync(0, HttpMethod.Put, Policy + @namespace, TestCluster.Json(body));
        Task<Reply> StoreAsync(int node, string @namespace, params (string, string)[] headers) =>
            cluster.PostAsync(node, "/api/v1/memories", $$"""{"title":"{{Guid.NewGuid()}}","content":"c","namespace":"{{@namespace}}"}""", headers);

        Assert.Equal(2, (int)(await cluster.GetAsync(0, Policy + "ops")).Is(200).Json["effective_quorum_writes"]!);
        var set = (await PutAsync("ops", """{"quorum_writes":3}""")).Is(200).Json;
        Assert.Equal((3, 3, "ops"), ((int)set["quorum_writes"]!, (int)set["effective_quorum_writes"]!, (string?)set["namespace"]));
        ShouldBeAcknowledged((await StoreAsync(0, "ops")).Is(201).Json, least: 3);
        ShouldBeAcknowledged((await StoreAsync(0, "ops/deploy")).Is(201).Json, least: 3);
        ShouldBeAcknowledged((await StoreAsync(0, "ops", ("X-Quorum", "2"))).Is(201).Json, least: 2, "below_quorum");

        // It replicates as every write does, and a namespace below may say otherwise, but not less than the cluster.
        await Eventually.HoldsAsync("the policy is there too", async () => (int)(await cluster.GetAsync(2, Policy + "ops/deploy")).Json["effective_quorum_writes"]! == 3);
        Assert.Equal(2, (int)(await PutAsync("ops/deploy", """{"quorum_writes":1}""")).Is(200).Json["effective_quorum_writes"]!);
        await cluster.StopAsync(1);
        await Eventually.HoldsAsync("the peer is known to be down", () => Task.FromResult(cluster[0].Cluster().Peers.Any(static peer => !peer.IsUp)));
        var id = (string)(await StoreAsync(0, "ops/deploy")).Is(201).Json["id"]!;
        var refused = (await StoreAsync(0, "ops")).Is(503).Json;
        Assert.Equal(("unreachable", 3), ((string?)refused["reason"], (int)refused["needed"]!));

        // A move is a write of where it goes; a link one of where it starts.
        (await cluster.SendAsync(0, HttpMethod.Put, $"/api/v1/memories/{id}", TestCluster.Json("""{"namespace":"ops"}"""))).Is(503);
        var other = (string)(await StoreAsync(0, "elsewhere")).Is(201).Json["id"]!;
        (await cluster.PostAsync(0, "/api/v1/links", $$"""{"source_id":"{{id}}","target_id":"{{other}}"}""")).Is(503);
        (await cluster.PostAsync(0, "/api/v1/links", $$"""{"source_id":"{{other}}","target_id":"{{id}}"}""")).Is(201);
        (await cluster.PostAsync(0, "/api/v1/forget", """{"namespace":"ops"}""")).Is(503);
        Assert.Equal(2, (int)(await PutAsync("ops", """{"quorum_writes":null}""")).Is(200).Json["effective_quorum_writes"]!);
        (await StoreAsync(0, "ops")).Is(201);

        foreach (var (body, status) in ((string, int)[])[("""{"quorum_writes":4}""", 400), ("""{"quorum_writes":0}""", 400), ("""{"quorum_writes":"all"}""", 422), ("{}", 422)])
        {
            (await PutAsync("ops", body)).Is(status);
        }

        (await PutAsync("a%20b", """{"quorum_writes":2}""")).Is(400);
        (await cluster.GetAsync(0, "/api/v1/namespaces/policy")).Is(422);
    }

    [Fact]
    public async Task A_quorum_that_is_not_met_says_what_became_of_the_write()
    {
        await using var cluster = await TestCluster.StartAsync();
        await cluster.StopAsync(1);
        (await cluster.StoreAsync(0, "one down")).Is(201);
        await cluster.StopAsync(2);
        await Eventually.HoldsAsync("both peers are known to be down", () => Task.FromResult(cluster[0].Cluster().Peers.All(static peer => !peer.IsUp)));
        var refused = await cluster.StoreAsync(0, "two down", ("Idempotency-Key", "k"));
        ShouldBeRefused(refused, "unreachable", "stored_locally", 1, "id", "stamp");
        Assert.True(LogPosition.TryParse(refused.Header("X-Memory-Token")!, out _));
        var id = (string)refused.Json["id"]!;
        (await cluster.GetAsync(0, $"/api/v1/memories/{id}")).Is(200);
        ShouldBeRefused(await cluster.GetAsync(0, $"/api/v1/memories/{id}?consistency=quorum"), "unreachable", "not_stored", 1);
        var row = (await cluster.PostAsync(0, "/api/v1/memories/bulk", """[{"title":"b","content":"c"}]""")).Is(200).Json["results"]![0]!;
        Assert.Equal(("quorum_not_met", "stored_locally", 1), ((string?)row["code"], (string?)row["outcome"], (int)row["got"]!));

        await cluster.StartAsync(1);
        await cluster.StartAsync(2);
        await Eventually.HoldsAsync("a peer is up again", () => Task.FromResult(cluster[0].Cluster().Peers.Any(static peer => peer.IsUp)));
        var again = await cluster.StoreAsync(0, "two down", ("Idempotency-Key", "k"));
        Assert.Equal(id, (string?)again.Is(201).Json["id"]);
        await Eventually.HoldsAsync("the refused write is everywhere", async () => (await cluster.GetAsync(2, $"/api/v1/memories/{id}")).Status == 200);
    }

    [Fact]
    public async Task Silent_peers_time_out()
    {
        await using var cluster = await TestCluster.StartAsync(quorumTimeoutMilliseconds: 300);
        cluster.Faults(0, 1).Hung = true;
        cluster.Faults(0, 2).Hung = true;
        ShouldBeRefused(await cluster.StoreAsync(0, "t"), "timeout", "stored_locally", 1, "id", "stamp");
    }

    [Fact]
    public async Task A_node_that_leaves_refuses_writes_and_hands_over_what_it_wrote()
    {
        await using var cluster = await TestCluster.StartAsync();
        cluster.Faults(0, 2).DelayMilliseconds = 200;
        var id = (string)(await cluster.StoreAsync(0, "last words")).Is(201).Json["id"]!;

        // A request in flight keeps the drain from ending.
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", cluster.Address(0).Port);
        var stream = client.GetStream();
        const string Body = """{"title":"in flight","content":"c"}""";
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"POST /api/v1/memories HTTP/1.1\r\nHost: x\r\nX-API-Key: {TestCluster.Key}\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {Body.Length}\r\n\r\n"));
        await stream.ReadExactlyAsync(new byte[25]);
        var stopping = cluster.Host(0).StopAsync();
        await Eventually.HoldsAsync("the node drains", async () => (await cluster.GetAsync(0, "/readyz")).Status == 503);
        ShouldBeRefused(await cluster.StoreAsync(0, "too late"), "draining", "not_stored", 0);
        Assert.Equal("draining", (string?)(await cluster.GetAsync(0, "/api/v1/stats")).Is(503).Json["code"]);

        // The others go on to have this node in their quorum.
        Assert.Equal(3, (int)(await cluster.StoreAsync(1, "meanwhile", ("X-Quorum", "all"))).Is(201).Json["quorum_acks"]!);
        await stream.WriteAsync(Encoding.ASCII.GetBytes(Body));
        using var reader = new StreamReader(stream);
        Assert.StartsWith("HTTP/1.1 201", await reader.ReadLineAsync());
        await stopping;
        (await cluster.GetAsync(2, $"/api/v1/memories/{id}")).Is(200);
        Assert.Single((await cluster.GetAsync(2, "/api/v1/search?q=flight")).Json["results"]!.AsArray());
    }

    [Fact]
    public async Task A_token_waits_for_what_its_caller_has_seen()
    {
        await using var cluster = await TestCluster.StartAsync(quorumTimeoutMilliseconds: 300);
        cluster.Faults(0, 2).Hung = true;
        var stored = (await cluster.StoreAsync(0, "seen")).Is(201);
        var path = $"/api/v1/memories/{(string)stored.Json["id"]!}";
        var token = ("X-Memory-Token", stored.Header("X-Memory-Token")!);
        (await cluster.GetAsync(2, path)).Is(404);
        var early = (await cluster.GetAsync(2, path, token)).Is(503);
        Assert.Equal(("not_yet", "2"), ((string?)early.Json["code"], early.Header("Retry-After")));
        Assert.Equal("not_yet", (string?)(await cluster.StoreAsync(2, "built on it", token)).Is(503).Json["code"]);
        cluster.Faults(0, 2).Hung = false;
        await Eventually.HoldsAsync("the node has caught up", async () => (await cluster.GetAsync(2, path, token)).Status == 200);
        (await cluster.StoreAsync(2, "built on it", token)).Is(201);
        foreach (var broken in (string[])["", "x", "n0:1", "n0~zz:1", "n0~00:-1"])
        {
            Assert.Equal("invalid_token", (string?)(await cluster.GetAsync(2, path, ("X-Memory-Token", broken))).Is(400).Json["code"]);
        }
    }

    [Fact]
    public async Task A_quorum_read_sees_what_was_acknowledged_elsewhere()
    {
        await using var cluster = await TestCluster.StartAsync();
        cluster.Faults(0, 2).Hung = true;
        var path = $"/api/v1/memories/{(string)(await cluster.StoreAsync(0, "t")).Is(201).Json["id"]!}";
        (await cluster.GetAsync(2, path + "?consistency=local")).Is(404);
        (await cluster.GetAsync(2, path + "?consistency=quorum")).Is(200);
        Assert.Equal("invalid_query", (string?)(await cluster.GetAsync(2, path + "?consistency=strong")).Is(400).Json["code"]);
    }

    [Fact]
    public async Task The_cluster_is_shown_as_a_node_sees_it()
    {
        await using var cluster = await TestCluster.StartAsync();
        cluster.Faults(0, 2).Hung = true;
        (await cluster.StoreAsync(0, "t")).Is(201);
        var status = (await cluster.GetAsync(0, "/api/v1/cluster?digest=true")).Is(200).Json;
        Assert.Equal(("n0", 3, 2, false), ((string?)status["node"], (int)status["nodes"]!, (int)status["quorum_writes"]!, (bool)status["recovering"]!));
        var log = (string)status["log"]!;
        Assert.Equal((long)status["head"]!, (long)status["vector"]![log]!["through"]!);
        Assert.Equal((0, 0), ((int)status["dead_letters"]!["count"]!, status["dead_letters"]!["first"]!.AsArray().Count));
        Assert.InRange((long)status["clock_ahead_ms"]!, -5_000, 5_000);
        var peers = status["peers"]!.AsArray();
        Assert.Equal(["n1", "n2"], peers.Select(static peer => (string)peer!["node"]!));
        Assert.Equal(cluster.Address(1).GetLeftPart(UriPartial.Authority), (string?)peers[0]!["address"]);
        Assert.All(peers, static peer => Assert.True((bool)peer!["up"]!));
        Assert.InRange((long)peers[1]!["behind_rows"]!, 1, 10);
        var metrics = (await cluster.GetAsync(0, "/metrics")).Is(200).Text;
        Assert.Contains($"om_peer_up{{peer=\"{cluster.Address(2).GetLeftPart(UriPartial.Authority)}\"}} 1", metrics);
        Assert.Contains("om_peer_behind_rows{", metrics);
        Assert.Contains("om_quorum_seconds_count", metrics);
        Assert.Contains("om_replica_rows_total{outcome=\"applied\"}", metrics);
        Assert.Contains("om_dead_letters 0", metrics);

        cluster.Faults(0, 2).Hung = false;
        await Eventually.HoldsAsync("the digests agree", async () =>
            (string?)(await cluster.GetAsync(0, "/api/v1/cluster?digest=true")).Json["digest"] == (string?)(await cluster.GetAsync(2, "/api/v1/cluster?digest=true")).Json["digest"]);
    }

    [Fact]
    public async Task Routes_between_nodes_ask_for_the_key_and_take_nothing_broken()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 1);
        foreach (var route in (string[])["greet", "apply", "digests", "hashes", "rows"])
        {
            var path = $"/internal/v1/replica/{route}";
            using var anonymous = new HttpClient();
            Assert.Equal(401, (int)(await anonymous.PostAsync(new Uri(cluster.Address(0), path), new ByteArrayContent([1]))).StatusCode);
            Assert.Equal("malformed_request", (string?)(await cluster.SendAsync(0, HttpMethod.Post, path, new ByteArrayContent([1, 255, 255, 255]))).Is(400).Json["code"]);
            Assert.Equal("malformed_request", (string?)(await cluster.SendAsync(0, HttpMethod.Post, path, new ByteArrayContent([]))).Is(400).Json["code"]);
            (await cluster.GetAsync(0, path)).Is(405);
        }

        Assert.Equal("body_too_large", (string?)(await cluster.SendAsync(0, HttpMethod.Post, "/internal/v1/replica/apply", new ByteArrayContent(new byte[LinkCodec.RequestBytes + 1]))).Is(413).Json["code"]);

        // A place that no store gave.
        foreach (var place in (string[])["", "m", "mx", "e5", "ex/", "z"])
        {
            using var question = LinkCodec.Encode([], place);
            (await cluster.SendAsync(0, HttpMethod.Post, "/internal/v1/replica/hashes", new ByteArrayContent(question.Memory.ToArray()))).Is(400);
        }
    }
}
