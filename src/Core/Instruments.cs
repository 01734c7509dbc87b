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

    /// <summary>Memories whose access touches were dropped, because the recorder was full or the store refused them.</summary>
    public static readonly Counter<long> TouchesDropped = Meter.CreateCounter<long>(
        "om_touches_dropped", unit: "{touch}", description: "Access touches dropped because too many waited or the store refused them.");
}
