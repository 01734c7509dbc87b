using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using OrleansMemory.Api.Webhooks;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests;

/// <summary>Subscribers hear of every change that they asked for, signed, until they took it or it was given up; and nobody is reached through this node who should not be.</summary>
public sealed class WebhookTests
{
    private static readonly WebhookOptions Quick = new() { AllowPrivate = true, Attempts = 3, FirstPause = TimeSpan.FromMilliseconds(20), Timeout = TimeSpan.FromSeconds(5) };

    [Fact]
    public async Task Changes_are_told_signed_and_in_order()
    {
        await using var receiver = new Receiver(static _ => 200);
        await using var node = await TestNode.StartAsync(new() { Port = 0, Webhooks = Quick });
        await RegisterAsync(node, "alice");
        await node.StoreAsync("before", ",\"namespace\":\"hooks\"");
        var made = await node.PostAsync("/api/v1/subscriptions", $$"""{"callback_url":"{{receiver.Url}}","events":["*"],"secret":"s3cret","namespace":"hooks"}""", ("X-Agent-Id", "alice"));
        made.ShouldSucceed(201);
        Assert.DoesNotContain("s3cret", made.Text);
        await NotedAsync(node);

        var id = await node.StoreAsync("one", ",\"namespace\":\"hooks/below\",\"agent_id\":\"bob\"");
        await node.StoreAsync("elsewhere", ",\"namespace\":\"hooksters\"");
        await Eventually.HoldsAsync("the store is told", () => Task.FromResult(receiver.Received.Count == 1));
        await node.PutAsync($"/api/v1/memories/{id}", """{"content":"changed"}""");
        await node.SendAsync(HttpMethod.Post, $"/api/v1/memories/{id}/promote");
        await node.DeleteAsync($"/api/v1/memories/{id}");
        await Eventually.HoldsAsync("all is told", () => Task.FromResult(receiver.Received.Any(request => (string?)request.Json["event"] == "memory_delete")));

        var first = receiver.Received.First();
        Assert.Equal(["event", "memory_id", "namespace", "agent_id", "delivered_at"], first.Json.AsObject().Select(field => field.Key));
        Assert.Equal(("memory_store", id, "hooks/below", "bob"), ((string?)first.Json["event"], (string?)first.Json["memory_id"], (string?)first.Json["namespace"], (string?)first.Json["agent_id"]));
        Assert.All(receiver.Received, request => Assert.Equal(id, (string?)request.Json["memory_id"]));
        foreach (var request in receiver.Received)
        {
            var key = SHA256.HashData("s3cret"u8);
            var signed = Encoding.UTF8.GetBytes($"{request.Header("X-Ai-Memory-Timestamp")}.{request.Body}");
            Assert.Equal($"sha256={Convert.ToHexStringLower(HMACSHA256.HashData(key, signed))}", request.Header("X-Ai-Memory-Signature"));
            Assert.Equal($"sha256={Convert.ToHexStringLower(HMACSHA256.HashData("s3cret"u8, Encoding.UTF8.GetBytes(request.Body)))}", request.Header("X-Ai-Memory-Body-Signature"));
        }

        Assert.Equal(receiver.Received.Count, receiver.Received.Select(request => request.Header("X-Ai-Memory-Event-Id")).Distinct().Count());
        await Eventually.HoldsAsync("it is noted", async () => (int)(await ListAsync(node))["dispatch_count"]! == receiver.Received.Count);

        var subscription = (string)made.Json["id"]!;
        Assert.Equal(404, (await node.DeleteAsync($"/api/v1/subscriptions/{subscription}", ("X-Agent-Id", "eve"))).Status);
        (await node.DeleteAsync($"/api/v1/subscriptions/{subscription}", ("X-Agent-Id", "alice"))).ShouldSucceed();
        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/subscriptions")).Json["count"]!);
    }

    [Fact]
    public async Task What_is_not_taken_is_tried_again_and_then_a_dead_letter()
    {
        await using var receiver = new Receiver(request => request.Body.Contains("refused", StringComparison.Ordinal) ? 500 : request.Number == 1 ? 503 : 204);
        await using var node = await TestNode.StartAsync(new() { Port = 0, Webhooks = Quick });
        await RegisterAsync(node, "alice");
        await node.PostAsync("/api/v1/subscriptions", $$"""{"url":"{{receiver.Url}}","events":"memory_store"}""", ("X-Agent-Id", "alice"));
        await NotedAsync(node);
        await node.StoreAsync("first", ",\"namespace\":\"taken\"");
        await node.StoreAsync("second", ",\"namespace\":\"refused\"");
        await node.StoreAsync("third", ",\"namespace\":\"taken\"");
        await Eventually.HoldsAsync("two are taken and one is given up", async () =>
            await ListAsync(node) is var noted && ((int)noted["dispatch_count"]!, (int)noted["failure_count"]!) == (2, 1));

        // The first one twice, the refused one three times, in order.
        Assert.Equal(["taken", "taken", "refused", "refused", "refused", "taken"], receiver.Received.Select(request => (string?)request.Json["namespace"]));
        var letter = (await ListAsync(node))["dead_letters"]!.AsArray().Single()!;
        Assert.Equal(("memory_store", "HTTP 500"), ((string?)letter["event"], (string?)letter["error"]));
    }

