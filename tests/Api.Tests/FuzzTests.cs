using System.Net.Http.Headers;
using System.Text;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests;

/// <summary>Requests made at random, from a seed: whatever they are, the answer is never a failure of the node.</summary>
public sealed class FuzzTests(TestNode node) : IClassFixture<TestNode>
{
    private static readonly int Requests = Campaign.Count("fuzz", reduced: 4_000, full: 10_000);
    private static readonly int RequestsOfEach = Campaign.Count("fuzz", reduced: 60, full: 10_000);
    private const int Lanes = 8;

    private static readonly (string Method, string Path, string Body)[] Bodies =
    [
        ("POST", "/api/v1/memories", """{"title":"fuzz","content":"words to find","tier":"long","namespace":"a/b","tags":["x","y"],"priority":7,"confidence":0.25,"source":"user","metadata":{"k":[1,{"z":null}]},"agent_id":"fuzzer","scope":"team","ttl_secs":60,"expires_at":"2030-01-01T00:00:00Z"}"""),
        ("POST", "/api/v1/memories/bulk", """[{"title":"fuzz a","content":"c"},{"title":"fuzz b","content":"c","tags":["t"]}]"""),
        ("POST", "/api/v1/memories/bulk", """{"memories":[{"title":"fuzz c","content":"c"}]}"""),
        ("PUT", "/api/v1/memories/fuzz-1", """{"title":"changed","content":"c","tier":"long","namespace":"n","tags":[],"priority":1,"confidence":1,"expires_at":null,"metadata":{}}"""),
        ("POST", "/api/v1/recall", """{"context":"words to find","namespace":"a/b","limit":5,"tags":"x","since":"2020-01-01","until":"2030-01-01T00:00:00+01:00","as_agent":"a/b","budget_tokens":100}"""),
        ("POST", "/api/v1/forget", """{"namespace":"nowhere","pattern":"nothing","tier":"short"}"""),
        ("POST", "/api/v1/links", """{"source_id":"fuzz-1","target_id":"fuzz-2","relation":"supersedes"}"""),
        ("POST", "/api/v1/import", """{"memories":[{"id":"fuzz-1","tier":"long","namespace":"n","title":"f1","content":"c","tags":[],"priority":5,"confidence":1.0,"source":"import","access_count":1,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","last_accessed_at":null,"expires_at":null,"metadata":{}}],"links":[{"source_id":"fuzz-1","target_id":"fuzz-2","relation":"related_to","created_at":"2026-01-01T00:00:00Z"}]}"""),
    ];

    /// <summary>Every route of the domain that reads a body: each is asked as often as all of the above together in a campaign.</summary>
    private static readonly (string Method, string Path, string Body)[] DomainBodies =
    [
        ("POST", "/api/v1/namespaces", """{"namespace":"n/s","id":"fuzz-1","parent":"n","governance":{"write":"any","promote":"any","delete":"owner","approver":{"consensus":2}}}"""),
        ("POST", "/api/v1/namespaces/n%2Fs/standard", """{"standard":{"id":"fuzz-1","parent":"n","governance":{"write":"any","promote":"any","delete":"any","approver":{"agent":"a"}}},"id":"fuzz-1"}"""),
        ("PUT", "/api/v1/namespaces/policy?namespace=n/q", """{"quorum_writes":1,"namespace":"n/q"}"""),
        ("POST", "/api/v1/agents", """{"agent_id":"ai:fuzz","agent_type":"ai:test","capabilities":["read","write"]}"""),
        ("POST", "/api/v1/pending/fuzz-1/approve", """{"agent_id":"a"}"""),
        ("POST", "/api/v1/pending/fuzz-1/reject", """{}"""),
        ("POST", "/api/v1/subscriptions", """{"url":"https://example.invalid/","callback_url":"https://example.invalid/","events":["memory_store","*"],"secret":"s","namespace_filter":"n","agent_filter":"a","agent_id":"ai:fuzz"}"""),
        ("POST", "/api/v1/notify", """{"to":"bob","subject":"s","body":"b","target_agent_id":"bob","title":"t","payload":{"k":[1,{}]},"priority":7,"tier":"long","memory_id":"fuzz-1","namespace":"n","metadata":{"m":1}}"""),
        ("POST", "/api/v1/inbox/read", """{"agent_id":"bob","ids":["fuzz-1","fuzz-2"]}"""),
        ("POST", "/api/v1/session/start", """{"namespace":"n","limit":5,"agent_id":"a"}"""),
        ("POST", "/api/v1/archive/fuzz-1/restore", """{"agent_id":"a"}"""),
        ("POST", "/api/v1/consolidate", """{"ids":["fuzz-1","fuzz-2"],"title":"both","summary":"s","namespace":"n","tier":"long","agent_id":"a"}"""),
        ("POST", "/api/v1/curation/fuzz-1/undo", """{}"""),
        ("POST", "/api/v1/curator/run", """{"max_ops":1,"dry_run":true,"include_namespaces":["nowhere"],"exclude_namespaces":["n"]}"""),
        ("POST", "/api/v1/curator/undo", """{"run":"fuzz","last":1,"agent_id":"a"}"""),
        ("POST", "/api/v1/memories/fuzz-1/grant", """{"agent_id":"bob","permission":"read"}"""),
        ("POST", "/api/v1/memories/fuzz-1/revoke", """{"agent_id":"bob"}"""),
        ("POST", "/api/v1/cluster", """{"action":"join","endpoint":"http://10.0.0.9:9077","agent_id":"n2"}"""),
        ("POST", "/api/v1/backfills", """{"action":"dry-run","step":"content-hash"}"""),
        ("POST", "/api/v1/sync/push", """{"sender_agent_id":"peer:a","sender_clock":{"entries":{"host:a":"2026-01-01T00:00:00Z"}},"dry_run":false,"memories":[{"id":"fuzz-s","tier":"long","namespace":"n","title":"fs","content":"c","tags":["t"],"priority":5,"confidence":1.0,"source":"import","access_count":1,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","last_accessed_at":null,"expires_at":null,"metadata":{}}]}"""),
    ];

