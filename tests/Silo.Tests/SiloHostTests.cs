using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Silo.Tests;

/// <summary>One silo in this process, as far as it gets.</summary>
public sealed class SiloHostTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-host-").FullName;
    private readonly int[] _ports = FreePorts.Take(2);
    private readonly HttpClient _http = new();

    [Theory]
    [InlineData("OM_CLUSTER_DB", "db")]
    [InlineData("OM_NODE_ID", "id")]
    [InlineData("OM_CLUSTER_NODES", "none")]
    [InlineData("OM_CLUSTER_NODES", "others")]
    [InlineData("OM_CLUSTER_NODES", "twice")]
    [InlineData("OM_SILO_PORT", "silo-port")]
    [InlineData("OM_GATEWAY_PORT", "gateway-port")]
    [InlineData("OM_QUORUM_PEERS", "peers")]
    [InlineData("OM_API_KEY", "dashboard")]
    [InlineData("OM_ADVERTISE", "any")]
    [InlineData("OM_ADVERTISE", "nowhere")]
    [InlineData("OM_ADVERTISE", "nowhere.invalid:11111")]
    [InlineData("OM_ADVERTISE", "127.0.0.1:")]
    [InlineData("OM_ADVERTISE", "127.0.0.1:port")]
    [InlineData("OM_ADVERTISE", "127.0.0.1:0")]
    [InlineData("OM_ADVERTISE", "127.0.0.1:65536")]
    [InlineData("OM_ADVERTISE", ":11111")]
    [InlineData("OM_ADVERTISE", "[::1]:")]
    [InlineData("OM_ADVERTISE", "0.0.0.0:11111")]
    public async Task Options_that_cannot_be_used_say_what_to_set(string named, string what)
    {
        var good = Options();
        var bad = what switch
        {
            "db" => good with { Cluster = good.Cluster with { Database = null } },
            "id" => good with { NodeId = null },
            "none" => good with { Cluster = good.Cluster with { Nodes = [] } },
            "others" => good with { Cluster = good.Cluster with { Nodes = ["n2"] } },
            "twice" => good with { Cluster = good.Cluster with { Nodes = ["n1", "n1"] } },
            "silo-port" => good with { Cluster = good.Cluster with { SiloPort = 0 } },
            "gateway-port" => good with { Cluster = good.Cluster with { GatewayPort = 70_000 } },
            "peers" => good with { QuorumPeers = [new("http://127.0.0.1:1")] },
            "dashboard" => good with { Cluster = good.Cluster with { Dashboard = true } },
            "any" => good with { Host = "0.0.0.0" },
            "nowhere" => good with { Cluster = good.Cluster with { AdvertisedAddress = "nowhere.invalid" } },
            _ => good with { Cluster = good.Cluster with { AdvertisedAddress = what } },
        };
        Assert.Contains(named, (await Assert.ThrowsAsync<InvalidOptionException>(() => SiloHost.StartAsync(bad, TimeProvider.System))).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(good.DatabasePath));
    }

    [Theory]
    [InlineData("127.0.0.1", null, "127.0.0.1:7", "127.0.0.1")]
    [InlineData("127.0.0.1", "127.0.0.2", "127.0.0.2:7", "127.0.0.2")]
    [InlineData("0.0.0.0", "192.0.2.7", "192.0.2.7:7", "192.0.2.7")]
    [InlineData("0.0.0.0", "192.0.2.7:21111", "192.0.2.7:21111", "0.0.0.0")]
    [InlineData("127.0.0.1", "localhost:21111", "127.0.0.1:21111", "127.0.0.1")]
    [InlineData("127.0.0.1", "::1", "[::1]:7", "::1")]
    [InlineData("127.0.0.1", "[::1]", "[::1]:7", "::1")]
    [InlineData("::", "[2001:db8::7]:21111", "[2001:db8::7]:21111", "::")]
    public void What_is_advertised_may_differ_from_what_is_listened_on(string host, string? advertise, string advertised, string listening)
    {
        var options = new NodeOptions { Host = host, Cluster = new() { AdvertisedAddress = advertise, SiloPort = 7 } };
        var (told, own) = options.Cluster.ResolveEndpoints(options);
        Assert.Equal((advertised, listening), (told.ToString(), own.ToString()));
    }

    [Theory]
    [InlineData("OM_CLUSTER_DB", "db")]
    [InlineData("OM_CLUSTER_NODES", "none")]
    [InlineData("OM_NODE_ID", "id")]
    [InlineData("OM_DASHBOARD", "dashboard")]
    [InlineData("OM_QUORUM_PEERS", "peers")]
    public async Task Options_of_a_front_end_that_cannot_be_used_say_what_to_set(string named, string what)
    {
        var good = Options() with { NodeId = null };
        good = good with { Cluster = good.Cluster with { Role = ClusterRole.FrontEnd } };
        var bad = what switch
        {
            "db" => good with { Cluster = good.Cluster with { Database = null } },
            "none" => good with { Cluster = good.Cluster with { Nodes = [] } },
            "id" => good with { NodeId = "n1" },
            "dashboard" => good with { ApiKey = "key", Cluster = good.Cluster with { Dashboard = true } },
            _ => good with { QuorumPeers = [new("http://127.0.0.1:1")] },
        };
        Assert.Contains(named, (await Assert.ThrowsAsync<InvalidOptionException>(() => FrontEndHost.StartAsync(bad, TimeProvider.System))).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOptionException>(() => ClusterOptions.ParseRole("neither"));
    }

    [Fact]
    public async Task Without_the_clusters_database_it_lives_and_is_not_ready()
    {
        var options = Options();
        await using var silo = await StartAsync(options with { Cluster = options.Cluster with { Database = "postgres://127.0.0.1:1/none?connect_timeout=1" } });
        var root = silo.Addresses[0];
        Assert.Equal(HttpStatusCode.OK, (await _http.GetAsync(new Uri(root, "/livez"))).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await _http.GetAsync(new Uri(root, "/startupz"))).StatusCode);
        await Eventually.HoldsAsync("it says why it is not ready", async () =>
        {
            var ready = await _http.GetAsync(new Uri(root, "/readyz"));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
            return (await ready.Content.ReadAsStringAsync()).Contains("cannot join the cluster", StringComparison.Ordinal);
        });

        // Nor do backfills wait for the record that the cluster keeps of them.
        await silo.Node.Backfills.Settled.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(4, JsonDocument.Parse(await _http.GetStringAsync(new Uri(root, "/api/v1/backfills"))).RootElement.GetProperty("backfills").EnumerateArray().Count(static step => step.GetProperty("state").GetString() == "complete"));
        var answer = await _http.PostAsync(new Uri(root, "/api/v1/memories"), new StringContent("""{"title":"t","content":"c"}""", Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal(("quorum_not_met", "not_stored"), (body.GetProperty("error").GetString(), body.GetProperty("outcome").GetString()));
        Assert.Equal(HttpStatusCode.OK, (await _http.GetAsync(new Uri(root, "/api/v1/memories"))).StatusCode);
    }

    [Fact]
    public async Task The_dashboard_is_behind_the_key()
    {
        var options = Options() with { ApiKey = "the key", Cluster = Options().Cluster with { Dashboard = true } };
        await using var silo = await StartAsync(options);
        await Eventually.HoldsAsync("the silo has joined", () => Task.FromResult(silo.Services is not null));
        var page = new Uri(silo.Addresses[0], "/dashboard/");
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(page, null)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(page, "x:wrong")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(page, "the key:")).StatusCode);
        Assert.Contains("Basic", (await AskAsync(page, null)).Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        var shown = await AskAsync(page, "anybody:the key");
        Assert.Equal(HttpStatusCode.OK, shown.StatusCode);
        Assert.Contains("<html", await shown.Content.ReadAsStringAsync(), StringComparison.OrdinalIgnoreCase);
        await Eventually.HoldsAsync("it counts the silo", async () =>
        {
            var counters = await AskAsync(new(page, "DashboardCounters"), "anybody:the key");
            return counters.StatusCode == HttpStatusCode.OK && (await counters.Content.ReadAsStringAsync()).Contains("n1", StringComparison.Ordinal);
        });
        Assert.NotEqual(HttpStatusCode.OK, (await AskAsync(new(page, "Trace"), "anybody:the key")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(new(page, "/api/v1/memories"), "anybody:the key")).StatusCode);
    }

    [Fact]
    public async Task Without_being_asked_for_there_is_no_dashboard()
    {
        await using var silo = await StartAsync(Options());
        Assert.Equal(HttpStatusCode.NotFound, (await AskAsync(new(silo.Addresses[0], "/dashboard/"), null)).StatusCode);
    }

    [Fact]
    public async Task A_silo_alone_serves_and_leaves()
    {
        await using (var silo = await StartAsync(Options()))
        {
            await Eventually.HoldsAsync("it is ready", async () => (await _http.GetAsync(new Uri(silo.Addresses[0], "/readyz"))).StatusCode == HttpStatusCode.OK);
            Assert.Equal(HttpStatusCode.OK, (await _http.GetAsync(new Uri(silo.Addresses[0], "/startupz"))).StatusCode);
            var answer = await _http.PostAsync(new Uri(silo.Addresses[0], "/api/v1/memories"), new StringContent("""{"title":"t","content":"c"}""", Encoding.UTF8, "application/json"));
            Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        }

        // Again on the same file, name and ports, at once.
        await using var again = await StartAsync(Options());
        await Eventually.HoldsAsync("it is ready", async () => (await _http.GetAsync(new Uri(again.Addresses[0], "/readyz"))).StatusCode == HttpStatusCode.OK);
        Assert.Equal(1, (await again.Node.StatisticsAsync()).Total);
    }

    public void Dispose()
    {
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static Task<SiloHost> StartAsync(NodeOptions options) => SiloHost.StartAsync(options, TimeProvider.System, configureLogging: static logging => logging.ClearProviders());

    private async Task<HttpResponseMessage> AskAsync(Uri uri, string? login)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, uri);
        request.Headers.Authorization = login is null ? null : new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(login)));
        return await _http.SendAsync(request);
    }

    private NodeOptions Options() => new()
    {
        Port = 0,
        NodeId = "n1",
        DatabasePath = Path.Combine(_folder, "n1.db"),
        ShutdownGrace = TimeSpan.FromSeconds(10),
        Cluster = new() { Database = Path.Combine(_folder, "cluster.db"), Nodes = ["n1"], SiloPort = _ports[0], GatewayPort = _ports[1] },
    };
}
