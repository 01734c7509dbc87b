using OrleansMemory.Api.Models;
using OrleansMemory.Api.Tests.Mcp;
using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests;

public sealed class ModelTests : IAsyncLifetime
{
    private readonly ModelServer _models = new();
    private TestNode _node = null!;

    public async ValueTask InitializeAsync() => _node = await NodeAsync(new(_models.OpenAi, ModelApi.OpenAi, "small-chat", "secret"));

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        await _models.DisposeAsync();
    }

    [Fact]
    public async Task A_query_is_expanded()
    {
        _models.Chat = static query => query == "db outage" ? "Sure: [\"database downtime\", \"incident\", \"DB OUTAGE\", 7, \"incident\"]" : "?";
        var reply = await _node.PostAsync("/api/v1/expand_query", """{"query":"db outage"}""");
        Assert.Equal(200, reply.Status);
        Assert.Equal("""{"expanded_terms":["database downtime","incident"],"original":"db outage"}""", reply.Text);
        var (path, body, authorization) = _models.Requests.Last();
        Assert.Equal(("/v1/chat/completions", "Bearer secret"), (path, authorization));
        Assert.Equal(("small-chat", "db outage"), ((string?)body["model"], (string?)body["messages"]![1]!["content"]));

        // A model that answers with a list instead.
        _models.Chat = static _ => "1. downtime\n2. `failure`\n- outage report";
        Assert.Equal(["downtime", "failure", "outage report"], Terms(await _node.PostAsync("/api/v1/expand_query", """{"query":"x"}""")));
        (await _node.PostAsync("/api/v1/expand_query", """{"query":" "}""")).ShouldFail(400, "query_empty");
        (await _node.PostAsync("/api/v1/expand_query", "{}")).ShouldFail(422, "missing_field");
    }

    [Fact]
    public async Task Tags_are_added_to_those_there_are()
    {
        var id = await _node.StoreAsync("deploy window", ",\"namespace\":\"models/tags\",\"tags\":[\"ops\"]");
        var long129 = new string('x', 129);
        _models.Chat = _ => $"[\"Release Train\", \"ops\", \"{long129}\", \"release train\", \"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\"]";
        var reply = await _node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id[..12]}}"}""");
        Assert.Equal(200, reply.Status);
        Assert.Equal(id, (string?)reply.Json["id"]);
        Assert.Equal(["release-train", "a", "b", "c", "d", "e", "f"], reply.Json["new_tags"]!.AsArray().Select(static tag => (string?)tag));
        var memory = (await _node.GetAsync($"/api/v1/memories/{id}")).Json;
        Assert.Equal(["ops", "release-train", "a", "b", "c", "d", "e", "f"], memory["tags"]!.AsArray().Select(static tag => (string?)tag));
        Assert.Contains("<memory>", (string?)_models.Requests.Last().Body["messages"]![1]!["content"], StringComparison.Ordinal);

        // A tag that somebody adds while the model thinks stays.
        _models.Chat = static _ => "[\"late\"]";
        _models.Meanwhile = () => _node.PutAsync($"/api/v1/memories/{id}", """{"tags":["ops","by hand"]}""");
        Assert.Equal(["ops", "by hand", "late"], (await _node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id}}"}""")).Json["all_tags"]!.AsArray().Select(static tag => (string?)tag));
        _models.Meanwhile = static () => Task.CompletedTask;
        memory = (await _node.GetAsync($"/api/v1/memories/{id}")).Json;

        // Nothing new: nothing is written.
        _models.Chat = static _ => "[\"ops\"]";
        Assert.Empty((await _node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id}}"}""")).Json["new_tags"]!.AsArray());
        Assert.Equal((string?)memory["updated_at"], (string?)(await _node.GetAsync($"/api/v1/memories/{id}")).Json["updated_at"]);
        (await _node.PostAsync("/api/v1/auto_tag", """{"id":"nobody"}""")).ShouldFail(404, "not_found");
    }

    [Fact]
    public async Task Two_memories_are_compared()
    {
        var one = await _node.StoreAsync("port one", ",\"namespace\":\"models/compare\"");
        var other = await _node.StoreAsync("port other", ",\"namespace\":\"models/compare\"");
        _models.Chat = static text => text.Contains("port one", StringComparison.Ordinal) && text.Contains("port other", StringComparison.Ordinal) ? "**Yes**, they do." : "no";
        var reply = await _node.PostAsync("/api/v1/contradictions", $$"""{"id_a":"{{one}}","id_b":"{{other}}"}""");
        Assert.Equal(200, reply.Status);
        Assert.True((bool)reply.Json["contradicts"]!);
        Assert.Equal((one, "port other"), ((string?)reply.Json["memory_a"]!["id"], (string?)reply.Json["memory_b"]!["title"]));
        Assert.False((bool)(await _node.PostAsync("/api/v1/contradictions", $$"""{"id_a":"{{one}}","id_b":"{{one}}"}""")).Json["contradicts"]!);
        _models.Chat = static _ => "perhaps";
        (await _node.PostAsync("/api/v1/contradictions", $$"""{"id_a":"{{one}}","id_b":"{{other}}"}""")).ShouldFail(503, "model_failed", "neither yes nor no");
        (await _node.PostAsync("/api/v1/contradictions", $$"""{"id_a":"{{one}}","id_b":"nobody"}""")).ShouldFail(404, "not_found");
        (await _node.PostAsync("/api/v1/contradictions", $$"""{"id_a":"{{one}}"}""")).ShouldFail(422, "missing_field", "id_b");
    }

    [Fact]
    public async Task Memories_are_told_as_one()
    {
        var one = await _node.StoreAsync("first part", ",\"namespace\":\"models/sum\"");
        var other = await _node.StoreAsync("second part", ",\"namespace\":\"models/sum\"");
        _models.Chat = static text => $"Both:\r\n {text.Split("</memory>").Length - 1} parts\u0007 ";
        Assert.Equal("Both:\n 2 parts", await _node.Node.SummariseAsync([one, other], TestContext.Current.CancellationToken));
        Assert.Equal(
            Core.Memories.ErrorKind.InvalidConsolidation,
            (await Assert.ThrowsAsync<Core.Memories.MemoryException>(() => _node.Node.SummariseAsync([one], TestContext.Current.CancellationToken))).Kind);
    }

    [Fact]
    public async Task A_model_that_fails_is_named_and_changes_nothing()
    {
        var id = await _node.StoreAsync("untagged", ",\"namespace\":\"models/fail\"");
        _models.IsAway = true;
        var reply = await _node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id}}"}""");
        reply.ShouldFail(503, "model_failed", "503");
        Assert.DoesNotContain("secret", reply.Text, StringComparison.Ordinal);
        Assert.NotNull(reply.Header("Retry-After"));
        _models.IsAway = false;
        _models.Garbage = "<html>";
        (await _node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id}}"}""")).ShouldFail(503, "model_failed", "not JSON");
        _models.Garbage = "{\"choices\":[]}";
        (await _node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id}}"}""")).ShouldFail(503, "model_failed", "not what the API says");
        _models.Garbage = null;
        _models.IsSilent = true;
        (await _node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id}}"}""")).ShouldFail(503, "model_failed", "within 2 s");
        Assert.Empty((await _node.GetAsync($"/api/v1/memories/{id}")).Json["tags"]!.AsArray());
    }

    [Fact]
    public async Task Ollama_is_spoken_to_in_its_own_words()
    {
        await using var node = await NodeAsync(new(_models.Ollama, ModelApi.Ollama, "gemma"));
        _models.Chat = static _ => "[\"near\"]";
        Assert.Equal(["near"], Terms(await node.PostAsync("/api/v1/expand_query", """{"query":"x"}""")));
        var (path, body, authorization) = _models.Requests.Last();
        Assert.Equal(("/api/chat", null), (path, authorization));
        Assert.False((bool)body["stream"]!);
        var capabilities = (await node.GetAsync("/api/v1/capabilities")).Json;
        Assert.Equal(("gemma", "none"), ((string?)capabilities["models"]!["llm"], (string?)capabilities["models"]!["embedding"]));
        Assert.True((bool)capabilities["features"]!["auto_tagging"]!);
        Assert.False((bool)capabilities["features"]!["hybrid_recall"]!);
    }

    [Fact]
    public async Task Tools_ask_the_same_model()
    {
        var tools = new McpTestClient(_node);
        var one = await _node.StoreAsync("port 1", ",\"namespace\":\"models/tools\"");
        var other = await _node.StoreAsync("port 2", ",\"namespace\":\"models/tools\"");
        _models.Chat = static _ => "[\"downtime\"]";
        Assert.Equal(["downtime"], (await tools.CallAsync("memory_expand_query", """{"query":"outage"}""")).ShouldSucceed().Json["expanded_terms"]!.AsArray().Select(static term => (string?)term));
        Assert.Equal(["downtime"], (await tools.CallAsync("memory_auto_tag", $$"""{"id":"{{one}}"}""")).ShouldSucceed().Json["new_tags"]!.AsArray().Select(static tag => (string?)tag));
        Assert.Equal(["downtime"], (await _node.GetAsync($"/api/v1/memories/{one}")).Json["tags"]!.AsArray().Select(static tag => (string?)tag));
        _models.Chat = static _ => "yes";
        Assert.True((bool)(await tools.CallAsync("memory_detect_contradiction", $$"""{"id_a":"{{one}}","id_b":"{{other}}"}""")).ShouldSucceed().Json["contradicts"]!);
        _models.Chat = static _ => "Both are ports.";
        var whole = (await tools.CallAsync("memory_consolidate", $$"""{"ids":["{{one}}","{{other}}"],"title":"ports","namespace":"models/tools"}""")).ShouldSucceed().Json;
        Assert.True((bool)whole["auto_summary"]!);
        Assert.Equal("Both are ports.", (string?)(await _node.GetAsync($"/api/v1/memories/{(string?)whole["id"]}")).Json["content"]);
        Assert.True((bool)(await tools.CallAsync("memory_capabilities")).ShouldSucceed().Json["features"]!["query_expansion"]!);
        _models.IsAway = true;
        (await tools.CallAsync("memory_expand_query", """{"query":"outage"}""")).ShouldFail("model_failed", "");
        _models.IsAway = false;
    }

    [Fact]
    public async Task Without_a_model_the_routes_say_so()
    {
        await using var node = await TestNode.StartAsync();
        var id = await node.StoreAsync("alone");
        (await node.PostAsync("/api/v1/expand_query", """{"query":"x"}""")).ShouldFail(501, "model_missing", "OM_CHAT_URL");
        (await node.PostAsync("/api/v1/auto_tag", $$"""{"id":"{{id}}"}""")).ShouldFail(501, "model_missing");
        var other = await node.StoreAsync("other");
        (await node.PostAsync("/api/v1/contradictions", $$"""{"id_a":"{{id}}","id_b":"{{other}}"}""")).ShouldFail(501, "model_missing");
        Assert.Equal("keyword", (string?)(await node.GetAsync("/api/v1/capabilities")).Json["tier"]);
    }

    private static Task<TestNode> NodeAsync(ModelEndpoint chat) => TestNode.StartAsync(new()
    {
        Port = 0,
        ShutdownGrace = TimeSpan.FromSeconds(20),
        Models = new() { Chat = chat, ChatTimeout = TimeSpan.FromSeconds(2) },
    });

    private static IEnumerable<string?> Terms(Reply reply) => reply.Json["expanded_terms"]!.AsArray().Select(static term => (string?)term);
}
