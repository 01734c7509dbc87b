using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills;

/// <summary>What a store answers about backfills: its ledger, its quarantine, and which rows need a step. It is written by a <see cref="WriteSession"/>.</summary>
public interface IBackfillStore
{
    /// <summary>Every version of every step that ever began, by name and version.</summary>
    ValueTask<IReadOnlyList<BackfillRecord>> ReadBackfillsAsync(CancellationToken cancellation = default);

    /// <summary>By step, version and key.</summary>
    ValueTask<IReadOnlyList<QuarantinedRow>> ReadQuarantineAsync(int limit, CancellationToken cancellation = default);

    /// <summary>Shown memories that need a step, after a row or, of those marked old, up to it.</summary>
    ValueTask<PendingRows> FindPendingAsync(PendingScan scan, CancellationToken cancellation = default);

    /// <summary>Derived values of a step with a marker, by row, above a row; fewer than the limit: there are no more.</summary>
    ValueTask<IReadOnlyList<DerivedValue>> ReadDerivedAsync(string step, string marker, long afterRow, int limit, CancellationToken cancellation = default);

    /// <summary>How many <see cref="FindPendingAsync"/> would give from the start.</summary>
    ValueTask<long> CountPendingAsync(PendingScan scan, CancellationToken cancellation = default);
}

/// <summary>What makes a memory need a step.</summary>
public enum PendingKind
{
    /// <summary>It has no derived value of the step, or one with another marker.</summary>
    Derived,

    /// <summary>It counts more accesses than its counters say.</summary>
    UnsplitAccess,

    /// <summary>The full-text index lacks it, or has it in an old form.</summary>
    Unindexed,
}

/// <param name="AfterRow">The store's own number of a memory.</param>
public sealed record PendingScan(PendingKind Kind, string Step, int Version, string Marker, long AfterRow, int Limit);

/// <param name="Through">The number of the row up to which all that need the step are in <paramref name="Rows"/>.</param>
/// <param name="IsLast">There are no more.</param>
public sealed record PendingRows(IReadOnlyList<BackfillRow> Rows, long Through, bool IsLast);
