using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Grains;
using OrleansMemory.Storage.Clustering;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Silo.Tests;

/// <summary>Replication between silos of one cluster in this process, each on a store of its own; every node decides for itself.</summary>
public sealed class GrainLinkTests : LinkCompliance, IDisposable
{
    private readonly StoreFiles _files = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("om-silo-").FullName;
    private readonly int[] _ports = FreePorts.Take(3);

    public void Dispose()
    {
        _files.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    protected override void Save(int number) => _files.Save(number);

    protected override void Restore(int number) => _files.Restore(number);

    protected override async Task<LinkedNode> StartAsync(
        int number, int nodes, ReplicaSetSettings settings, Func<int, IReplicaLink, IReplicaLink> links, bool wiped)
    {
        if (wiped)
        {
            _files.Wipe(number);
        }

        var database = ClusterDatabase.Parse(Path.Combine(_folder, "cluster.db"));
        await database.InitializeAsync();
        var options = new NodeOptions
        {
            NodeId = $"n{number}",
            Cluster = new() { Database = "cluster.db", Nodes = [.. Enumerable.Range(0, nodes).Select(node => $"n{node}")], SiloPort = _ports[number], GatewayPort = 0 },
        };
        var cluster = new ClusterConnection();
        var store = SqliteStore.Open(_files.PathOf(number), options.NodeId);
        var node = await MemoryNode.StartAsync(
            store,
            new NodeSettings { ReplicaSet = settings, TouchInterval = TimeSpan.FromHours(1) },
            TimeProvider.System,
            new Random(),
            [.. Enumerable.Range(0, nodes).Where(target => target != number).Select(target => links(target, new GrainReplicaLink(cluster, $"n{target}", TimeProvider.System)))]);
        var silo = OrleansSilo.Build(options, database, node, TimeProvider.System, static logging => logging.ClearProviders());
        await silo.StartAsync();
        cluster.Open(silo.Services);
        return new(node, async () =>
        {
            await silo.StopAsync();
            cluster.Close("stopped");
            await ((IAsyncDisposable)silo).DisposeAsync();
            await node.DisposeAsync();
            await store.DisposeAsync();
        });
    }
}
