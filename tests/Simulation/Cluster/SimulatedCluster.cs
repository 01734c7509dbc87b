using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Checks;
using OrleansMemory.Simulation.Disks;
using OrleansMemory.Simulation.Network;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Cluster;

/// <summary>The nodes of a run and what lies between them.</summary>
internal sealed class SimulatedCluster
{
    private readonly List<SimulatedNode> _nodes = [];

    public SimulatedCluster(SimulatedWorld world, ClusterSettings settings)
    {
        World = world;
        Settings = settings;
        Network = new(world);
        Ledger = new(world, () => [.. _nodes.Select(static node => node.Disk)]);
        for (var number = 1; number <= settings.Nodes; number++)
        {
            Create();
        }

        Introduce(_nodes);
    }

    public SimulatedWorld World { get; }

    public ClusterSettings Settings { get; }

    public SimulatedNetwork Network { get; }

    public Ledger Ledger { get; }

    public IReadOnlyList<SimulatedNode> Nodes => _nodes;

    /// <summary>How many nodes a write stands on at least.</summary>
    public int QuorumWrites => (Settings.Node.ReplicaSet with { Peers = Settings.Nodes - 1 }).QuorumWrites;

    /// <summary>Adds a machine that nobody knows yet.</summary>
    public SimulatedNode Create()
    {
        var node = new SimulatedNode(World, Network, Settings, _nodes.Count + 1, Ledger.Written);
        _nodes.Add(node);
        return node;
    }

    /// <summary>Configures each of the nodes with the others; it counts when they start.</summary>
    public static void Introduce(IReadOnlyList<SimulatedNode> nodes)
    {
        foreach (var node in nodes)
        {
            node.Peers = [.. nodes.Where(other => other != node).Select(static other => other.Name)];
        }
    }

    /// <summary>Why the nodes do not hold the same yet; null when they do.</summary>
    public string? Difference()
    {
        foreach (var node in _nodes)
        {
            if (!node.IsUp)
            {
                return $"{node.Name} is down";
            }
        }

        var floor = _nodes.Max(static node => node.Disk.Tables.Floors.Common);
        var first = _nodes[0].Disk.Tables;
        var digests = first.DigestsOfRows;
        var tombstones = first.DigestOfTombstones(floor);
        foreach (var node in _nodes.Skip(1))
        {
            var others = node.Disk.Tables.DigestsOfRows;
            if (digests.Keys.Union(others.Keys).Where(key => digests.GetValueOrDefault(key) != others.GetValueOrDefault(key)).Select(static key => (DigestKey?)key).FirstOrDefault() is { } key)
            {
                return $"n1 and {node.Name} differ in {key}: {digests.GetValueOrDefault(key)} and {others.GetValueOrDefault(key)}; {Rows(first, node.Disk.Tables)}";
            }

            if (tombstones != node.Disk.Tables.DigestOfTombstones(floor))
            {
                return $"n1 and {node.Name} differ in tombstones above {floor}";
            }
        }

        return null;
    }

    /// <summary>The first row in which two nodes differ, for people.</summary>
    private static string Rows(Tables left, Tables right)
    {
        foreach (var id in left.Memories.Keys.Union(right.Memories.Keys))
        {
            var (one, two) = (left.Memories.GetValueOrDefault(id), right.Memories.GetValueOrDefault(id));
            if (one?.Hash != two?.Hash)
            {
                return $"memory {id}: {Ledger.Show(one?.Own)} and {Ledger.Show(two?.Own)}, tombstones {left.Tombstones.ContainsKey(id)} and {right.Tombstones.ContainsKey(id)}";
            }
        }

        foreach (var key in left.Entries.Keys.Union(right.Entries.Keys))
        {
            var (one, two) = (left.Entries.GetValueOrDefault(key), right.Entries.GetValueOrDefault(key));
            if (one is null || two is null || !one.Encode().AsSpan().SequenceEqual(two.Encode()))
            {
                return $"entry {key.Kind} {key.Key.Replace('\n', ' ')}: {one?.Stamp.ToString() ?? "none"} and {two?.Stamp.ToString() ?? "none"}";
            }
        }

        return "no row";
    }
}
