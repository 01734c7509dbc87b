using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace OrleansMemory.Api.Tests;

/// <summary>Every documented refusal: its status, its code, its text, and nothing stored.</summary>
public sealed class ErrorTests(TestNode node) : IClassFixture<TestNode>
{
    private const string Create = "/api/v1/memories";

    public static TheoryData<string, int, string, string> BrokenDrafts => new()
    {
        { """{"content":"c"}""", 422, "missing_field", "title" },
        { """{"title":"t"}""", 422, "missing_field", "content" },
        { "{}", 422, "missing_field", "title" },
        { "[]", 422, "wrong_type", "an object" },
        { "null", 422, "wrong_type", "an object" },
        { "\"text\"", 422, "wrong_type", "an object" },
        { """{"title":1,"content":"c"}""", 422, "wrong_type", "title" },
        { """{"title":null,"content":"c"}""", 422, "wrong_type", "title" },
        { """{"title":"t","content":"c","tier":null}""", 422, "wrong_type", "tier" },
        { """{"title":"t","content":"c","tier":"eternal"}""", 422, "wrong_type", "tier" },
        { """{"title":"t","content":"c","namespace":null}""", 422, "wrong_type", "namespace" },
        { """{"title":"t","content":"c","tags":null}""", 422, "wrong_type", "tags" },
        { """{"title":"t","content":"c","tags":"a"}""", 422, "wrong_type", "tags" },
        { """{"title":"t","content":"c","tags":[1]}""", 422, "wrong_type", "tags" },
        { """{"title":"t","content":"c","priority":"5"}""", 422, "wrong_type", "priority" },
        { """{"title":"t","content":"c","priority":5.5}""", 422, "wrong_type", "priority" },
        { """{"title":"t","content":"c","priority":99999999999}""", 422, "wrong_type", "priority" },
        { """{"title":"t","content":"c","confidence":null}""", 422, "wrong_type", "confidence" },
        { """{"title":"t","content":"c","source":null}""", 422, "wrong_type", "source" },
        { """{"title":"t","content":"c","expires_at":5}""", 422, "wrong_type", "expires_at" },
        { """{"title":"t","content":"c","ttl_secs":"5"}""", 422, "wrong_type", "ttl_secs" },
        { """{"title":"  ","content":"c"}""", 400, "title_empty", "title cannot be empty" },
        { $$"""{"title":"{{new string('x', 513)}}","content":"c"}""", 400, "title_too_long", "title exceeds max length" },
        { """{"title":"a\u0007","content":"c"}""", 400, "title_invalid", "title contains invalid characters" },
        { """{"title":"t","content":" "}""", 400, "content_empty", "content cannot be empty" },
        { $$"""{"title":"t","content":"{{new string('x', 65_537)}}"}""", 400, "content_too_large", "content exceeds max size" },
        { """{"title":"t","content":"a\r\n"}""", 400, "content_invalid", "content contains invalid characters" },
        { """{"title":"t","content":"c","namespace":""}""", 400, "namespace_empty", "namespace cannot be empty" },
        { $$"""{"title":"t","content":"c","namespace":"{{new string('x', 513)}}"}""", 400, "namespace_too_long", "namespace exceeds max length" },
        { """{"title":"t","content":"c","namespace":"a b"}""", 400, "namespace_invalid", "namespace cannot contain" },
        { """{"title":"t","content":"c","namespace":"/a"}""", 400, "namespace_invalid", "namespace cannot start" },
        { """{"title":"t","content":"c","namespace":"a/"}""", 400, "namespace_invalid", "namespace cannot end" },
        { """{"title":"t","content":"c","namespace":"a/../b"}""", 400, "namespace_invalid", "segments" },
        { """{"title":"t","content":"c","namespace":"1/2/3/4/5/6/7/8/9"}""", 400, "namespace_too_deep", "depth" },
        { """{"title":"t","content":"c","source":"rumour"}""", 400, "invalid_source", "invalid source" },
        { $$"""{"title":"t","content":"c","tags":[{{string.Join(',', Enumerable.Range(0, 51).Select(tag => $"\"{tag}\""))}}]}""", 400, "too_many_tags", "too many tags" },
        { """{"title":"t","content":"c","tags":[""]}""", 400, "invalid_tag", "tags cannot contain empty" },
        { $$"""{"title":"t","content":"c","tags":["{{new string('x', 129)}}"]}""", 400, "invalid_tag", "exceeds max length" },
        { """{"title":"t","content":"c","priority":0}""", 400, "invalid_priority", "priority must be between" },
        { """{"title":"t","content":"c","priority":11}""", 400, "invalid_priority", "priority must be between" },
        { """{"title":"t","content":"c","confidence":1.01}""", 400, "invalid_confidence", "confidence must be" },
        { """{"title":"t","content":"c","confidence":1e999}""", 400, "invalid_confidence", "confidence must be" },
        { """{"title":"t","content":"c","expires_at":"tomorrow"}""", 400, "invalid_timestamp", "expires_at is not valid RFC3339" },
        { """{"title":"t","content":"c","expires_at":"2020-01-01T00:00:00Z"}""", 400, "expiry_in_past", "expires_at is in the past" },
        { """{"title":"t","content":"c","ttl_secs":0}""", 400, "invalid_ttl", "ttl_secs must be positive" },
        { """{"title":"t","content":"c","ttl_secs":31536001}""", 400, "invalid_ttl", "ttl_secs exceeds maximum" },
        { """{"title":"t","content":"c","metadata":null}""", 400, "metadata_not_object", "metadata must be a JSON object" },
        { """{"title":"t","content":"c","metadata":[1]}""", 400, "metadata_not_object", "metadata must be a JSON object" },
        { $$$"""{"title":"t","content":"c","metadata":{"a":"{{{new string('x', 65_536)}}}"}}""", 400, "metadata_too_large", "metadata exceeds max size" },
        { $$$"""{"title":"t","content":"c","metadata":{"a":{{{new string('[', 40)}}}{{{new string(']', 40)}}}}}""", 400, "metadata_too_deep", "metadata nesting depth" },
        { """{"metadata":null,"title":" ","content":"c"}""", 400, "title_empty", "title cannot be empty" },
        { """{"title":"t","content":"c","metadata":{"scope":"galaxy"}}""", 400, "invalid_scope", "invalid scope" },
        { """{"title":"t","content":"c","scope":"galaxy"}""", 400, "invalid_scope", "invalid scope" },
        { """{"title":"t","content":"c","agent_id":"a b"}""", 400, "invalid_agent_id", "invalid agent_id: " },
        { """{"title":"t","content":"c","agent_id":""}""", 400, "invalid_agent_id", "invalid agent_id: " },
        { "", 400, "malformed_request", "malformed JSON" },
        { "{", 400, "malformed_request", "malformed JSON" },
        { """{"title":"t","content":"c",}""", 400, "malformed_request", "malformed JSON" },
        { """{"title":"t","content":"c"} x""", 400, "malformed_request", "malformed JSON" },
        { """{"title":"t","content":"\ud800"}""", 400, "malformed_request", "malformed JSON" },
        { """{"title":"t","content":"c","metadata":{"\udc00":1}}""", 400, "malformed_request", "malformed JSON" },
        { $$"""{"title":"t","content":"c","x":{{new string('[', 300)}}{{new string(']', 300)}}}""", 400, "malformed_request", "malformed JSON" },
    };

