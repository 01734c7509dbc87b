using Microsoft.Extensions.AI;

namespace OrleansMemory.Core.Models;

/// <summary>The models that a node asks; none is needed. Both are the caller's to dispose.</summary>
public sealed record NodeModels
{
    public static NodeModels None { get; } = new();

    /// <summary>Makes vectors of memories and queries. Its metadata name the model and the dimension. Null: recall is by words.</summary>
    public IEmbeddingGenerator<string, Embedding<float>>? Embedder { get; init; }

    /// <summary>Writes tags, summaries and the like. Null: what needs it says so.</summary>
    public IChatClient? Chat { get; init; }

    /// <summary>Vectors are kept and compared in the store where it can, and not in this process's memory.</summary>
    public bool VectorsInStore { get; init; }

    /// <summary>How long a recall waits for the vector of its query before it goes on by words.</summary>
    public TimeSpan EmbedTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the answer of a text model is waited for.</summary>
    public TimeSpan ChatTimeout { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>What of a node's models works now.</summary>
/// <param name="Embedding">The embedding model's name; null: none.</param>
/// <param name="EmbeddingDimension">Numbers of a vector; 0 without a model.</param>
/// <param name="Text">The text model's name; null: none.</param>
/// <param name="VectorsInStore">Vectors are compared in the store, and not in the node's memory.</param>
/// <param name="VectorsProblem">Why they are not although that is asked for; else null.</param>
public sealed record ModelFeatures(string? Embedding, int EmbeddingDimension, string? Text, bool VectorsInStore = false, string? VectorsProblem = null);

/// <param name="Terms">Words and phrases near the query, without those that it holds.</param>
public sealed record QueryExpansion(string Query, IReadOnlyList<string> Terms);

/// <param name="All">Of the memory, now.</param>
/// <param name="Added">Those of them that are new.</param>
public sealed record AutoTags(string Id, IReadOnlyList<string> All, IReadOnlyList<string> Added);

/// <param name="Contradicts">Both cannot be true at once.</param>
public sealed record ContradictionCheck(bool Contradicts, NamedMemory One, NamedMemory Other);

/// <summary>A memory by its id and title.</summary>
public sealed record NamedMemory(string Id, string Title);
