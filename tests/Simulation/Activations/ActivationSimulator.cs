using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Checks;
using OrleansMemory.Simulation.Cluster;
using OrleansMemory.Simulation.Disks;
using OrleansMemory.Simulation.Workload;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Activations;

/// <summary>How a run ended.</summary>
/// <param name="Failure">Null when every check held.</param>
/// <param name="Epochs">How many activations took an epoch.</param>
/// <param name="Fenced">Answers of activations that were over.</param>
public sealed record ActivationResult(long Seed, string? Failure, int Acknowledged, int Epochs, int Fenced, int Undecided);

/// <summary>
/// One namespace as a cluster of actors decides it: an activation on some node, made anew when its node is gone, and at times a second
/// one beside it that some callers are still sent to, while nodes die, pause and are kept apart. In the end the
/// acknowledged creates and conditional updates of each title must have one order that explains them, and what is shown.
/// </summary>
public static class ActivationSimulator
{
    private const string Namespace = "actors";
    private const int Operations = 160;
    private const int Titles = 3;
    private const int Callers = 4;
    private const long MostSteps = 10_000_000;

    private static readonly TimeSpan CallerWaits = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan ConvergesWithin = TimeSpan.FromSeconds(120);

    public static ActivationResult Run(long seed, Action<string>? log = null)
    {
        var random = Seeds.Stream(seed, "activations");
        var world = new SimulatedWorld(Seeds.Stream(seed, "world of activations"), window: random.Next(3) == 0 ? 1 : random.Next(2, 8)) { Log = log };
        var settings = new NodeSettings
        {
            TouchInterval = TimeSpan.FromHours(1),
            ReplicaSet = new(0, null, TimeSpan.FromSeconds(1)) { UpkeepInterval = TimeSpan.FromSeconds(5) },
        };
        var cluster = new SimulatedCluster(world, new(random.Next(4) == 0 ? 5 : 3, settings, SweepInterval: TimeSpan.FromHours(1)));
        var outside = new SimulatedProcess(world, "outside", 0);
        var stage = new Stage(cluster, random, new SimulatedTime(world, outside, new()));
        world.RunUntil(outside.RunAsync(stage.PlayAsync), MostSteps);
        return new(seed, world.Failure, stage.Acknowledged, stage.Epochs, stage.Fenced, stage.Undecided);
    }

    /// <summary>The memory of a title, as callers can tell it.</summary>
    /// <param name="Content">Null: there is none.</param>
    /// <param name="Id">Null: not known, since the create that made it never answered.</param>
    private readonly record struct Shown(string? Content, string? Id);

    private sealed class Activation(SimulatedNode node, SimulatedProcess process, MemoryNode memory)
    {
        public bool IsAlive => !process.IsDead;

        public SimulatedNode Node => node;

        public SimulatedProcess Process => process;

        public MemoryNode Memory => memory;

        public NamespaceActivation Epochs { get; } = new(() => memory.TakeEpochAsync(Namespace));
    }

    private sealed class Stage(SimulatedCluster cluster, Random random, TimeProvider time)
    {
        private readonly SimulatedWorld _world = cluster.World;
        private readonly List<HistoryStep<Shown>>[] _histories = [.. Enumerable.Range(0, Titles).Select(static _ => new List<HistoryStep<Shown>>())];

        /// <summary>What was not acknowledged, and may have happened or may yet.</summary>
        private readonly List<(int Title, TimeSpan Began, string Content, bool Creates)> _doubtful = [];

        /// <summary>Of each title, what was acknowledged last: a version to ask for.</summary>
        private readonly (string Id, string Version, string Content)?[] _known = new (string, string, string)?[Titles];
        private readonly HashSet<string>[] _ids = [.. Enumerable.Range(0, Titles).Select(static _ => new HashSet<string>(StringComparer.Ordinal))];
        private readonly List<Activation> _earlier = [];
        private readonly HashSet<(string, long)> _epochs = [];
        private Activation? _current;
        private bool _isOver;

        public int Acknowledged { get; private set; }

        public int Epochs => _epochs.Count;

        public int Fenced { get; private set; }

        public int Undecided { get; private set; }

        public async Task<bool> PlayAsync()
        {
            foreach (var node in cluster.Nodes)
            {
                node.Clock.Offset = TimeSpan.FromMilliseconds((random.NextDouble() - 0.5) * 2_000);
                node.Start();
            }

            await Task.Delay(TimeSpan.FromSeconds(1), time);
            var faults = FaultsAsync();
            await Task.WhenAll(Enumerable.Range(0, Callers).Select(CallAsync));
            _isOver = true;
            await faults;
            await HealAsync();
            if (_world.Failure is null)
            {
                Judge();
            }

            return true;
        }

