using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Cluster;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Workload;

/// <summary>
/// Runs whose faults are written down and not drawn: for what takes more bad luck than seeds have, or more losses than the promises
/// allow for, after which what is left must be of use all the same.
/// </summary>
public static class DirectedRuns
{
    private const long MostSteps = 10_000_000;

    private static readonly Dictionary<string, Func<string?>> Runs = new(StringComparer.Ordinal)
    {
        ["two nodes set back one after the other write again"] = static () => new Run(nodes: 2, writes: null).Play(SetBackOneAfterTheOtherAsync),
        ["an old copy decides nothing before it has rejoined"] = static () => new Run(nodes: 2, writes: null).Play(OldCopyAsync),
        ["an old copy answers for nothing that it lets go of"] = static () => new Run(nodes: 3, writes: 2).Play(OldCopyAnswersAsync),
        ["what an old copy ships to a wiped node does not come back"] = static () => new Run(nodes: 3, writes: 3, upkeep: 6).Play(OldCopyShipsAsync),
        ["what was deleted does not come back by being written to on an old copy"] = static () => new Run(nodes: 3, writes: 2).Play(OldCopyWritesAsync),
        ["a number by which a peer keeps a row that it refused is not used again"] = static () => new Run(nodes: 2, writes: null, upkeep: 20).Play(RefusedNumberAsync),
        ["what an old copy writes is not taken by a node that has forgotten more"] = static () => new Run(nodes: 3, writes: 2).Play(OldCopyIsRefusedAsync),
        ["two wiped nodes are no proof for each other"] = static () => new Run(nodes: 3, writes: 3).Play(TwoWipedAsync),
        ["a peer that is slow while the log is trimmed is shipped to again"] = static () => new Run(nodes: 2, writes: null).Play(TrimmedUnderLaneAsync),
        ["a delete is remembered as long as the log names it"] = static () => new Run(nodes: 1, writes: null).Play(LogKeptAsync),
    };

    public static IReadOnlyCollection<string> Names => Runs.Keys;

    /// <returns>What was wrong; null: nothing.</returns>
    public static string? One(string name)
    {
        string? failure = null;
        var thread = new Thread(() => failure = Runs[name]());
        thread.Start();
        thread.Join();
        return failure;
    }

    /// <summary>The first is behind what the second knows of floors, until the second is behind what the first does.</summary>
    private static async Task SetBackOneAfterTheOtherAsync(Run run)
    {
        var (first, second) = (run.Nodes[0], run.Nodes[1]);
        await run.WorkAsync(second);
        var older = second.Disk.Durable;
        await run.WorkAsync(first);
        var newer = first.Disk.Durable;
        await run.WorkAsync(first);
        var known = second.Disk.Tables.Floors.Common;
        run.Lose(first, newer);
        first.Start();
        run.Require(first.Disk.Tables.Floors.Own < known, "the first node is no old copy");
        await run.PassAsync(0.1);
        run.Lose(second, older);
        second.Start();
        run.Require(second.Disk.Tables.Floors.Own < first.Disk.Tables.Floors.Common, "the second node is no old copy");
        await run.PassAsync(30);
        foreach (var node in run.Nodes)
        {
            run.Require(await run.WriteAsync(node, quorum: "all") is null, $"{node.Name} still takes no writes");
        }
    }

    private static async Task OldCopyAsync(Run run)
    {
        var (first, second) = (run.Nodes[0], run.Nodes[1]);
        await run.WorkAsync(first);
        var copy = first.Disk.Durable;
        await run.WorkAsync(first);
        run.Lose(first, copy);
        first.Start();

        // It has heard of the floor and cannot be told what it lacks.
        await run.PassAsync(0.1);
        run.Cut(first, second, isCut: true);
        run.Require(await run.WriteAsync(first, quorum: "1") is QuorumException { Outcome: QuorumException.NotStored }, "an old copy took a write");
        run.Cut(first, second, isCut: false);
        await run.PassAsync(60);
        run.Require(await run.WriteAsync(first, quorum: "all") is null, "a node that has rejoined takes no writes");
    }

