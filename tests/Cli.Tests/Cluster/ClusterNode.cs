using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Storage.Postgres;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>One place in a cluster: its database, and the process that serves it or none.</summary>
internal sealed class ClusterNode(string id, string folder, Func<ClusterNode, Task<ServedNode>> serve, IReadOnlyList<LinkProxy> incoming) : IAsyncDisposable
{
    public const string Namespace = "cluster";

    private const int PageRows = 200;

    private static readonly TimeSpan RequestDeadline = TimeSpan.FromSeconds(60);

    private ServedNode? _process;
    private HttpClient? _http;

    public string Id => id;

    public string Database => Server ?? Path.Combine(folder, $"{id}.db");

    /// <summary>The URL of its database; null when it has a file.</summary>
    public string? Server { get; init; }

    /// <summary>Of its wall clock; null when it has the machine's.</summary>
    public FakeClock? Clock { get; init; }

    public bool IsRunning => _process is not null;

    public string Url => Process.Url;

    public HttpClient Http => _http ?? throw new InvalidOperationException($"{id} does not run");

    private ServedNode Process => _process ?? throw new InvalidOperationException($"{id} does not run");

    public async Task StartAsync()
    {
        Assert.Null(_process);
        _process = await serve(this);
        _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 256, UseProxy = false }) { BaseAddress = new Uri(_process.Url), Timeout = RequestDeadline };
        foreach (var proxy in incoming)
        {
            proxy.Open(_http.BaseAddress.Port);
        }
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        await Process.KillAsync();
        await LeaveAsync();
    }

    /// <summary>SIGTERM, to the end of the process.</summary>
    public async Task<Outcome> StopAsync()
    {
        var outcome = await Process.StopAsync();
        await LeaveAsync();
        return outcome;
    }

    public void Suspend() => Process.Suspend();

    public void Resume() => Process.Resume();

    /// <summary>Takes the disk away.</summary>
    public void Wipe()
    {
        foreach (var file in Files())
        {
            File.Delete(file);
        }
    }

    /// <summary>Copies the database with its log aside, as a backup of a stopped node does.</summary>
    public void CopyAside(string name)
    {
        var copy = Directory.CreateDirectory(Path.Combine(folder, $"{id}-{name}")).FullName;
        foreach (var file in Files())
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }
    }

    /// <summary>Puts an older copy in the place of what the node has.</summary>
    public void PutBack(string name)
    {
        Wipe();
        foreach (var file in Directory.GetFiles(Path.Combine(folder, $"{id}-{name}")))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }
    }

    public Task<Answer> StoreAsync(string title, string content, string? key = null, string? quorum = null, string tier = "long") =>
        SendAsync(HttpMethod.Post, "/api/v1/memories", new { title, content, @namespace = Namespace, tier }, ("Idempotency-Key", key), ("X-Quorum", quorum));

    public Task<Answer> UpdateAsync(string memory, object patch, string? quorum = null) =>
        SendAsync(HttpMethod.Put, $"/api/v1/memories/{memory}", patch, ("X-Quorum", quorum));

    public Task<Answer> DeleteAsync(string memory, string? quorum = null) => SendAsync(HttpMethod.Delete, $"/api/v1/memories/{memory}", null, ("X-Quorum", quorum));

    public Task<Answer> PromoteAsync(string memory) => SendAsync(HttpMethod.Post, $"/api/v1/memories/{memory}/promote", null);

    public Task<Answer> LinkAsync(string source, string target, string relation) =>
        SendAsync(HttpMethod.Post, "/api/v1/links", new { source_id = source, target_id = target, relation });

    public Task<Answer> GetAsync(string memory) => SendAsync(HttpMethod.Get, $"/api/v1/memories/{memory}", null);

    public Task<Answer> ReadyAsync() => SendAsync(HttpMethod.Get, "/readyz", null);

    public Task<Answer> ClusterAsync() => SendAsync(HttpMethod.Get, "/api/v1/cluster", null);

    public async Task<long> TotalAsync() => (await SendAsync(HttpMethod.Get, "/api/v1/stats", null)).Is(HttpStatusCode.OK).Body.GetProperty("total").GetInt64();

    /// <summary>Stores rows in batches, each acknowledged by a quorum.</summary>
    public async Task FillAsync(string prefix, int rows)
    {
        foreach (var batch in Enumerable.Range(0, rows).Chunk(1_000))
        {
            var answer = await SendAsync(
                HttpMethod.Post,
                "/api/v1/memories/bulk",
                batch.Select(row => new { title = $"{prefix}-{row}", content = $"c-{prefix}-{row}", @namespace = Namespace, tier = "long" }).ToArray());
            answer.Is(HttpStatusCode.OK);
            Assert.True(answer.Body.GetProperty("errors").GetArrayLength() == 0, $"rows failed: {answer.Body}");
        }
    }

    /// <summary>Every memory that is shown, by id, with all that is answered of it; page by page to the end.</summary>
    public async Task<IReadOnlyDictionary<string, string>> ListAsync()
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        string? cursor = null;
        do
        {
            var query = cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}";
            var page = (await SendAsync(HttpMethod.Get, $"/api/v1/memories?limit={PageRows}{query}", null)).Is(HttpStatusCode.OK);
            foreach (var memory in page.Body.GetProperty("memories").EnumerateArray())
            {
                found.Add(memory.GetProperty("id").GetString()!, memory.GetRawText());
            }

            cursor = page.Text("next_cursor");
        }
        while (cursor is not null);
        return found;
    }

    /// <summary>Content by title of all that is shown.</summary>
    public async Task<IReadOnlyDictionary<string, string>> ContentsAsync()
    {
        var contents = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var memory in (await ListAsync()).Values)
        {
            var parsed = JsonDocument.Parse(memory).RootElement;
            contents.Add(parsed.GetProperty("title").GetString()!, parsed.GetProperty("content").GetString()!);
        }

        return contents;
    }

    /// <summary>The digests as the node's file holds them now, tombstones by their own hashes.</summary>
    public string ReadDigests()
    {
        if (Server is not null)
        {
            return ReadServerDigests(Server);
        }

        using var database = SqliteDatabase.Open(Database, readOnly: true);
        return database.QueryText("""
            select coalesce((select group_concat(line, char(10)) from (
                select namespace || '/' || bucket || '=' || rows || ':' || hex(hash) as line from digest where rows > 0 order by namespace, bucket)), '')
                || char(10) || coalesce((select group_concat(line, char(10)) from (select id || ' is gone ' || hex(hash) as line from tombstone order by id)), '')
            """) ?? "";
    }

    private static string ReadServerDigests(string url)
    {
        using var source = NpgsqlDataSource.Create(PostgresUrl.Parse(url).ToConnection());
        using var command = source.CreateCommand("""
            select coalesce((select string_agg(namespace || '/' || bucket || '=' || rows || ':' || upper(lpad(to_hex(hash_high), 16, '0') || lpad(to_hex(hash_low), 16, '0')), chr(10)
                    order by namespace, bucket) from orleans_memory.digest where rows > 0), '')
                || chr(10) || coalesce((select string_agg(id || ' is gone ' || upper(encode(hash, 'hex')), chr(10) order by id) from orleans_memory.tombstone), '')
            """);
        return (string)command.ExecuteScalar()!;
    }

    public async Task<Answer> SendAsync(HttpMethod method, string path, object? body, params (string Name, string? Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        foreach (var (name, value) in headers)
        {
            if (value is not null)
            {
                request.Headers.Add(name, value);
            }
        }

        var started = Stopwatch.StartNew();
        using var answer = await Http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        return new(answer.StatusCode, text.Length == 0 ? default : JsonDocument.Parse(text).RootElement, answer.Headers, started.Elapsed);
    }

    public override string ToString() => id;

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            // A suspended process hears no signal but these two.
            await KillAsync();
        }
    }

    private IEnumerable<string> Files() =>
        Directory.GetFiles(folder, string.Create(CultureInfo.InvariantCulture, $"{id}.db*")).Where(static file => !file.EndsWith(".lock", StringComparison.Ordinal));

    private async Task LeaveAsync()
    {
        _http!.Dispose();
        _http = null;
        await _process!.DisposeAsync();
        _process = null;
        foreach (var proxy in incoming)
        {
            await proxy.CloseAsync();
        }
    }
}
