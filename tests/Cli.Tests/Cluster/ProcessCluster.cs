using System.Diagnostics;
using System.Globalization;
using System.Net;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Storage;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>Nodes as processes of their own that reach each other only through proxies that a test can break.</summary>
internal sealed class ProcessCluster : IAsyncDisposable
{
    private readonly Om _om = new();
    private readonly LinkProxy?[,] _links;
    private readonly ClusterNode[] _nodes;
    private readonly int _writes;
    private readonly TimeSpan _timeout;

    private ProcessCluster(int nodes, int writes, TimeSpan timeout, bool fakeClocks, string? server)
    {
        _writes = writes;
        _timeout = timeout;
        _links = new LinkProxy?[nodes, nodes];
        for (var from = 0; from < nodes; from++)
        {
            for (var to = 0; to < nodes; to++)
            {
                _links[from, to] = from == to ? null : new();
            }
        }

        _nodes =
        [
            .. Enumerable.Range(0, nodes).Select(number => new ClusterNode(
                $"n{number + 1}",
                _om.Folder,
                ServeAsync,
                [.. Enumerable.Range(0, nodes).Where(from => from != number).Select(from => Link(from, number))])
            {
                Clock = fakeClocks ? new(_om.PathTo($"n{number + 1}.clock")) : null,
                Server = number == 0 ? server : null,
            }),
        ];
    }

    public int Count => _nodes.Length;

    public IReadOnlyList<ClusterNode> Nodes => _nodes;

    public ClusterNode this[int number] => _nodes[number];

    /// <summary>Starts a cluster and waits until every node counts every other.</summary>
    /// <param name="server">The database of the first node; null: it has a file, as the others have.</param>
    public static async Task<ProcessCluster> StartAsync(int nodes = 3, int writes = 2, int timeoutMilliseconds = 10_000, bool fakeClocks = false, string? server = null)
    {
        var cluster = new ProcessCluster(nodes, writes, TimeSpan.FromMilliseconds(timeoutMilliseconds), fakeClocks, server);
        try
        {
            await Task.WhenAll(cluster._nodes.Select(static node => node.StartAsync()));
            await cluster.ConnectedAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>The network from one node's calls to another node.</summary>
    public LinkProxy Link(int from, int to) => _links[from, to] ?? throw new ArgumentException("a node has no link to itself", nameof(to));

    /// <summary>Waits until all nodes run, are ready, and hear each other.</summary>
    public Task ConnectedAsync() => Eventually.HoldsAsync("every node is ready and hears every other", async () =>
    {
        foreach (var node in _nodes)
        {
            if ((await node.ReadyAsync()).Status != HttpStatusCode.OK || await HeardAsync(node) < Count - 1)
            {
                return false;
            }
        }

        return true;
    });

    /// <summary>Copies the disk of a node aside while it is stopped, and starts it again.</summary>
    public async Task BackUpAsync(int node)
    {
        await _nodes[node].StopAsync();
        _nodes[node].CopyAside("backup");
        await _nodes[node].StartAsync();
        await ConnectedAsync();
    }

    /// <summary>Runs another command in the cluster's folder.</summary>
    public Task<Outcome> RunAsync(params string[] arguments) => _om.RunAsync(arguments);

    /// <summary>How many peers a node has on the line.</summary>
    public static async Task<int> HeardAsync(ClusterNode node) =>
        (await node.ClusterAsync()).Is(HttpStatusCode.OK).Body.GetProperty("peers").EnumerateArray().Count(static peer => peer.GetProperty("up").GetBoolean());

    /// <summary>Waits until the files of all nodes hold one digest, then compares what their lists answer, by id, byte by byte.</summary>
    /// <returns>How long it took until the digests were one.</returns>
    public async Task<TimeSpan> ConvergedAsync()
    {
        var started = Stopwatch.StartNew();
        await Eventually.HoldsAsync("the digests of all nodes are equal", () =>
        {
            var first = _nodes[0].ReadDigests();
            return Task.FromResult(_nodes.All(node => node == _nodes[0] || node.ReadDigests() == first));
        });
        var elapsed = started.Elapsed;
        var expected = await _nodes[0].ListAsync();
        foreach (var node in _nodes.Skip(1))
        {
            var found = await node.ListAsync();
            var differing = expected.Keys.Union(found.Keys).Where(id => expected.GetValueOrDefault(id) != found.GetValueOrDefault(id)).ToList();
            Assert.True(
                differing.Count == 0,
                $"{_nodes[0]} and {node} differ in {differing.Count} memories, first: {(differing.Count == 0 ? null : expected.GetValueOrDefault(differing[0]) + " | " + found.GetValueOrDefault(differing[0]))}");
        }

        return elapsed;
    }

    /// <summary>Converges, stops every node in good order, and checks each store from its rows up.</summary>
    public async Task EndEqualAsync()
    {
        await ConvergedAsync();
        foreach (var node in _nodes)
        {
            (await node.StopAsync()).Exits(0);
        }

        string? first = null;
        foreach (var node in _nodes)
        {
            await using var store = await StoreLocation.Parse(node.Database).OpenAsync(node.Id);
            Assert.Empty((await store.VerifyAsync()).Differences);
            var snapshot = await store.ReadDigestSnapshotAsync();
            var digests = string.Join('\n', snapshot.Digests.Where(static pair => pair.Value.Rows > 0).Select(static pair => $"{pair.Key}={pair.Value}").Order(StringComparer.Ordinal));
            first ??= digests;
            Assert.Equal(first, digests);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        foreach (var link in _links)
        {
            if (link is not null)
            {
                await link.DisposeAsync();
            }
        }

        _om.Dispose();
    }

    private Task<ServedNode> ServeAsync(ClusterNode node)
    {
        var number = Array.IndexOf(_nodes, node);
        var peers = Enumerable.Range(0, Count).Where(to => to != number).Select(to => Link(number, to).Url);
        return _om.ServeWithAsync(
            node.Clock?.Environment ?? [],
            "--db", node.Database,
            "--node-id", node.Id,
            "--quorum-writes", _writes.ToString(CultureInfo.InvariantCulture),
            "--quorum-peers", string.Join(',', peers),
            "--quorum-timeout-ms", _timeout.TotalMilliseconds.ToString("F0", CultureInfo.InvariantCulture));
    }
}
