using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Peers.Tests;

/// <summary>An answer, read to its end.</summary>
internal sealed record Reply(int Status, string Text, HttpResponseMessage Message)
{
    public JsonObject Json => JsonNode.Parse(Text)!.AsObject();

    public IEnumerable<string> Keys => Json.Select(static pair => pair.Key);

    public string? Header(string name) => Message.Headers.TryGetValues(name, out var values) ? string.Join(',', values) : null;

    public Reply Is(int status)
    {
        Assert.True(Status == status, $"{Status}: {Text}");
        return this;
    }
}

/// <summary>Several real nodes on ports of this machine, with faults on the links between them.</summary>
internal sealed class TestCluster : IAsyncDisposable
{
    public const string Key = "the cluster's key";

    private readonly string _folder = Directory.CreateTempSubdirectory("om-peers-").FullName;
    private readonly int[] _ports;
    private readonly Node?[] _nodes;
    private readonly Dictionary<(int From, int To), LinkFaults> _faults = [];
    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(60) };
    private readonly TimeSpan _timeout;

    private TestCluster(int nodes, TimeSpan timeout)
    {
        _ports = Ports.Take(nodes);
        _nodes = new Node?[nodes];
        _timeout = timeout;
        for (var from = 0; from < nodes; from++)
        {
            for (var to = 0; to < nodes; to++)
            {
                _faults[(from, to)] = new();
            }
        }
    }

    public static async Task<TestCluster> StartAsync(int nodes = 3, int quorumTimeoutMilliseconds = 2_000)
    {
        var cluster = new TestCluster(nodes, TimeSpan.FromMilliseconds(quorumTimeoutMilliseconds));
        for (var number = 0; number < nodes; number++)
        {
            await cluster.StartAsync(number);
        }

        await cluster.ConnectedAsync();
        return cluster;
    }

    /// <summary>Waits until every node hears every other, and none is recovering.</summary>
    public Task ConnectedAsync() => Eventually.HoldsAsync("every node hears every other, and none is recovering", () => Task.FromResult(
        _nodes.All(static node => node!.Memories.Cluster() is { Recovering: false } status && status.Peers.All(static peer => peer is { IsUp: true, Hello.Recovering: false }))));

    public LinkFaults Faults(int from, int to) => _faults[(from, to)];

    public MemoryNode this[int node] => _nodes[node]!.Memories;

    public NodeHost Host(int node) => _nodes[node]!.Host;

    public Uri Address(int node) => new($"http://127.0.0.1:{_ports[node]}");

    public async Task StartAsync(int number)
    {
        var targets = Enumerable.Range(0, _ports.Length).Where(target => target != number).ToArray();
        var options = new NodeOptions
        {
            Port = _ports[number],
            ApiKey = Key,
            NodeId = $"n{number}",
            QuorumPeers = [.. targets.Select(Address)],
            QuorumTimeout = _timeout,
            ShutdownGrace = TimeSpan.FromSeconds(5),
        };
        var store = SqliteStore.Open(Path.Combine(_folder, $"{number}.db"), options.NodeId);
        var links = new PeerLinks(options, TimeProvider.System);
        var node = await MemoryNode.StartAsync(
            store,
            options.ToNodeSettings() with { TouchInterval = TimeSpan.FromHours(1) },
            TimeProvider.System,
            new Random(),
            [.. links.Links.Select((link, index) => new FaultyLink(link, Faults(number, targets[index])))]);
        var host = await PeerHost.StartAsync(options, node, TimeProvider.System, configureLogging: static logging => logging.ClearProviders());
        _nodes[number] = new(node, host, links, store);
    }

    public async Task StopAsync(int number)
    {
        await _nodes[number]!.DisposeAsync();
        _nodes[number] = null;
    }

    public async Task<Reply> SendAsync(int node, HttpMethod method, string path, HttpContent? content, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(Address(node), path)) { Content = content };
        foreach (var (name, value) in headers.Prepend(("X-API-Key", Key)))
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var response = await _client.SendAsync(request);
        return new((int)response.StatusCode, await response.Content.ReadAsStringAsync(), response);
    }

    public Task<Reply> GetAsync(int node, string path, params (string Name, string Value)[] headers) => SendAsync(node, HttpMethod.Get, path, null, headers);

    public Task<Reply> PostAsync(int node, string path, string body, params (string Name, string Value)[] headers) =>
        SendAsync(node, HttpMethod.Post, path, Json(body), headers);

    public Task<Reply> StoreAsync(int node, string title, params (string Name, string Value)[] headers) =>
        PostAsync(node, "/api/v1/memories", $$"""{"title":"{{title}}","content":"content of {{title}}"}""", headers);

    public async ValueTask DisposeAsync()
    {
        foreach (var faults in _faults.Values)
        {
            faults.Hung = false;
        }

        foreach (var node in _nodes.OfType<Node>())
        {
            await node.DisposeAsync();
        }

        _client.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    public static StringContent Json(string body) => new(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));

    private sealed record Node(MemoryNode Memories, NodeHost Host, PeerLinks Links, SqliteStore Store) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Host.DisposeAsync();
            Links.Dispose();
            await Store.DisposeAsync();
        }
    }
}
