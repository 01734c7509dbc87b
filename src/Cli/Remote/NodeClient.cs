using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Text.Json;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Cli.Remote;

/// <summary>An answer of a node: its body, and what its headers tell about a write.</summary>
/// <param name="Version">The entity tag without quotes; empty when there was none.</param>
internal sealed record NodeAnswer(HttpStatusCode Status, JsonElement Body, LogPosition Position, string Version);

/// <param name="Tls">Null: the system's.</param>
/// <param name="Timeout">Of a whole request; null: 100 s.</param>
internal sealed record NodeClientOptions(string? ApiKey, SslClientAuthenticationOptions? Tls = null, TimeSpan? Timeout = null);

/// <summary>Requests to one node, and its errors as the exceptions that a local store throws.</summary>
internal sealed class NodeClient : IDisposable
{
    private readonly HttpClient _http;

    public NodeClient(Uri address, string? apiKey)
        : this(address, new NodeClientOptions(apiKey))
    {
    }

    public NodeClient(Uri address, NodeClientOptions options)
    {
        var path = address.GetLeftPart(UriPartial.Path).TrimEnd('/');
        var handler = new SocketsHttpHandler { AutomaticDecompression = DecompressionMethods.None, ConnectTimeout = TimeSpan.FromSeconds(5) };
        if (options.Tls is { } tls)
        {
            handler.SslOptions = tls;
        }

        _http = new(handler)
        {
            BaseAddress = new($"{path}/api/v1/"),
            // A batch of a thousand rows over a slow line; a command that takes longer is stuck.
            Timeout = options.Timeout ?? TimeSpan.FromSeconds(100),
        };
        _http.DefaultRequestHeaders.Accept.Add(new("application/json"));
        if (options.ApiKey is { } apiKey)
        {
            _http.DefaultRequestHeaders.Add("X-API-Key", apiKey);
        }
    }

    public Task<NodeAnswer> GetAsync(string path, CancellationToken cancellation = default) => SendAsync(HttpMethod.Get, path, null, null, cancellation);

    /// <summary>A write; no cancellation, as everywhere.</summary>
    public Task<NodeAnswer> SendAsync(HttpMethod method, string path, Action<Utf8JsonWriter>? body, WriteContext? context) =>
        SendAsync(method, path, body, context, CancellationToken.None);

    public Task<NodeAnswer> SendAsync(HttpMethod method, string path, Action<Utf8JsonWriter>? body, WriteContext? context, CancellationToken cancellation) =>
        SendAsync(method, path, body, context, isVote: false, cancellation);

    private async Task<NodeAnswer> SendAsync(HttpMethod method, string path, Action<Utf8JsonWriter>? body, WriteContext? context, bool isVote, CancellationToken cancellation)
    {
        using var request = Request(method, path, body, context);
        using var response = await AskAsync(request, HttpCompletionOption.ResponseContentRead, isVote, cancellation);
        var bytes = await response.Content.ReadAsByteArrayAsync(cancellation);
        return new(response.StatusCode, Parse(bytes, path), Position(response.Headers), response.Headers.ETag?.Tag.Trim('"') ?? "");
    }

    /// <summary>A vote, whose 202 says that more are needed.</summary>
    public Task<NodeAnswer> SendVoteAsync(string path, WriteContext context) => SendAsync(HttpMethod.Post, path, null, context, isVote: true, CancellationToken.None);

    /// <summary>An answer that may not fit in memory.</summary>
    public async Task<(HttpResponseMessage Response, Stream Body)> StreamAsync(string path, CancellationToken cancellation)
    {
        using var request = Request(HttpMethod.Get, path, null, null);
        var response = await AskAsync(request, HttpCompletionOption.ResponseHeadersRead, isVote: false, cancellation);
        return (response, await response.Content.ReadAsStreamAsync(cancellation));
    }

    public void Dispose() => _http.Dispose();

