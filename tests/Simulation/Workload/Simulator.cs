using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Checks;
using OrleansMemory.Simulation.Cluster;
using OrleansMemory.Simulation.Disks;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Workload;

/// <summary>Runs one seed: a cluster under its callers and its faults, then healed, then judged.</summary>
public static class Simulator
{
    private const long MostSteps = 30_000_000;

    /// <summary>Nodes that nothing keeps apart and whose disks are whole agree after the longest call that hangs.</summary>
    private static readonly TimeSpan ConvergesByPumps = TimeSpan.FromSeconds(45);

    /// <summary>Rows that clocks made others refuse are tried again after minutes.</summary>
    private static readonly TimeSpan ConvergesAtLast = TimeSpan.FromSeconds(600);

    /// <summary>Until then a node whose stamps ran ahead of the others' clocks may write nothing.</summary>
    private static readonly TimeSpan WritesAgain = TimeSpan.FromSeconds(300);

    /// <summary>All nodes up and idle, a new write is everywhere after this long.</summary>
    private static readonly TimeSpan Prompt = TimeSpan.FromMilliseconds(200);

    public static RunResult Run(RunOptions options)
    {
        var character = Character.Of(options.Seed);
        var world = new SimulatedWorld(Seeds.Stream(options.Seed, "world"), character.Window) { Log = options.Log };
        var cluster = new SimulatedCluster(world, character.Cluster);
        var known = new SharedKnowledge(character.Cluster.Nodes);
        var outside = new SimulatedProcess(world, "outside", 0);
        var time = new SimulatedTime(world, outside, new());
        var faults = new FaultDriver(cluster, character, options, time);
        var run = new Stage(cluster, character, known, faults, options, time);
        world.RunUntil(outside.RunAsync(run.PlayAsync), MostSteps);
        return new(
            options.Seed,
            world.Trace,
            world.Failure,
            world.Steps,
            world.Now,
            cluster.Ledger.Acknowledged,
            faults.Injected,
            known.Set.Result(),
            run.Undecided);
    }

    private sealed class Stage(SimulatedCluster cluster, Character character, SharedKnowledge known, FaultDriver faults, RunOptions options, TimeProvider time)
    {
        private readonly SimulatedWorld _world = cluster.World;

        public int Undecided { get; private set; }

        public async Task<bool> PlayAsync()
        {
            var skews = Seeds.Stream(options.Seed, "skew");
            foreach (var node in cluster.Nodes)
            {
                node.Clock.Offset = TimeSpan.FromMilliseconds((skews.NextDouble() - 0.5) * character.InitialSkew);
                node.Start();
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), time);
            var injecting = faults.RunAsync();
            await Task.WhenAll(Enumerable.Range(0, character.Callers).Select(number => new Caller(number, cluster, known, options, time, character.Races)
                .RunAsync(Enumerable.Range(0, options.Steps).Where(operation => operation % character.Callers == number), character.Think)));
            await faults.MendAsync();
            await injecting;
            _world.Record("mended");
            await ConvergeAsync();
            if (_world.Failure is null)
            {
                JudgeRows();
                JudgeViews();
                JudgeHistories();
                await JudgePromptnessAsync();
            }

            return true;
        }

