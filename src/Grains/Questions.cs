using System.Text.Json.Serialization;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>What a front end asks of a node's service. Names and fields are sent, as those of a <see cref="WriteCommand"/>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "ask")]
[JsonDerivedType(typeof(HealthQuestion), "health")]
[JsonDerivedType(typeof(GetQuestion), "get")]
[JsonDerivedType(typeof(QuorumGetQuestion), "quorum_get")]
[JsonDerivedType(typeof(ListQuestion), "list")]
[JsonDerivedType(typeof(SearchQuestion), "search")]
[JsonDerivedType(typeof(RecallQuestion), "recall")]
[JsonDerivedType(typeof(LinksQuestion), "links")]
[JsonDerivedType(typeof(NamespacesQuestion), "namespaces")]
[JsonDerivedType(typeof(StatisticsQuestion), "statistics")]
[JsonDerivedType(typeof(QuorumQuestion), "quorum")]
[JsonDerivedType(typeof(ClusterQuestion), "cluster")]
[JsonDerivedType(typeof(DigestQuestion), "digest")]
[JsonDerivedType(typeof(DeadLettersQuestion), "dead_letters")]
[JsonDerivedType(typeof(ChangesQuestion), "changes")]
[JsonDerivedType(typeof(ExportQuestion), "export")]
[JsonDerivedType(typeof(StoreManyQuestion), "store_many")]
[JsonDerivedType(typeof(ImportQuestion), "import")]
[JsonDerivedType(typeof(UpdateQuestion), "update")]
[JsonDerivedType(typeof(DeleteQuestion), "delete")]
[JsonDerivedType(typeof(PromoteQuestion), "promote")]
[JsonDerivedType(typeof(LinkQuestion), "link")]
[JsonDerivedType(typeof(ForgetQuestion), "forget")]
[JsonDerivedType(typeof(CollectGarbageQuestion), "collect_garbage")]
[JsonDerivedType(typeof(SyncQuestion), "sync")]
internal abstract record Question
{
    /// <summary>What the node must hold before it answers.</summary>
    public IReadOnlyList<LogPosition>? Seen { get; init; }

    /// <summary>Asked again, it changes nothing more: another node may be asked when one does not answer.</summary>
    [JsonIgnore]
    public virtual bool IsRepeatable => true;

    /// <returns>The answer's bytes.</returns>
    public abstract Task<byte[]> AnswerAsync(INodeService node);
}

/// <typeparam name="T">Of the answer.</typeparam>
internal abstract record Question<T> : Question
{
    public sealed override async Task<byte[]> AnswerAsync(INodeService node) => WireJson.EncodeAnswer(await AskAsync(node));

    protected abstract Task<T> AskAsync(INodeService node);
}

internal sealed record HealthQuestion : Question<ServiceHealth>
{
    protected override Task<ServiceHealth> AskAsync(INodeService node) => Task.FromResult(node.Health());
}

internal sealed record GetQuestion(string Id) : Question<MemoryWithLinks>
{
    protected override Task<MemoryWithLinks> AskAsync(INodeService node) => node.GetAsync(Id);
}

internal sealed record QuorumGetQuestion(string Id) : Question<MemoryWithLinks>
{
    protected override Task<MemoryWithLinks> AskAsync(INodeService node) => node.GetAtQuorumAsync(Id);
}

internal sealed record ListQuestion(ListQuery Query) : Question<MemoryPage>
{
    protected override Task<MemoryPage> AskAsync(INodeService node) => node.ListAsync(Query);
}

internal sealed record SearchQuestion(SearchQuery Query) : Question<Ranking>
{
    protected override Task<Ranking> AskAsync(INodeService node) => node.SearchAsync(Query);
}

internal sealed record RecallQuestion(RecallQuery Query) : Question<RecallResult>
{
    protected override Task<RecallResult> AskAsync(INodeService node) => node.RecallAsync(Query);
}

internal sealed record LinksQuestion(string Id) : Question<IReadOnlyList<Link>>
{
    protected override Task<IReadOnlyList<Link>> AskAsync(INodeService node) => node.LinksAsync(Id);
}

