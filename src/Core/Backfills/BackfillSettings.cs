namespace OrleansMemory.Core.Backfills;

/// <summary>How a node runs its backfills.</summary>
public sealed record BackfillSettings
{
    /// <summary>How long a lease lasts after its last batch. A batch that takes longer loses it.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>For how long a batch is to hold the write lock while nobody else writes: batches grow and shrink towards it.</summary>
    public TimeSpan Hold { get; init; } = TimeSpan.FromMilliseconds(37);

    /// <summary>The same while others write.</summary>
    public TimeSpan BusyHold { get; init; } = TimeSpan.FromMilliseconds(4);

    /// <summary>While others write, how many times as long as it worked a step rests after each batch.</summary>
    public double BusyRest { get; init; } = 2;

    /// <summary>The first rest after an error; each further one is twice as long.</summary>
    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromMilliseconds(500);

    public TimeSpan LongestRetry { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How often complete steps look for rows that came in an old form since.</summary>
    public TimeSpan Sweep { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long after a notice of such rows they are looked for: what is written meanwhile goes with them.</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Rows of one batch at most; at least 1.</summary>
    public int LargestBatch { get; init; } = 5_000;
}