        private async Task CallAsync(int caller)
        {
            for (var operation = caller; operation < Operations && _world.Failure is null; operation += Callers)
            {
                await Task.Delay(_world.Between(0, 60), time);
                var title = random.Next(Titles);
                var content = $"v-{operation}";
                if (_known[title] is { } known && random.Next(2) == 0)
                {
                    await UpdateAsync(title, content, known);
                }
                else
                {
                    await CreateAsync(title, content);
                }
            }
        }

        private async Task CreateAsync(int title, string content)
        {
            var began = _world.Now;
            var (receipt, mayHappen) = await AskAsync(engine => engine.StoreAsync(new() { Title = $"t{title}", Content = content, Namespace = Namespace }, new("caller")));
            if (receipt is null)
            {
                if (mayHappen)
                {
                    _doubtful.Add((title, began, content, Creates: true));
                }

                return;
            }

            Note(title, receipt, content);
            _histories[title].Add(new(
                began,
                _world.Now,
                state => receipt.Created == state.Content is null && (receipt.Created || state.Id is null || state.Id == receipt.Memory.Id)
                    ? new(true, new(content, receipt.Memory.Id))
                    : StepResult<Shown>.No,
                $"create {content}: {receipt.Memory.Id} {(receipt.Created ? "new" : "held")}"));
        }

        private async Task UpdateAsync(int title, string content, (string Id, string Version, string Content) known)
        {
            var began = _world.Now;
            var (receipt, mayHappen) = await AskAsync(engine => engine.UpdateAsync(known.Id, new() { Content = content }, new("caller", IfMatch: known.Version)));
            if (receipt is null)
            {
                if (mayHappen)
                {
                    _doubtful.Add((title, began, content, Creates: false));
                }

                return;
            }

            Note(title, receipt, content);
            _histories[title].Add(new(
                began,
                _world.Now,
                state => state.Content == known.Content ? new(true, state with { Content = content }) : StepResult<Shown>.No,
                $"update {known.Content} to {content}: done"));
        }

        private void Note(int title, WriteReceipt receipt, string content)
        {
            Acknowledged++;
            _ids[title].Add(receipt.Memory.Id);
            _known[title] = (receipt.Memory.Id, receipt.Version, content);
        }

        /// <summary>Sends a write to an activation.</summary>
        /// <returns>What was acknowledged; else whether it may have happened, or may yet.</returns>
        private async Task<(WriteReceipt? Receipt, bool MayHappen)> AskAsync(Func<INamespaceEngine, Task<WriteReceipt>> write)
        {
            if (Find() is not { } activation)
            {
                return (null, false);
            }

            var answered = new TaskCompletionSource<(WriteReceipt?, MemoryException?)>(TaskCreationOptions.RunContinuationsAsynchronously);
            activation.Process.Post(async () =>
            {
                try
                {
                    var epoch = await activation.Epochs.EpochAsync();
                    _epochs.Add((activation.Process.Name, epoch.Number));
                    answered.TrySetResult((await write(activation.Memory.Engine(epoch)), null));
                }
                catch (MemoryException exception)
                {
                    answered.TrySetResult((null, exception));
                }
            });
            _world.After(CallerWaits, () => answered.TrySetResult((null, null)));
            var (receipt, problem) = await answered.Task;
            if (problem is QuorumException { Quorum.Reason: QuorumReasons.Fenced })
            {
                Fenced++;
                _earlier.Remove(activation);
                _current = _current == activation ? null : _current;
            }

            // What a refusal rests on may not be on a quorum itself, so refusals are not judged.
            return (receipt, problem is null or QuorumException { Outcome: not QuorumException.NotStored } or UncertainWriteException);
        }

        /// <summary>The activation that a caller is sent to: the one that is known, at times one that was before it, or a new one.</summary>
        private Activation? Find()
        {
            _earlier.RemoveAll(static earlier => !earlier.IsAlive);
            if (_earlier.Count > 0 && _world.Chance(0.3))
            {
                return _earlier[random.Next(_earlier.Count)];
            }

            if (_current is not { IsAlive: true })
            {
                _current = Activate();
            }

            return _current;
        }

        private Activation? Activate()
        {
            var up = cluster.Nodes.Where(static node => node.IsUp).ToList();
            if (up.Count == 0)
            {
                return null;
            }

            var node = up[random.Next(up.Count)];
            return new(node, node.Process!, node.Memory!);
        }

