using OrleansMemory.Simulation.Cluster;
using OrleansMemory.Simulation.Network;

namespace OrleansMemory.Simulation.Workload;

/// <summary>Injects faults while callers work, each for a while; in the end mends everything.</summary>
internal sealed class FaultDriver(SimulatedCluster cluster, Character character, RunOptions options, TimeProvider time)
{
    private bool _over;
    private int _lossesAllowed = cluster.QuorumWrites - 1;
    private bool _changing;

    public int Injected { get; private set; }

    /// <summary>No new fault from now on, and those that last are ended.</summary>
    public async Task MendAsync()
    {
        _over = true;
        while (_changing)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), time);
        }

        foreach (var wire in cluster.Network.Wires)
        {
            wire.Mend();
        }

        foreach (var node in cluster.Nodes)
        {
            node.DiskFaults.Mend();
            node.Clock.Offset = TimeSpan.Zero;
            node.Clock.Drift = 0;
            node.Process?.Resume();
            node.Start();
        }
    }

    public async Task RunAsync()
    {
        for (var number = 0; character.Faults.Count > 0; number++)
        {
            var random = Seeds.Stream(options.Seed, "fault", number);
            await Task.Delay(TimeSpan.FromMilliseconds(character.FaultPause * (0.2 + (1.6 * random.NextDouble()))), time);
            if (_over)
            {
                return;
            }

            var kind = character.Faults[random.Next(character.Faults.Count)];
            if (!options.WithoutFaults.Contains(number))
            {
                Inject(kind, random, number);
            }
        }
    }

    private void Inject(FaultKind kind, Random random, int number)
    {
        var node = cluster.Nodes[random.Next(cluster.Nodes.Count)];
        var other = cluster.Nodes[random.Next(cluster.Nodes.Count)];
        var lasts = TimeSpan.FromMilliseconds(random.Next(4) == 0 ? random.Next(1_000, 15_000) : random.Next(20, 2_000));
        cluster.World.Record($"fault {number}: {kind} {node.Name} {other.Name} for {lasts.TotalSeconds} s");
        Injected++;
        switch (kind)
        {
            case FaultKind.Kill:
                node.Kill();
                Later(lasts, node.Start);
                break;
            case FaultKind.Stop:
                node.Stop();
                Later(lasts, node.Start);
                break;
            case FaultKind.Pause:
                if (node.Process is { } process)
                {
                    process.Pause();
                    Later(lasts, process.Resume);
                }

                break;
            case FaultKind.Cut:
                Wires([(node, other), (other, node)], lasts, static wire => wire.IsCut = true, static wire => wire.IsCut = false);
                break;
            case FaultKind.CutOneWay:
                Wires([(node, other)], lasts, static wire => wire.IsCut = true, static wire => wire.IsCut = false);
                break;
            case FaultKind.Isolate:
                Wires(
                    cluster.Nodes.SelectMany(each => ((SimulatedNode, SimulatedNode)[])[(node, each), (each, node)]),
                    lasts,
                    static wire => wire.IsCut = true,
                    static wire => wire.IsCut = false);
                break;
            case FaultKind.Slow:
                var slowest = random.Next(2) == 0 ? random.Next(5, 100) : random.Next(100, 3_000);
                Wires([(node, other)], lasts, wire => wire.Slowest = slowest, static wire => wire.Slowest = 1);
                break;
            case FaultKind.Lossy:
                var loss = random.NextDouble() * 0.3;
                Wires([(node, other)], lasts, wire => wire.Loss = loss, static wire => wire.Loss = 0);
                break;
            case FaultKind.Duplicating:
                Wires([(node, other)], lasts * 3, static wire => wire.Duplication = 0.3, static wire => wire.Duplication = 0);
                break;
            case FaultKind.DiskFull:
                node.DiskFaults.IsFull = true;
                Later(lasts, () => node.DiskFaults.IsFull = false);
                break;
            case FaultKind.WriteErrors:
                node.DiskFaults.WriteErrors = 0.3;
                Later(lasts, () => node.DiskFaults.WriteErrors = 0);
                break;
            case FaultKind.SyncErrors:
                node.DiskFaults.SyncErrors = 0.2;
                Later(lasts, () => node.DiskFaults.SyncErrors = 0);
                break;
            case FaultKind.DoubtfulCommits:
                node.DiskFaults.Doubts = 0.3;
                Later(lasts, () => node.DiskFaults.Doubts = 0);
                break;
            case FaultKind.SlowDisk:
                node.DiskFaults.SlowestSync = random.Next(5, 400);
                Later(lasts, () => node.DiskFaults.SlowestSync = 2);
                break;
            case FaultKind.ClockJump:
                node.Clock.Offset = TimeSpan.FromMilliseconds(random.Next(3) switch
                {
                    0 => random.Next(-2_000, 2_000),
                    1 => random.Next(-58_000, 58_000),
                    _ => random.Next(-120_000, 120_000),
                });
                break;
            case FaultKind.ClockDrift:
                node.Clock.Drift = (random.NextDouble() - 0.5) / 50;
                break;
            case FaultKind.Wipe:
                Lose(node, lasts, node.Disk.Wipe);
                break;
            case FaultKind.Restore:
                Lose(node, lasts, () => node.Disk.Restore(random.Next(1, node.Disk.Durable + 1)));
                break;
            case FaultKind.LostSyncs:
                Lose(node, lasts / 10, () => node.Disk.Restore(Math.Max(1, node.Disk.Durable - random.Next(1, 12))));
                break;
            case FaultKind.NewMember:
                AddMember(TimeSpan.FromMilliseconds(random.Next(10, 1_000)));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(kind));
        }
    }

    /// <summary>A disk is lost, if the promises allow for one more: as many as quorums cover, then again once all was made good.</summary>
    private void Lose(SimulatedNode node, TimeSpan lasts, Action lose)
    {
        if (_changing || node.Disk.Durable == 0)
        {
            return;
        }

        if (_lossesAllowed == 0 && cluster.Nodes.All(static each => each is { IsUp: true, Memory: { } memory } && !memory.Cluster().Recovering)
            && cluster.Nodes.All(each => cluster.Ledger.Owed().All(owed => cluster.Ledger.Holds(each.Disk.Tables, owed.Row))))
        {
            _lossesAllowed = cluster.QuorumWrites - 1;
        }

        if (_lossesAllowed <= 0)
        {
            return;
        }

        _lossesAllowed--;
        cluster.World.Record($"{node.Name} loses {(lose == node.Disk.Wipe ? "its disk" : "the end of its disk")}");
        if (node.Process is { } process)
        {
            process.IsForgotten = true;
        }

        node.Kill();
        lose();
        cluster.Ledger.Lost(node.Disk);
        Later(lasts, node.Start);
    }

    /// <summary>An operator adds a node: starts it, then restarts the others one by one with the new list.</summary>
    private void AddMember(TimeSpan pause)
    {
        if (_changing || cluster.Nodes.Count > 4 || cluster.Nodes.Count == 1 || _lossesAllowed < cluster.QuorumWrites - 1)
        {
            return;
        }

        _changing = true;
        var before = cluster.Nodes.ToList();
        cluster.Create();
        SimulatedCluster.Introduce(cluster.Nodes);
        cluster.Nodes[^1].Start();
        Restart(0);

        void Restart(int index)
        {
            if (index == before.Count)
            {
                _changing = false;
                return;
            }

            before[index].Kill();
            cluster.World.After(pause, () =>
            {
                before[index].Start();
                cluster.World.After(pause, () => Restart(index + 1));
            });
        }
    }

    private void Wires(IEnumerable<(SimulatedNode From, SimulatedNode To)> between, TimeSpan lasts, Action<Wire> fault, Action<Wire> mend)
    {
        foreach (var (from, to) in between.ToList())
        {
            if (from != to)
            {
                var wire = cluster.Network.Between(from.Name, to.Name);
                fault(wire);
                Later(lasts, () => mend(wire));
            }
        }
    }

    private void Later(TimeSpan after, Action act) => cluster.World.After(after, () =>
    {
        if (!_over)
        {
            act();
        }
    });
}
