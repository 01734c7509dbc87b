using OrleansMemory.Api.Models;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Models;

namespace OrleansMemory.Api.Configuration;

/// <summary>Which models a node asks.</summary>
public sealed record ModelOptions
{
    public const string DefaultOllama = "http://localhost:11434";

    /// <summary>Null: recall is by words.</summary>
    public ModelEndpoint? Embedder { get; init; }

    /// <summary>Numbers of a vector; null: as the embedding model is known to have.</summary>
    public int? Dimension { get; init; }

    /// <summary>Vectors are kept and compared in a PostgreSQL database that has the extension vector (pgvector), else in the node's memory.</summary>
    public bool VectorsInDatabase { get; init; }

    /// <summary>Null: no text model.</summary>
    public ModelEndpoint? Chat { get; init; }

    /// <summary>How long a recall waits for the vector of its query; 10 ms to an hour.</summary>
    public TimeSpan EmbedTimeout { get; init; } = NodeModels.None.EmbedTimeout;

    /// <summary>How long the vectors of up to 64 memories are waited for before their turn comes again; 10 ms to an hour.</summary>
    public TimeSpan EmbedBatchTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long an answer of the text model is waited for; 10 ms to an hour.</summary>
    public TimeSpan ChatTimeout { get; init; } = NodeModels.None.ChatTimeout;

    /// <summary>What is configured, else what the model is known to have.</summary>
    public int? KnownDimension => Dimension ?? (Embedder?.Model.Split(':')[0] switch
    {
        "all-minilm" => 384,
        "nomic-embed-text" => 768,
        "mxbai-embed-large" => 1_024,
        "text-embedding-3-small" or "text-embedding-ada-002" => 1_536,
        "text-embedding-3-large" => 3_072,
        _ => null,
    });

    internal InvalidOptionException UnknownDimension => new(
        $"how many numbers a vector of {Embedder?.Model} has is not known: set models.embed_dim in the configuration file, or OM_EMBED_DIM, to 1 to {MemoryLimits.VectorDimensions}");

    /// <summary>The names that ai-memory 0.6.0 gives embedding models, as an Ollama server knows them.</summary>
    public static string EmbeddingModelOf(string name) => name switch
    {
        "nomic_embed_v15" => "nomic-embed-text",
        "mini_lm_l6_v2" => "all-minilm",
        _ => name,
    };

    /// <summary>Clients of the models, which connect when they are first asked.</summary>
    /// <exception cref="InvalidOptionException">The dimension is not known.</exception>
    public NodeModels Connect() => new()
    {
        Embedder = Embedder is null ? null : new RemoteEmbedder(Embedder, KnownDimension ?? throw UnknownDimension, EmbedBatchTimeout),
        Chat = Chat is null ? null : new RemoteChat(Chat, ChatTimeout),
        VectorsInStore = VectorsInDatabase,
        EmbedTimeout = EmbedTimeout,
        ChatTimeout = ChatTimeout,
    };
}
