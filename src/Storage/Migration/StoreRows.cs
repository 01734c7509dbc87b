using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Migration;

/// <summary>The rows of a store of ours.</summary>
public sealed class StoreRows(IMemoryStore store) : IRowSource
{
    public string Description => store.Description;

    public IReadOnlyDictionary<string, long> LeftBehind { get; } = new Dictionary<string, long>();

    public async Task<long> CountAsync() => (await store.ReadDigestSnapshotAsync()).Digests.Values.Sum(static digest => digest.Rows);

    public async IAsyncEnumerable<IReadOnlyList<ReplicatedRow>> ReadAsync(int rows, Action<string> report)
    {
        string? after = null;
        do
        {
            var page = await store.ReadHashesAsync(null, after, rows);
            if (page.Rows.Count > 0)
            {
                yield return await store.ReadRowsAsync([.. page.Rows.Select(static row => row.Key)]);
            }

            after = page.Next;
        }
        while (after is not null);
    }

    public async Task<IReadOnlyDictionary<string, string>> FindNamespacesAsync(IReadOnlyCollection<string> memoryIds)
    {
        var rows = await store.ReadRowsAsync([.. memoryIds.Select(static id => new RowKey(MutationKind.Memory, id))]);
        return NamespacesOf(rows);
    }

    internal static IReadOnlyDictionary<string, string> NamespacesOf(IReadOnlyList<ReplicatedRow> rows) => rows.ToDictionary(static row => row.Key.Key, static row => row.Key.Kind switch
    {
        MutationKind.Memory => MemoryCodec.Decode(row.Body).Name.Value.Namespace,
        _ => MemoryCodec.DecodeTombstone(row.Body).Namespace,
    });

    /// <summary>The source belongs to whoever opened the store.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
