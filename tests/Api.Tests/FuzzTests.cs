using System.Net.Http.Headers;
using System.Text;

namespace OrleansMemory.Api.Tests;

/// <summary>Requests made at random, from a seed: whatever they are, the answer is never a failure of the node.</summary>
public sealed class FuzzTests(TestNode node) : IClassFixture<TestNode>
{
    private const int Requests = 5_000;
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

    private static readonly string[] Tokens =
    [
        "null", "true", "-1", "0", "1e400", "99999999999999999999", "0.5", "\"\"", "\" \"", "[]", "{}", "[[[[]]]]", "\"\\ud800\"", "\"\\u0000\"", "\"\u202e\"", "\"long\"", "\"2026-13-45T99:99:99Z\"", ",", ":", "}", "]",
    ];

    private static readonly string[] Paths =
    [
        "/api/v1/memories", "/api/v1/search", "/api/v1/recall", "/api/v1/memories/fuzz-1", "/api/v1/links/fuzz-1", "/api/v1/namespaces", "/api/v1/memories/%", "/api/v1/memories/%00", "/api/v1/memories/%F0%28", "/api/v1/links/%2F%2f",
    ];

    private static readonly string[] Names = ["q", "context", "namespace", "tier", "limit", "offset", "cursor", "min_priority", "since", "until", "tags", "agent_id", "as_agent", "budget_tokens", "api_key", "junk"];

    private static readonly string[] Values =
    [
        "", " ", "x", "words", "AND", "\"", "*", "a*b", "(", "NEAR(a b)", "-1", "0", "7", "99999999999", "99999999999999999999", "long", "2026-01-01", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "a/b", "..", "%", "\u0000", "\u202e", "😀", "MS8x", "NS8xLzE", "'; drop table memory; --",
    ];

    private static readonly string[] Headers = ["X-Agent-Id", "Idempotency-Key", "If-Match"];

    [Fact]
    public async Task No_request_makes_the_node_fail()
    {
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
        Assert.Empty(node.Log);
        (await node.GetAsync("/readyz")).ShouldSucceed();
    }

    private async Task<int> SendAsync(Random random)
    {
        using var request = random.Next(3) == 0
            ? new HttpRequestMessage(random.Next(10) == 0 ? HttpMethod.Post : HttpMethod.Get, Pick(random, Paths) + Query(random))
            : WithBody(random);
        if (random.Next(4) == 0)
        {
            request.Headers.TryAddWithoutValidation(Pick(random, Headers), Uri.EscapeDataString(Pick(random, Values)).Replace("%20", " ", StringComparison.Ordinal));
        }

        using var response = await node.Client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode < 500, $"{(int)response.StatusCode} {text} for {request.Method} {request.RequestUri} {(request.Content is null ? "" : await request.Content.ReadAsStringAsync())}");
        return (int)response.StatusCode;
    }

    private static HttpRequestMessage WithBody(Random random)
    {
        var (method, path, body) = Pick(random, Bodies);
        var content = new ByteArrayContent(Mutate(random, body));
        content.Headers.ContentType = random.Next(40) == 0 ? new("text/plain") : MediaTypeHeaderValue.Parse("application/json; charset=utf-8");
        return new(new(method), path + (random.Next(8) == 0 ? Query(random) : "")) { Content = content };
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
