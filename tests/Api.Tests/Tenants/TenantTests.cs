using System.Text.Json;

namespace OrleansMemory.Api.Tests.Tenants;

/// <summary>Two tenants on one node: whatever they do, no row of the one ever shows to the other, on any path.</summary>
public sealed class TenantTests
{
    private const int Steps = 40;

    private static readonly string[] Scopes = ["", ",\"scope\":\"private\"", ",\"scope\":\"team\"", ",\"scope\":\"unit\"", ",\"scope\":\"org\""];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task No_row_of_one_tenant_shows_to_the_other(int seed)
    {
        await using var node = await TestNode.StartAsync(new()
        {
            Port = 0,
            Keys =
            [
                new("alice") { Key = "key-alice", AgentId = "alice", Place = "alice/x/one" },
                new("bob") { Key = "key-bob", AgentId = "bob", Place = "bob/x/one" },
                new("root") { Key = "key-root", Role = "admin" },
            ],
        });
        var random = new Random(seed);
        var (alice, bob) = (new Tenant(node, "alice", random), new Tenant(node, "bob", random));
        for (var step = 0; step < Steps; step++)
        {
            var (actor, other) = random.Next(2) == 0 ? (alice, bob) : (bob, alice);
            await actor.ActAsync(step);
            if (step % 4 == 3)
            {
                await other.MeddleAsync(actor);
                await other.ReadEverythingAsync(actor);
                await actor.ReadEverythingAsync(other);
            }
        }

        // What a tenant stored and did not put away it sees, all of it, and an administrator sees both.
        foreach (var tenant in (Tenant[])[alice, bob])
        {
            Assert.NotEmpty(tenant.Live);
            foreach (var id in tenant.Live)
            {
                Assert.Equal(200, (await node.GetAsync($"/api/v1/memories/{id}", ("X-API-Key", tenant.Key))).Status);
                Assert.Equal(200, (await node.GetAsync($"/api/v1/memories/{id}", ("X-API-Key", "key-root"))).Status);
            }

            Assert.Equal(tenant.Live.Count, (int)(await node.GetAsync("/api/v1/stats", ("X-API-Key", tenant.Key))).Json["total"]!);
        }

        Assert.Equal(alice.Live.Count + bob.Live.Count, (int)(await node.GetAsync("/api/v1/stats", ("X-API-Key", "key-root"))).Json["total"]!);
    }

    private sealed class Tenant(TestNode node, string name, Random random)
    {
        private readonly List<string> _ids = [];

        public string Key => $"key-{name}";

        public HashSet<string> Live { get; } = [];

        /// <summary>Stands in every text that the tenant writes, and in nothing else.</summary>
        private string Mark => $"zq{name}qz";

        /// <summary>Something that a tenant does with what is its own.</summary>
        public async Task ActAsync(int step)
        {
            switch (random.Next(8))
            {
                case 0 when Live.Count > 0:
                    Assert.Equal(200, (await SendAsync(HttpMethod.Put, $"/api/v1/memories/{Pick(Live)}", $$"""{"content":"{{Mark}} again word{{random.Next(3)}}"}""")).Status);
                    break;
                case 1 when Live.Count > 1:
                    Assert.Contains((await SendAsync(HttpMethod.Post, "/api/v1/links", $$"""{"source_id":"{{Pick(Live)}}","target_id":"{{Pick(Live)}}"}""")).Status, (int[])[201, 400]);
                    break;
                case 2 when Live.Count > 2:
                    var gone = Pick(Live);
                    Assert.Equal(200, (await SendAsync(HttpMethod.Delete, $"/api/v1/memories/{gone}")).Status);
                    Live.Remove(gone);
                    break;
                case 3 when Live.Count > 2:
                    await SendAsync(HttpMethod.Post, "/api/v1/forget", """{"namespace":"shared","pattern":"word0"}""");
                    await RefreshAsync();
                    break;
                case 4:
                    foreach (var row in (await SendAsync(HttpMethod.Get, "/api/v1/archive")).Json["archived"]!.AsArray().Take(1))
                    {
                        await SendAsync(HttpMethod.Post, $"/api/v1/archive/{row!["id"]}/restore");
                    }

                    await RefreshAsync();
                    break;
                case 5 when Live.Count > 0:
                    Assert.Contains((await SendAsync(HttpMethod.Post, "/api/v1/namespaces", $$"""{"namespace":"{{Namespace()}}","id":"{{Pick(Live)}}"}""")).Status, (int[])[201, 403]);
                    Assert.Equal(201, (await SendAsync(HttpMethod.Post, "/api/v1/notify", $$"""{"to":"{{name}}","subject":"{{Mark}}","body":"{{Mark}}"}""")).Status);
                    await SendAsync(HttpMethod.Post, "/api/v1/agents", $$"""{"agent_id":"{{name}}","agent_type":"ai:{{Mark}}"}""");
                    break;
                case 6:
                    await SendAsync(HttpMethod.Post, "/api/v1/import", TestNode.Import(TestNode.Row($"{random.NextInt64():x16}-{step}", $"{Mark} imported {step}", Namespace())));
                    await RefreshAsync();
                    break;
                default:
                    var stored = await SendAsync(
                        HttpMethod.Post, "/api/v1/memories",
                        $$"""{"title":"{{Mark}} {{step}}","content":"{{Mark}} common word{{random.Next(3)}}","tags":["{{Mark}}"],"namespace":"{{Namespace()}}","metadata":{"m":"{{Mark}}"}{{Scopes[random.Next(Scopes.Length)]}}}""");
                    Assert.True(stored.Status == 201, stored.Text);
                    Live.Add((string)stored.Json["id"]!);
                    break;
            }

            _ids.AddRange(Live.Except(_ids));
        }

