using System.Diagnostics.Metrics;

namespace OrleansMemory.Core;

/// <summary>The metrics of the engines. Hosts collect every meter of this name.</summary>
public static class Instruments
{
    public const string MeterName = "OrleansMemory";

    public static readonly Meter Meter = new(MeterName);

    /// <summary>Mutations in one commit: how well callers share an fsync.</summary>
    public static readonly Histogram<long> CommitRows = Meter.CreateHistogram<long>(
        "om_commit_rows", unit: "{row}", description: "Mutations in one commit.",
        advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] });

    /// <summary>From the start of a transaction to its fsync.</summary>
    public static readonly Histogram<double> CommitSeconds = Meter.CreateHistogram<double>(
        "om_commit_seconds", unit: "s", description: "Time of one commit, decisions and fsync included.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5] });

    /// <summary>Rounds of upkeep that failed and will be tried again.</summary>
    public static readonly Counter<long> UpkeepFailures = Meter.CreateCounter<long>(
        "om_upkeep_failures", unit: "{round}", description: "Rounds of upkeep (floors, tombstones, dead letters) that failed.");

    /// <summary>From the commit on this node to the answer of the quorum, met or not.</summary>
    public static readonly Histogram<double> QuorumSeconds = Meter.CreateHistogram<double>(
        "om_quorum_seconds", unit: "s", description: "Time that a committed write waited for its quorum.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5] });

    /// <summary>Writes that were answered with a 503, by reason.</summary>
    public static readonly Counter<long> QuorumFailures = Meter.CreateCounter<long>(
        "om_quorum_failures", unit: "{write}", description: "Writes that did not reach their quorum, by reason.");

    /// <summary>Rows that peers sent, by what became of them here.</summary>
    public static readonly Counter<long> AppliedRows = Meter.CreateCounter<long>(
        "om_replica_rows", unit: "{row}", description: "Rows received from peers, by outcome.");

    /// <summary>Memories whose access touches were dropped, because the recorder was full or the store refused them.</summary>
    public static readonly Counter<long> TouchesDropped = Meter.CreateCounter<long>(
        "om_touches_dropped", unit: "{touch}", description: "Access touches dropped because too many waited or the store refused them.");

    /// <summary>Rows that a backfill committed, by step.</summary>
    public static readonly Counter<long> BackfillRows = Meter.CreateCounter<long>(
        "om_backfill_rows", unit: "{row}", description: "Rows that backfills committed, by step.");

    /// <summary>From the look-up of a batch's rows to its commit.</summary>
    public static readonly Histogram<double> BackfillBatchSeconds = Meter.CreateHistogram<double>(
        "om_backfill_batch_seconds", unit: "s", description: "Time of one batch of a backfill, look-up, computation and commit.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10] });

    /// <summary>How long a batch kept other writes waiting.</summary>
    public static readonly Histogram<double> BackfillLockSeconds = Meter.CreateHistogram<double>(
        "om_backfill_lock_seconds", unit: "s", description: "Time for which one batch of a backfill held the write lock.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1] });

    /// <summary>Batches that committed nothing because their lease was another's.</summary>
    public static readonly Counter<long> BackfillLeaseLosses = Meter.CreateCounter<long>(
        "om_backfill_lease_losses", unit: "{lease}", description: "Leases of backfills that ended or went to another runner while a batch was under way.");

    /// <summary>Changes that the curator made.</summary>
    public static readonly Counter<long> CuratorOperations = Meter.CreateCounter<long>(
        "om_curator_operations", unit: "{change}", description: "Changes of memories that the curator made.");

    /// <summary>Of one run of the curator, by whether it was dry.</summary>
    public static readonly Histogram<double> CuratorSeconds = Meter.CreateHistogram<double>(
        "om_curator_cycle_seconds", unit: "s", description: "Time of one run of the curator.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [.1, .5, 1, 5, 15, 60, 300, 900, 3600] });
}
