using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.AI;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills.Steps;

/// <summary>
/// Embeds title and content of each memory. The marker is (model, dimension): another model embeds every memory anew. New and changed
/// memories are found by the same look-up. A value is the vector as little-endian floats of 32 bits.
/// </summary>
public sealed class EmbeddingStep : MemoryStep
{
    public const string StepName = "embedding";

    /// <summary>Texts in one request to the model.</summary>
    private const int TextsInRequest = 64;

    private const string HarmlessText = "memory";

    private readonly IEmbeddingGenerator<string, Embedding<float>> _embedder;

    public EmbeddingStep(IMemoryStore store, IEmbeddingGenerator<string, Embedding<float>> embedder)
        : base(store, PendingKind.Derived, StepName, 1)
    {
        _embedder = embedder;
        Marker = MarkerOf(embedder);
    }

    public static string MarkerOf(IEmbeddingGenerator<string, Embedding<float>> embedder) =>
        string.Create(CultureInfo.InvariantCulture, $"{MetadataOf(embedder)?.DefaultModelId ?? "unnamed"}/{DimensionOf(embedder)}");

    /// <summary>Numbers of a vector, as the model says; 0 when it does not.</summary>
    public static int DimensionOf(IEmbeddingGenerator<string, Embedding<float>> embedder) => MetadataOf(embedder)?.DefaultModelDimensions ?? 0;

    /// <summary>A value's vector at length 1; null when it has another dimension or no direction.</summary>
    public static float[]? UnitOf(ReadOnlySpan<byte> value, int dimension) =>
        value.Length == dimension * sizeof(float) ? VectorTable.Unit(MemoryMarshal.Cast<byte, float>(value)) : null;

    public override string Marker { get; }

    public override IReadOnlyList<string> DependsOn => [DerivedColumns.ContentHash.Name];

    protected override async ValueTask<Func<WriteSession, ValueTask<int>>> ApplyAsync(IReadOnlyList<MemoryRow> rows, List<RowFailure> failures, CancellationToken cancellation)
    {
        var values = new List<(MemoryRow Row, byte[] Value)>(rows.Count);
        foreach (var request in rows.Chunk(TextsInRequest))
        {
            try
            {
                var embeddings = await _embedder.GenerateAsync(request.Select(TextOf), cancellationToken: cancellation);
                values.AddRange(request.Select((row, index) => (row, Encode(embeddings[index]))));
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                await EmbedOneByOneAsync(request, values, failures, cancellation);
            }
        }

        return session => DerivedWrites.PutAsync(session, values, Name, Marker, isWrittenWithRow: false);
    }

    /// <summary>Finds the rows that the model refuses. When it refuses a harmless text too it is the model that fails, and no row.</summary>
    private async Task EmbedOneByOneAsync(MemoryRow[] rows, List<(MemoryRow Row, byte[] Value)> values, List<RowFailure> failures, CancellationToken cancellation)
    {
        await _embedder.GenerateAsync([HarmlessText], cancellationToken: cancellation);
        foreach (var row in rows)
        {
            try
            {
                values.Add((row, Encode((await _embedder.GenerateAsync([TextOf(row)], cancellationToken: cancellation))[0])));
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                failures.Add(new(row.Own.Id, $"{exception.GetType().Name}: {exception.Message}"));
            }
        }
    }

    private static EmbeddingGeneratorMetadata? MetadataOf(IEmbeddingGenerator<string, Embedding<float>> embedder) =>
        embedder.GetService(typeof(EmbeddingGeneratorMetadata)) as EmbeddingGeneratorMetadata;

    private static string TextOf(MemoryRow row) => $"{row.View.Title}\n{row.View.Content}";

    private static byte[] Encode(Embedding<float> embedding) => MemoryMarshal.AsBytes(embedding.Vector.Span).ToArray();
}