        private async Task FaultsAsync()
        {
            while (!_isOver && _world.Failure is null)
            {
                await Task.Delay(_world.Between(50, 600), time);
                var node = cluster.Nodes[random.Next(cluster.Nodes.Count)];
                switch (random.Next(6))
                {
                    case 0 or 1:
                        // Who the members are is in doubt: a second activation, while the first lives on.
                        if (_current is { IsAlive: true } current)
                        {
                            _earlier.Add(current);
                        }

                        _current = Activate();
                        break;
                    case 2 when cluster.Nodes.Count(static other => !other.IsUp) < (cluster.Nodes.Count - 1) / 2:
                        node.Kill();
                        _world.After(_world.Between(10, 3_000), node.Start);
                        break;
                    case 3 when node.Process is { IsPaused: false } process:
                        process.Pause();
                        _world.After(_world.Between(10, 4_000), process.Resume);
                        break;
                    case 4:
                        foreach (var other in cluster.Nodes.Where(other => other != node))
                        {
                            cluster.Network.Between(node.Name, other.Name).IsCut = _world.Chance(0.7);
                            cluster.Network.Between(other.Name, node.Name).IsCut = _world.Chance(0.7);
                        }

                        _world.After(_world.Between(50, 3_000), MendWires);
                        break;
                    default:
                        foreach (var wire in cluster.Network.Wires)
                        {
                            wire.Slowest = _world.Chance(0.5) ? 1 : 200;
                            wire.Loss = _world.Chance(0.3) ? 0.05 : 0;
                            wire.Duplication = _world.Chance(0.3) ? 0.1 : 0;
                        }

                        break;
                }
            }
        }

        private void MendWires()
        {
            foreach (var wire in cluster.Network.Wires)
            {
                wire.Mend();
            }
        }

        private async Task HealAsync()
        {
            // What was to be started or resumed is by then.
            await Task.Delay(TimeSpan.FromSeconds(5), time);
            MendWires();
            var deadline = _world.Now + ConvergesWithin;
            for (var agreed = 0; agreed < 2 && _world.Failure is null;)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(500), time);
                var difference = cluster.Difference();
                agreed = difference is null ? agreed + 1 : 0;
                if (difference is not null && _world.Now > deadline)
                {
                    _world.Fail($"nodes still differ: {difference}");
                }
            }
        }

        /// <summary>
        /// Of what was not acknowledged, that which can bear on a title's history. Nobody conditions on what it wrote: it made the memory, or
        /// is what is shown in the end. An update was decided where its condition held, and may take effect later, over what came between.
        /// </summary>
        private IEnumerable<HistoryStep<Shown>> Doubtful(int title, string? last)
        {
            foreach (var (_, began, content, creates) in _doubtful.Where(doubtful => doubtful.Title == title))
            {
                if (content == last)
                {
                    yield return new(
                        began, null, state => creates || state.Content is not null ? new(true, new(content, state.Content is null ? null : state.Id)) : StepResult<Shown>.No, $"write {content}: unknown");
                }
                else if (creates)
                {
                    yield return new(began, null, static state => state.Content is null ? new(true, new("never read", null)) : StepResult<Shown>.No, $"create {content}: unknown");
                }
            }
        }

        private void Judge()
        {
            var shown = SimulatedStore.Shown(cluster.Nodes[0].Disk.Tables).Where(static memory => memory.Namespace == Namespace).ToLookup(static memory => memory.Title);
            for (var title = 0; title < Titles; title++)
            {
                var memories = shown[$"t{title}"].ToList();
                if (memories.Count > 1 || _ids[title].Count > 1 || (_ids[title].Count == 1 && memories.FirstOrDefault()?.Id != _ids[title].Single()))
                {
                    _world.Fail($"t{title} was acknowledged as {string.Join(", ", _ids[title])}, and shown are {string.Join(", ", memories.Select(static memory => memory.Id))}");
                    return;
                }

                var last = memories.FirstOrDefault()?.Content;
                List<HistoryStep<Shown>> history =
                [
                    .. _histories[title],
                    .. Doubtful(title, last),
                    new(_world.Now, _world.Now, state => state.Content == last ? new(true, state) : StepResult<Shown>.No, $"shown: {last}"),
                ];
                switch (history.Count > 128 ? Linearizability.Verdict.Undecided : Linearizability.Check(history, default, mostSteps: 5_000_000))
                {
                    case Linearizability.Verdict.NotLinearizable:
                        _world.Fail($"t{title} is not linearizable:\n{string.Join('\n', history.Select(static step => $"  {step.Began.TotalSeconds:F4} {step.Ended?.TotalSeconds:F4} {step.Name}"))}");
                        return;
                    case Linearizability.Verdict.Undecided:
                        Undecided++;
                        break;
                    default:
                        break;
                }
            }
        }
    }
}
