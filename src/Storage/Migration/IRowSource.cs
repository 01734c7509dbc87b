using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Migration;

/// <summary>What a migration reads from: every replicated row of a store, each once, in batches. A row that cannot be taken is told and passed over.</summary>
public interface IRowSource : IAsyncDisposable
{
    /// <summary>Without secrets.</summary>
    string Description { get; }

    /// <summary>What this source holds and nobody brings over, for the report.</summary>
    IReadOnlyDictionary<string, long> LeftBehind { get; }

    /// <summary>Rows there are, about.</summary>
    Task<long> CountAsync();

    /// <param name="rows">Rows in a batch, about.</param>
    /// <param name="report">Gets a text for each row that cannot be read.</param>
    IAsyncEnumerable<IReadOnlyList<ReplicatedRow>> ReadAsync(int rows, Action<string> report);

    /// <summary>The namespaces of memories; those that are not there are left out.</summary>
    Task<IReadOnlyDictionary<string, string>> FindNamespacesAsync(IReadOnlyCollection<string> memoryIds);
}