    [Fact]
    public async Task A_subscriber_hears_of_nothing_that_it_may_not_see()
    {
        await using var receiver = new Receiver(static _ => 200);
        await using var node = await TestNode.StartAsync(new()
        {
            Port = 0,
            Webhooks = Quick,
            Keys = [new("alice") { Key = "a", AgentId = "alice" }, new("bob") { Key = "b", AgentId = "bob" }],
        });
        (string, string)[] alice = [("X-API-Key", "a")], bob = [("X-API-Key", "b")];
        await node.PostAsync("/api/v1/agents", """{"agent_id":"alice","agent_type":"human"}""", alice);
        var id = (string)(await node.PostAsync("/api/v1/subscriptions", $$"""{"url":"{{receiver.Url}}"}""", alice)).Json["id"]!;
        await Eventually.HoldsAsync("the subscription has begun", async () => await node.Node.DeliveryAsync(id) is not null);
        await node.PostAsync("/api/v1/memories", """{"title":"private","content":"c"}""", bob);
        await node.PostAsync("/api/v1/memories", """{"title":"for all","content":"c","scope":"collective","namespace":"x"}""", bob);
        await node.PostAsync("/api/v1/memories", """{"title":"own","content":"c","namespace":"y"}""", alice);
        await Eventually.HoldsAsync("what alice may see is told", () => Task.FromResult(receiver.Received.Count == 2));
        Assert.Equal(["x", "y"], receiver.Received.Select(request => (string?)request.Json["namespace"]));
        Assert.Equal(0, (int)(await node.GetAsync("/api/v1/subscriptions", bob)).Json["count"]!);
        Assert.Equal(404, (await node.DeleteAsync($"/api/v1/subscriptions/{id}", bob)).Status);
    }

    [Fact]
    public async Task Only_registered_agents_subscribe_and_only_to_what_there_is()
    {
        await using var node = await TestNode.StartAsync();
        (await node.PostAsync("/api/v1/subscriptions", """{"url":"https://example.org/"}""", ("X-Agent-Id", "eve"))).ShouldFail(403, "forbidden", "register");
        await RegisterAsync(node, "alice");
        foreach (var body in (string[])
        [
            """{"url":"ftp://example.org/"}""", """{"url":"/relative"}""", """{"url":"https://user:pass@example.org/"}""", """{"url":"https://example.org/","events":["memory.stored"]}""",
            """{"url":"https://example.org/","secret":""}""",
        ])
        {
            (await node.PostAsync("/api/v1/subscriptions", body, ("X-Agent-Id", "alice"))).ShouldFail(400, "invalid_subscription");
        }
    }

    [Fact]
    public async Task Nothing_private_is_reached_through_the_node()
    {
        await using var receiver = new Receiver(static _ => 200);
        await using var node = await TestNode.StartAsync(new() { Port = 0, Webhooks = Quick with { AllowPrivate = false, Attempts = 1 } });
        await RegisterAsync(node, "alice");
        foreach (var url in (string[])[receiver.Url, receiver.Url.Replace("http:", "https:", StringComparison.Ordinal), receiver.Url.Replace("http://127.0.0.1", "https://localhost", StringComparison.Ordinal)])
        {
            (await node.PostAsync("/api/v1/subscriptions", $$"""{"url":"{{url}}"}""", ("X-Agent-Id", "alice"))).ShouldSucceed(201);
        }

        foreach (var subscription in await node.Node.SubscriptionsAsync(owner: null))
        {
            await Eventually.HoldsAsync("the subscription has begun", async () => await node.Node.DeliveryAsync(subscription.Id) is not null);
        }

        await node.StoreAsync("told to nobody");
        await Eventually.HoldsAsync("all are given up", async () => (await node.Node.SubscriptionsAsync(owner: null)).All(subscription => subscription.Dead == 1));
        Assert.Empty(receiver.Received);
        Assert.Contains(await node.Node.SubscriptionsAsync(owner: null), subscription => subscription.DeadLetters[0].Error.Contains("not public", StringComparison.Ordinal));
    }