    private static readonly string[] Tokens =
    [
        "null", "true", "-1", "0", "1e400", "99999999999999999999", "0.5", "\"\"", "\" \"", "[]", "{}", "[[[[]]]]", "\"\\ud800\"", "\"\\u0000\"", "\"\u202e\"", "\"long\"", "\"2026-13-45T99:99:99Z\"", ",", ":", "}", "]",
    ];

    private static readonly string[] Paths =
    [
        "/api/v1/memories", "/api/v1/search", "/api/v1/recall", "/api/v1/memories/fuzz-1", "/api/v1/links/fuzz-1", "/api/v1/namespaces", "/api/v1/memories/%", "/api/v1/memories/%00", "/api/v1/memories/%F0%28", "/api/v1/links/%2F%2f",
        "/api/v1/archive", "/api/v1/archive/stats", "/api/v1/agents", "/api/v1/pending", "/api/v1/inbox", "/api/v1/subscriptions", "/api/v1/curation", "/api/v1/curator", "/api/v1/contradictions", "/api/v1/sync/since",
        "/api/v1/namespaces/%2A/standard", "/api/v1/namespaces/%FF/standard", "/api/v1/namespaces/policy", "/api/v1/memories/fuzz-1/grants", "/api/v1/memories/%F0%28/grants", "/api/v1/cluster", "/api/v1/backfills", "/api/v1/stats",
    ];

    private static readonly string[] Names = ["q", "context", "namespace", "tier", "limit", "offset", "cursor", "min_priority", "since", "until", "tags", "agent_id", "as_agent", "budget_tokens", "api_key", "junk", "topic", "status", "unread", "unread_only", "peer", "digest", "inherit", "older_than_days", "consistency"];

    private static readonly string[] Values =
    [
        "", " ", "x", "words", "AND", "\"", "*", "a*b", "(", "NEAR(a b)", "-1", "0", "7", "99999999999", "99999999999999999999", "long", "2026-01-01", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "a/b", "..", "%", "\u0000", "\u202e", "😀", "MS8x", "NS8xLzE", "'; drop table memory; --",
    ];

    private static readonly string[] Headers = ["X-Agent-Id", "Idempotency-Key", "If-Match", "X-Quorum", "X-Memory-Token", "Accept"];

    public static TheoryData<string> DomainRoutes => [.. DomainBodies.Select(static body => $"{body.Method} {body.Path}")];

    [Theory]
    [MemberData(nameof(DomainRoutes))]
    [Trait(Campaign.Trait, "fuzz")]
    public async Task No_body_makes_a_route_of_the_domain_fail(string route)
    {
        await node.PostAsync("/api/v1/import", TestNode.Import(TestNode.Row("fuzz-1", "one", "n"), TestNode.Row("fuzz-2", "two", "n")));
        node.Log.Clear();
        (string Method, string Path, string Body)[] body = [Array.Find(DomainBodies, body => $"{body.Method} {body.Path}" == route)];
        await Task.WhenAll(Enumerable.Range(0, Lanes).Select(async lane =>
        {
            var random = new Random(lane + Array.FindIndex(DomainBodies, known => known == body[0]) * Lanes);
            for (var request = 0; request < Math.Max(1, RequestsOfEach / Lanes); request++)
            {
                using var made = WithBody(random, body);
                await SendAsync(random, made);
            }
        }));
        AssertQuiet();
        (await node.GetAsync("/readyz")).ShouldSucceed();
    }

