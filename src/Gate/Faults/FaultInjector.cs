using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Faults;

/// <summary>Which node a fault is meant for.</summary>
public enum FaultVictim
{
    /// <summary>Any; in turn, so that each is hit.</summary>
    Any,

    /// <summary>The one that most writes go to; of silos, the one that decides them.</summary>
    Primary,

    /// <summary>Another.</summary>
    Follower,
}

/// <summary>
/// One way in which a machine, a process or a network fails. For each cycle: prepare, wait until the nodes are ready, inject while writes
/// are in flight, hold it for <see cref="Duration"/>, heal, wait until the nodes are ready. One at a time on a set of nodes; heal what was
/// injected also when the cycle failed in between.
/// </summary>
public abstract class FaultInjector
{
    /// <summary>All of them, anew at each call: an injector remembers what it has to take back. The longest first, since others are run beside it.</summary>
    public static IReadOnlyList<FaultInjector> All =>
    [
        new RollingRestartFault(),
        new KillFault("kill_primary_mid_write", FaultVictim.Primary, "The node that writes go to is killed (SIGKILL) while it writes, and started again."),
        new KillFault("kill_follower", FaultVictim.Follower, "A node that only holds copies is killed (SIGKILL), and started again."),
        new KillAllFault(),
        new PauseFault(),
        new PartitionFault(),
        new OneWayCutFault(),
        new LatencyFault(),
        new BandwidthFault(),
        new ResetFault(),
        new ReplacedEmptyFault(),
        new RestoredCopyFault(),
        new DiskFullFault(),
        new ClockJumpFault(),
        new AwayFault(),
    ];

    /// <summary>In snake_case.</summary>
    public abstract string Name { get; }

    /// <summary>What happens, in one sentence.</summary>
    public abstract string Description { get; }

    public virtual FaultVictim Victim => FaultVictim.Any;

    /// <summary>The victim loses its disk: a write that no other node holds may be gone.</summary>
    public virtual bool DestroysDisk => false;

    /// <summary>The fault is about deletes: while it is in force there should be many.</summary>
    public virtual bool WantsDeletes => false;

    /// <summary>Nothing that the others ask the victim is answered: silos declare it dead when that lasts for some seconds.</summary>
    public virtual bool Silences => false;

    /// <summary>How long the fault is meant to last between <see cref="InjectAsync"/> and <see cref="HealAsync"/>, which do not wait for that.</summary>
    public TimeSpan Duration { get; set; } = TimeSpan.FromSeconds(2.5);

    /// <summary>Why it cannot be injected here into such nodes; null when it can.</summary>
    public virtual string? WhyNot(NodesPlan plan) => null;

    /// <summary>The plan with what the fault needs of the nodes.</summary>
    public virtual NodesPlan Require(NodesPlan plan) => plan;

    /// <summary>Before the traffic of a cycle. The nodes need not be ready when it ends.</summary>
    public virtual Task PrepareAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => Task.CompletedTask;

    /// <summary>Ends when the fault is in force.</summary>
    public abstract Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default);

    /// <summary>Ends when node and network are as before, and the node listens; it may not be ready yet.</summary>
    /// <exception cref="NodeFailedException">The node does not start any more.</exception>
    public abstract Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default);
}