        private async Task ConvergeAsync()
        {
            var isPlain = !character.Faults.Any(static kind => kind is FaultKind.ClockJump or FaultKind.ClockDrift or FaultKind.Wipe or FaultKind.Restore
                or FaultKind.LostSyncs or FaultKind.NewMember);
            var deadline = _world.Now + (isPlain ? ConvergesByPumps : ConvergesAtLast + (3 * character.Cluster.Node.ReplicaSet.UpkeepInterval));
            for (var agreed = 0; agreed < 2 && _world.Failure is null;)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(500), time);
                var difference = cluster.Difference();
                agreed = difference is null ? agreed + 1 : 0;
                if (difference is not null && _world.Now > deadline)
                {
                    _world.Fail($"promise 2: after {(isPlain ? "every link was mended" : "everything was mended and upkeep ran")} nodes still differ: {difference}");
                }
            }
        }

        /// <summary>Promises 1, 4 and 6, on what every node holds in the end.</summary>
        private void JudgeRows()
        {
            foreach (var (row, promise) in cluster.Ledger.Owed())
            {
                if (cluster.Nodes.FirstOrDefault(node => !cluster.Ledger.Holds(node.Disk.Tables, row)) is { } lacking)
                {
                    _world.Fail($"{promise} is missing on {lacking.Name}: {row.Key.Kind} {row.Key.Key} of {row.Position}");
                    return;
                }
            }

            foreach (var node in cluster.Nodes)
            {
                if (cluster.Ledger.DeletesAcknowledged.Keys.FirstOrDefault(node.Disk.Tables.Memories.ContainsKey) is { } back)
                {
                    _world.Fail($"promise 4: {back} was deleted, and {node.Name} holds it");
                }
            }

            foreach (var (content, id) in cluster.Ledger.Forbidden())
            {
                _world.Fail($"promise 6: {content} was not stored, and is in {id}");
            }
        }

        /// <summary>Promise 3: the same is shown everywhere, and it is what the rows say.</summary>
        private void JudgeViews()
        {
            var first = cluster.Nodes[0].Disk.Tables;
            foreach (var node in cluster.Nodes)
            {
                var tables = node.Disk.Tables;
                foreach (var difference in Verification.Of(tables).Differences)
                {
                    _world.Fail($"promise 3: {node.Name}: {difference}");
                }

                foreach (var (id, row) in first.Memories)
                {
                    if (!tables.Memories.TryGetValue(id, out var other) || other.Visibility != row.Visibility || !Verification.AreEqual(other.View, row.View))
                    {
                        _world.Fail($"promise 3: n1 and {node.Name} show {id} differently");
                    }
                }
            }
        }

        private void JudgeHistories()
        {
            foreach (var node in cluster.Nodes)
            {
                known.Set.Read(_world.Now, SimulatedStore.Shown(node.Disk.Tables).Where(static memory => memory.Namespace == "set").Select(static memory => memory.Title).ToHashSet());
            }

            if (known.Set.Result() is { Lost: > 0 } or { NeverRead: > 0 })
            {
                _world.Fail($"set: {known.Set.Result()}");
            }

            foreach (var register in known.Registers.Where(register => cluster.Nodes[register.Node % cluster.Nodes.Count].Disk.Losses == 0))
            {
                switch (Linearizability.Check(register.History, default))
                {
                    case Linearizability.Verdict.NotLinearizable:
                        _world.Fail($"{register.Title} is not linearizable:\n{string.Join('\n', register.History.Select(static step => $"  {step.Began.TotalSeconds:F4} {step.Ended?.TotalSeconds:F4} {step.Name}"))}");
                        break;
                    case Linearizability.Verdict.Undecided:
                        Undecided++;
                        break;
                    default:
                        break;
                }
            }
        }

        /// <summary>Once all is well, a write at any node is at all others promptly, by the pumps alone.</summary>
        private async Task JudgePromptnessAsync()
        {
            var deadline = _world.Now + WritesAgain;
            foreach (var node in cluster.Nodes)
            {
                // The first tells that its links are back, and that no clock keeps it from writing any more.
                string? failure;
                while ((failure = (await AskAsync(node)).Failure) is not null)
                {
                    if (_world.Now > deadline)
                    {
                        _world.Fail($"{node.Name} is healed and writes nothing: {failure}");
                        return;
                    }

                    await Task.Delay(TimeSpan.FromSeconds(2), time);
                }
            }

            foreach (var node in cluster.Nodes)
            {
                if ((await AskAsync(node)).Position is not { } token)
                {
                    _world.Fail($"{node.Name} is healed and fails to write again");
                    return;
                }

                await Task.Delay(Prompt, time);
                foreach (var other in cluster.Nodes)
                {
                    if (other.Disk.Tables.Vector.GetValueOrDefault(token.Log)?.Contains(token.Sequence) != true)
                    {
                        _world.Fail($"promise 2: {token}, written by {node.Name}, is not on {other.Name} after {Prompt.TotalMilliseconds} ms");
                    }
                }
            }
        }

        private static Task<(LogPosition? Position, string? Failure)> AskAsync(SimulatedNode node)
        {
            var answered = new TaskCompletionSource<(LogPosition?, string?)>(TaskCreationOptions.RunContinuationsAsynchronously);
            node.Process!.Post(async () =>
            {
                try
                {
                    var receipt = await node.Memory!.StoreAsync(new() { Title = $"probe of {node.Name}", Content = "probe", Namespace = "probe" }, new("probe", Quorum: "all"));
                    answered.SetResult((receipt.Position, null));
                }
                catch (Core.Memories.MemoryException exception)
                {
                    answered.SetResult((null, exception.Message));
                }
            });
            return answered.Task;
        }
    }
}
