using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Backfills;

/// <summary>Numbers are part of the stored form.</summary>
public enum BackfillState
{
    Pending = 0,
    Running = 1,
    Paused = 2,
    Complete = 3,

    /// <summary>The last try failed; another one follows at <see cref="BackfillRecord.NextAttemptAt"/>.</summary>
    Failed = 4,

    /// <summary>A higher version of the step has begun.</summary>
    Superseded = 5,
}

/// <summary>One row of a store's ledger: how far one version of a step is. Its batches commit it together with their rows.</summary>
public sealed record BackfillRecord(string Step, int Version)
{
    public BackfillState State { get; init; }

    public string Marker { get; init; } = "";

    /// <summary>The step's own; empty: at the start.</summary>
    public string Cursor { get; init; } = "";

    /// <summary>Never falls while version and marker stay.</summary>
    public long RowsDone { get; init; }

    /// <summary>As counted when the step began, or more when there came more.</summary>
    public long RowsTotal { get; init; }

    public long Quarantined { get; init; }

    /// <summary>Tries that failed since the last batch that did not.</summary>
    public int Attempts { get; init; }

    public Timestamp? NextAttemptAt { get; init; }

    public string? LastError { get; init; }

    /// <summary>Null when nobody has the lease.</summary>
    public string? LeaseOwner { get; init; }

    /// <summary>Rises each time that the lease is taken; a batch of an older one commits nothing.</summary>
    public long LeaseEpoch { get; init; }

    public Timestamp? LeaseExpiresAt { get; init; }

    public Timestamp? StartedAt { get; init; }

    public Timestamp UpdatedAt { get; init; }

    public Timestamp? CompletedAt { get; init; }

    /// <summary>Of the program that wrote this last.</summary>
    public string CodeVersion { get; init; } = "";
}

/// <summary>A row that a step cannot convert.</summary>
public sealed record QuarantinedRow(string Step, int Version, string Key, string Error, Timestamp At);

/// <summary>Names for people and wires.</summary>
public static class BackfillStates
{
    public static string Name(this BackfillState state) => state switch
    {
        BackfillState.Pending => "pending",
        BackfillState.Running => "running",
        BackfillState.Paused => "paused",
        BackfillState.Complete => "complete",
        BackfillState.Failed => "failed",
        BackfillState.Superseded => "superseded",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, "not a state"),
    };
}