    [Theory]
    [MemberData(nameof(BrokenDrafts), DisableDiscoveryEnumeration = true)]
    public async Task A_broken_create_is_refused_and_stores_nothing(string body, int status, string code, string text)
    {
        var before = await node.TotalAsync();
        (await node.PostAsync(Create, body)).ShouldFail(status, code, text);
        Assert.Equal(before, await node.TotalAsync());
        Assert.Empty(node.Log);
    }

    [Theory]
    [InlineData("/api/v1/memories?limit=abc", "invalid_query", "limit")]
    [InlineData("/api/v1/memories?limit=-1", "invalid_limit", "limit")]
    [InlineData("/api/v1/memories?limit=1&limit=2", "invalid_query", "given twice")]
    [InlineData("/api/v1/memories?offset=-1", "invalid_limit", "offset")]
    [InlineData("/api/v1/memories?tier=eternal", "invalid_tier", "tier")]
    [InlineData("/api/v1/memories?min_priority=high", "invalid_query", "min_priority")]
    [InlineData("/api/v1/memories?since=yesterday", "invalid_timestamp", "since is not valid RFC3339")]
    [InlineData("/api/v1/memories?cursor=nonsense", "invalid_cursor", "cursor")]
    [InlineData("/api/v1/memories?agent_id=a%20b", "invalid_agent_id", "invalid agent_id filter")]
    [InlineData("/api/v1/search", "invalid_query", "q")]
    [InlineData("/api/v1/search?q=%20", "query_empty", "query is required")]
    [InlineData("/api/v1/search?q=x&as_agent=a%20b", "namespace_invalid", "invalid as_agent")]
    [InlineData("/api/v1/search?q=x&tier=eternal", "invalid_tier", "tier")]
    [InlineData("/api/v1/recall", "query_empty", "context is required")]
    [InlineData("/api/v1/recall?context=+", "query_empty", "context is required")]
    [InlineData("/api/v1/recall?context=x&limit=-1", "invalid_limit", "limit")]
    [InlineData("/api/v1/recall?context=x&budget_tokens=-1", "invalid_limit", "budget_tokens")]
    [InlineData("/api/v1/recall?context=x&budget_tokens=lots", "invalid_query", "budget_tokens")]
    public async Task A_broken_query_is_refused(string path, string code, string text) => (await node.GetAsync(path)).ShouldFail(400, code, text);

