using System.Text.Json;
using Microsoft.Extensions.AI;

namespace OrleansMemory.Api.Models;

/// <summary>An embedding model behind an address. What it answers is checked: one vector for each text, of the dimension that is configured.</summary>
/// <param name="dimension">Numbers of a vector.</param>
/// <param name="timeout">For one request.</param>
public sealed class RemoteEmbedder(ModelEndpoint endpoint, int dimension, TimeSpan timeout) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly ModelConnection _connection = new(endpoint, timeout);
    private readonly EmbeddingGeneratorMetadata _metadata = new(endpoint.Api.ToString(), endpoint.Address, endpoint.Model, dimension);

    /// <exception cref="HttpRequestException">The server cannot be reached, refuses, or answers something else.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        var texts = values.ToList();
        using var answer = await _connection.PostAsync(
            endpoint.Api == ModelApi.OpenAi ? "embeddings" : "api/embed",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("model", endpoint.Model);
                writer.WriteStartArray("input");
                foreach (var text in texts)
                {
                    writer.WriteStringValue(text);
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
            },
            cancellationToken);
        var vectors = Read(answer);
        if (vectors.Count != texts.Count)
        {
            throw new HttpRequestException($"{endpoint} answered {vectors.Count} vectors for {texts.Count} texts");
        }

        foreach (var vector in vectors)
        {
            Check(vector);
        }

        return new(vectors.Select(static vector => new Embedding<float>(vector)));
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(EmbeddingGeneratorMetadata) ? _metadata
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    public void Dispose() => _connection.Dispose();

    private List<float[]> Read(JsonDocument answer)
    {
        try
        {
            return endpoint.Api == ModelApi.OpenAi
                ? [.. answer.RootElement.GetProperty("data").EnumerateArray()
                    .OrderBy(static item => item.TryGetProperty("index", out var index) ? index.GetInt32() : 0)
                    .Select(static item => Numbers(item.GetProperty("embedding")))]
                : [.. answer.RootElement.GetProperty("embeddings").EnumerateArray().Select(Numbers)];
        }
        catch (Exception exception) when (exception is InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw ModelConnection.Unexpected(answer, exception);
        }
    }

    private void Check(float[] vector)
    {
        if (vector.Length != dimension)
        {
            throw new HttpRequestException($"{endpoint} answered a vector of {vector.Length} numbers, and {dimension} are configured: set OM_EMBED_DIM, or models.embed_dim in the configuration file");
        }

        if (Array.Exists(vector, static number => !float.IsFinite(number)) || Array.TrueForAll(vector, static number => number == 0))
        {
            throw new HttpRequestException($"{endpoint} answered a vector without a direction");
        }
    }

    private static float[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(static number => number.GetSingle())];
}
