using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Models;

namespace OrleansMemory.Core;

public partial interface INodeService
{
    /// <summary>The node as the bearer of a credential has it.</summary>
    INodeService As(Principal principal);

    /// <summary>Tells a registered agent of changes from now on, wherever they are made.</summary>
    Task<Subscription> SubscribeAsync(SubscriptionDraft draft, WriteContext context);

    /// <summary>Latest first.</summary>
    /// <param name="owner">Null: anybody's.</param>
    Task<IReadOnlyList<Subscription>> SubscriptionsAsync(string? owner, CancellationToken cancellation = default);

    /// <returns>False: there is none of that owner.</returns>
    Task<bool> UnsubscribeAsync(string id, string? owner, WriteContext context);

    /// <summary>Of the node that is asked.</summary>
    Task<CuratorStatus> CuratorAsync(CancellationToken cancellation = default);

    /// <summary>Lets an agent with a credential of its own see or change one memory, whatever its scope; a grant that there is already is replaced.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.Forbidden"/>: it is not the caller's to give.</exception>
    Task<Grant> GrantAsync(string idOrPrefix, string agentId, Permission permission, WriteContext context);

    /// <returns>False: there was none.</returns>
    Task<bool> RevokeAsync(string idOrPrefix, string agentId, WriteContext context);

    /// <summary>By agent; to who did not write the memory only its own.</summary>
    Task<IReadOnlyList<Grant>> GrantsAsync(string idOrPrefix, CancellationToken cancellation = default);

    /// <summary>What a memory of this title may contradict. Waits for the index, and for nothing else.</summary>
    Task<SimilarMemories> SimilarAsync(string @namespace, string title, CancellationToken cancellation = default);

    /// <summary>Memories that say different things of one topic.</summary>
    Task<Contradictions> ContradictionsAsync(ContradictionQuery query, CancellationToken cancellation = default);

    /// <summary>Which models the node asks.</summary>
    Task<ModelFeatures> ModelsAsync(CancellationToken cancellation = default);

    /// <summary>Words near a query, from the text model.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.QueryEmpty"/>; <see cref="ErrorKind.ModelMissing"/>; <see cref="ErrorKind.ModelFailed"/>.</exception>
    Task<QueryExpansion> ExpandQueryAsync(string query, CancellationToken cancellation = default);

    /// <summary>Adds tags that the text model finds to a memory: at most 8, and no more than a memory may have. An update, governed as one.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.ModelMissing"/>; <see cref="ErrorKind.ModelFailed"/>.</exception>
    Task<AutoTags> AutoTagAsync(string idOrPrefix, WriteContext context);

    /// <summary>Whether two memories contradict each other, in the eyes of the text model. A memory does not contradict itself.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.ModelMissing"/>; <see cref="ErrorKind.ModelFailed"/>.</exception>
    Task<ContradictionCheck> CompareAsync(string oneId, string otherId, CancellationToken cancellation = default);

    /// <summary>What memories say, as one text by the text model: the summary of a consolidation. It changes nothing.</summary>
    /// <param name="ids">As of a <see cref="ConsolidationDraft"/>.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>; <see cref="ErrorKind.ModelMissing"/>; <see cref="ErrorKind.ModelFailed"/>.</exception>
    Task<string> SummariseAsync(IReadOnlyList<string> ids, CancellationToken cancellation = default);
}