    /// <summary>A name that means something else when it is asked for again reaches nothing: it is not asked for again.</summary>
    [Fact]
    public async Task A_name_is_resolved_once_and_what_was_judged_is_what_is_connected_to()
    {
        using var inside = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        inside.Start();
        var reached = inside.AcceptTcpClientAsync();
        var asked = 0;
        using var sender = new WebhookSender(
            Quick,
            TimeProvider.System,
            (_, _) => Task.FromResult<IPAddress[]>([Interlocked.Increment(ref asked) == 1 ? IPAddress.Parse("127.0.0.2") : IPAddress.Loopback]));
        var body = new Core.Replication.SubscriptionBody($"https://rebound.test:{((IPEndPoint)inside.LocalEndpoint).Port}/", [], null, null, null, "", 0);
        var change = new Core.Messaging.MemoryEvent(new(new("n", 1), 1), "memory_store", "id", "n", null);
        Assert.NotNull(await sender.SendAsync(new("s", "alice", body, 0, 0, null, []), change, TestContext.Current.CancellationToken));
        Assert.Equal(1, asked);
        Assert.False(reached.IsCompleted);

        // Of several addresses each is judged.
        using var mixed = new WebhookSender(Quick with { AllowPrivate = false }, TimeProvider.System, (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse("198.51.99.1"), IPAddress.Loopback]));
        Assert.Contains("not public", await mixed.SendAsync(new("s", "alice", body, 0, 0, null, []), change, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("2606:4700::1111", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.31.255.255", false)]
    [InlineData("172.32.0.1", true)]
    [InlineData("192.168.1.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("::", false)]
    [InlineData("::1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    [InlineData("::ffff:8.8.8.8", true)]
    [InlineData("::10.0.0.1", false)]
    [InlineData("64:ff9b::a00:1", false)]
    [InlineData("64:ff9b::808:808", true)]
    [InlineData("64:ff9b:1::808:808", false)]
    [InlineData("2002:a00:1::", false)]
    [InlineData("2002:808:808::", true)]
    [InlineData("fd00::1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("ff02::1", false)]
    [InlineData("2001:db8::1", false)]
    public void An_address_is_public_or_not(string address, bool isPublic) => Assert.Equal(isPublic, WebhookAddresses.IsPublic(IPAddress.Parse(address)));

    private static async Task RegisterAsync(TestNode node, string agent) => (await node.PostAsync("/api/v1/agents", $$"""{"agent_id":"{{agent}}","agent_type":"human"}""")).ShouldSucceed(201);

    private static async Task<JsonNode> ListAsync(TestNode node) => (await node.GetAsync("/api/v1/subscriptions")).Json["subscriptions"]!.AsArray().Single()!;

    /// <summary>The node has noted where the subscription begins: what is written from now on is told.</summary>
    private static async Task NotedAsync(TestNode node)
    {
        var id = (string)(await ListAsync(node))["id"]!;
        await Eventually.HoldsAsync("the subscription has begun", async () => await node.Node.DeliveryAsync(id) is not null);
    }

    private sealed record Request(int Number, string Body, IReadOnlyDictionary<string, string> Headers)
    {
        public JsonNode Json => JsonNode.Parse(Body)!;

        public string? Header(string name) => Headers.GetValueOrDefault(name);
    }

    /// <summary>An HTTP server that keeps what it gets.</summary>
    private sealed class Receiver : IAsyncDisposable
    {
        private readonly HttpListener _listener = new();
        private readonly Func<Request, int> _answer;
        private readonly Task _loop;

        public Receiver(Func<Request, int> answer)
        {
            _answer = answer;
            using (var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0))
            {
                probe.Start();
                Url = $"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/";
            }

            _listener.Prefixes.Add(Url);
            _listener.Start();
            _loop = LoopAsync();
        }

        public string Url { get; }

        public ConcurrentQueue<Request> Received { get; } = [];

        public async ValueTask DisposeAsync()
        {
            _listener.Close();
            await _loop;
        }

        private async Task LoopAsync()
        {
            while (true)
            {
                HttpListenerContext context;
                try
                {
                    context = await _listener.GetContextAsync();
                }
                catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
                {
                    return;
                }

                using var reader = new StreamReader(context.Request.InputStream);
                var headers = context.Request.Headers.AllKeys.ToDictionary(name => name!, name => context.Request.Headers[name]!, StringComparer.OrdinalIgnoreCase);
                var request = new Request(Received.Count + 1, await reader.ReadToEndAsync(), headers);
                Received.Enqueue(request);
                context.Response.StatusCode = _answer(request);
                context.Response.Close();
            }
        }
    }
}
