using Microsoft.Extensions.AI;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills;

/// <summary>The steps of this release.</summary>
public static class BackfillSteps
{
    /// <param name="embedder">Null: memories get no vectors.</param>
    public static IReadOnlyList<IBackfillStep> Of(IMemoryStore store, IEmbeddingGenerator<string, Embedding<float>>? embedder)
    {
        List<IBackfillStep> steps =
        [
            new AccessSplitStep(store),
            new DerivedStep(store, DerivedColumns.ContentHash),
            new DerivedStep(store, DerivedColumns.NamespacePath),
            new TextIndexStep(store),
        ];
        if (embedder is not null)
        {
            steps.Add(new EmbeddingStep(store, embedder));
        }

        return steps;
    }
}
