using OrleansMemory.Core;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Cli;

/// <summary>A local database with its engine, inside this process. One process at a time holds a database.</summary>
internal sealed class LocalService : IAsyncDisposable
{
    private readonly IAsyncDisposable _store;
    private readonly MemoryNode _node;
    private bool _handedOver;

    private LocalService(IAsyncDisposable store, MemoryNode node)
    {
        _store = store;
        _node = node;
    }

    public MemoryNode Service => _node;

    /// <summary>The engine, for a host that disposes it before this is disposed.</summary>
    public MemoryNode HandOver()
    {
        _handedOver = true;
        return _node;
    }

    /// <param name="nodeId">The node's name; a database keeps its first.</param>
    /// <param name="links">To its peers.</param>
    /// <exception cref="MemoryException">The database cannot be opened, is in use, or is not one of ours.</exception>
    public static async Task<LocalService> OpenAsync(
        DatabaseLocation database, NodeSettings settings, string? nodeId = null, IReadOnlyList<IReplicaLink>? links = null)
    {
        if (database.InDataFolder)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(database.Store.Path)!);
        }

        var store = await database.Store.OpenAsync(nodeId);
        try
        {
            return new(store, await MemoryNode.StartAsync(store, settings, TimeProvider.System, new Random(), links));
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    /// <summary>Gives vectors to the memories that have none; ends early when the model fails, and says why. Nothing else waits for it.</summary>
    public async Task<string?> EmbedAsync()
    {
        var failed = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        _node.Backfills.Observer = happened =>
        {
            if (happened is { Kind: BackfillEventKind.Failed, Step: EmbeddingStep.StepName })
            {
                failed.TrySetResult(happened.Reason);
            }
        };
        _node.StartBackfills(new Random());
        return await Task.WhenAny(_node.Backfills.Settled, failed.Task) == failed.Task ? await failed.Task : null;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_handedOver)
        {
            await _node.DisposeAsync();
        }

        await _store.DisposeAsync();
    }
}
