using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Curation;

/// <summary>What one run of the curator may do.</summary>
/// <param name="MostOperations">Changes of memories; 1 to 10,000.</param>
/// <param name="DryRun">Tell what would be done, and change nothing.</param>
/// <param name="Include">Only these namespaces, by their exact names; null: all but those that begin with an underscore.</param>
/// <param name="Exclude">Not these.</param>
public sealed record CuratorOrder(
    int MostOperations = CuratorOrder.DefaultOperations, bool DryRun = false, IReadOnlyList<string>? Include = null, IReadOnlyList<string>? Exclude = null)
{
    public const int DefaultOperations = 100;
    public const int MostOperationsAllowed = 10_000;

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidCuration"/> or that of a namespace's name.</exception>
    public CuratorOrder Check()
    {
        foreach (var name in (Include ?? []).Concat(Exclude ?? []))
        {
            MemoryRules.Namespace(name);
        }

        return MostOperations is >= 1 and <= MostOperationsAllowed
            ? this
            : throw new MemoryException(ErrorKind.InvalidCuration, $"max_ops must be between 1 and {MostOperationsAllowed}");
    }

    internal bool Covers(string @namespace) =>
        !@namespace.StartsWith('_') && Include?.Contains(@namespace, StringComparer.Ordinal) is not false && Exclude?.Contains(@namespace, StringComparer.Ordinal) is not true;
}

/// <summary>What one run of the curator did, or would do.</summary>
/// <param name="RunId">Names it in its undo records; null: a dry run.</param>
/// <param name="Scanned">Memories that it read.</param>
/// <param name="Eligible">Those of them that it might change.</param>
/// <param name="Attempted">Changes that it tried.</param>
/// <param name="SkippedByCap">Changes that it found and left to the next run.</param>
/// <param name="Expired">Memories whose life was over.</param>
/// <param name="Clusters">Sets of memories that say nearly the same.</param>
/// <param name="Consolidated">Memories that were told as one with others.</param>
/// <param name="Forgotten">Memories that were archived because another one contradicts them.</param>
/// <param name="PrioritiesAdjusted">Memories whose priority went up or down by one.</param>
/// <param name="UndoRecords">Each change has one, written in its transaction.</param>
/// <param name="Errors">Changes that were refused, and why; at most <see cref="MostErrors"/>.</param>
public sealed record CuratorReport(
    string? RunId,
    Timestamp StartedAt,
    Timestamp CompletedAt,
    long Scanned,
    long Eligible,
    long Attempted,
    long SkippedByCap,
    long Expired,
    long Clusters,
    long Consolidated,
    long Forgotten,
    long PrioritiesAdjusted,
    long UndoRecords,
    IReadOnlyList<string> Errors,
    bool DryRun)
{
    public const int MostErrors = 50;
}

/// <summary>The curator of the node that was asked.</summary>
/// <param name="Last">Its last run since the node started; null: none.</param>
public sealed record CuratorStatus(string Node, bool IsRunning, CuratorReport? Last);

/// <summary>What came of undoing.</summary>
/// <param name="Errors">Records that could not be undone, and why.</param>
public sealed record UndoneRuns(int Reversed, IReadOnlyList<string> Errors);

/// <summary>Who may run the curation that only one node at a time may run.</summary>
public interface ICurationLease
{
    /// <summary>Takes the lease for a while, or extends this node's own.</summary>
    /// <returns>False: another node has it.</returns>
    Task<bool> TakeAsync(TimeSpan duration);

    /// <summary>Gives it back; one that is not held any more is no matter.</summary>
    Task ReleaseAsync();
}