    [Fact]
    public async Task A_broken_recall_body_is_refused()
    {
        (await node.PostAsync("/api/v1/recall", "{}")).ShouldFail(422, "missing_field", "context");
        (await node.PostAsync("/api/v1/recall", """{"context":" "}""")).ShouldFail(400, "query_empty", "context is required");
        (await node.PostAsync("/api/v1/recall", """{"context":"x","tags":["a"]}""")).ShouldFail(422, "wrong_type", "tags");
        (await node.PostAsync("/api/v1/recall", """{"context":"x","limit":-1}""")).ShouldFail(400, "invalid_limit");
        (await node.PostAsync("/api/v1/recall", """{"context":"x","as_agent":"a b"}""")).ShouldFail(400, "namespace_invalid", "invalid as_agent");
    }

    [Fact]
    public async Task Forget_needs_a_filter_that_it_understands()
    {
        await node.StoreAsync("not forgotten");
        var before = await node.TotalAsync();
        (await node.PostAsync("/api/v1/forget", "{}")).ShouldFail(400, "filter_missing");
        (await node.SendAsync(HttpMethod.Post, "/api/v1/forget")).ShouldFail(400, "filter_missing");
        (await node.SendAsync(HttpMethod.Post, "/api/v1/forget?tier=typo&namespace=global")).ShouldFail(400, "invalid_tier");
        (await node.PostAsync("/api/v1/forget", """{"tier":"typo","namespace":"global"}""")).ShouldFail(422, "wrong_type");
        (await node.SendAsync(HttpMethod.Post, "/api/v1/forget", new StringContent("namespace=global"))).ShouldFail(415, "unsupported_media_type");
        Assert.Equal(before, await node.TotalAsync());
    }

