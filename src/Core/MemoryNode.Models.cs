using Microsoft.Extensions.AI;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Models;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    /// <summary>A memory that changes so often while it is tagged is left to the caller.</summary>
    private const int TagAttempts = 5;

    private TextModel TextModel => new(_settings.Models, _time);

    public Task<ModelFeatures> ModelsAsync(CancellationToken cancellation = default)
    {
        var embedding = _settings.Models.Embedder?.GetService(typeof(EmbeddingGeneratorMetadata)) as EmbeddingGeneratorMetadata;
        var chat = _settings.Models.Chat?.GetService(typeof(ChatClientMetadata)) as ChatClientMetadata;
        return Task.FromResult(new ModelFeatures(
            _settings.Models.Embedder is null ? null : embedding?.DefaultModelId ?? "unnamed",
            embedding?.DefaultModelDimensions ?? 0,
            _settings.Models.Chat is null ? null : chat?.DefaultModelId ?? "unnamed",
            _vectors is not (null or VectorTable),
            VectorsProblem));
    }

    public async Task<QueryExpansion> ExpandQueryAsync(string query, CancellationToken cancellation = default) =>
        string.IsNullOrWhiteSpace(query)
            ? throw new MemoryException(ErrorKind.QueryEmpty, "query is required")
            : new(query, await TextModel.ExpandAsync(query, cancellation));

    public async Task<AutoTags> AutoTagAsync(string idOrPrefix, WriteContext context)
    {
        var row = await ResolveForWriteAsync(idOrPrefix, context);

        // A write that nobody cancels; the model's own time limit ends it.
        var suggested = await TextModel.TagsAsync(row.View, CancellationToken.None);
        for (var attempt = 1; ; attempt++)
        {
            // As it is now: others may have changed it while the model thought.
            row = attempt == 1 ? row : await ResolveForWriteAsync(row.View.Id, context);
            var memory = row.View;
            IReadOnlyList<string> added = [.. suggested.Except(memory.Tags).Take(Math.Max(0, MemoryLimits.Tags - memory.Tags.Count))];
            if (added.Count == 0)
            {
                return new(memory.Id, memory.Tags, added);
            }

            try
            {
                var written = await UpdateAsync(memory.Id, new() { Tags = [.. memory.Tags, .. added] }, context with { IfMatch = NamespaceEngine.VersionOf(row.Own) });
                return new(memory.Id, written.Memory.Tags, added);
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.PreconditionFailed && attempt < TagAttempts)
            {
            }
        }
    }

    public Task<ContradictionCheck> CompareAsync(string oneId, string otherId, CancellationToken cancellation = default) =>
        CompareAsync(oneId, otherId, Visibility.Everything, cancellation);

    internal async Task<ContradictionCheck> CompareAsync(string oneId, string otherId, Visibility visibility, CancellationToken cancellation)
    {
        var one = (await ResolveAsync(oneId, visibility, cancellation)).View;
        var other = (await ResolveAsync(otherId, visibility, cancellation)).View;
        return new(one.Id != other.Id && await TextModel.ContradictAsync(one, other, cancellation), new(one.Id, one.Title), new(other.Id, other.Title));
    }

    public Task<string> SummariseAsync(IReadOnlyList<string> ids, CancellationToken cancellation = default) => SummariseAsync(ids, Visibility.Everything, cancellation);

    internal async Task<string> SummariseAsync(IReadOnlyList<string> ids, Visibility visibility, CancellationToken cancellation)
    {
        // The rules of a consolidation, which it is for.
        new ConsolidationDraft(ids, "summary", "summary").Check();
        var memories = new List<Memory>(ids.Count);
        foreach (var id in ids)
        {
            memories.Add((await ResolveAsync(id, visibility, cancellation)).View);
        }

        return await TextModel.SummariseAsync(memories, cancellation);
    }
}
