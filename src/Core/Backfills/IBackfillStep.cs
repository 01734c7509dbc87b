using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills;

/// <summary>
/// Work over stored rows that a release needs once, in batches. A step writes what is the node's own, outside merge and digest, or a
/// pure function of the row that draws no stamp: it runs on every replica, and must change nothing twice.
/// </summary>
public interface IBackfillStep
{
    /// <summary>Unique; part of the ledger's key, so it never changes.</summary>
    string Name { get; }

    /// <summary>Above 0. A higher one runs the step again; a ledger that knows a higher one keeps this code from running it.</summary>
    int Version { get; }

    /// <summary>What rows that are done are marked with. Another one under the same version, as of another model, begins the step anew.</summary>
    string Marker { get; }

    /// <summary>Steps that must be complete first.</summary>
    IReadOnlyList<string> DependsOn => [];

    /// <summary>
    /// Rows that need the step: those behind the cursor whose marker was found old first, then those after it. Never rows that are in
    /// quarantine. A look-up in an index: it is asked again and again, also when there are none.
    /// </summary>
    /// <param name="cursor">As a page gave it; empty: from the start.</param>
    /// <param name="limit">Above 0.</param>
    ValueTask<BackfillPage> PendingAsync(string cursor, int limit, CancellationToken cancellation = default);

    /// <summary>
    /// Computes what the rows need, outside the transaction. Throws when it cannot be done now, as when a service is away: the step is
    /// tried again later. A row that can never be done is a failure in the answer, and goes to quarantine.
    /// </summary>
    ValueTask<BackfillBatch> ApplyAsync(IReadOnlyList<BackfillRow> rows, CancellationToken cancellation = default);

    /// <summary>How many rows need the step; those in quarantine are not among them.</summary>
    ValueTask<long> RemainingAsync(CancellationToken cancellation = default);
}

/// <summary>A row that needs a step.</summary>
/// <param name="Key">Names it, in the quarantine too: of a memory its id.</param>
/// <param name="Memory">Null when it cannot be read.</param>
/// <param name="Error">Why it cannot be read.</param>
public sealed record BackfillRow(string Key, MemoryRow? Memory, string? Error = null);

/// <param name="Cursor">Where the next page begins once these rows are done.</param>
/// <param name="IsLast">There was none after them.</param>
public sealed record BackfillPage(IReadOnlyList<BackfillRow> Rows, string Cursor, bool IsLast);

/// <summary>What is to be written for some rows.</summary>
/// <param name="WriteAsync">
/// Runs in the batch's transaction, under the write lock: short, and without waiting for anything but the session. Gives how many of the
/// rows need the step still, as those that have changed since they were read.
/// </param>
public sealed record BackfillBatch(Func<WriteSession, ValueTask<int>> WriteAsync, IReadOnlyList<RowFailure> Failures);

/// <param name="Error">For an operator, without the row's text.</param>
public readonly record struct RowFailure(string Key, string Error);