    [Theory]
    [InlineData("/api/v1/notify", """{"to":"bob","subject":"s","body":"b","payload":{"k":[{"\ud800":1}]}}""")]
    [InlineData("/api/v1/notify", """{"to":"bob","subject":"s","body":"b","unknown":["\udc00"]}""")]
    [InlineData("/api/v1/namespaces", """{"namespace":"n","id":"i","governance":{"write":"\ud800","promote":"any","delete":"any","approver":"human"}}""")]
    public async Task A_text_that_is_no_Unicode_is_malformed_at_any_depth(string path, string body) =>
        (await node.PostAsync(path, body)).ShouldFail(400, "malformed_request", "Unicode");

    [Fact]
    [Trait(Campaign.Trait, "fuzz")]
    public async Task No_request_makes_the_node_fail()
    {
        node.Log.Clear();
        await node.PostAsync("/api/v1/import", TestNode.Import(TestNode.Row("fuzz-1", "one", "n"), TestNode.Row("fuzz-2", "two", "n")));
        var lanes = Enumerable.Range(0, Lanes).Select(async lane =>
        {
            var random = new Random(1000 + lane);
            var kinds = new HashSet<int>();
            for (var request = 0; request < Requests / Lanes; request++)
            {
                kinds.Add(await SendAsync(random));
            }

            return kinds;
        });
        var statuses = (await Task.WhenAll(lanes)).SelectMany(kinds => kinds).ToHashSet();
        Assert.DoesNotContain(statuses, status => status >= 500);
        Assert.Superset(new HashSet<int> { 200, 201, 400, 404, 415, 422 }, statuses);
        AssertQuiet();
        (await node.GetAsync("/readyz")).ShouldSucceed();
    }

    /// <summary>Nothing was logged but that subscribers that were made up cannot be reached.</summary>
    private void AssertQuiet() => Assert.DoesNotContain(node.Log, static entry => !entry.StartsWith("2011 ", StringComparison.Ordinal));

    private async Task<int> SendAsync(Random random)
    {
        using var request = random.Next(3) == 0
            ? new HttpRequestMessage(random.Next(10) == 0 ? HttpMethod.Post : HttpMethod.Get, Pick(random, Paths) + Query(random))
            : WithBody(random, random.Next(2) == 0 ? Bodies : DomainBodies);
        return await SendAsync(random, request);
    }

    private async Task<int> SendAsync(Random random, HttpRequestMessage request)
    {
        if (random.Next(4) == 0)
        {
            request.Headers.TryAddWithoutValidation(Pick(random, Headers), Uri.EscapeDataString(Pick(random, Values)).Replace("%20", " ", StringComparison.Ordinal));
        }

        using var response = await node.Client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode < 500, $"{(int)response.StatusCode} {text} for {request.Method} {request.RequestUri} {(request.Content is null ? "" : await request.Content.ReadAsStringAsync())}");
        return (int)response.StatusCode;
    }

    private static HttpRequestMessage WithBody(Random random, (string Method, string Path, string Body)[] from)
    {
        var (method, path, body) = Pick(random, from);
        var content = new ByteArrayContent(Mutate(random, body));
        content.Headers.ContentType = random.Next(40) == 0 ? new("text/plain") : MediaTypeHeaderValue.Parse("application/json; charset=utf-8");
        return new(new(method), path + (random.Next(8) == 0 && !path.Contains('?', StringComparison.Ordinal) ? Query(random) : "")) { Content = content };
    }

    private static string Query(Random random)
    {
        var query = new StringBuilder("?");
        for (var count = random.Next(5); count >= 0; count--)
        {
            var value = Pick(random, Values);
            query.Append(Pick(random, Names)).Append('=').Append(random.Next(5) == 0 ? "%F" + random.Next(10) : Uri.EscapeDataString(value)).Append('&');
        }

        return query.ToString();
    }

    private static byte[] Mutate(Random random, string body)
    {
        var text = new StringBuilder(body);
        for (var count = random.Next(4); count > 0; count--)
        {
            var at = random.Next(text.Length);
            var length = Math.Min(random.Next(1, 12), text.Length - at);
            switch (random.Next(5))
            {
                case 0:
                    text.Remove(at, length);
                    break;
                case 1:
                    text.Insert(at, text.ToString(at, length));
                    break;
                case 2:
                    text.Insert(at, Pick(random, Tokens));
                    break;
                default:
                    ReplaceValue(random, text);
                    break;
            }

            if (text.Length == 0)
            {
                break;
            }
        }

        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        if (bytes.Length > 0 && random.Next(6) == 0)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }

        return bytes;
    }

    /// <summary>Puts another value behind some colon, so that most bodies stay well-formed.</summary>
    private static void ReplaceValue(Random random, StringBuilder text)
    {
        var whole = text.ToString();
        var colon = whole.IndexOf(':', random.Next(whole.Length));
        if (colon < 0)
        {
            return;
        }

        var end = whole.IndexOfAny([',', '}', ']'], colon);
        if (end > colon)
        {
            text.Remove(colon + 1, end - colon - 1).Insert(colon + 1, Pick(random, Tokens));
        }
    }

    private static T Pick<T>(Random random, T[] from) => from[random.Next(from.Length)];
}
