using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Ledgers;

namespace OrleansMemory.Gate.Clients;

/// <summary>A node of a campaign, as its clients know it.</summary>
internal sealed record NodeAddress(string Name, Uri Address);

/// <summary>Requests of a campaign to its nodes: each is written down with what became of it, and those on their way are counted.</summary>
internal sealed class Traffic : IDisposable
{
    private const string TokenHeader = "X-Memory-Token";
    public const string KeyVariable = "OM_API_KEY";

    private const int PageRows = 200;
    private const long TicksPerStep = TimeSpan.TicksPerMillisecond / 10;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(2);

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly HttpClient[] _http;
    private readonly ConcurrentQueue<LedgerLine> _lines = new();
    private long _acked;
    private long _deleted;
    private long _tokenReads;

    /// <param name="key">Sent to the nodes with each request; it is written down nowhere.</param>
    public Traffic(IReadOnlyList<NodeAddress> nodes, string? key = null)
    {
        Nodes = nodes;
        key ??= Environment.GetEnvironmentVariable(KeyVariable);
        _http = [.. nodes.Select(node =>
        {
            var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, ConnectTimeout = ConnectPatience }) { BaseAddress = node.Address, Timeout = Patience };
            if (key is { Length: > 0 })
            {
                http.DefaultRequestHeaders.Add("X-API-Key", key);
            }

            return http;
        })];
    }

    public IReadOnlyList<NodeAddress> Nodes { get; }

    /// <summary>Microseconds since the traffic began, in tenths of a millisecond: what is finer tells nothing, and fills ledgers.</summary>
    public long Now => _clock.Elapsed.Ticks / TicksPerStep * (TicksPerStep / TimeSpan.TicksPerMicrosecond);

    /// <summary>Writes that were acknowledged.</summary>
    public long Acked => Interlocked.Read(ref _acked);

    /// <summary>Deletes among them.</summary>
    public long Deleted => Interlocked.Read(ref _deleted);

    /// <summary>Reads with a token that were answered.</summary>
    public long TokenReads => Interlocked.Read(ref _tokenReads);

    public void Record(LedgerLine line) => _lines.Enqueue(line);

    /// <summary>What was written down since the last call.</summary>
    public List<LedgerLine> Take()
    {
        var lines = new List<LedgerLine>();
        while (_lines.TryDequeue(out var line))
        {
            lines.Add(line);
        }

        return lines;
    }

    /// <summary>Sends a request of a client and writes it down.</summary>
    /// <param name="body">Null: none.</param>
    /// <param name="token">The client's, or null.</param>
    /// <param name="quorum">Nodes that must hold the write; null: as the nodes are set.</param>
    /// <returns>What was written down, the id of the memory as far as it is known, and the token of the answer.</returns>
    public async Task<(Operation Operation, string? Id, string? Token)> SendAsync(Request request, int node, string path, HttpMethod method, JsonObject? body, string? token, string? quorum = null)
    {
        var isWrite = request.Op != Operations.Read;
        var start = Now;
        var answer = await AskAsync(node, method, path, body, token, request.Client, quorum);
        var outcome = OutcomeOf(answer);
        if (isWrite && outcome == Outcome.Acked)
        {
            Interlocked.Increment(ref _acked);
            if (request.Op == Operations.Delete)
            {
                Interlocked.Increment(ref _deleted);
            }
        }
        else if (!isWrite && token is not null && (outcome == Outcome.Acked || answer.Status == 404))
        {
            Interlocked.Increment(ref _tokenReads);
        }

        var id = request.Id ?? (answer.Text("id") is { Length: > 0 } told ? told : null);
        var operation = new Operation
        {
            Cycle = request.Cycle,
            Client = request.Client,
            Op = request.Op,
            Node = Nodes[node].Name,
            Title = request.Title,
            Id = id is null ? null : Contents.EndOfId(id),
            Hash = isWrite ? request.Content is { } content ? Contents.Hash(content) : null : answer.Text("content") is { } read ? Contents.Hash(read) : null,
            Tier = isWrite ? null : answer.Text("tier"),
            Start = start,
            End = Now,
            Outcome = outcome,
            Status = answer.Status,
            Code = outcome == Outcome.Acked ? null : answer.Text("code"),
            Token = token is null ? null : true,
        };
        Record(operation);
        return (operation, id, answer.Token);
    }

    /// <summary>Asks a node something that no ledger is about.</summary>
    public Task<Answer> AskAsync(int node, HttpMethod method, string path, JsonNode? body = null) => AskAsync(node, method, path, body, null, "ai:gate");

    /// <summary>The cluster's state as a node tells it, with its digest; null when it does not answer.</summary>
    public async Task<string?> DigestAsync(int node) => (await AskAsync(node, HttpMethod.Get, "/api/v1/cluster?digest=true")) is { Status: 200 } answer ? answer.Text("digest") : null;

    /// <summary>Writes down what a node holds of a namespace, to the last page, and how many it states.</summary>
    /// <exception cref="InvalidDataException">It did not answer.</exception>
    public async Task RecordHoldingsAsync(int cycle, int node, string @namespace, string digest)
    {
        (await ListAsync(cycle, node, @namespace)).ForEach(Record);
        var stats = await ReadAsync(node, "/api/v1/stats");
        var stated = stats.GetProperty("by_namespace").EnumerateArray().Where(each => each.GetProperty("namespace").GetString() == @namespace).Sum(static each => each.GetProperty("count").GetInt64());
        Record(new NodeState { Cycle = cycle, Node = Nodes[node].Name, Stated = stated, Digest = digest });
    }

    /// <summary>Writes down what a node holds of a namespace that was written down before, to the last page.</summary>
    /// <exception cref="InvalidDataException">It did not answer.</exception>
    public async Task RecordLaterAsync(int cycle, int node, string @namespace)
    {
        var list = await ListAsync(cycle, node, @namespace);
        Record(new LaterReading { Cycle = cycle, Node = Nodes[node].Name, Count = list.Count, Fingerprint = LaterReading.FingerprintOf(list) });
    }

    private async Task<List<Holding>> ListAsync(int cycle, int node, string @namespace)
    {
        var list = new List<Holding>();
        for (string? cursor = null; ;)
        {
            var query = cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}";
            var page = await ReadAsync(node, $"/api/v1/memories?namespace={Uri.EscapeDataString(@namespace)}&limit={PageRows}{query}");
            list.AddRange(page.GetProperty("memories").EnumerateArray().Select(memory => new Holding
            {
                Cycle = cycle,
                Node = Nodes[node].Name,
                Id = Contents.EndOfId(memory.GetProperty("id").GetString()!),
                Title = memory.GetProperty("title").GetString()!,
                Hash = Contents.Hash(memory.GetProperty("content").GetString()!),
                Tier = memory.GetProperty("tier").GetString()!,
            }));
            cursor = page.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
            if (cursor is null)
            {
                return list;
            }
        }
    }

    public void Dispose()
    {
        foreach (var http in _http)
        {
            http.Dispose();
        }
    }

    private static Outcome OutcomeOf(Answer answer) => answer switch
    {
        { Status: >= 200 and < 300 } => Outcome.Acked,
        { Status: null, WasSent: false } => Outcome.Rejected,
        { Status: null } => Outcome.Indeterminate,

        // On a node that has not heard of it yet.
        { Status: 404 } when answer.Text("code") == "not_found" => Outcome.Rejected,
        { Status: 503 or 504 } => answer.Text("outcome") switch
        {
            "stored_locally" => Outcome.StoredLocally,
            "not_stored" => Outcome.Rejected,
            "unknown" => Outcome.Indeterminate,
            null when answer.Text("code") is "not_yet" or "draining" or "overloaded" => Outcome.Rejected,
            null when answer.Text("code") is "store_failed" or "store_full" or "unreachable" => Outcome.Indeterminate,
            _ => Outcome.Unexpected,
        },
        _ => Outcome.Unexpected,
    };

    private async Task<JsonElement> ReadAsync(int node, string path)
    {
        var answer = await AskAsync(node, HttpMethod.Get, path);
        return answer is { Status: 200, Body: { } body } ? body : throw new InvalidDataException($"{Nodes[node].Name} answered {path} with {answer.Status?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "nothing"}");
    }

    private async Task<Answer> AskAsync(int node, HttpMethod method, string path, JsonNode? body, string? token, string agent, string? quorum = null)
    {
        using var message = new HttpRequestMessage(method, path);
        message.Headers.Add("X-Agent-Id", agent);
        if (token is not null)
        {
            message.Headers.Add(TokenHeader, token);
        }

        if (quorum is not null)
        {
            message.Headers.Add("X-Quorum", quorum);
        }

        if (method != HttpMethod.Get)
        {
            // Without a content the client may send a request again by itself, and nobody would know of the first.
            message.Content = body is null ? new ByteArrayContent([]) : new StringContent(body.ToJsonString(), Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        }

        try
        {
            using var response = await _http[node].SendAsync(message);
            var text = await response.Content.ReadAsStringAsync();
            return new((int)response.StatusCode, Parse(text), response.Headers.TryGetValues(TokenHeader, out var values) ? values.First() : null, WasSent: true);
        }
        catch (HttpRequestException exception)
        {
            // What could not be connected was never sent.
            return new(null, null, null, WasSent: exception.HttpRequestError != HttpRequestError.ConnectionError);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            return new(null, null, null, WasSent: true);
        }
    }

    private static JsonElement? Parse(string text)
    {
        try
        {
            return text.Length == 0 ? null : JsonDocument.Parse(text).RootElement;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <param name="Content">What a write sets; null when it sets none.</param>
internal sealed record Request(int Cycle, string Client, string Op, string Title, string? Id = null, string? Content = null);

/// <param name="Status">Null: none came.</param>
/// <param name="WasSent">False when nobody can have received the request.</param>
internal sealed record Answer(int? Status, JsonElement? Body, string? Token, bool WasSent)
{
    public string? Text(string name) =>
        Body is { ValueKind: JsonValueKind.Object } body && body.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
