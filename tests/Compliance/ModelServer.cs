using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OrleansMemory.Compliance;

/// <summary>
/// A server that speaks as models do, both as OpenAI's API (below <c>/v1</c>) and as Ollama, on a port of its own. A vector counts the words of
/// a text, words of one meaning as one; the text model's answers are the test's.
/// </summary>
public sealed class ModelServer : IAsyncDisposable
{
    public const int Dimension = 64;

    private readonly HttpListener _listener = new();
    private readonly Task _loop;

    public ModelServer()
    {
        // Another process may take the port between the look and the use of it.
        for (var attempt = 0; ; attempt++)
        {
            using (var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                Port = ((IPEndPoint)probe.LocalEndPoint!).Port;
            }

            _listener.Prefixes.Clear();
            _listener.Prefixes.Add($"http://127.0.0.1:{Port}/");
            try
            {
                _listener.Start();
                break;
            }
            catch (HttpListenerException) when (attempt < 10)
            {
            }
        }

        _loop = Task.Run(LoopAsync);
    }

    public int Port { get; }

    public Uri Ollama => new($"http://127.0.0.1:{Port}/");

    public Uri OpenAi => new($"http://127.0.0.1:{Port}/v1");

    /// <summary>Answers 503 to everything.</summary>
    public bool IsAway { get; set; }

    /// <summary>Takes requests and answers none.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Numbers of each vector.</summary>
    public int Numbers { get; set; } = Dimension;

    /// <summary>Answered as it is, whatever was asked.</summary>
    public string? Garbage { get; set; }

    /// <summary>What the text model answers to the user's message.</summary>
    public Func<string, string> Chat { get; set; } = static _ => "yes";

    /// <summary>What happens while a model works, before it answers.</summary>
    public Func<Task> Meanwhile { get; set; } = static () => Task.CompletedTask;

    /// <summary>Words that mean what another says.</summary>
    public ConcurrentDictionary<string, string> Meanings { get; } = new(StringComparer.Ordinal);

    /// <summary>Path and body of each request.</summary>
    public ConcurrentQueue<(string Path, JsonNode Body, string? Authorization)> Requests { get; } = [];

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        await _loop;
    }

    private async Task LoopAsync()
    {
        while (_listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }

            _ = AnswerAsync(context);
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        try
        {
            var path = context.Request.Url!.AbsolutePath;
            using var reader = new StreamReader(context.Request.InputStream, Encoding.UTF8);
            var body = JsonNode.Parse(await reader.ReadToEndAsync())!;
            Requests.Enqueue((path, body, context.Request.Headers["Authorization"]));
            if (IsSilent)
            {
                return;
            }

            await Meanwhile();

            context.Response.StatusCode = IsAway ? 503 : 200;
            context.Response.ContentType = "application/json";
            var answer = IsAway ? """{"error":"the model is away"}""" : Garbage ?? Answer(path, body)?.ToJsonString();
            if (answer is null)
            {
                context.Response.StatusCode = 404;
                answer = "{}";
            }

            await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(answer));
            context.Response.Close();
        }
        catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException or IOException or JsonException)
        {
            context.Response.Abort();
        }
    }

    private JsonNode? Answer(string path, JsonNode body) => path switch
    {
        "/v1/embeddings" => new JsonObject
        {
            // Not in order: the index says which text a vector is of.
            ["data"] = new JsonArray([.. Texts(body).Select((text, index) => new JsonObject { ["index"] = index, ["embedding"] = Vector(text) }).Reverse()]),
        },
        "/api/embed" => new JsonObject { ["embeddings"] = new JsonArray([.. Texts(body).Select(Vector)]) },
        "/v1/chat/completions" => new JsonObject { ["choices"] = new JsonArray(new JsonObject { ["message"] = Said(body) }) },
        "/api/chat" => new JsonObject { ["message"] = Said(body) },
        _ => null,
    };

    private JsonObject Said(JsonNode body) => new() { ["role"] = "assistant", ["content"] = Chat((string)body["messages"]!.AsArray()[^1]!["content"]!) };

    private static IEnumerable<string> Texts(JsonNode body) => body["input"]!.AsArray().Select(static text => (string)text!);

    private JsonArray Vector(string text)
    {
        var numbers = new float[Numbers];
        foreach (var word in text.ToLowerInvariant().Split([' ', '\n', '.', ',', '?', '!'], StringSplitOptions.RemoveEmptyEntries))
        {
            var hash = 2_166_136_261u;
            foreach (var character in Meanings.GetValueOrDefault(word, word))
            {
                hash = (hash ^ character) * 16_777_619u;
            }

            numbers[hash % numbers.Length] += 1;
        }

        return new([.. numbers.Select(static number => JsonValue.Create(number))]);
    }
}
