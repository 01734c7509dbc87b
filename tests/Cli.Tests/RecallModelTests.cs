using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests;

public sealed class RecallModelTests : IDisposable
{
    private readonly Om _om = new();

    [Fact]
    public async Task A_database_without_a_node_is_embedded_before_it_is_asked()
    {
        await using var models = new ModelServer();
        models.Meanings["automobile"] = "car";
        models.Meanings["vehicle"] = "car";
        (string, string)[] environment = [("OM_EMBED_URL", models.Ollama.AbsoluteUri), ("OM_EMBED_MODEL", "words"), ("OM_EMBED_DIM", "64"), ("OM_EMBED_TIMEOUT_MS", "20000")];
        (await _om.RunAsync("store", "-T", "garage", "-c", "vehicle", "-n", "n")).Exits(0);
        var found = (await _om.RunWithAsync(environment, "recall", "automobile", "--json")).Exits(0).Json;
        Assert.Equal("hybrid", found.GetProperty("mode").GetString());
        Assert.Equal("garage", Assert.Single(found.GetProperty("memories").EnumerateArray()).GetProperty("title").GetString());
        Assert.All(models.Requests, static request => Assert.Equal("/api/embed", request.Path));
        Assert.Equal(0, (await _om.RunWithAsync(environment, "recall", "automobile", "--tier", "keyword", "--json")).Exits(0).Json.GetProperty("count").GetInt32());

        models.IsAway = true;
        (await _om.RunAsync("store", "-T", "yard", "-c", "vehicle", "-n", "n")).Exits(0);
        var outcome = (await _om.RunWithAsync(environment, "recall", "vehicle", "--json")).Exits(0);
        Assert.Equal(("keyword", 2), (outcome.Json.GetProperty("mode").GetString(), outcome.Json.GetProperty("count").GetInt32()));
        Assert.Contains("memories get no vectors from words", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("recall is degraded: the embedding model failed", outcome.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _om.Dispose();
}
