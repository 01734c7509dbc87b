using System.Net;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Faults;

/// <summary>
/// In front of one node, as a node would be that answers only the first page of a list and does not say that there are more: each list
/// of memories has 20 rows at most and no cursor. All else passes unchanged.
/// </summary>
public sealed class PageProxy : IAsyncDisposable
{
    private const int Rows = 20;
    private const string Lists = "/api/v1/memories";

    private readonly HttpListener _listener = new();
    private readonly HttpClient _node;
    private readonly Task _serving;

    /// <param name="node">The node's address.</param>
    public PageProxy(Uri node)
    {
        _node = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = node };
        Address = new($"http://127.0.0.1:{FreePorts.Take(1)[0]}/");
        _listener.Prefixes.Add(Address.AbsoluteUri);
        _listener.Start();
        _serving = ServeAsync();
    }

    public Uri Address { get; }

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _serving;
        ((IDisposable)_listener).Dispose();
        _node.Dispose();
    }

    private static async Task ForwardAsync(HttpClient node, HttpListenerContext context)
    {
        try
        {
            var isList = context.Request.HttpMethod == "GET" && context.Request.Url!.AbsolutePath == Lists;
            using var request = new HttpRequestMessage(new(context.Request.HttpMethod), isList ? FirstPage(context.Request) : context.Request.RawUrl);
            if (context.Request.HasEntityBody)
            {
                request.Content = new StreamContent(context.Request.InputStream);
            }

            foreach (var name in context.Request.Headers.AllKeys.OfType<string>().Where(static name => name is not ("Host" or "Connection" or "Transfer-Encoding" or "Expect")))
            {
                if (!request.Headers.TryAddWithoutValidation(name, context.Request.Headers[name]))
                {
                    request.Content?.Headers.TryAddWithoutValidation(name, context.Request.Headers[name]);
                }
            }

            using var answer = await node.SendAsync(request);
            context.Response.StatusCode = (int)answer.StatusCode;
            foreach (var (name, values) in answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated))
            {
                if (name is not ("Transfer-Encoding" or "Connection" or "Content-Length" or "Keep-Alive"))
                {
                    context.Response.Headers[name] = values.ToString();
                }
            }

            var body = await answer.Content.ReadAsByteArrayAsync();
            if (isList && JsonNode.Parse(body) is JsonObject page)
            {
                page.Remove("next_cursor");
                body = System.Text.Encoding.UTF8.GetBytes(page.ToJsonString());
            }

            context.Response.ContentLength64 = body.Length;
            await context.Response.OutputStream.WriteAsync(body);
            context.Response.Close();
        }
        catch (Exception exception) when (exception is HttpRequestException or HttpListenerException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The node is gone, or the client is: the other sees a broken connection.
            context.Response.Abort();
        }
    }

    private static string FirstPage(HttpListenerRequest request)
    {
        var kept = request.Url!.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries).Where(static part => !part.StartsWith("limit=", StringComparison.Ordinal));
        return $"{Lists}?{string.Join('&', kept.Append($"limit={Rows}"))}";
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            try
            {
                _ = ForwardAsync(_node, await _listener.GetContextAsync());
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}
