using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>
/// Stores a memory, and looks meanwhile for those that it may contradict: a hint, for which no write waits long, and which is left out, and said to be, while so
/// many writes are under way that looking would slow them.
/// </summary>
internal sealed class SimilarTitles(TimeProvider time)
{
    private static readonly int MostWrites = 2 * Environment.ProcessorCount;
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    private int _writes;

    /// <returns>With the ids of other memories, at most five; null: nobody looked, or not everywhere.</returns>
    public async Task<(WriteReceipt Receipt, IReadOnlyList<string>? Similar)> StoreAsync(IMemoryService service, MemoryDraft draft, WriteContext context)
    {
        try
        {
            var isBusy = Interlocked.Increment(ref _writes) > MostWrites;
            var looking = isBusy || service is not INodeService node ? Task.FromResult<SimilarMemories?>(null) : LookAsync(node, draft);
            var receipt = await service.StoreAsync(draft, context);
            return (receipt, await looking is { } similar ? [.. similar.Ids.Where(id => id != receipt.Memory.Id).Take(SimilarMemories.MostIds)] : null);
        }
        finally
        {
            Interlocked.Decrement(ref _writes);
        }
    }

    /// <summary>Never throws: what is wrong with the draft, or with the node, the write itself tells.</summary>
    private async Task<SimilarMemories?> LookAsync(INodeService node, MemoryDraft draft)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        try
        {
            return await node.SimilarAsync(draft.Namespace, draft.Title, patience.Token) is { IsComplete: true } similar ? similar : null;
        }
        catch (Exception exception) when (exception is MemoryException or OperationCanceledException)
        {
            return exception is MemoryException { Kind: var kind } && kind == ErrorKind.QueryEmpty ? new([], IsComplete: true) : null;
        }
    }
}
