using Microsoft.Extensions.DependencyInjection;
using Orleans.TestingHost;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Grains.Tests;

/// <summary>Three silos in this process, each around a node on a file of its own; made once for all tests of a class.</summary>
public class GrainCluster : IAsyncLifetime
{
    public const int Count = 3;

    private readonly StoreFiles _files = new();
    private readonly ClusterConnection[] _connections = [.. Enumerable.Range(0, Count).Select(static _ => new ClusterConnection())];
    private readonly List<SqliteStore> _stores = [];
    private readonly List<MemoryNode> _nodes = [];
    private readonly ShiftedTime[] _times = [.. Enumerable.Range(0, Count).Select(static _ => new ShiftedTime())];
    private InProcessTestCluster _cluster = null!;

    public IReadOnlyList<MemoryNode> Nodes => _nodes;

    public IGrainFactory Grains(int silo) => Services(silo).GetRequiredService<IGrainFactory>();

    public IServiceProvider Services(int silo) => _cluster.Silos.Single(handle => handle.Name == NameOf(silo)).ServiceProvider;

    internal ClusterConnection Connection(int silo) => _connections[silo];

    /// <summary>Of a node's engines.</summary>
    internal ShiftedTime Time(int silo) => _times[silo];

    public static string NameOf(int silo) => $"Silo_{silo}";

    public async ValueTask InitializeAsync()
    {
        var settings = new ReplicaSetSettings(Count - 1, null, TimeSpan.FromSeconds(5));
        for (var silo = 0; silo < Count; silo++)
        {
            var own = silo;
            var store = SqliteStore.Open(_files.PathOf(silo), NameOf(silo));
            _stores.Add(store);
            _nodes.Add(await MemoryNode.StartAsync(
                store,
                new NodeSettings { ReplicaSet = settings, TouchInterval = TimeSpan.FromHours(1) },
                _times[own],
                new Random(),
                [.. Enumerable.Range(0, Count).Where(other => other != own).Select(other => new GrainReplicaLink(_connections[own], NameOf(other), TimeProvider.System))],
                directory: new GrainNamespaces(_connections[own], settings, TimeProvider.System)));
        }

        var builder = new InProcessTestClusterBuilder(Count);
        builder.ConfigureSilo((options, silo) =>
        {
            silo.Services.AddSingleton(TimeProvider.System);
            silo.Services.AddSingleton(_nodes[int.Parse(options.SiloName[^1..], System.Globalization.CultureInfo.InvariantCulture)]);
            silo.AddMemoryGrainStorageAsDefault();
            silo.AddPlacementDirector<NodePlacement, NodePlacementDirector>();
            Configure(silo);
        });
        _cluster = builder.Build();
        await _cluster.DeployAsync();
        for (var silo = 0; silo < Count; silo++)
        {
            _connections[silo].Open(Services(silo));
        }

        await Eventually.HoldsAsync("every node hears every other, and none is recovering", () => Task.FromResult(
            _nodes.TrueForAll(static node => node.Cluster() is { Recovering: false } status && status.Peers.All(static peer => peer is { IsUp: true, Hello.Recovering: false }))));
    }

    /// <summary>Waits until all nodes hold the same rows.</summary>
    public Task ConvergedAsync() => Eventually.HoldsAsync("all nodes have one digest", async () =>
    {
        var digests = await Task.WhenAll(_nodes.Select(static node => node.DigestAsync()));
        return digests.Distinct().Count() == 1;
    });

    /// <summary>What a cluster has besides.</summary>
    protected virtual void Configure(ISiloBuilder silo)
    {
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in _connections)
        {
            connection.Close("the test is over");
        }

        await _cluster.DisposeAsync();
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        foreach (var store in _stores)
        {
            await store.DisposeAsync();
        }

        _files.Dispose();
        GC.SuppressFinalize(this);
    }
}
