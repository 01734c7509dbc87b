using System.Diagnostics;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>Bugs that can be put into the engines, to see that tests find them.</summary>
internal enum Fault
{
    None,

    /// <summary>A row that a quorum holds is sent to nobody any more.</summary>
    FanOutEndsAtQuorum,

    /// <summary>Callers are answered before their transaction is committed.</summary>
    AckBeforeCommit,

    /// <summary>A store answers before the fsync.</summary>
    AckBeforeSync,

    /// <summary>The vector covers a row that was refused.</summary>
    VectorPastRefusedRow,

    /// <summary>The vector covers rows that never came, below one that did.</summary>
    VectorPastGap,

    /// <summary>An exchange joins the peer's vector and not all of its rows.</summary>
    VectorWithoutRows,

    /// <summary>A delete is forgotten before every node has it.</summary>
    TombstoneCollectedEarly,

    /// <summary>A delete is forgotten when this node has everything, whatever the others have.</summary>
    TombstoneCollectedOneWay,

    /// <summary>A node that was away comes back with rows that were deleted and forgotten meanwhile.</summary>
    RejoinKeepsOldRows,

    /// <summary>A node that was away comes back with rows that were deleted and forgotten meanwhile, if it has written to them.</summary>
    RejoinKeepsRewrittenRows,

    /// <summary>What an old copy ships is taken by a node that has forgotten deletes which the copy never met.</summary>
    OldCopyShips,

    /// <summary>A node that was away lets go of what it wrote since it came back.</summary>
    RejoinDropsNewRows,

    /// <summary>Stamps of rows that come in do not move the clock.</summary>
    ClockNotMerged,

    /// <summary>An older copy of a store goes on with numbers that were used.</summary>
    SequenceReused,

    /// <summary>An older copy of a store takes numbers by which a peer keeps rows that it refused for free.</summary>
    RefusedNumberReused,

    /// <summary>An exchange of digests that began before its peer was set back goes on with what the peer holds then.</summary>
    ExchangeSpansSetback,

    /// <summary>A replica that has lost rows counts for quorum reads.</summary>
    RecoveringReplicaCounts,

    /// <summary>A replica that has lost rows recovers from one that has lost them too.</summary>
    RecoveringPeerHeals,

    /// <summary>Which of two ids keeps a title is decided when the second one comes.</summary>
    TitleDecidedAtApply,

    /// <summary>A row that a delete overrules counts as held.</summary>
    RefusedRowCounts,

    /// <summary>A row that a delete of another node overruled here counts where that delete was taken in its place.</summary>
    OverruledRowCounts,

    /// <summary>One node more is counted than holds a row.</summary>
    QuorumOneShort,

    /// <summary>Of two values the one that came last wins.</summary>
    LastArrivalWins,

    /// <summary>A put that comes after the delete of its id is taken.</summary>
    DeleteNotFinal,

    /// <summary>A floor rises past rows that this node lacks.</summary>
    FloorPastGap,

    /// <summary>A read with a token does not wait.</summary>
    TokenNotAwaited,

    /// <summary>A repeated request is taken for a new one.</summary>
    RepetitionForgotten,

    /// <summary>A pump passes over a row when several are waiting.</summary>
    FeedSkipsRow,

    /// <summary>An activation decides before other replicas have recorded its epoch.</summary>
    EpochNotRecorded,

    /// <summary>A replica that knows a later epoch counts for a row of an earlier one.</summary>
    FencedRowCounts,

    /// <summary>An activation takes an epoch and does not ask what the others hold.</summary>
    CatchUpSkipped,

    /// <summary>A backfill goes on under a lease that has ended, as long as nobody has taken it.</summary>
    ExpiredLeaseExtended,

    /// <summary>A backfill does not look whose lease it is that it commits under.</summary>
    StaleEpochCommits,

    // Bugs that these engines once had.

    /// <summary>What a node decides replaces the row, also where the row is above it.</summary>
    PutNotJoined,

    /// <summary>A node writes once it has compared itself with one peer.</summary>
    OnePeerCompared,

    /// <summary>A node that has lost rows counts itself for quorum reads.</summary>
    RecoveringReaderCounts,

    /// <summary>A node that is stopped before it has recovered takes itself for whole when it starts again.</summary>
    RecoveryForgottenAtStart,

    /// <summary>A delete is forgotten while the log still names it.</summary>
    TombstoneCollectedUnderLog,

    /// <summary>An old copy of a node acknowledges rows that it lets go of when it rejoins.</summary>
    StaleNodeAcknowledges,

    /// <summary>An old copy decides writes before it has rejoined.</summary>
    StaleNodeWrites,

    /// <summary>A repetition that meets a delete is decided as if it were the first request.</summary>
    RepetitionDecidedAnew,

    /// <summary>A command is refused for what a command before it did in a transaction that failed.</summary>
    RefusalOutlivesItsGround,

    /// <summary>A quorum read counts a peer whose rows it could not take in.</summary>
    RefusedRowsAnswerReads,

    /// <summary>An exchange takes rows for held that left their bucket while it ran.</summary>
    ExchangeMissesMoves,

    /// <summary>An old copy applies what it had refused before deletes of it were forgotten.</summary>
    OldRefusalsRetried,
}

/// <summary>
/// Where the engines break on purpose. Only a build with FAULT_INJECTION has any of it: in every other one these methods are empty,
/// and the compiler leaves the calls out, arguments included.
/// </summary>
internal static class Faults
{
    public const string Symbol = "FAULT_INJECTION";

#if FAULT_INJECTION
    /// <summary>The one fault of this process, by name in OM_FAULT; tests set it too. A name that is none ends the process.</summary>
    public static Fault Active { get; set; } = Environment.GetEnvironmentVariable("OM_FAULT") is { Length: > 0 } name ? Enum.Parse<Fault>(name) : Fault.None;
#endif

    [Conditional(Symbol)]
    public static void Replace<T>(Fault fault, ref T value, T faulty)
    {
#if FAULT_INJECTION
        if (Active == fault)
        {
            value = faulty;
        }
#endif
    }

    /// <summary>
    /// With OM_SHORT_MEMORY=1 deletes are forgotten and logs cut as soon as they may be, and that is looked at twice in a second: what
    /// else takes a day and millions of rows can be seen within seconds.
    /// </summary>
    [Conditional(Symbol)]
    public static void ShortenMemory(ref ReplicaSetSettings settings)
    {
#if FAULT_INJECTION
        if (Environment.GetEnvironmentVariable("OM_SHORT_MEMORY") == "1")
        {
            settings = settings with { TombstoneGrace = TimeSpan.Zero, UpkeepInterval = TimeSpan.FromMilliseconds(500), RetainedLogRows = 1 };
        }
#endif
    }

    [Conditional(Symbol)]
    public static void Run(Fault fault, Action act)
    {
#if FAULT_INJECTION
        if (Active == fault)
        {
            act();
        }
#endif
    }
}
