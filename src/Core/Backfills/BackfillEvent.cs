using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Backfills;

/// <summary>What a runner tells; hosts log each kind as an event of its own.</summary>
public enum BackfillEventKind
{
    Started,

    /// <summary>At a cursor that an earlier run left.</summary>
    Resumed,
    AlreadyComplete,
    Completed,

    /// <summary>Rows of a complete step had come in an old form.</summary>
    Repairing,

    /// <summary>It is tried again later.</summary>
    Failed,

    /// <summary>Another runner has it, or it ended before the batch did.</summary>
    LeaseLost,
    Quarantined,
    Paused,

    /// <summary>The ledger knows a higher version: this code is too old for the step.</summary>
    NewerVersion,

    /// <summary>The marker is another one, as of another model: the step begins anew.</summary>
    MarkerChanged,
}

/// <param name="Rows">Done so far; of <see cref="BackfillEventKind.Quarantined"/>, put there now.</param>
/// <param name="Reason">For people and filters.</param>
public sealed record BackfillEvent(BackfillEventKind Kind, string Step, int Version, string Reason, long Rows = 0, Exception? Exception = null);

/// <summary>What a node of a cluster said of a step.</summary>
public sealed record BackfillReport(string Node, string Step, int Version, bool IsComplete, Timestamp At);

/// <summary>How far a step is, as seen by one node.</summary>
/// <param name="RowsPerSecond">Of the run that is under way in this process; 0 for none.</param>
public sealed record BackfillStatus(BackfillRecord Record, double RowsPerSecond)
{
    public double Percent => Record.State == BackfillState.Complete ? 100
        : Record.RowsTotal == 0 ? 0
        : Math.Min(99.9, 100.0 * Record.RowsDone / Record.RowsTotal);

    /// <summary>Null when it cannot be told.</summary>
    public TimeSpan? Eta => RowsPerSecond > 0 && Record.State == BackfillState.Running
        ? TimeSpan.FromSeconds(Math.Max(0, Record.RowsTotal - Record.RowsDone) / RowsPerSecond)
        : null;
}

/// <summary>All steps that a node knows, and the rows that it could not convert.</summary>
/// <param name="Quarantined">The first 100.</param>
public sealed record BackfillOverview(IReadOnlyList<BackfillStatus> Steps, IReadOnlyList<QuarantinedRow> Quarantined);

/// <param name="Remaining">Rows that the step would take.</param>
public sealed record BackfillDryRun(string Step, int Version, long Remaining);

/// <summary>What can be asked of a backfill, by the names that people and wires use.</summary>
public static class BackfillActions
{
    public const string Pause = "pause";
    public const string Resume = "resume";
    public const string Retry = "retry";
    public const string DryRun = "dry-run";
}
