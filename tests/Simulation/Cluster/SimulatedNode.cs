using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Disks;
using OrleansMemory.Simulation.Network;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Cluster;

/// <summary>
/// One machine: its clock, its disk, and the process that serves while it is up. The process holds what the host of named peers
/// holds, the engines of <see cref="MemoryNode"/> over the store and the links to the others, and sweeps what has expired.
/// </summary>
public sealed class SimulatedNode
{
    private readonly SimulatedWorld _world;
    private readonly SimulatedNetwork _network;
    private readonly ClusterSettings _settings;
    private long _lives;
    private bool _startsAgain;
    private TimeProvider? _time;

    internal SimulatedNode(SimulatedWorld world, SimulatedNetwork network, ClusterSettings settings, int number, Action<SimulatedDisk, DiskRecord> written)
    {
        _world = world;
        _network = network;
        _settings = settings;
        Number = number;
        Name = $"n{number}";
        DiskFaults = new(world, () => _time!);
        Disk = new() { Faults = DiskFaults, Written = written };
    }

    public int Number { get; }

    /// <summary>Node id and address.</summary>
    public string Name { get; }

    public MachineClock Clock { get; } = new();

    public SimulatedDisk Disk { get; }

    public DiskFaults DiskFaults { get; }

    /// <summary>The nodes that it is configured with, itself left out.</summary>
    public IReadOnlyList<string> Peers { get; set; } = [];

    /// <summary>How many nodes hold what it acknowledges, as it was started.</summary>
    public int QuorumWrites { get; private set; }

    /// <summary>How many nodes it knows of, itself included, as it was started.</summary>
    public int Nodes { get; private set; }

    /// <summary>Null while it is down.</summary>
    public SimulatedProcess? Process { get; private set; }

    /// <summary>Null until it has started.</summary>
    public MemoryNode? Memory { get; private set; }

    public bool IsUp => Memory is not null && Process is { IsDead: false };

    public void Start()
    {
        if (Process is not null)
        {
            _startsAgain = true;
            return;
        }

        _startsAgain = false;
        Nodes = Peers.Count + 1;
        QuorumWrites = (_settings.Node.ReplicaSet with { Peers = Peers.Count }).QuorumWrites;
        var process = Process = new(_world, $"{Name}/{++_lives}", (Number << 8) + _lives);
        var time = new SimulatedTime(_world, process, Clock);
        _time = time;
        process.Post(async () =>
        {
            var store = Disk.Open(Name, () => (ulong)_world.Random.NextInt64(1, long.MaxValue));
            IReadOnlyList<IReplicaLink> links = [.. Peers.Select(peer => new SimulatedLink(_network, Name, peer, process))];
            var memory = Memory = await MemoryNode.StartAsync(store, _settings.Node, time, new Random(_world.Random.Next()), links, process);
            _network.Listen(Name, process, () => memory.Endpoint);
            _world.Record($"{process.Name} up as {store.Log}");
            process.Post(() => DieOfAsync(memory));
            process.Post(() => SweepAsync(memory, time));
        });
    }

    /// <summary>Kills the process at this instant; what its disk had not made durable is lost.</summary>
    public void Kill()
    {
        if (Process is { } process)
        {
            _world.Record($"{process.Name} killed");
            Process = null;
            Memory = null;
            process.Die();
            Disk.Crash();
        }
    }

    /// <summary>Ends in order, as on SIGTERM: what was written goes to the peers that answer, then the process ends.</summary>
    public void Stop()
    {
        if (Memory is not { } memory || Process is not { } process)
        {
            return;
        }

        _world.Record($"{process.Name} drains");
        _startsAgain = false;
        process.Post(async () =>
        {
            await memory.FlushPeersAsync(TimeSpan.FromSeconds(1));
            await memory.DisposeAsync();
            if (Process == process)
            {
                var again = _startsAgain;
                Kill();
                if (again)
                {
                    Start();
                }
            }
        });
    }

    /// <summary>After a failed fsync the process ends at once and is started again, as a supervisor does.</summary>
    private async Task DieOfAsync(MemoryNode memory)
    {
        await memory.Fatal;
        _world.Record($"{Name} store failed");
        Kill();
        _world.After(TimeSpan.FromSeconds(1), Start);
    }

    private async Task SweepAsync(MemoryNode memory, TimeProvider time)
    {
        while (true)
        {
            await Task.Delay(_settings.SweepInterval, time);
            try
            {
                await memory.CollectGarbageAsync();
            }
            catch (Core.Memories.MemoryException)
            {
                // The next sweep comes.
            }
        }
    }
}
