using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// Decides for an activation. What it took its epoch with holds all of its own namespace; a memory that a write names may yet come
/// from another one, whose writes another node decides: it is looked for elsewhere before it counts as missing.
/// </summary>
internal sealed class CaughtUpEngine(NamespaceEngine engine, ReplicaSet replicas) : INamespaceEngine
{
    public Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context) => engine.StoreAsync(draft, context);

    public Task<WriteReceipt> ImportAsync(Memory memory, WriteContext context) => engine.ImportAsync(memory, context);

    public Task<SyncOutcome> SyncAsync(Memory memory, WriteContext context) => engine.SyncAsync(memory, context);

    public Task<WriteReceipt> UpdateAsync(string id, MemoryPatch patch, WriteContext context) => FindingAsync(() => engine.UpdateAsync(id, patch, context), id);

    public Task<WriteReceipt> DeleteAsync(string id, WriteContext context) => FindingAsync(() => engine.DeleteAsync(id, context), id);

    public Task<WriteReceipt> PromoteAsync(string id, WriteContext context) => FindingAsync(() => engine.PromoteAsync(id, context), id);

    public Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, Timestamp? createdAt, WriteContext context) =>
        FindingAsync(() => engine.LinkAsync(sourceId, targetId, relation, createdAt, context), sourceId, targetId);

    public Task<long> ForgetAsync(IReadOnlyList<string> ids, WriteContext context) => engine.ForgetAsync(ids, context);

    public Task SetQuorumAsync(int? writes, WriteContext context) => engine.SetQuorumAsync(writes, context);

    public Task<CommandResult> RunAsync(NamespaceCommand command, WriteContext context) => FindingAsync(() => engine.RunAsync(command, context), [.. command.Hints.Ids]);

    private async Task<T> FindingAsync<T>(Func<Task<T>> write, params string[] ids)
    {
        try
        {
            return await write();
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
        {
            await replicas.ReadThroughAsync([.. ids.SelectMany(static id => new RowKey[] { new(MutationKind.Memory, id), new(MutationKind.MemoryDelete, id) })]);
        }

        return await write();
    }
}