    [Fact]
    public async Task Unknown_and_impossible_ids_are_refused()
    {
        (await node.GetAsync($"{Create}/nobody")).ShouldFail(404, "not_found", "not found");
        (await node.PutAsync($"{Create}/nobody", "{}")).ShouldFail(404, "not_found");
        (await node.DeleteAsync($"{Create}/nobody")).ShouldFail(404, "not_found");
        (await node.GetAsync($"{Create}/{new string('x', 129)}")).ShouldFail(400, "invalid_id", "id ");
        (await node.GetAsync($"{Create}/a%01b")).ShouldFail(400, "invalid_id", "id ");
        (await node.GetAsync($"/api/v1/links/{new string('x', 129)}")).ShouldFail(400, "invalid_id", "id ");
    }

    [Fact]
    public async Task A_broken_update_changes_nothing()
    {
        var id = await node.StoreAsync("not updated");
        var before = (await node.GetAsync($"{Create}/{id}")).Text;
        (await node.PutAsync($"{Create}/{id}", """{"title":" "}""")).ShouldFail(400, "title_empty");
        (await node.PutAsync($"{Create}/{id}", """{"priority":11}""")).ShouldFail(400, "invalid_priority");
        (await node.PutAsync($"{Create}/{id}", """{"expires_at":"soon"}""")).ShouldFail(400, "invalid_timestamp");
        (await node.PutAsync($"{Create}/{id}", """{"metadata":5}""")).ShouldFail(400, "metadata_not_object");
        (await node.PutAsync($"{Create}/{id}", """{"tier":"eternal"}""")).ShouldFail(422, "wrong_type");
        (await node.PutAsync($"{Create}/{id}", """{"content":7}""")).ShouldFail(422, "wrong_type");
        (await node.PutAsync($"{Create}/{id}", "{}", ("X-Agent-Id", "not an id"))).ShouldFail(400, "invalid_agent_id", "invalid agent_id: ");
        Assert.Equal(before, (await node.GetAsync($"{Create}/{id}")).Text);
    }

