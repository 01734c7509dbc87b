using System.Text.Json.Nodes;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Models;
using OrleansMemory.Compliance;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Api.Tests;

public sealed class HybridTests : IAsyncLifetime
{
    private readonly ModelServer _models = new();
    private TestNode _node = null!;

    private NodeOptions Options => new()
    {
        Port = 0,
        ShutdownGrace = TimeSpan.FromSeconds(20),
        Models = new()
        {
            Embedder = new ModelEndpoint(_models.OpenAi, ModelApi.OpenAi, "words", "secret"),
            Dimension = ModelServer.Dimension,
            EmbedTimeout = TimeSpan.FromSeconds(2),
            EmbedBatchTimeout = TimeSpan.FromSeconds(2),
        },
    };

    public async ValueTask InitializeAsync()
    {
        _models.Meanings["automobile"] = "car";
        _models.Meanings["vehicle"] = "car";
        _node = await TestNode.StartAsync(Options);
    }

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        await _models.DisposeAsync();
    }

    [Fact]
    public async Task A_memory_without_a_word_of_the_query_is_found_by_its_meaning()
    {
        await StoreAsync("garage", "vehicle", "meaning");
        await StoreAsync("kitchen", "bread", "meaning");
        var reply = await RecallAsync("""{"context":"automobile","namespace":"meaning"}""");
        Assert.Equal("hybrid", (string?)reply["mode"]);
        Assert.Equal("hybrid", (string?)reply["recall_mode"]);
        Assert.Equal(["garage"], Titles(reply));
        Assert.Equal("Bearer secret", _models.Requests.Last().Authorization);

        // Half the vector, half the words: a memory that holds the word itself comes first.
        await StoreAsync("shop", "automobile", "meaning");
        reply = await RecallAsync("""{"context":"automobile","namespace":"meaning"}""");
        Assert.Equal(["shop", "garage"], Titles(reply));
        Assert.All(reply["memories"]!.AsArray(), static memory => Assert.InRange((double)memory!["score"]!, 0.05, 1));
        Assert.Equal(["shop"], Titles(await RecallAsync("""{"context":"automobile","namespace":"meaning","tier":"keyword"}""", "keyword")));
        Assert.Equal(["shop", "garage"], (await _node.GetAsync("/api/v1/recall?context=automobile&namespace=meaning")).Json["memories"]!.AsArray().Select(static memory => (string?)memory!["title"]));
        var features = (await _node.GetAsync("/api/v1/capabilities")).Json;
        Assert.True((bool)features["features"]!["hybrid_recall"]!);
        Assert.Equal(("words", 64), ((string?)features["models"]!["embedding"], (int)features["models"]!["embedding_dim"]!));
        Assert.Equal("memory", (string?)features["models"]!["vectors"]);
    }

    [Fact]
    public async Task Filters_come_before_the_cut()
    {
        // More than are ever taken of one look, all nearer than the one asked for.
        // Their tag is as good as the one asked for to who knows tags by hashes alone.
        var alike = Enumerable.Range(0, 1_000).Select(static number => $"tag {number}").First(static tag => RankInputs.TagBit(tag) == RankInputs.TagBit("t"));
        await _node.PostAsync("/api/v1/memories/bulk", $"[{string.Join(',', Enumerable.Range(0, 120).Select(number => $$"""{"title":"vehicle {{number}}","content":"vehicle vehicle vehicle","namespace":"crowd","tags":["{{alike}}"]}"""))}]");
        await StoreAsync("mine", "vehicle and much else", "alone");
        Assert.Equal(["mine"], Titles(await RecallAsync("""{"context":"automobile","namespace":"alone"}""")));
        await StoreAsync("tagged", "vehicle and much else", "crowd", ",\"tags\":[\"t\"]");
        Assert.Equal(["tagged"], Titles(await RecallAsync("""{"context":"automobile","tags":"t"}""")));
        Assert.Equal(["mine"], Titles(await RecallAsync("""{"context":"automobile","as_agent":"alone"}""")));
    }

    [Fact]
    public async Task A_namespace_is_asked_with_those_above_it()
    {
        await StoreAsync("near", "vehicle", "team/unit");
        await StoreAsync("above", "vehicle", "team");
        await StoreAsync("aside", "vehicle", "team/other");
        var reply = await RecallAsync("""{"context":"automobile","namespace":"team/unit"}""");
        Assert.Equal(["near", "above"], Titles(reply));
        var scores = reply["memories"]!.AsArray().Select(static memory => (double)memory!["score"]!).ToList();
        Assert.Equal(1 / 1.3, scores[1] / scores[0], 0.01);
    }

    [Fact]
    public async Task Words_around_the_query_have_a_share()
    {
        await StoreAsync("one", "vehicle harbour", "around");
        await StoreAsync("two", "vehicle mountain", "around");
        Assert.Equal("one", Titles(await RecallAsync("""{"context":"automobile","namespace":"around","context_tokens":["harbour","harbour"]}""")).First());
        Assert.Equal("two", Titles(await RecallAsync("""{"context":"automobile","namespace":"around","context_tokens":["mountain"]}""")).First());
    }

    [Fact]
    public async Task A_changed_memory_is_found_by_what_it_says_now_and_a_deleted_one_not_at_all()
    {
        var id = await StoreAsync("changing", "vehicle", "change");
        Assert.Single(Titles(await RecallAsync("""{"context":"automobile","namespace":"change"}""")));
        await _node.PutAsync($"/api/v1/memories/{id}", """{"content":"bread"}""");
        Assert.Empty(Titles(await RecallAsync("""{"context":"automobile","namespace":"change"}""")));
        _models.Meanings["loaf"] = "bread";
        Assert.Single(Titles(await RecallAsync("""{"context":"loaf","namespace":"change"}""")));
        await _node.DeleteAsync($"/api/v1/memories/{id}");
        Assert.Empty(Titles(await RecallAsync("""{"context":"loaf","namespace":"change"}""")));
    }

    [Fact]
    public async Task A_model_that_is_away_slows_no_write_and_is_named()
    {
        await StoreAsync("before", "vehicle", "away");
        Assert.Equal("hybrid", (string?)(await RecallAsync("""{"context":"vehicle","namespace":"away"}"""))["mode"]);
        _models.IsSilent = true;
        await StoreAsync("meanwhile", "vehicle", "away");
        var reply = (await _node.PostAsync("/api/v1/recall", """{"context":"vehicle","namespace":"away"}""")).Json;
        Assert.Equal(("keyword", "degraded"), ((string?)reply["mode"], (string?)reply["recall_mode"]));
        Assert.Contains("within 2 s", (string?)reply["degraded"], StringComparison.Ordinal);
        Assert.Equal(2, Titles(reply).Count());

        // Once it is back, so are the vectors, also of what was written meanwhile.
        _models.IsSilent = false;
        Assert.Equal(2, Titles(await RecallAsync("""{"context":"automobile","namespace":"away"}""")).Count());
        _models.IsAway = true;
        reply = (await _node.PostAsync("/api/v1/recall", """{"context":"vehicle","namespace":"away"}""")).Json;
        Assert.Contains("503", (string?)reply["degraded"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_vector_of_another_dimension_is_refused()
    {
        _models.Numbers = 32;
        await StoreAsync("any", "vehicle", "dimension");
        var reply = (await _node.PostAsync("/api/v1/recall", """{"context":"vehicle","namespace":"dimension"}""")).Json;
        Assert.Equal("keyword", (string?)reply["mode"]);
        Assert.Contains("a vector of 32 numbers, and 64 are configured", (string?)reply["degraded"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_finds_by_meaning_what_another_keeps_for_himself()
    {
        await using var node = await TestNode.StartAsync(Options with
        {
            Keys = [new("alice") { Key = "key-alice", AgentId = "alice", Place = "shared" }, new("bob") { Key = "key-bob", AgentId = "bob", Place = "shared" }],
        });
        (string, string)[] callers = [("alice", "vehicle"), ("bob", "vehicle bread")];
        foreach (var (name, content) in callers)
        {
            Assert.Equal(201, (await node.PostAsync("/api/v1/memories", $$"""{"title":"of {{name}}","content":"{{content}}","namespace":"shared"}""", ("X-API-Key", $"key-{name}"))).Status);
        }

        foreach (var (name, _) in callers)
        {
            await Eventually.HoldsAsync("both have vectors", async () =>
            {
                var answer = (await node.PostAsync("/api/v1/recall", """{"context":"automobile","namespace":"shared"}""", ("X-API-Key", $"key-{name}"))).Json;
                Assert.All(Titles(answer), title => Assert.Equal($"of {name}", title));
                return (string?)answer["recall_mode"] == "hybrid" && Titles(answer).Any();
            });
        }
    }

    private async Task<string> StoreAsync(string title, string content, string @namespace, string extra = "")
    {
        var reply = await _node.PostAsync("/api/v1/memories", $$"""{"title":"{{title}}","content":"{{content}}","namespace":"{{@namespace}}"{{extra}}}""");
        Assert.True(reply.Status == 201, reply.Text);
        return (string)reply.Json["id"]!;
    }

    /// <summary>Asks until every memory has a vector.</summary>
    private async Task<JsonNode> RecallAsync(string body, string mode = "hybrid")
    {
        JsonNode answer = null!;
        await Eventually.HoldsAsync($"recall is {mode} and whole", async () =>
        {
            answer = (await _node.PostAsync("/api/v1/recall", body)).Json;
            return (string?)answer["mode"] == mode && answer["degraded"] is null;
        });
        return answer;
    }

    private static IEnumerable<string?> Titles(JsonNode reply) => reply["memories"]!.AsArray().Select(static memory => (string?)memory!["title"]);
}
