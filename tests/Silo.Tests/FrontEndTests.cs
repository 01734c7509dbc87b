using System.Net;
using System.Text.Json;
using OrleansMemory.Compliance;

namespace OrleansMemory.Silo.Tests;

/// <summary>One front end, started before any silo, and what becomes of its callers when silos die.</summary>
[Collection("processes")]
public sealed class FrontEndTests
{
    [Fact]
    public async Task Its_callers_keep_their_address_whatever_becomes_of_silos()
    {
        var folder = SiloCluster.NewFolder();
        await using var frontEnd = await FrontEndProcess.StartAsync(Path.Combine(folder, "cluster.db"));
        using var http = new HttpClient { BaseAddress = frontEnd.Address, Timeout = TimeSpan.FromSeconds(60) };

        // Before any silo.
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(http, HttpMethod.Get, "/livez")).Status);
        var (ready, why) = await SendAsync(http, HttpMethod.Get, "/readyz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready);
        Assert.Contains("silo", why.GetProperty("reason").GetString(), StringComparison.Ordinal);
        var (refused, body) = await StoreAsync(http, "early", "c", "early");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "not_stored"), (refused, body.GetProperty("outcome").GetString()));
        var (unread, error) = await SendAsync(http, HttpMethod.Get, "/api/v1/memories");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "unreachable"), (unread, error.GetProperty("code").GetString()));

        await using var cluster = await SiloCluster.StartAsync(folder: folder);
        await ReadyAsync(http);
        await using var agents = new Agents((_, title, content, key) => StoreAsync(http, title, content, key), "front");
        var heads = await cluster.HeadsAsync();
        await agents.ResumedAsync();

        // The silo that decides dies.
        var victim = await cluster.DeciderAsync(heads);
        await cluster.KillAsync(victim);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(http, HttpMethod.Get, "/api/v1/memories?limit=5")).Status);
        await agents.ResumedAsync();
        await cluster.StartAsync(victim);
        await cluster.ReadyAsync();

        // All of them die.
        await Task.WhenAll(Enumerable.Range(0, SiloCluster.Count).Select(cluster.KillAsync));
        await Eventually.HoldsAsync("it is not ready, and says why", async () =>
            (await SendAsync(http, HttpMethod.Get, "/readyz")) is (HttpStatusCode.ServiceUnavailable, var reason) && reason.GetProperty("reason").GetString()!.Length > 0);
        await Task.WhenAll(Enumerable.Range(0, SiloCluster.Count).Select(cluster.StartAsync));
        await cluster.ReadyAsync();
        await ReadyAsync(http);
        await agents.ResumedAsync();
        await agents.StopAsync();
        await cluster.ConvergedAsync();
        for (var node = 0; node < SiloCluster.Count; node++)
        {
            var listed = await cluster.ListAsync(node);
            Assert.All(agents.Ledger, pair => Assert.Equal(pair.Value, listed.GetValueOrDefault(pair.Key).Content));
            Assert.Equal(listed.Count, listed.Values.Select(static memory => memory.Title).Distinct().Count());
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{agents.Acknowledged} acknowledged writes, {agents.Refused} refused attempts, 0 lost");
    }

    private static Task ReadyAsync(HttpClient http) => Eventually.HoldsAsync("the front end is ready", async () => (await SendAsync(http, HttpMethod.Get, "/readyz")).Status == HttpStatusCode.OK);

    private static Task<(HttpStatusCode? Status, JsonElement Body)> StoreAsync(HttpClient http, string title, string content, string key) => SendAsync(
        http, HttpMethod.Post, "/api/v1/memories", new { title, content, @namespace = SiloCluster.Namespace, tier = "long" }, ("Idempotency-Key", key));

    private static Task<(HttpStatusCode? Status, JsonElement Body)> SendAsync(
        HttpClient http, HttpMethod method, string path, object? body = null, params (string Name, string Value)[] headers) => SiloCluster.SendAsync(http, method, path, body, headers);
}
