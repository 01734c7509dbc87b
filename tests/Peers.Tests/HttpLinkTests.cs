using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Peers.Tests;

/// <summary>Replication between nodes over HTTP on this machine, each a host of its own on a store of its own.</summary>
public sealed class HttpLinkTests : LinkCompliance, IDisposable
{
    private readonly StoreFiles _files = new();
    private readonly int[] _ports = Ports.Take(3);

    public void Dispose() => _files.Dispose();

    protected override void Save(int number) => _files.Save(number);

    protected override void Restore(int number) => _files.Restore(number);

    protected override async Task<LinkedNode> StartAsync(
        int number, int nodes, ReplicaSetSettings settings, Func<int, IReplicaLink, IReplicaLink> links, bool wiped)
    {
        if (wiped)
        {
            _files.Wipe(number);
        }

        var targets = Enumerable.Range(0, nodes).Where(target => target != number).ToArray();
        var options = new NodeOptions
        {
            Port = _ports[number],
            ApiKey = "the cluster's key",
            QuorumPeers = [.. targets.Select(target => new Uri($"http://127.0.0.1:{_ports[target]}"))],
            QuorumWrites = settings.RequestedWrites,
            QuorumTimeout = settings.Timeout,
            ShutdownGrace = TimeSpan.Zero,
        };
        var store = SqliteStore.Open(_files.PathOf(number), $"n{number}");
        var outgoing = new PeerLinks(options, TimeProvider.System);
        var node = await MemoryNode.StartAsync(
            store,
            options.ToNodeSettings() with { TouchInterval = TimeSpan.FromHours(1), ReplicaSet = settings },
            TimeProvider.System,
            new Random(),
            [.. outgoing.Links.Select((link, index) => links(targets[index], link))]);
        var host = await PeerHost.StartAsync(options, node, TimeProvider.System, configureLogging: logging => logging.ClearProviders());
        return new(node, async () =>
        {
            await host.DisposeAsync();
            outgoing.Dispose();
            await store.DisposeAsync();
        });
    }
}