    /// <summary>
    /// A repetition has an old row logged again, and counts who holds it: on one old copy that knows nothing yet, shipped to one that
    /// knows, and that finds the row gone when it rejoins.
    /// </summary>
    private static async Task OldCopyAnswersAsync(Run run)
    {
        var (first, second, third) = (run.Nodes[0], run.Nodes[1], run.Nodes[2]);
        run.Require(await run.WriteAsync(second, quorum: "all", key: "key") is null, "the first request failed");
        await run.PassAsync(10);
        var (copy, other) = (first.Disk.Durable, second.Disk.Durable);
        var id = second.Disk.Tables.Memories.Keys.Single();
        await third.Process!.RunAsync(() => third.Memory!.DeleteAsync(id, new("caller")));
        await run.PassAsync(60);
        run.Require(run.Nodes.All(static node => node.Disk.Tables.Tombstones.Count == 0), "a delete is not forgotten");
        run.Lose(first, copy);
        run.Lose(second, other);
        run.Cut(second, third, isCut: true);
        first.Start();
        await run.PassAsync(0.1);
        run.Cut(first, third, isCut: true);
        second.Start();
        await run.PassAsync(5);
        run.Require(first.Disk.Tables.Memories.ContainsKey(id) && second.Disk.Tables.Memories.ContainsKey(id), "a copy does not hold what was deleted");
        run.Require(await run.WriteAsync(second, quorum: "2", key: "key") is not null, "an old copy answered for a row that it lets go of");
        run.Cut(first, third, isCut: false);
        await run.PassAsync(30);
        run.Cut(second, third, isCut: false);
        await run.PassAsync(30);
        run.Require(run.Nodes.All(node => !node.Disk.Tables.Memories.ContainsKey(id)), "what was deleted is back");
    }

    /// <summary>The copy is older than any floor, and neither has heard yet of a node that knows what was deleted and forgotten.</summary>
    private static async Task OldCopyShipsAsync(Run run)
    {
        var (first, second, third) = (run.Nodes[0], run.Nodes[1], run.Nodes[2]);
        var id = (await first.Process!.RunAsync(() => first.Memory!.StoreAsync(Run.Draft, new("caller")))).Memory.Id;
        var copy = first.Disk.Durable;
        await run.PassAsync(5);
        await second.Process!.RunAsync(() => second.Memory!.DeleteAsync(id, new("caller")));
        await run.PassAsync(60);
        run.Require(run.Nodes.All(static node => node.Disk.Tables.Tombstones.Count == 0), "a delete is not forgotten");
        run.Lose(first, copy);
        run.Require(first.Disk.Tables.Floors == default, "the copy knows of a floor");
        run.Lose(second, null);
        run.Cut(first, third, isCut: true);
        run.Cut(second, third, isCut: true);
        first.Start();
        second.Start();
        await run.PassAsync(1);
        run.Require(second.Disk.Tables.Memories.ContainsKey(id), "the old copy has shipped nothing");
        run.Cut(second, third, isCut: false);
        await run.PassAsync(30);
        run.Cut(first, third, isCut: false);
        await run.PassAsync(30);
        run.Require(run.Nodes.All(node => !node.Disk.Tables.Memories.ContainsKey(id)), "what was deleted is back");
        run.Require(await run.WriteAsync(first, quorum: "all") is null, "a node that has rejoined takes no writes");
    }

    /// <summary>The copy hears of nobody for so long that it takes writes: to a memory that is deleted and forgotten, to one that is not, and a new one.</summary>
    private static async Task OldCopyWritesAsync(Run run)
    {
        var (first, second) = (run.Nodes[0], run.Nodes[1]);
        var (gone, left) = (await StoreAsync("gone", "first"), await StoreAsync("left", "first"));
        await run.PassAsync(5);
        var copy = first.Disk.Durable;
        await second.Process!.RunAsync(() => second.Memory!.DeleteAsync(gone, new("caller")));
        await run.PassAsync(60);
        run.Require(run.Nodes.All(static node => node.Disk.Tables.Tombstones.Count == 0), "a delete is not forgotten");
        run.Lose(first, copy);
        Isolate(isCut: true);
        first.Start();
        await run.PassAsync(5);
        run.Require(await StoreAsync("gone", "again") == gone, "the copy does not hold what was deleted");
        run.Require(await StoreAsync("left", "again") == left, "the copy does not hold what was left");
        var added = await StoreAsync("added", "first");
        var shown = first.Disk.Tables.Memories[left].View;
        await first.Process!.RunAsync(() => first.Memory!.SyncAsync([shown with { Id = "synced", UpdatedAt = new(shown.UpdatedAt.Nanoseconds + 1) }], new("caller", Quorum: "1")));
        run.Require(first.Disk.Tables.Memories.ContainsKey("synced"), "a memory that was synced is not there");
        Isolate(isCut: false);
        await run.PassAsync(60);
        run.Require(run.Nodes.All(node => !node.Disk.Tables.Memories.ContainsKey(gone)), "what was deleted is back");
        run.Require(
            run.Nodes.All(node => node.Disk.Tables.Memories.TryGetValue(left, out var row) && row.Own.Body.Value.Content == "again"), "what was written to a memory that is there is lost");
        run.Require(run.Nodes.All(node => node.Disk.Tables.Memories.ContainsKey(added)), "a memory that was written on the copy is lost");
        run.Require(run.Nodes.All(static node => node.Disk.Tables.Memories.ContainsKey("synced")), "a memory that came to the copy with the fields of an older one is lost");

        void Isolate(bool isCut)
        {
            foreach (var other in run.Nodes.Skip(1))
            {
                run.Cut(first, other, isCut);
            }
        }

        Task<string> StoreAsync(string title, string content) => first.Process!.RunAsync(
            async () => (await first.Memory!.StoreAsync(Run.Draft with { Title = title, Content = content }, new("caller", Quorum: "1"))).Memory.Id);
    }

