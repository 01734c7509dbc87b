using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Compliance;

/// <summary>A node and its store, closed together.</summary>
public sealed class ClosingNode(IMemoryStore store, MemoryNode node) : IAsyncDisposable
{
    public IMemoryStore Store => store;

    /// <summary>Everything else that it can do.</summary>
    public MemoryNode Node => node;

    public Replica Replica => node.Replica;

    public Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context) => node.StoreAsync(draft, context);

    public Task<IReadOnlyList<RowOutcome>> StoreManyAsync(IReadOnlyList<MemoryDraft> drafts, WriteContext context) => node.StoreManyAsync(drafts, context);

    public Task<IReadOnlyList<RowOutcome>> ImportAsync(IReadOnlyList<Memory> memories, IReadOnlyList<Link> links, ImportOptions options, WriteContext context) =>
        node.ImportAsync(memories, links, options, context);

    public Task<WriteReceipt> UpdateAsync(string id, MemoryPatch patch, WriteContext context) => node.UpdateAsync(id, patch, context);

    public Task<WriteReceipt> DeleteAsync(string id, WriteContext context) => node.DeleteAsync(id, context);

    public Task<WriteReceipt> PromoteAsync(string id, WriteContext context) => node.PromoteAsync(id, context);

    public Task<LinkReceipt> LinkAsync(string source, string target, string relation, WriteContext context) => node.LinkAsync(source, target, relation, context);

    public Task<long> ForgetAsync(ForgetQuery query, WriteContext context) => node.ForgetAsync(query, context);

    public Task<long> CollectGarbageAsync(bool dryRun = false) => node.CollectGarbageAsync(dryRun);

    public Task FlushAsync() => node.FlushAsync();

    public Task<MemoryWithLinks> GetAsync(string id) => node.GetAsync(id);

    public Task<MemoryPage> ListAsync(ListQuery query) => node.ListAsync(query);

    public async Task<IReadOnlyList<RankedMemory>> SearchAsync(SearchQuery query) => (await node.SearchAsync(query)).Memories;

    public Task<RecallResult> RecallAsync(RecallQuery query) => node.RecallAsync(query);

    public Task<IReadOnlyList<Link>> LinksAsync(string id) => node.LinksAsync(id);

    public Task<IReadOnlyList<NamespaceCount>> NamespacesAsync() => node.NamespacesAsync();

    public Task<StoreStatistics> StatisticsAsync() => node.StatisticsAsync();

    public IAsyncEnumerable<Memory> ExportMemoriesAsync() => node.ExportMemoriesAsync();

    public IAsyncEnumerable<Link> ExportLinksAsync() => node.ExportLinksAsync();

    public async ValueTask DisposeAsync()
    {
        await node.DisposeAsync();
        await store.DisposeAsync();
    }
}