internal sealed record NamespacesQuestion : Question<IReadOnlyList<NamespaceCount>>
{
    protected override Task<IReadOnlyList<NamespaceCount>> AskAsync(INodeService node) => node.NamespacesAsync();
}

internal sealed record StatisticsQuestion : Question<StoreStatistics>
{
    protected override Task<StoreStatistics> AskAsync(INodeService node) => node.StatisticsAsync();
}

internal sealed record QuorumQuestion(string Namespace) : Question<QuorumPolicy>
{
    protected override Task<QuorumPolicy> AskAsync(INodeService node) => node.QuorumAsync(Namespace);
}

internal sealed record ClusterQuestion : Question<ReplicaSetStatus>
{
    protected override Task<ReplicaSetStatus> AskAsync(INodeService node) => node.ClusterAsync();
}

internal sealed record DigestQuestion : Question<Digest>
{
    protected override Task<Digest> AskAsync(INodeService node) => node.DigestAsync();
}

internal sealed record DeadLettersQuestion(int Limit) : Question<DeadLetters>
{
    protected override Task<DeadLetters> AskAsync(INodeService node) => node.DeadLettersAsync(Limit);
}

internal sealed record ChangesQuestion(ChangePlace After, int Limit) : Question<IReadOnlyList<Memory>>
{
    protected override Task<IReadOnlyList<Memory>> AskAsync(INodeService node) => node.ChangesAsync(After, Limit);
}

/// <summary>Says only what the node must hold; <see cref="IServiceGrain"/> has calls of their own for exports.</summary>
internal sealed record ExportQuestion : Question<ServiceHealth>
{
    protected override Task<ServiceHealth> AskAsync(INodeService node) => Task.FromResult(node.Health());
}

internal sealed record StoreManyQuestion(IReadOnlyList<MemoryDraft> Drafts, WriteContext Context) : Question<IReadOnlyList<RowOutcome>>
{
    public override bool IsRepeatable => Context.IdempotencyKey is not null;

    protected override Task<IReadOnlyList<RowOutcome>> AskAsync(INodeService node) => node.StoreManyAsync(Drafts, Context);
}

internal sealed record ImportQuestion(IReadOnlyList<Memory> Memories, IReadOnlyList<Link> Links, ImportOptions Options, WriteContext Context)
    : Question<IReadOnlyList<RowOutcome>>
{
    public override bool IsRepeatable => false;

    protected override Task<IReadOnlyList<RowOutcome>> AskAsync(INodeService node) => node.ImportAsync(Memories, Links, Options, Context);
}

internal sealed record UpdateQuestion(string Id, MemoryPatch Patch, WriteContext Context) : Question<WriteReceipt>
{
    public override bool IsRepeatable => false;

    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.UpdateAsync(Id, Patch, Context);
}

internal sealed record DeleteQuestion(string Id, WriteContext Context) : Question<WriteReceipt>
{
    public override bool IsRepeatable => false;

    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.DeleteAsync(Id, Context);
}

internal sealed record PromoteQuestion(string Id, WriteContext Context) : Question<WriteReceipt>
{
    public override bool IsRepeatable => Context.IfMatch is null;

    protected override Task<WriteReceipt> AskAsync(INodeService node) => node.PromoteAsync(Id, Context);
}

internal sealed record LinkQuestion(string SourceId, string TargetId, string Relation, WriteContext Context) : Question<LinkReceipt>
{
    protected override Task<LinkReceipt> AskAsync(INodeService node) => node.LinkAsync(SourceId, TargetId, Relation, Context);
}

internal sealed record ForgetQuestion(ForgetQuery Query, WriteContext Context) : Question<long>
{
    public override bool IsRepeatable => false;

    protected override Task<long> AskAsync(INodeService node) => node.ForgetAsync(Query, Context);
}

internal sealed record CollectGarbageQuestion : Question<long>
{
    public override bool IsRepeatable => false;

    protected override Task<long> AskAsync(INodeService node) => node.CollectGarbageAsync();
}

internal sealed record SyncQuestion(IReadOnlyList<Memory> Memories, WriteContext Context) : Question<IReadOnlyList<SyncOutcome>>
{
    protected override Task<IReadOnlyList<SyncOutcome>> AskAsync(INodeService node) => node.SyncAsync(Memories, Context);
}
