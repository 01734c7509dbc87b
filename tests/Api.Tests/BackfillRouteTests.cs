using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests;

public sealed class BackfillRouteTests
{
    private const string Path = "/api/v1/backfills";

    [Fact]
    public async Task Each_step_is_told_with_its_progress()
    {
        await using var node = await TestNode.StartAsync();
        await Eventually.HoldsAsync("every step is complete", async () =>
            (await ListAsync(node)).GetProperty("backfills").EnumerateArray().All(static step => step.GetProperty("state").GetString() == "complete"));
        var list = await ListAsync(node);
        Assert.Equal(
            ["access-counters", "content-hash", "namespace-path", "text-index"],
            list.GetProperty("backfills").EnumerateArray().Select(static step => step.GetProperty("step").GetString()));
        Assert.All(list.GetProperty("backfills").EnumerateArray(), static step => Assert.Equal((1, 100.0, 1L), (step.GetProperty("version").GetInt32(), step.GetProperty("percent").GetDouble(), step.GetProperty("lease_epoch").GetInt64())));
        Assert.Empty(list.GetProperty("quarantine").EnumerateArray());
        Assert.False(list.TryGetProperty("cluster", out _));
    }

    [Fact]
    public async Task A_dry_run_counts_one_step_or_all()
    {
        await using var node = await TestNode.StartAsync();
        var all = await AnswerAsync(node, new { action = "dry-run" }, HttpStatusCode.OK);
        Assert.Equal(4, all.GetProperty("dry_run").GetArrayLength());
        var one = await AnswerAsync(node, new { action = "dry-run", step = "content-hash" }, HttpStatusCode.OK);
        Assert.Equal(("content-hash", 0), (one.GetProperty("dry_run")[0].GetProperty("step").GetString(), one.GetProperty("dry_run")[0].GetProperty("remaining").GetInt32()));
    }

    [Fact]
    public async Task Actions_answer_with_what_they_made()
    {
        await using var node = await TestNode.StartAsync();
        foreach (var action in (string[])["pause", "resume", "retry"])
        {
            Assert.Equal(4, (await AnswerAsync(node, new { action, step = "content-hash" }, HttpStatusCode.OK)).GetProperty("backfills").GetArrayLength());
        }
    }

    [Theory]
    [InlineData("""{"action":"stop","step":"content-hash"}""", HttpStatusCode.BadRequest, "invalid_query")]
    [InlineData("""{"action":"pause","step":"nothing"}""", HttpStatusCode.NotFound, "not_found")]
    [InlineData("""{"action":"dry-run","step":"nothing"}""", HttpStatusCode.NotFound, "not_found")]
    [InlineData("""{"action":"pause"}""", HttpStatusCode.UnprocessableEntity, "missing_field")]
    [InlineData("""{"step":"content-hash"}""", HttpStatusCode.UnprocessableEntity, "missing_field")]
    [InlineData("""{"action":5}""", HttpStatusCode.UnprocessableEntity, "wrong_type")]
    [InlineData("""{"action":""", HttpStatusCode.BadRequest, "malformed_request")]
    public async Task Bad_requests_are_refused_with_their_own_code(string body, HttpStatusCode status, string code)
    {
        await using var node = await TestNode.StartAsync();
        using var answer = await node.Client.PostAsync(Path, new StringContent(body, System.Text.Encoding.UTF8, "application/json"));
        Assert.Equal(status, answer.StatusCode);
        Assert.Equal(code, (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("code").GetString());
    }

    private static async Task<JsonElement> ListAsync(TestNode node) => await node.Client.GetFromJsonAsync<JsonElement>(Path);

    private static async Task<JsonElement> AnswerAsync(TestNode node, object body, HttpStatusCode status)
    {
        using var answer = await node.Client.PostAsJsonAsync(Path, body);
        Assert.Equal(status, answer.StatusCode);
        return await answer.Content.ReadFromJsonAsync<JsonElement>();
    }
}
