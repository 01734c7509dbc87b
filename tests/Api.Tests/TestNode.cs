using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Api.Tests;

/// <summary>An answer, read to its end.</summary>
public sealed record Reply(int Status, string Text, HttpResponseMessage Message)
{
    public JsonNode Json => JsonNode.Parse(Text) ?? throw new InvalidOperationException("the answer is null");

    public string? ContentType => Message.Content.Headers.ContentType?.ToString();

    public string? Header(string name) => Message.Headers.TryGetValues(name, out var values) ? string.Join(',', values) : null;
}

/// <summary>A real node over a real store in a temporary folder, on a port of its own.</summary>
public sealed class TestNode : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-api-").FullName;
    private SqliteStore? _store;

    /// <summary>Errors and warnings of the node.</summary>
    internal ConcurrentQueue<string> Log { get; } = [];

    internal NodeOptions Options { get; init; } = new() { Port = 0, ShutdownGrace = TimeSpan.FromSeconds(20) };

    internal StringWriter Output { get; } = new();

    internal NodeHost Host { get; private set; } = null!;

    internal MemoryNode Node { get; private set; } = null!;

    internal HttpClient Client { get; private set; } = null!;

    internal Uri Address => Host.Addresses[0];

    public async ValueTask InitializeAsync()
    {
        _store = SqliteStore.Open(Path.Combine(_folder, "test.db"));
        Node = await MemoryNode.StartAsync(_store, Options.ToNodeSettings(), TimeProvider.System, new Random(1));
        Host = await NodeHost.StartAsync(Options, Node, TimeProvider.System, Output, logging =>
        {
            logging.AddProvider(new Recorder(Log));
            logging.SetMinimumLevel(LogLevel.Warning);
        });
        var handler = new SocketsHttpHandler { MaxConnectionsPerServer = 256 };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null;
        Client = new HttpClient(handler) { BaseAddress = Address, Timeout = TimeSpan.FromSeconds(60) };
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Host.DisposeAsync();
        await CloseStoreAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Takes the store away under the node.</summary>
    internal async Task CloseStoreAsync()
    {
        if (_store is IAsyncDisposable store)
        {
            _store = null;
            await store.DisposeAsync();
        }
    }

    internal static async Task<TestNode> StartAsync(NodeOptions? options = null)
    {
        var node = options is null ? new TestNode() : new TestNode { Options = options };
        await node.InitializeAsync();
        return node;
    }

    internal async Task<Reply> SendAsync(HttpMethod method, string path, HttpContent? content = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var response = await Client.SendAsync(request);
        return new((int)response.StatusCode, await response.Content.ReadAsStringAsync(), response);
    }

    internal Task<Reply> GetAsync(string path, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Get, path, null, headers);

    internal Task<Reply> PostAsync(string path, string body, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Post, path, Json(body), headers);

    internal Task<Reply> PutAsync(string path, string body, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Put, path, Json(body), headers);

    internal Task<Reply> DeleteAsync(string path, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Delete, path, null, headers);

    /// <summary>Stores a memory and answers its id.</summary>
    internal async Task<string> StoreAsync(string title, string extra = "")
    {
        var reply = await PostAsync("/api/v1/memories", $$"""{"title":{{JsonValue.Create(title)!.ToJsonString()}},"content":"content of {{title}}"{{extra}}}""");
        Assert.True(reply.Status == 201, reply.Text);
        return (string)reply.Json["id"]!;
    }

    internal async Task<long> TotalAsync() => (long)(await GetAsync("/api/v1/stats")).Json["total"]!;

    /// <summary>A complete memory as an import takes it.</summary>
    internal static JsonObject Row(string id, string title, string @namespace) => JsonNode.Parse($$"""
        {"id":{{JsonValue.Create(id)!.ToJsonString()}},"tier":"long","namespace":"{{@namespace}}","title":{{JsonValue.Create(title)!.ToJsonString()}},"content":"c",
         "tags":[],"priority":5,"confidence":1.0,"source":"import","access_count":3,"created_at":"2026-01-01T00:00:00Z",
         "updated_at":"2026-01-02T00:00:00.123456789+02:00","last_accessed_at":null,"expires_at":null,"metadata": { "agent_id": "claimed" } }
        """)!.AsObject();

    internal static string Import(params JsonObject[] rows) => new JsonObject { ["memories"] = new JsonArray(rows) }.ToJsonString();

    internal static StringContent Json(string body) => new(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));

    private sealed class Recorder(ConcurrentQueue<string> log) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Enqueue($"{eventId.Id} {formatter(state, exception)} {exception}");
    }
}

internal static class Replies
{
    /// <summary>The one shape of an error.</summary>
    public static void ShouldFail(this Reply reply, int status, string code, string? text = null)
    {
        Assert.True(reply.Status == status, $"{reply.Status}: {reply.Text}");
        Assert.Equal("application/json", reply.ContentType);
        Assert.Equal(["code", "error"], reply.Json.AsObject().Select(field => field.Key));
        Assert.Equal(code, (string?)reply.Json["code"]);
        Assert.NotEqual("", (string?)reply.Json["error"]);
        if (text is not null)
        {
            Assert.Contains(text, (string?)reply.Json["error"]);
        }
    }

    public static void ShouldSucceed(this Reply reply, int status = 200)
    {
        Assert.True(reply.Status == status, $"{reply.Status}: {reply.Text}");
        Assert.Equal("application/json", reply.ContentType);
    }

    public static void ShouldHaveKeys(this JsonNode? node, params string[] keys) => Assert.Equal(keys, node!.AsObject().Select(field => field.Key));
}
