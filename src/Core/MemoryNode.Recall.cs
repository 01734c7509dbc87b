using Microsoft.Extensions.AI;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Models;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    /// <summary>After a failure of the embedding model recalls go on by words at once for so long, and do not each wait for it.</summary>
    private static readonly TimeSpan EmbedPause = TimeSpan.FromSeconds(5);

    private readonly IVectorIndex? _vectors;
    private volatile EmbedFailure? _embedFailure;

    public Task<RecallResult> RecallAsync(RecallQuery query, CancellationToken cancellation = default) => RecallAsync(query, principal: null, cancellation);

    internal async Task<RecallResult> RecallAsync(RecallQuery query, Principal? principal, CancellationToken cancellation)
    {
        RequireLimit(query.Limit);
        var now = Now();
        var (unit, degraded) = _vectors is null || query.KeywordOnly || query.Limit == 0 ? (null, null) : await EmbedAsync(query, cancellation);
        IReadOnlyList<RankedMemory> ranked;
        bool isComplete;
        if (unit is null)
        {
            (ranked, isComplete) = await RankAsync(TextQuery.From(query, now, principal), _settings.Scoring, cancellation);
        }
        else
        {
            var granted = await GrantedRowsAsync(Visibility.Of(principal, query.AsAgent), cancellation);
            var ranking = await new HybridRanker(_store.Index, _vectors!, _settings.Scoring).RankAsync(
                query with { Limit = Math.Min(query.Limit, MemoryLimits.RecallRows) }, asked => TextQuery.From(asked, now, principal) with { GrantedRows = granted }, unit, cancellation);
            (ranked, isComplete) = (ranking.Memories, ranking.IsComplete);

            // How many is not everybody's to know.
            degraded = ranking.IsEmbedded ? null : "some memories have no vectors yet";
        }

        var (memories, tokens) = TokenBudget.Fit(ranked, query.BudgetTokens);
        if (query.CountAccess)
        {
            _accesses.Record(memories.Select(static ranked => ranked.Memory.Id));
        }

        return new(memories, tokens, unit is null ? RecallModes.Keyword : _settings.Scoring.Rerank ? RecallModes.HybridReranked : RecallModes.Hybrid, isComplete) { Degraded = degraded };
    }

    /// <summary>The vectors of the model, in the store when that is asked for and it can, else in memory; and why not in the store.</summary>
    private static async Task<(IVectorIndex? Index, string? Why)> VectorsOfAsync(IMemoryStore store, NodeModels models)
    {
        if (models.Embedder is not { } embedder)
        {
            return (null, null);
        }

        var (marker, dimension) = (EmbeddingStep.MarkerOf(embedder), EmbeddingStep.DimensionOf(embedder));
        var (index, why) = models.VectorsInStore ? await store.OpenVectorsAsync(marker, dimension) : (null, null);
        return (index ?? new VectorTable(store, marker, dimension), why);
    }

    /// <summary>The query's vector at length 1, with a share of that of the words around it; else why there is none.</summary>
    private async Task<(float[]? Unit, string? Degraded)> EmbedAsync(RecallQuery query, CancellationToken cancellation)
    {
        if (_embedFailure is { } failure && _time.GetElapsedTime(failure.At) < EmbedPause)
        {
            return (null, failure.Why);
        }

        var models = _settings.Models;
        using var deadline = new CancellationTokenSource(models.EmbedTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        try
        {
            await _vectors!.LoadAsync().WaitAsync(either.Token);
            var around = string.Join(' ', query.ContextTokens);
            var embeddings = await models.Embedder!.GenerateAsync(around.Length == 0 ? [query.Context] : [query.Context, around], cancellationToken: either.Token);
            return (Mixed(embeddings), null);
        }
        catch (Exception exception) when (!cancellation.IsCancellationRequested)
        {
            var why = deadline.IsCancellationRequested ? $"the embedding model did not answer within {models.EmbedTimeout.TotalSeconds:0.###} s" : $"the embedding model failed: {exception.Message}";
            _embedFailure = new(_time.GetTimestamp(), why);
            return (null, why);
        }
    }

    /// <exception cref="InvalidOperationException">A vector is of another dimension than the memories', or has no direction.</exception>
    private float[] Mixed(GeneratedEmbeddings<Embedding<float>> embeddings)
    {
        var own = Unit(embeddings[0]);
        if (embeddings.Count == 1)
        {
            return own;
        }

        var around = Unit(embeddings[1]);
        var share = (float)_settings.Scoring.Hybrid.ContextShare;
        for (var place = 0; place < own.Length; place++)
        {
            own[place] = ((1 - share) * own[place]) + (share * around[place]);
        }

        return VectorTable.Unit(own) ?? throw new InvalidOperationException("the vectors of the query and of its context cancel each other out");

        float[] Unit(Embedding<float> embedding) =>
            embedding.Vector.Length != _vectors!.Dimension ? throw new InvalidOperationException($"a vector of {embedding.Vector.Length} numbers, and memories have {_vectors.Dimension}")
            : VectorTable.Unit(embedding.Vector.Span) ?? throw new InvalidOperationException("a vector without a direction");
    }

    private sealed record EmbedFailure(long At, string Why);
}
