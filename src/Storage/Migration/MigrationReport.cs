using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Migration;

/// <param name="Batch">Rows that are read and written at once: 1 to 10,000.</param>
/// <param name="Namespace">Only this one; null: all.</param>
/// <param name="DryRun">Read and compare, write nothing.</param>
public sealed record MigrationOptions(int Batch = 1_000, string? Namespace = null, bool DryRun = false);

/// <summary>Rows of one kind, on both sides, when the migration had ended.</summary>
/// <param name="Missing">Rows of the source that the target does not hold.</param>
public sealed record KindCount(long Source, long Target, long Missing);

/// <summary>How far a migration is.</summary>
/// <param name="Phase"><c>copy</c>, then <c>check</c>.</param>
/// <param name="Total">Rows that there are to read, about.</param>
public readonly record struct MigrationProgress(string Phase, long Rows, long Total);

/// <summary>What a migration did.</summary>
public sealed record MigrationReport
{
    public required string From { get; init; }

    public required string To { get; init; }

    public required bool DryRun { get; init; }

    public required long Batches { get; init; }

    /// <summary>Memories of the source, archived ones included.</summary>
    public required long MemoriesRead { get; init; }

    /// <summary>Of them, those that the target did not hold so already.</summary>
    public required long MemoriesWritten { get; init; }

    /// <summary>Rows of every kind.</summary>
    public required long RowsRead { get; init; }

    public required long RowsWritten { get; init; }

    public required IReadOnlyDictionary<string, KindCount> Counts { get; init; }

    /// <summary>Over every row of the source that was to be brought over, and over the same rows of the target.</summary>
    public required Digest SourceDigest { get; init; }

    public required Digest TargetDigest { get; init; }

    public required IReadOnlyDictionary<string, long> LeftBehind { get; init; }

    /// <summary>Empty when all is there.</summary>
    public required IReadOnlyList<string> Errors { get; init; }

    public required TimeSpan Elapsed { get; init; }
}
