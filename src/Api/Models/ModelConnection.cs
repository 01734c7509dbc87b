using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace OrleansMemory.Api.Models;

/// <summary>JSON to a model's server and back. Failures say what the server said, and never the key.</summary>
internal sealed class ModelConnection : IDisposable
{
    /// <summary>An answer of 64 vectors of 4,096 numbers is some 6 MB.</summary>
    private const int MostBytes = 64 << 20;

    private const int ShownCharacters = 200;

    private readonly HttpClient _client;

    /// <param name="timeout">For one request, whatever its caller waits.</param>
    public ModelConnection(ModelEndpoint endpoint, TimeSpan timeout)
    {
        _client = new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5), ConnectTimeout = TimeSpan.FromSeconds(5), AllowAutoRedirect = false })
        {
            BaseAddress = endpoint.Address.AbsoluteUri.EndsWith('/') ? endpoint.Address : new(endpoint.Address.AbsoluteUri + "/"),
            MaxResponseContentBufferSize = MostBytes,
            Timeout = timeout,
        };
        if (endpoint.Key is not null)
        {
            _client.DefaultRequestHeaders.Authorization = new("Bearer", endpoint.Key);
        }

        _client.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
    }

    /// <exception cref="HttpRequestException">The server cannot be reached, refuses, or answers something else.</exception>
    public async Task<JsonDocument> PostAsync(string path, Action<Utf8JsonWriter> body, CancellationToken cancellation)
    {
        using var stream = new MemoryStream();
        await using (var writer = new Utf8JsonWriter(stream))
        {
            body(writer);
        }

        using var content = new ByteArrayContent(stream.GetBuffer(), 0, (int)stream.Length);
        content.Headers.ContentType = new("application/json");
        using var response = await SendAsync(path, content, cancellation);
        var bytes = await response.Content.ReadAsByteArrayAsync(cancellation);
        if (!response.IsSuccessStatusCode)
        {
            throw new HttpRequestException($"{(int)response.StatusCode}: {Shown(bytes)}", null, response.StatusCode);
        }

        try
        {
            return JsonDocument.Parse(bytes);
        }
        catch (JsonException exception)
        {
            throw new HttpRequestException($"the answer is not JSON: {Shown(bytes)}", exception);
        }
    }

    public void Dispose() => _client.Dispose();

    /// <summary>What a server answered is otherwise than its API says.</summary>
    public static HttpRequestException Unexpected(JsonDocument answer, Exception? inner = null) => new($"the answer is not what the API says: {Shown(answer.RootElement.GetRawText())}", inner);

    private async Task<HttpResponseMessage> SendAsync(string path, HttpContent content, CancellationToken cancellation)
    {
        try
        {
            return await _client.PostAsync(new Uri(path, UriKind.Relative), content, cancellation);
        }
        catch (OperationCanceledException exception) when (!cancellation.IsCancellationRequested)
        {
            throw new HttpRequestException($"no answer within {_client.Timeout.TotalSeconds:0.###} s", exception);
        }
    }

    private static string Shown(byte[] bytes) => Shown(Encoding.UTF8.GetString(bytes, 0, Math.Min(bytes.Length, 4 * ShownCharacters)));

    private static string Shown(string text) => text.Length <= ShownCharacters ? text : text[..ShownCharacters];
}
