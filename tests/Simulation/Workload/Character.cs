using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Cluster;

namespace OrleansMemory.Simulation.Workload;

/// <summary>
/// What kind of run a seed is: how many nodes, how they are configured, which faults there are and how many. Each run leaves most
/// of it out, so that what hides behind one fault is found where that fault is missing (swarm testing: Groce and others, 2012).
/// </summary>
/// <param name="Races">Callers send requests together that get into each other's way.</param>
internal sealed record Character(
    ClusterSettings Cluster, int Callers, double Think, int Window, IReadOnlyList<FaultKind> Faults, double FaultPause, double InitialSkew, bool Races)
{
    public bool Has(FaultKind kind) => Faults.Contains(kind);

    public static Character Of(long seed)
    {
        var random = Seeds.Stream(seed, "character");
        var nodes = random.Next(20) switch { 0 => 1, < 4 => 2, < 16 => 3, < 18 => 4, _ => 5 };
        int? writes = random.Next(10) switch { 0 => 1, 1 => nodes, 2 => 0, _ => null };
        var upkeep = random.Next(4) switch { 0 => 1, 1 => 3, 2 => 15, _ => 600 };

        // The grace is longer than any message or pause lasts, as a day is; so these runs take longer too.
        var forgets = upkeep < 60 && random.Next(3) == 0;
        var settings = new ReplicaSetSettings(nodes - 1, writes, TimeSpan.FromMilliseconds(random.Next(200, 2_000)))
        {
            UpkeepInterval = TimeSpan.FromSeconds(upkeep),
            TombstoneGrace = TimeSpan.FromSeconds(forgets ? random.Next(40, 60) : 24 * 3600),
        };
        var kinds = Enum.GetValues<FaultKind>().Where(_ => random.Next(3) == 0).ToList();
        if (random.Next(10) == 0)
        {
            kinds.Clear();
        }

        var node = new NodeSettings
        {
            ReplicaSet = settings,
            TouchInterval = TimeSpan.FromMilliseconds(random.Next(100, 2_000)),
            ArchiveOnGc = random.Next(4) > 0,
        };
        return new(
            new(nodes, node, TimeSpan.FromSeconds(random.Next(1, 8))),
            Callers: random.Next(2, 9),
            Think: forgets ? 1_000 : random.Next(3) switch { 0 => 5, 1 => 30, _ => 120 },
            Window: random.Next(3) switch { 0 => 1, 1 => 4, _ => 64 },
            kinds,
            FaultPause: random.Next(3) switch { 0 => 150, 1 => 500, _ => 1_500 },
            InitialSkew: random.Next(2) == 0 ? 0 : 200,
            Races: Seeds.Stream(seed, "races").Next(4) == 0);
    }
}

internal enum FaultKind
{
    Kill,
    Stop,
    Pause,
    Cut,
    CutOneWay,
    Isolate,
    Slow,
    Lossy,
    Duplicating,
    DiskFull,
    WriteErrors,
    SyncErrors,
    SlowDisk,
    ClockJump,
    ClockDrift,
    Wipe,
    Restore,
    LostSyncs,
    NewMember,
    DoubtfulCommits,
}