    private static HttpRequestMessage Request(HttpMethod method, string path, Action<Utf8JsonWriter>? body, WriteContext? context)
    {
        var request = new HttpRequestMessage(method, path);
        if (context?.AgentId is { } agentId)
        {
            request.Headers.Add("X-Agent-Id", agentId);
        }

        if (context?.IdempotencyKey is { } key)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        if (context?.Quorum is { } quorum)
        {
            request.Headers.Add("X-Quorum", quorum);
        }

        if (context?.IfMatch is { } version)
        {
            request.Headers.IfMatch.Add(new($"\"{version}\""));
        }

        if (body is not null)
        {
            var buffer = new ArrayBufferWriter<byte>(1024);
            using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = PlainJsonEncoder.Instance, SkipValidation = true }))
            {
                body(writer);
            }

            request.Content = new ReadOnlyMemoryContent(buffer.WrittenMemory);
            request.Content.Headers.ContentType = new("application/json");
        }

        return request;
    }

    private async Task<HttpResponseMessage> AskAsync(HttpRequestMessage request, HttpCompletionOption completion, bool isVote, CancellationToken cancellation)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, completion, cancellation);
        }
        catch (HttpRequestException exception)
        {
            throw new MemoryException(new ErrorKind("node_unreachable", 503), $"cannot reach the node at {_http.BaseAddress!.GetLeftPart(UriPartial.Authority)}", exception);
        }
        catch (TaskCanceledException exception) when (!cancellation.IsCancellationRequested)
        {
            throw new MemoryException(new ErrorKind("node_timeout", 504), $"the node did not answer within {_http.Timeout.TotalSeconds:0} s", exception);
        }

        if (response.StatusCode == HttpStatusCode.Accepted && !isVote)
        {
            using (response)
            {
                throw await PendingAsync(response, cancellation);
            }
        }

        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw await ErrorAsync(response, cancellation);
        }
    }

    /// <summary>The change was not made: it waits for approval.</summary>
    private static async Task<PendingException> PendingAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var body = Parse(await response.Content.ReadAsByteArrayAsync(cancellation), "a write");
        return new(
            WireReader.OptionalText(body, "pending_id") ?? "", WireReader.OptionalText(body, "action") ?? "change", WireReader.OptionalText(body, "namespace") ?? "",
            WireReader.OptionalText(body, "memory_id"));
    }

    private static async Task<MemoryException> ErrorAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var status = (int)response.StatusCode;
        var text = await response.Content.ReadAsStringAsync(cancellation);
        try
        {
            using var body = JsonDocument.Parse(text);
            if (body.RootElement.ValueKind == JsonValueKind.Object && body.RootElement.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.String)
            {
                var code = body.RootElement.TryGetProperty("code", out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
                return code == ErrorKind.QuorumNotMet.Code ? Quorum(body.RootElement) : new MemoryException(ErrorKinds.Of(code, status), error.GetString()!);
            }
        }
        catch (JsonException)
        {
            // Plain text, as proxies and older nodes send.
        }

        var plain = text.Trim();
        return new(ErrorKinds.Of(null, status), plain.Length is > 0 and <= 500 ? plain : $"the node answered HTTP {status}");
    }

    /// <summary>Nodes of the peer system say less: no outcome and no message.</summary>
    private static QuorumException Quorum(JsonElement body)
    {
        var reason = WireReader.OptionalText(body, "reason");
        var quorum = new QuorumOutcome((int)OptionalCount(body, "got"), (int)OptionalCount(body, "needed"), reason);
        var id = WireReader.OptionalText(body, "id") is { } known ? $"; the memory is {known}" : "";
        return new(
            quorum,
            WireReader.OptionalText(body, "outcome") ?? QuorumException.Unknown,
            (WireReader.OptionalText(body, "message") ?? $"{quorum.Got} of {quorum.Needed} nodes hold the write ({reason})") + id);
    }

    private static long OptionalCount(JsonElement body, string field) =>
        body.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var count) ? count : 0;

    private static JsonElement Parse(byte[] bytes, string path)
    {
        try
        {
            return bytes.Length == 0 ? default : JsonDocument.Parse(bytes).RootElement;
        }
        catch (JsonException exception)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, $"the node's answer to {path} is not JSON", exception);
        }
    }

    private static LogPosition Position(HttpResponseHeaders headers) =>
        headers.TryGetValues("X-Memory-Token", out var values) && LogPosition.TryParse(values.First(), out var position) ? position : default;
}
