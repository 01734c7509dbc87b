using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core;

/// <summary>
/// The writes of one namespace, wherever they are decided: on this node, or on the node that its one activation in a cluster is on.
/// Arguments are checked, ids are exact. Throws what <see cref="IMemoryService"/> throws.
/// </summary>
public interface INamespaceEngine
{
    /// <summary>Creates the memory, or merges the draft into the live one of its name.</summary>
    Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context);

    /// <summary>Takes a complete memory: new under its own id, or merged into the live one of its id or name.</summary>
    Task<WriteReceipt> ImportAsync(Memory memory, WriteContext context);

    /// <summary>Takes a memory of a system without stamps: the newer update time wins.</summary>
    Task<SyncOutcome> SyncAsync(Memory memory, WriteContext context);

    Task<WriteReceipt> UpdateAsync(string id, MemoryPatch patch, WriteContext context);

    Task<WriteReceipt> DeleteAsync(string id, WriteContext context);

    Task<WriteReceipt> PromoteAsync(string id, WriteContext context);

    /// <summary>The namespace is that of the link's source.</summary>
    Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, Timestamp? createdAt, WriteContext context);

    /// <summary>Archives those of the given memories that are still live.</summary>
    Task<long> ForgetAsync(IReadOnlyList<string> ids, WriteContext context);

    /// <summary>Says how many nodes must hold a write of this namespace and of those below it.</summary>
    /// <param name="writes">1 to N; null: as the namespace above.</param>
    Task SetQuorumAsync(int? writes, WriteContext context);

    /// <summary>Runs any other write of this namespace.</summary>
    Task<CommandResult> RunAsync(NamespaceCommand command, WriteContext context);
}

/// <summary>Where the engines of namespaces are, in a cluster in which each has one.</summary>
public interface INamespaceDirectory
{
    /// <summary>Why no namespace can be reached; null when they can.</summary>
    string? Problem { get; }

    /// <summary>What is wrong and keeps nobody from reaching them yet; null when nothing is.</summary>
    string? Warning { get; }

    INamespaceEngine Find(string @namespace);
}