    /// <summary>
    /// A row is stamped too far ahead of the peer's clock, and the disk that has it loses it. When the clocks are right again the peer takes
    /// the row in under its number, just before the next write.
    /// </summary>
    private static async Task RefusedNumberAsync(Run run)
    {
        var (first, second) = (run.Nodes[0], run.Nodes[1]);
        second.Clock.Offset = TimeSpan.FromSeconds(50);
        await run.WorkAsync(second);
        second.Clock.Offset = TimeSpan.Zero;
        await run.PassAsync(2);
        first.Clock.Offset = TimeSpan.FromSeconds(-50);
        var copy = second.Disk.Durable;
        run.Require(await run.WriteAsync(second, quorum: "1") is null, "the write failed");
        await run.PassAsync(0.1);
        run.Require(first.Disk.Tables.DeadLetters.Count == 1, "the row was not refused");
        run.Require(await second.Process!.RunAsync(() => second.Memory!.FlushPeersAsync(TimeSpan.FromSeconds(1))), "a node that leaves waits for what its peer has refused");
        run.Lose(second, copy);
        second.Start();
        await run.PassAsync(0.5);
        first.Clock.Offset = TimeSpan.Zero;
        while (first.Disk.Tables.DeadLetters.Count > 0)
        {
            await run.PassAsync(0.001);
        }

        run.Require(await run.WriteAsync(second, quorum: "all") is null, "the next write failed");
        await run.PassAsync(30);
    }

    /// <summary>Two old copies are connected; one rejoins, and the other writes before it hears of that.</summary>
    private static async Task OldCopyIsRefusedAsync(Run run)
    {
        var (first, second, third) = (run.Nodes[0], run.Nodes[1], run.Nodes[2]);
        run.Require(await run.WriteAsync(first, quorum: "all") is null, "the first write failed");
        await run.PassAsync(5);
        var copies = (first.Disk.Durable, second.Disk.Durable);
        var id = first.Disk.Tables.Memories.Keys.Single();
        await third.Process!.RunAsync(() => third.Memory!.DeleteAsync(id, new("caller")));
        await run.PassAsync(60);
        run.Require(run.Nodes.All(static node => node.Disk.Tables.Tombstones.Count == 0), "a delete is not forgotten");
        run.Lose(first, copies.Item1);
        run.Lose(second, copies.Item2);
        run.Cut(first, third, isCut: true);
        run.Cut(second, third, isCut: true);
        first.Start();
        second.Start();
        await run.PassAsync(5);
        run.Require(first.Disk.Tables.Memories.ContainsKey(id) && second.Disk.Tables.Memories.ContainsKey(id), "a copy does not hold what was deleted");
        run.Cut(second, third, isCut: false);
        while (second.Disk.Tables.Memories.ContainsKey(id))
        {
            await run.PassAsync(0.001);
        }

        await run.WriteAsync(first, quorum: "2");
        run.Require(!second.Disk.Tables.Memories.ContainsKey(id), "what was deleted is back on the node that has rejoined");
        run.Cut(first, third, isCut: false);
        await run.PassAsync(30);
        run.Require(run.Nodes.All(node => !node.Disk.Tables.Memories.ContainsKey(id)), "what was deleted is back");
        run.Require(await run.WriteAsync(first, quorum: "all") is null, "a node that has rejoined takes no writes");
    }

    private static async Task TwoWipedAsync(Run run)
    {
        await run.WorkAsync(run.Nodes[0]);
        run.Nodes[2].Kill();
        run.Lose(run.Nodes[0], null);
        run.Lose(run.Nodes[1], null);
        run.Nodes[0].Start();
        run.Nodes[1].Start();
        await run.PassAsync(30);
        run.Require(run.Nodes.Take(2).All(static node => node.Memory!.Cluster().Recovering), "a node has recovered from one that has lost its rows too");
        run.Nodes[2].Start();
        await run.PassAsync(30);
        run.Require(run.Nodes.All(static node => !node.Memory!.Cluster().Recovering), "a node has not recovered from one that has lost nothing");
    }