        /// <summary>Asks for, and tries to change, what is another's: it is not there.</summary>
        public async Task MeddleAsync(Tenant other)
        {
            foreach (var id in other._ids.OrderBy(_ => random.Next()).Take(2))
            {
                foreach (var (method, path, body) in ((HttpMethod, string, string?)[])
                [
                    (HttpMethod.Get, $"/api/v1/memories/{id}", null),
                    (HttpMethod.Get, $"/api/v1/memories/{id}?consistency=quorum", null),
                    (HttpMethod.Get, $"/api/v1/memories/{id[..8]}", null),
                    (HttpMethod.Put, $"/api/v1/memories/{id}", """{"content":"mine now","scope":"collective"}"""),
                    (HttpMethod.Delete, $"/api/v1/memories/{id}", null),
                    (HttpMethod.Post, $"/api/v1/memories/{id}/promote", null),
                    (HttpMethod.Post, $"/api/v1/archive/{id}/restore", null),
                    (HttpMethod.Post, "/api/v1/namespaces", $$"""{"namespace":"mine","id":"{{id}}"}"""),
                    (HttpMethod.Get, $"/api/v1/memories/{id}/grants", null),
                    (HttpMethod.Post, $"/api/v1/memories/{id}/grant", $$"""{"agent_id":"{{name}}","permission":"admin"}"""),
                    (HttpMethod.Post, "/api/v1/consolidate", $$"""{"ids":["{{id}}","{{Live.FirstOrDefault("none")}}"],"title":"taken","summary":"s"}"""),
                ])
                {
                    var reply = await SendAsync(method, path, body);
                    Assert.True(reply.Status == 404, $"{method} {path}: {reply.Status} {reply.Text}");
                    Assert.DoesNotContain(other.Mark, reply.Text);
                }

                // The id in a body is no secret any more: it is the text that must not come back.
                Hide(other, await SendAsync(HttpMethod.Post, "/api/v1/import", TestNode.Import(TestNode.Row(id, $"taken over {random.Next()}", "shared"))), ids: false);
                if (Live.Count > 0)
                {
                    Hide(other, await SendAsync(HttpMethod.Post, "/api/v1/links", $$"""{"source_id":"{{Pick(Live)}}","target_id":"{{id}}"}"""), ids: false);
                }
            }

            foreach (var title in (await other.SendAsync(HttpMethod.Get, "/api/v1/memories?limit=3")).Json["memories"]!.AsArray())
            {
                // Who knows what a memory is called is shown nothing that speaks against it.
                var against = await SendAsync(HttpMethod.Get, $"/api/v1/contradictions?topic={Uri.EscapeDataString((string)title!["title"]!)}");
                Assert.Equal(0, (int)against.Json["count"]!);
                Hide(other, against);

                // A title like it names nothing that may not be seen.
                var similar = await SendAsync(HttpMethod.Post, "/api/v1/memories", JsonSerializer.Serialize(new { title = $"{(string)title!["title"]!} too", content = Mark, @namespace = (string)title["namespace"]! }));
                Assert.True(similar.Status == 201, similar.Text);
                Assert.All(other._ids, id => Assert.DoesNotContain(id, similar.Text));
                await SendAsync(HttpMethod.Delete, $"/api/v1/memories/{similar.Json["id"]}");

                // Who guesses a title learns that it is taken, and nothing else.
                var body = JsonSerializer.Serialize(new { title = (string)title!["title"]!, content = "x", @namespace = (string)title["namespace"]! });
                var reply = await SendAsync(HttpMethod.Post, "/api/v1/memories", body);
                Assert.True(reply.Status == 409, reply.Text);
                Hide(other, reply);
            }

            await RefreshAsync();
            await other.RefreshAsync();
        }

