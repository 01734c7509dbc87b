using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>A full-text index over the shown memories of one store.</summary>
public interface ITextIndex
{
    /// <summary>
    /// Waits, for a bounded time, until the index holds every write that was acknowledged before the call, then lends a reader.
    /// </summary>
    Task<ITextReader> ReadAsync(CancellationToken cancellation);

    /// <summary>
    /// The words of a row are written in the transaction of the row, so that they are built anew in one too. Else the index follows the
    /// store, and a rebuild is its own.
    /// </summary>
    bool IsBesideRows => false;

    /// <summary>Waits until a rebuild that is under way has passed a row; of an index that <see cref="IsBesideRows"/> nothing.</summary>
    Task CoverAsync(long row, CancellationToken cancellation) => Task.CompletedTask;
}

/// <summary>
/// Lent to one query, given back by disposing. Rows are the store's own numbers of memories. One call at a time.
/// </summary>
public interface ITextReader : IDisposable
{
    /// <summary>False when the index may lack memories: it is being rebuilt, or the wait for it took too long.</summary>
    bool IsComplete { get; }

    /// <summary>Memories in the index.</summary>
    long Documents { get; }

    /// <summary>Tokens of a memory on average.</summary>
    double AverageLength { get; }

    /// <summary>How many memories hold each word; for common words, as the share of them at some recent time.</summary>
    Task<IReadOnlyList<long>> CountAsync(IReadOnlyList<string> words, CancellationToken cancellation);

    /// <summary>Shows every match to <paramref name="candidates"/>, each once, until it says stop.</summary>
    Task ScanAsync(TextScan scan, ICandidates candidates, CancellationToken cancellation);

    /// <summary>
    /// Rows above <paramref name="afterRow"/> of memories that hold any of the words, in the order of rows; for changes to many.
    /// Fewer than <paramref name="limit"/>: there are no more.
    /// </summary>
    Task<IReadOnlyList<long>> FindAsync(IReadOnlyList<string> words, string? @namespace, long afterRow, int limit, CancellationToken cancellation);

    /// <summary>What ranking needs of a row; false when it is not in the index.</summary>
    bool TryGetInputs(long row, out RankInputs inputs);

    /// <summary>The namespace that <see cref="RankInputs.Namespace"/> stands for.</summary>
    string NamespaceName(int number);

    /// <summary>The memories as they are now, in the order asked for; null for one that is not shown any more.</summary>
    Task<IReadOnlyList<Memory?>> FetchAsync(IReadOnlyList<long> rows, CancellationToken cancellation);
}

/// <param name="Words">Words whose frequencies are told.</param>
/// <param name="Required">When not empty, positions in <paramref name="Words"/> of which a match holds at least one; else <paramref name="Mode"/> says.</param>
/// <param name="Namespace">One exact namespace; null for all. The candidates check it again.</param>
/// <param name="NewestFirst">By row, descending; else in any order, which is faster.</param>
public sealed record TextScan(IReadOnlyList<string> Words, MatchMode Mode, IReadOnlyList<int> Required, string? Namespace, bool NewestFirst);

public enum Interest
{
    Pass,
    Take,
    Stop,
}

/// <summary>Judges the matches of a scan, one after the other, on whatever thread the index uses.</summary>
public interface ICandidates
{
    /// <summary>Called for each match; Take asks for its frequencies.</summary>
    Interest Judge(long row, in RankInputs inputs);

    /// <param name="frequencies">For each word of the scan, how often the memory holds it.</param>
    void Take(long row, in RankInputs inputs, ReadOnlySpan<int> frequencies);
}
