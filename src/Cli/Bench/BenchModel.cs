using System.Collections.Concurrent;
using System.Globalization;
using System.Numerics.Tensors;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace OrleansMemory.Cli.Bench;

/// <summary>
/// An embedding model that is made up and quick, served as an Ollama in this process: a word has a direction of its own, and a text's vector is the sum of
/// its words', so that texts that share words are near each other. The same text always has the same vector.
/// </summary>
internal sealed class BenchModel : IAsyncDisposable
{
    private const string Name = "bench";

    private readonly ConcurrentDictionary<string, float[]> _directions = new(StringComparer.Ordinal);
    private readonly int _dimension;
    private readonly WebApplication _application;

    private BenchModel(int dimension)
    {
        _dimension = dimension;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.Configure<HostOptions>(static options => options.ShutdownTimeout = TimeSpan.FromSeconds(2));
        _application = builder.Build();
        _application.MapPost("/api/embed", AnswerAsync);
    }

    private string Address => _application.Urls.Single();

    public static async Task<BenchModel> StartAsync(int dimension)
    {
        var model = new BenchModel(dimension);
        await model._application.StartAsync();
        return model;
    }

    /// <summary>What makes a node ask it.</summary>
    public IReadOnlyList<(string Name, string Value)> Variables(bool vectorsInDatabase) =>
    [
        ("OM_EMBED_URL", Address),
        ("OM_EMBED_MODEL", Name),
        ("OM_EMBED_DIM", _dimension.ToString(CultureInfo.InvariantCulture)),
        ("OM_VECTORS", vectorsInDatabase ? "database" : "memory"),
    ];

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        using var request = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        context.Response.ContentType = "application/json";
        await using var writer = new Utf8JsonWriter(context.Response.BodyWriter);
        writer.WriteStartObject();
        writer.WriteStartArray("embeddings"u8);
        foreach (var text in request.RootElement.GetProperty("input"u8).EnumerateArray())
        {
            writer.WriteStartArray();
            foreach (var number in Embed(text.GetString()!))
            {
                writer.WriteNumberValue(number);
            }

            writer.WriteEndArray();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private float[] Embed(string text)
    {
        var vector = new float[_dimension];
        foreach (var word in text.Split([' ', '\n', '.'], StringSplitOptions.RemoveEmptyEntries))
        {
            TensorPrimitives.Add(vector, _directions.GetOrAdd(word, Direction), vector);
        }

        return vector;
    }

    /// <summary>FNV-1a of the word, then splitmix64.</summary>
    private float[] Direction(string word)
    {
        var state = 14_695_981_039_346_656_037UL;
        foreach (var unit in word)
        {
            state = (state ^ unit) * 1_099_511_628_211UL;
        }

        var direction = new float[_dimension];
        for (var place = 0; place < direction.Length; place++)
        {
            state += 0x9E3779B97F4A7C15UL;
            var mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9UL;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBUL;
            direction[place] = ((mixed ^ (mixed >> 31)) >> 40) / (float)(1 << 23) - 1;
        }

        return direction;
    }
}