        /// <summary>Every path that reads: nothing of the other is in the answer.</summary>
        public async Task ReadEverythingAsync(Tenant other)
        {
            foreach (var path in (string[])
            [
                "/api/v1/memories?limit=200", "/api/v1/memories?limit=2&offset=1", "/api/v1/memories?namespace=shared", $"/api/v1/memories?agent_id={other.Named}",
                $"/api/v1/memories?tags={other.Mark}", $"/api/v1/memories?limit=1{await CursorAsync()}",
                "/api/v1/search?q=common", $"/api/v1/search?q={other.Mark}", $"/api/v1/search?q=common&as_agent={other.Named}/x/one", $"/api/v1/search?q=common&agent_id={other.Named}",
                "/api/v1/recall?context=common+word0+word1", $"/api/v1/recall?context=common&as_agent={other.Named}/x/one", $"/api/v1/recall?context={other.Mark}&namespace=shared",
                "/api/v1/namespaces", $"/api/v1/namespaces?namespace={other.Named}/x/one&inherit=true", "/api/v1/namespaces?namespace=shared", "/api/v1/stats",
                "/api/v1/export", "/api/v1/sync/since", "/api/v1/sync/since?limit=1", "/api/v1/archive", "/api/v1/archive?namespace=shared", "/api/v1/archive/stats",
                "/api/v1/agents", "/api/v1/pending", "/api/v1/curation", "/api/v1/subscriptions", "/api/v1/inbox", "/api/v1/cluster", "/api/v1/namespaces/policy?namespace=shared", "/api/v1/capabilities",
                "/api/v1/contradictions?namespace=shared", $"/api/v1/contradictions?namespace={other.Named}/x/one", "/api/v1/contradictions?topic=common&limit=100",
            ])
            {
                var reply = await SendAsync(HttpMethod.Get, path);
                Assert.True(reply.Status == 200, $"{path}: {reply.Status} {reply.Text}");
                Hide(other, reply, path.Contains(other.Mark, StringComparison.Ordinal) || path.Contains("inherit", StringComparison.Ordinal) ? path : null);
            }

            foreach (var id in other._ids.Take(3))
            {
                Assert.Empty((await SendAsync(HttpMethod.Get, $"/api/v1/links/{id}")).Json["links"]!.AsArray());
            }

            Hide(other, await SendAsync(HttpMethod.Post, "/api/v1/recall", """{"context":"common word0"}"""));
            Hide(other, await SendAsync(HttpMethod.Post, "/api/v1/session/start", """{"namespace":"shared","limit":50}"""));
            Hide(other, await SendAsync(HttpMethod.Post, "/api/v1/cluster", "{}"));
            Assert.Equal(403, (await SendAsync(HttpMethod.Get, "/api/v1/curator")).Status);
            Assert.Equal(403, (await SendAsync(HttpMethod.Post, "/api/v1/curator/run", "{}")).Status);
            Assert.Equal(403, (await SendAsync(HttpMethod.Post, "/api/v1/curator/undo", """{"last":1}""")).Status);
            Assert.Equal(403, (await SendAsync(HttpMethod.Get, "/api/v1/cluster?digest=true")).Status);
            Assert.Equal(403, (await SendAsync(HttpMethod.Get, $"/api/v1/inbox?agent_id={other.Named}")).Status);
        }

        private string Named => name;

        private async Task RefreshAsync()
        {
            Live.Clear();
            foreach (var memory in (await SendAsync(HttpMethod.Get, "/api/v1/memories?limit=200")).Json["memories"]!.AsArray())
            {
                Live.Add((string)memory!["id"]!);
            }

            _ids.AddRange(Live.Except(_ids));
        }

        private async Task<string> CursorAsync() =>
            (string?)(await SendAsync(HttpMethod.Get, "/api/v1/memories?limit=1")).Json["next_cursor"] is { } cursor ? $"&cursor={Uri.EscapeDataString(cursor)}" : "";

        /// <param name="asked">A question that names the other, which an answer may repeat.</param>
        private static void Hide(Tenant other, Reply reply, string? asked = null, bool ids = true)
        {
            var memories = asked is null ? reply.Text : WithoutQuestion(reply, other);
            Assert.DoesNotContain(other.Mark, memories);
            if (ids)
            {
                Assert.All(other._ids, id => Assert.DoesNotContain(id, memories));
            }
        }

        private static string WithoutQuestion(Reply reply, Tenant other)
        {
            var answer = reply.Json.AsObject();
            answer.Remove("query");
            return answer.ToJsonString();
        }

        private string Namespace() => random.Next(3) switch
        {
            0 => "shared",
            1 => $"{name}/x/one",
            _ => $"{name}/x/two",
        };

        private string Pick(IEnumerable<string> ids) => ids.ElementAt(random.Next(ids.Count()));

        private Task<Reply> SendAsync(HttpMethod method, string path, string? body = null) =>
            node.SendAsync(method, path, body is null ? null : TestNode.Json(body), ("X-API-Key", Key));
    }
}
