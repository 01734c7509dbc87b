using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Sqlite;

/// <summary>Replication between nodes of one process, each on a store of its own.</summary>
public sealed class InProcessLinkTests : LinkCompliance, IDisposable
{
    private readonly StoreFiles _files = new();
    private readonly Dictionary<int, ReplicaEndpoint> _endpoints = [];

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

        var store = SqliteStore.Open(_files.PathOf(number), $"n{number}");
        var outgoing = Enumerable.Range(0, nodes).Where(target => target != number)
            .Select(target => links(target, new InProcessLink($"n{target}", () => _endpoints.GetValueOrDefault(target))))
            .ToList();
        var node = await MemoryNode.StartAsync(
            store, new NodeSettings { ReplicaSet = settings, TouchInterval = TimeSpan.FromHours(1) }, TimeProvider.System, new Random(), outgoing);
        _endpoints[number] = node.Endpoint;
        return new(node, async () =>
        {
            _endpoints.Remove(number);
            await node.DisposeAsync();
            await store.DisposeAsync();
        });
    }
}