    [Theory]
    [InlineData("/api/v1/memories")]
    [InlineData("/api/v1/memories/bulk")]
    [InlineData("/api/v1/recall")]
    [InlineData("/api/v1/links")]
    [InlineData("/api/v1/import")]
    public async Task A_body_must_be_declared_as_json(string path)
    {
        (await node.SendAsync(HttpMethod.Post, path, new StringContent("{}", Encoding.UTF8, "text/plain"))).ShouldFail(415, "unsupported_media_type", "Content-Type");
        (await node.SendAsync(HttpMethod.Post, path)).ShouldFail(415, "unsupported_media_type");
        var declared = new StringContent("{", Encoding.UTF8, new MediaTypeHeaderValue("application/merge-patch+json"));
        (await node.SendAsync(HttpMethod.Post, path, declared)).ShouldFail(400, "malformed_request");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_of_10_MiB_is_refused(bool chunked)
    {
        var before = await node.TotalAsync();
        var body = Encoding.ASCII.GetBytes($$"""{"title":"big","content":"{{new string('x', 10 * 1024 * 1024)}}"}""");
        foreach (var path in (string[])[Create, "/api/v1/memories/bulk", "/api/v1/import", "/api/v1/recall", "/api/v1/forget", "/api/v1/links"])
        {
            using HttpContent content = chunked ? new StreamContent(new Unsized(body)) : new ByteArrayContent(body);
            content.Headers.ContentType = new("application/json");
            (await node.SendAsync(HttpMethod.Post, path, content)).ShouldFail(413, "body_too_large", "2097152");
        }

        Assert.Equal(before, await node.TotalAsync());
    }

    [Fact]
    public async Task A_body_just_below_the_limit_is_read()
    {
        var padding = new string(' ', (2 * 1024 * 1024) - 40);
        var body = $$"""{"title":"padded","content":"c"{{padding}}}""";
        Assert.InRange(body.Length, (2 * 1024 * 1024) - 40, 2 * 1024 * 1024);
        (await node.PostAsync(Create, body)).ShouldSucceed(201);
    }

    [Theory]
    [InlineData("/api/v1/memories/bulk", "[", "]")]
    [InlineData("/api/v1/memories/bulk", """{"memories":[""", "]}")]
    public async Task A_batch_of_5000_is_refused(string path, string before, string after)
    {
        var total = await node.TotalAsync();
        var rows = string.Join(',', Enumerable.Range(0, 5_000).Select(row => $$"""{"title":"r{{row}}","content":"c"}"""));
        (await node.PostAsync(path, before + rows + after)).ShouldFail(400, "batch_too_large", "1000");
        Assert.Equal(total, await node.TotalAsync());
    }

    [Fact]
    public async Task An_import_of_5000_is_refused()
    {
        var total = await node.TotalAsync();
        var rows = Enumerable.Range(0, 5_000).Select(row => TestNode.Row($"i{row}", $"t{row}", "n")).ToArray();
        (await node.PostAsync("/api/v1/import", TestNode.Import(rows))).ShouldFail(400, "batch_too_large", "1000");
        Assert.Equal(total, await node.TotalAsync());
    }

    [Fact]
    public async Task One_row_of_the_wrong_shape_refuses_the_whole_batch()
    {
        var total = await node.TotalAsync();
        (await node.PostAsync("/api/v1/memories/bulk", """[{"title":"good","content":"c"},{"title":"no content"}]""")).ShouldFail(422, "missing_field", "content");
        (await node.PostAsync("/api/v1/memories/bulk", """{"rows":[]}""")).ShouldFail(422, "missing_field", "memories");
        (await node.PostAsync("/api/v1/memories/bulk", "7")).ShouldFail(422, "wrong_type");
        var row = TestNode.Row("whole", "whole", "n");
        row.Remove("tags");
        (await node.PostAsync("/api/v1/import", TestNode.Import(TestNode.Row("fine", "fine", "n"), row))).ShouldFail(422, "missing_field", "tags");
        (await node.PostAsync("/api/v1/import", "{}")).ShouldFail(422, "missing_field", "memories");
        Assert.Equal(total, await node.TotalAsync());
    }

    [Fact]
    public async Task Bytes_that_are_no_http_are_answered_and_the_node_lives_on()
    {
        foreach (var text in (string[])["\r\n\r\n", "GET\r\n\r\n", "POST /api/v1/memories HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", new string('A', 100_000)])
        {
            using var client = new TcpClient();
            await client.ConnectAsync(node.Address.Host, node.Address.Port);
            var stream = client.GetStream();
            try
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes(text));
                client.Client.Shutdown(SocketShutdown.Send);
                using var reader = new StreamReader(stream);
                var answer = await reader.ReadToEndAsync();
                Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal), answer);
            }
            catch (IOException)
            {
                // Refused by closing the connection.
            }
        }

        (await node.GetAsync("/livez")).ShouldSucceed();
    }

    /// <summary>Hides its length, so that the request is sent in chunks.</summary>
    private sealed class Unsized(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }

    [Fact]
    public async Task Errors_are_problem_details_for_those_who_ask()
    {
        var reply = await node.GetAsync("/api/v1/memories/nobody", ("Accept", "application/json;q=0.5, application/problem+json"));
        Assert.Equal((404, "application/problem+json"), (reply.Status, reply.ContentType));
        reply.Json.ShouldHaveKeys("code", "detail", "status", "title", "type", "error");
        Assert.Equal(("not_found", "not found", 404, "not found", "about:blank"), (
            (string?)reply.Json["code"], (string?)reply.Json["detail"], (int)reply.Json["status"]!, (string?)reply.Json["title"], (string?)reply.Json["type"]));
        (await node.GetAsync("/api/v1/memories/nobody", ("Accept", "application/json"))).ShouldFail(404, "not_found");
        Assert.Equal("application/json", (await node.GetAsync("/api/v1/stats", ("Accept", "application/problem+json"))).ContentType);
    }
}
