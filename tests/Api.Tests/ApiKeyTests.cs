using OrleansMemory.Api.Configuration;

namespace OrleansMemory.Api.Tests;

public sealed class ApiKeyTests
{
    private const string Key = "sécret +&=/key";

    [Fact]
    public async Task Only_health_is_open_without_the_key()
    {
        await using var node = await TestNode.StartAsync(new() { Port = 0, ApiKey = Key });
        foreach (var path in (string[])["/api/v1/health", "/livez", "/readyz", "/startupz"])
        {
            (await node.GetAsync(path)).ShouldSucceed();
        }

        foreach (var path in (string[])["/api/v1/memories", "/metrics", "/api/v1/metrics", "/openapi/v1.json", "/unknown", "/api/v1/health/", "/api/v1/stats?api_key=wrong", "/api/v1/stats?api_key="])
        {
            (await node.GetAsync(path)).ShouldFail(401, "unauthorized", "missing or invalid API key");
        }

        (await node.GetAsync("/api/v1/stats", ("X-API-Key", "wrong"))).ShouldFail(401, "unauthorized");
        (await node.PostAsync("/api/v1/memories", """{"title":"t","content":"c"}""")).ShouldFail(401, "unauthorized");
        (await node.SendAsync(HttpMethod.Patch, "/api/v1/memories")).ShouldFail(401, "unauthorized");

        (await node.GetAsync("/api/v1/stats?api_key=" + Uri.EscapeDataString(Key))).ShouldSucceed();
        Assert.Equal(404, (await node.GetAsync("/unknown?api_key=" + Uri.EscapeDataString(Key))).Status);
    }

    [Fact]
    public async Task The_header_is_accepted()
    {
        await using var node = await TestNode.StartAsync(new() { Port = 0, ApiKey = "secret" });
        (await node.GetAsync("/api/v1/stats", ("X-API-Key", "secret"))).ShouldSucceed();
        (await node.GetAsync("/api/v1/stats", ("x-api-key", "secret"))).ShouldSucceed();
        (await node.GetAsync("/api/v1/stats?api_key=wrong", ("X-API-Key", "secret"))).ShouldSucceed();
    }

    [Fact]
    public async Task A_node_open_to_the_network_says_so()
    {
        await using var node = await TestNode.StartAsync(new() { Host = "0.0.0.0", Port = 0 });
        using var client = new HttpClient();
        var health = await client.GetStringAsync($"http://127.0.0.1:{node.Address.Port}/api/v1/health");
        Assert.Contains("\"warnings\":[\"no api_key is set", health);
        Assert.Contains("TLS is off", health);
        Assert.Equal(2, node.Log.Count(line => line.StartsWith("2002 ", StringComparison.Ordinal)));
    }

    [Fact]
    public void Only_what_is_missing_is_warned_of()
    {
        Assert.Empty(new NodeOptions().ExposureWarnings());
        Assert.Empty(new NodeOptions { Host = "::1" }.ExposureWarnings());
        Assert.Single(new NodeOptions { Host = "::", ApiKey = "k" }.ExposureWarnings());
        Assert.Empty(new NodeOptions { Host = "::", ApiKey = "k", TlsCertificatePath = "c", TlsKeyPath = "k" }.ExposureWarnings());
    }
}
