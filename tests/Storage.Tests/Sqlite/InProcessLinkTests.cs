using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Sqlite;

/// <summary>Replication between nodes of one process, each on a store of its own.</summary>
public sealed class InProcessLinkTests : LinkCompliance, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-link-").FullName;
    private readonly Dictionary<int, ReplicaEndpoint> _endpoints = [];
    private readonly Dictionary<int, string> _names = [];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    protected override void Save(int number) => File.Copy(PathOf(number), PathOf(number) + ".copy", overwrite: true);

    protected override void Restore(int number)
    {
        foreach (var suffix in (ReadOnlySpan<string>)["", "-wal", "-shm", "-index", "-index-wal", "-index-shm"])
        {
            File.Delete(PathOf(number) + suffix);
        }

        File.Copy(PathOf(number) + ".copy", PathOf(number));
    }

    protected override async Task<LinkedNode> StartAsync(
        int number, int nodes, ReplicaSetSettings settings, Func<int, IReplicaLink, IReplicaLink> links, bool wiped)
    {
        if (wiped)
        {
            _names[number] = $"{number}-wiped-{Guid.NewGuid():N}.db";
        }

        var store = SqliteStore.Open(PathOf(number), $"n{number}");
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

    private string PathOf(int number) => Path.Combine(_folder, _names.GetValueOrDefault(number, $"{number}.db"));
}
