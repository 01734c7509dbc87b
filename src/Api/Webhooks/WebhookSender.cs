using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using OrleansMemory.Api.Http;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;

namespace OrleansMemory.Api.Webhooks;

/// <summary>How webhooks are sent.</summary>
public sealed record WebhookOptions
{
    /// <summary>Also to loopback and private addresses, and over http.</summary>
    public bool AllowPrivate { get; init; }

    /// <summary>For one attempt.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Attempts before an event is given up; 1 or more.</summary>
    public int Attempts { get; init; } = 6;

    /// <summary>After the first failure; it doubles with each further one.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromSeconds(1);
}

/// <summary>
/// Sends one event to one address. The name is resolved once, every address of it is judged, and the connection goes to the address that was judged; redirects
/// are not followed.
/// </summary>
internal sealed class WebhookSender : IDisposable
{
    private readonly WebhookOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpClient _client;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve;

    /// <param name="resolve">The addresses of a name; null: as the system has them.</param>
    public WebhookSender(WebhookOptions options, TimeProvider time, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        _resolve = resolve ?? Dns.GetHostAddressesAsync;
        _options = options;
        _time = time;
        _client = new(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            ConnectCallback = ConnectAsync,
            PooledConnectionLifetime = TimeSpan.FromMinutes(1),
            ActivityHeadersPropagator = null,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _client.DefaultRequestHeaders.UserAgent.ParseAdd("ai-memory/0.6.0.0");
    }

    public void Dispose() => _client.Dispose();

    /// <summary>Null when it was taken (2xx); else why not.</summary>
    public async Task<string?> SendAsync(Subscription subscription, MemoryEvent change, CancellationToken stopping)
    {
        var url = new Uri(subscription.Body.Url);
        if (url.Scheme != "https" && !_options.AllowPrivate)
        {
            return "the address is not https";
        }

        var now = _time.GetUtcNow();
        var body = Body(change, Timestamp.FromUnixMilliseconds(now.ToUnixTimeMilliseconds()));
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        var timestamp = now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        request.Headers.Add("X-Ai-Memory-Timestamp", timestamp);
        request.Headers.Add("X-Ai-Memory-Event-Id", change.Position.ToString());
        if (subscription.Body.SecretHash is { } hash)
        {
            request.Headers.Add("X-Ai-Memory-Signature", Signature(Convert.FromHexString(hash), [.. Encoding.ASCII.GetBytes(timestamp + "."), .. body]));
        }

        if (subscription.Body.Secret is { } secret)
        {
            request.Headers.Add("X-Ai-Memory-Body-Signature", Signature(Encoding.UTF8.GetBytes(secret), body));
        }

        using var timeout = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stopping);
        try
        {
            using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            return response.IsSuccessStatusCode ? null : $"HTTP {(int)response.StatusCode}";
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            return "no answer in time";
        }
        catch (HttpRequestException exception)
        {
            return (exception.InnerException ?? exception).Message;
        }
    }

    /// <summary>In the order in which receivers know the keys.</summary>
    private static byte[] Body(MemoryEvent change, Timestamp now)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, JsonAnswer.WriterOptions))
        {
            writer.WriteStartObject();
            writer.WriteString("event"u8, change.Name);
            writer.WriteString("memory_id"u8, change.MemoryId);
            writer.WriteString("namespace"u8, change.Namespace);
            writer.WriteString("agent_id"u8, change.Memory?.Metadata.Text("agent_id"));
            writer.WriteString("delivered_at"u8, now.ToString());
            writer.WriteEndObject();
        }

        return bytes.ToArray();
    }

    private static string Signature(byte[] key, byte[] message) => $"sha256={Convert.ToHexStringLower(HMACSHA256.HashData(key, message))}";

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var addresses = await _resolve(context.DnsEndPoint.Host, cancellation);
        if (addresses.Length == 0)
        {
            throw new HttpRequestException("the host has no address");
        }

        if (!_options.AllowPrivate && Array.Exists(addresses, static address => !WebhookAddresses.IsPublic(address)))
        {
            throw new HttpRequestException("the host has an address that is not public");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