    /// <summary>
    /// Repetitions change nothing, so they are shipped from the log and not from memory. The peer says by digest exchange that it holds
    /// one while its answers to the two before are late, and the log lets go of all.
    /// </summary>
    private static async Task TrimmedUnderLaneAsync(Run run)
    {
        var (first, second) = (run.Nodes[0], run.Nodes[1]);
        run.Require(await run.WriteAsync(first, quorum: "all", key: "key") is null, "the first request failed");
        run.Slow(second, first, milliseconds: 9_000);
        for (var repetition = 0; repetition < 2; repetition++)
        {
            run.Require(await run.WriteAsync(first, quorum: "1", key: "key") is null, "a repetition failed");
            await run.PassAsync(0.01);
        }

        run.Slow(second, first, milliseconds: 1);
        run.Require(await run.WriteAsync(first, quorum: "1", key: "key") is null, "a repetition failed");
        await run.PassAsync(15);
        run.Require(await run.WriteAsync(first, quorum: "all") is null, "nothing is shipped any more");
    }

    private static async Task LogKeptAsync(Run run)
    {
        var node = run.Nodes[0];
        var isRead = false;
        node.Memory!.KeepLog(() => isRead ? long.MaxValue : 0);
        var id = (await node.Process!.RunAsync(() => node.Memory!.StoreAsync(Run.Draft, new("caller")))).Memory.Id;
        await node.Process!.RunAsync(() => node.Memory!.DeleteAsync(id, new("caller")));
        await run.PassAsync(60);
        run.Require(node.Disk.Tables.Tombstones.ContainsKey(id), "a delete that the log names is forgotten");
        isRead = true;
        await run.PassAsync(60);
        run.Require(!node.Disk.Tables.Tombstones.ContainsKey(id), "a delete that everybody has is remembered for ever");
    }

    private sealed class Run
    {
        private readonly SimulatedWorld _world = new(new Random(1), window: 1);
        private readonly SimulatedCluster _cluster;
        private readonly SimulatedProcess _outside;
        private readonly SimulatedTime _time;

        public Run(int nodes, int? writes, double upkeep = 1)
        {
            var settings = new ReplicaSetSettings(nodes - 1, writes, TimeSpan.FromSeconds(1))
            {
                UpkeepInterval = TimeSpan.FromSeconds(upkeep),
                TombstoneGrace = TimeSpan.FromSeconds(10),
            };
            _cluster = new(_world, new(nodes, new NodeSettings { ReplicaSet = settings }, TimeSpan.FromSeconds(60)));
            _outside = new(_world, "outside", 0);
            _time = new(_world, _outside, new());
        }

        public static MemoryDraft Draft { get; } = new() { Title = "title", Content = "content", Namespace = "ns" };

        public IReadOnlyList<SimulatedNode> Nodes => _cluster.Nodes;

        public string? Play(Func<Run, Task> script)
        {
            _world.RunUntil(
                _outside.RunAsync(async () =>
                {
                    foreach (var node in Nodes)
                    {
                        node.Start();
                    }

                    await PassAsync(5);
                    await script(this);
                    return true;
                }),
                MostSteps);
            return _world.Failure;
        }

        public void Require(bool holds, string otherwise)
        {
            if (!holds)
            {
                _world.Fail(otherwise);
            }
        }

        public Task PassAsync(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds), _time);

        /// <summary>A write that all hold, and time for the floors to pass it.</summary>
        public async Task WorkAsync(SimulatedNode node)
        {
            Require(await WriteAsync(node, quorum: "all") is null, $"{node.Name} takes no writes");
            await PassAsync(10);
        }

        /// <returns>Null: it was acknowledged.</returns>
        public async Task<MemoryException?> WriteAsync(SimulatedNode node, string quorum, string? key = null)
        {
            var (memory, losses) = (node.Memory!, _cluster.Ledger.Losses);
            return await node.Process!.RunAsync(async () =>
            {
                try
                {
                    var receipt = await memory.StoreAsync(Draft, new("caller", IdempotencyKey: key, Quorum: quorum));
                    _cluster.Ledger.Answer(receipt.Position, receipt.Quorum, receipt.Durability, node.QuorumWrites, losses, node.Nodes);
                    return null;
                }
                catch (MemoryException exception)
                {
                    return exception;
                }
            });
        }

        /// <param name="records">What is left of the disk; null: nothing.</param>
        public void Lose(SimulatedNode node, int? records)
        {
            node.Process!.IsForgotten = true;
            node.Kill();
            if (records is { } kept)
            {
                node.Disk.Restore(kept);
            }
            else
            {
                node.Disk.Wipe();
            }

            _cluster.Ledger.Lost(node.Disk);
        }

        /// <param name="milliseconds">Of the slowest message.</param>
        public void Slow(SimulatedNode one, SimulatedNode other, double milliseconds) => _cluster.Network.Between(one.Name, other.Name).Slowest = milliseconds;

        public void Cut(SimulatedNode one, SimulatedNode other, bool isCut)
        {
            _cluster.Network.Between(one.Name, other.Name).IsCut = isCut;
            _cluster.Network.Between(other.Name, one.Name).IsCut = isCut;
        }
    }
}
