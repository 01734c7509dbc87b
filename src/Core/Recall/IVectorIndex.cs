using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// The vectors of one store's memories, of one model. A look-up compares every vector that passes: nothing is approximate, and no filter comes after
/// the cut. Rows are the store's own numbers of memories.
/// </summary>
public interface IVectorIndex
{
    /// <summary>Numbers of a vector.</summary>
    int Dimension { get; }

    /// <summary>Makes ready what the store holds, once; whoever asks again waits for the same. After a failure the next one tries again.</summary>
    Task LoadAsync();

    /// <summary>Follows a commit; one that stands beside the rows is part of it, and has nothing to follow.</summary>
    void Apply(ChangeSet changes)
    {
    }

    /// <summary>Rows that have a vector.</summary>
    /// <exception cref="Memories.MemoryException"><see cref="Memories.ErrorKind.StoreFailed"/></exception>
    ValueTask<long> CountAsync(CancellationToken cancellation);

    /// <summary>The cosines of rows' vectors and one of length 1; those without a vector are left out.</summary>
    /// <exception cref="Memories.MemoryException"><see cref="Memories.ErrorKind.StoreFailed"/></exception>
    ValueTask<IReadOnlyDictionary<long, double>> CosinesAsync(float[] unit, IReadOnlyList<long> rows, CancellationToken cancellation);

    /// <summary>The rows nearest to a vector, nearest first, equal ones by row.</summary>
    /// <exception cref="Memories.MemoryException"><see cref="Memories.ErrorKind.StoreFailed"/></exception>
    ValueTask<IReadOnlyList<NearRow>> NearestAsync(VectorScan scan, CancellationToken cancellation);
}

public readonly record struct NearRow(long Row, double Cosine);

/// <param name="Unit">A vector of length 1.</param>
/// <param name="Least">Rows of this cosine and below are left out.</param>
/// <param name="Query">Its filters, and what its caller may see; not its words.</param>
/// <param name="Reader">Knows what filters ask of a row.</param>
public sealed record VectorScan(float[] Unit, int Count, double Least, TextQuery Query, ITextReader Reader);
