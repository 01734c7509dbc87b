using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using OrleansMemory.Cli.Cluster;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Silo.Tests;

/// <summary>Three silos as processes of their own, and clients that go to any of them.</summary>
internal sealed class SiloCluster : IAsyncDisposable
{
    public const int Count = 3;
    public const string Namespace = "silos";

    private const int PageRows = 200;

    /// <summary>Longer than a silo takes over any answer, a write that finds nobody to decide it among them: 8 s.</summary>
    private static readonly TimeSpan ClientPatience = TimeSpan.FromSeconds(12);

    private static readonly TimeSpan SuperviseInterval = TimeSpan.FromMilliseconds(50);

    private readonly string _folder;
    private readonly HttpClient[] _http;
    private readonly SemaphoreSlim[] _starting = [.. Enumerable.Range(0, Count).Select(static _ => new SemaphoreSlim(1))];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _supervising;

    private SiloCluster(string folder, ClusterProcess processes)
    {
        _folder = folder;
        Processes = processes;
        _http = [.. processes.Addresses.Select(static address => new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address, Timeout = ClientPatience })];
        _supervising = Task.Run(SuperviseAsync);
    }

    public ClusterProcess Processes { get; }

    /// <summary>Not one that only this user may enter: PostgreSQL refuses to run as root, and runs as another one.</summary>
    public static string NewFolder() => Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"om-silos-{Guid.NewGuid():n}"[..24])).FullName;

    /// <param name="folder">Deleted in the end; null makes one.</param>
    public static async Task<SiloCluster> StartAsync(bool onPostgres = false, string? folder = null)
    {
        folder ??= NewFolder();
        var cluster = new SiloCluster(folder, await ClusterProcess.StartAsync(new(folder, Count, Inherits: true, OnPostgres: onPostgres, Kind: ClusterKind.Silo)));
        try
        {
            await cluster.ReadyAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until every silo has joined and every node hears every other and has recovered.</summary>
    public async Task ReadyAsync()
    {
        var lacking = "";
        try
        {
            await Eventually.HoldsAsync("every silo has joined, and its node hears every other", async () =>
            {
                lacking = "";
                for (var node = 0; node < Count && lacking.Length == 0; node++)
                {
                    lacking = await LackingAsync(node);
                }

                return lacking.Length == 0;
            });
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"{lacking}\n{LastWords()}", exception);
        }
    }

    /// <summary>
    /// A silo that was declared dead ends by itself, and whoever started it starts it again: on a machine that is busy it may befall
    /// one that no test had in mind.
    /// </summary>
    private async Task SuperviseAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            for (var node = 0; node < Count; node++)
            {
                if (Processes[node].Ended is { IsCompletedSuccessfully: true, Result: ProcessEnd.ExitCode })
                {
                    await StartAsync(node);
                }
            }

            await Task.WhenAny(Task.Delay(SuperviseInterval, _stop.Token));
        }
    }

    /// <summary>Why a node is not ready; empty when it is.</summary>
    private async Task<string> LackingAsync(int node)
    {
        var name = ClusterProcess.NameOf(node);
        var (ready, why) = await SendAsync(node, HttpMethod.Get, "/readyz");
        var (status, body) = await SendAsync(node, HttpMethod.Get, "/api/v1/cluster");
        return ready != HttpStatusCode.OK ? $"{name}: {ready} {why}"
            : status != HttpStatusCode.OK ? $"{name}: {status} {body}"
            : body.GetProperty("recovering").GetBoolean() || body.GetProperty("peers").EnumerateArray().Any(static peer => !peer.GetProperty("up").GetBoolean()) ? $"{name}: {body}"
            : "";
    }

    /// <summary>The node in whose log the writes stand: the one that decides for the only namespace.</summary>
    public async Task<int> DeciderAsync(IReadOnlyList<long>? before = null)
    {
        var heads = await HeadsAsync();
        var grown = heads.Select((head, node) => head - (before?[node] ?? 0)).ToList();
        return grown.IndexOf(grown.Max());
    }

    public async Task<IReadOnlyList<long>> HeadsAsync() => await Task.WhenAll(Enumerable.Range(0, Count).Select(async node =>
        (await SendAsync(node, HttpMethod.Get, "/api/v1/cluster")) is (HttpStatusCode.OK, var body) ? body.GetProperty("head").GetInt64() : 0));

    public async Task KillAsync(int node)
    {
        Processes[node].Kill();
        await Processes[node].Ended;
    }

    /// <summary>Starts a silo that has ended as a supervisor does: until it runs.</summary>
    public async Task StartAsync(int node)
    {
        await _starting[node].WaitAsync();
        try
        {
            await Eventually.HoldsAsync($"{ClusterProcess.NameOf(node)} starts", async () =>
            {
                try
                {
                    await (Processes[node].Ended.IsCompleted ? Processes.StartAsync(node) : Task.CompletedTask);
                    return true;
                }
                catch (NodeFailedException)
                {
                    // Its database did not answer in time, for one.
                    return false;
                }
            });
        }
        finally
        {
            _starting[node].Release();
        }
    }

    /// <summary>
    /// Stops a silo that is not in the middle of a write to the members' file: it would keep the file locked, and while it is paused no
    /// other could declare it dead. A server of a database keeps nothing locked for it.
    /// </summary>
    public Task SuspendAsync(int node) => Eventually.HoldsAsync($"{ClusterProcess.NameOf(node)} is paused and the members' file is free", async () =>
    {
        ProcessSignal.Suspend(Processes[node].ProcessId);
        await using var members = new SqliteConnection($"Data Source={Processes.ClusterDatabaseLocation};Mode=ReadWrite;Pooling=False;Default Timeout=1");
        try
        {
            // Another silo that writes is done within a second.
            await members.OpenAsync();
            await using var writing = members.BeginTransaction(deferred: false);
            return true;
        }
        catch (SqliteException)
        {
            Resume(node);
            return false;
        }
    });

    public void Resume(int node) => ProcessSignal.Resume(Processes[node].ProcessId);

    /// <summary>An answer, or no status where there was none.</summary>
    public Task<(HttpStatusCode? Status, JsonElement Body)> SendAsync(int node, HttpMethod method, string path, object? body = null, params (string Name, string Value)[] headers) =>
        SendAsync(_http[node], method, path, body, headers);

    /// <summary>As the other, to an address that the client has.</summary>
    public static async Task<(HttpStatusCode? Status, JsonElement Body)> SendAsync(
        HttpClient http, HttpMethod method, string path, object? body = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        try
        {
            using var answer = await http.SendAsync(request);
            var text = await answer.Content.ReadAsStringAsync();
            return (answer.StatusCode, text.Length == 0 ? default : JsonDocument.Parse(text).RootElement);
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
        {
            return (null, default);
        }
    }

    public Task<(HttpStatusCode? Status, JsonElement Body)> StoreAsync(int node, string title, string content, string? key = null, string @namespace = Namespace) =>
        SendAsync(node, HttpMethod.Post, "/api/v1/memories", new { title, content, @namespace, tier = "long" }, key is null ? [] : [("Idempotency-Key", key)]);

    /// <summary>Stores as a client does that knows all front ends: to the next one until it is acknowledged.</summary>
    /// <returns>The id.</returns>
    public async Task<string> InsistAsync(int first, string title, string content, string key)
    {
        string? id = null;
        var node = first;
        await Eventually.HoldsAsync($"{title} is acknowledged", async () =>
        {
            var (status, body) = await StoreAsync(node++ % Count, title, content, key);
            Assert.True(status is null or HttpStatusCode.Created or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout, $"{status}: {body}");
            id = status == HttpStatusCode.Created ? body.GetProperty("id").GetString() : null;
            return id is not null;
        });
        return id!;
    }

    /// <summary>Content by id of all that a node lists of the namespace.</summary>
    public async Task<IReadOnlyDictionary<string, (string Title, string Content)>> ListAsync(int node)
    {
        var found = new Dictionary<string, (string, string)>(StringComparer.Ordinal);
        string? cursor = null;
        do
        {
            var query = cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}";
            var (status, page) = await SendAsync(node, HttpMethod.Get, $"/api/v1/memories?namespace={Namespace}&limit={PageRows}{query}");
            Assert.Equal(HttpStatusCode.OK, status);
            foreach (var memory in page.GetProperty("memories").EnumerateArray())
            {
                found.Add(memory.GetProperty("id").GetString()!, (memory.GetProperty("title").GetString()!, memory.GetProperty("content").GetString()!));
            }

            cursor = page.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
        }
        while (cursor is not null);
        return found;
    }

    /// <summary>Waits until all nodes hold the same rows.</summary>
    public Task ConvergedAsync() => Eventually.HoldsAsync("all nodes have one digest", async () =>
    {
        var digests = new HashSet<string>();
        for (var node = 0; node < Count; node++)
        {
            var (status, body) = await SendAsync(node, HttpMethod.Get, "/api/v1/cluster?digest=true");
            digests.Add(status == HttpStatusCode.OK ? body.GetProperty("digest").GetString()! : $"{node}: {status}");
        }

        return digests.Count == 1;
    });

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _supervising.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var disposable in _starting.Concat<IDisposable>(_http).Append(_stop))
        {
            disposable.Dispose();
        }

        await Processes.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>What the silos logged last, for a test that failed.</summary>
    private string LastWords() => string.Join('\n', Directory.GetFiles(_folder, "n?.log").SelectMany(static path => File.ReadLines(path).TakeLast(40).Prepend(path)));
}

/// <summary>Clients that write without a pause through every silo, and what was acknowledged to them.</summary>
internal sealed class Agents : IAsyncDisposable
{
    private const int Number = 6;

    private readonly Func<int, string, string, string, Task<(HttpStatusCode? Status, JsonElement Body)>> _store;
    private readonly string _name;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _running;
    private long _acknowledged;
    private long _refused;

    public Agents(SiloCluster cluster, string name)
        : this((attempt, title, content, key) => cluster.StoreAsync(attempt % SiloCluster.Count, title, content, key), name)
    {
    }

    /// <param name="store">Stores content under a title, with a key; its first argument tells attempts apart.</param>
    public Agents(Func<int, string, string, string, Task<(HttpStatusCode? Status, JsonElement Body)>> store, string name)
    {
        _store = store;
        _name = name;
        _running = [.. Enumerable.Range(0, Number).Select(agent => Task.Run(() => WriteAsync(agent)))];
    }

    /// <summary>Content by id.</summary>
    public ConcurrentDictionary<string, string> Ledger { get; } = new(StringComparer.Ordinal);

    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    /// <summary>Attempts that were answered 503 or not at all.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>From now until every agent had a write acknowledged that it sent after now.</summary>
    public async Task<TimeSpan> ResumedAsync()
    {
        // Each agent has one write under way: of twice as many acknowledged ones, one from each was sent since.
        var started = Stopwatch.StartNew();
        var before = Acknowledged;
        await Eventually.HoldsAsync("writes are acknowledged again", async () =>
        {
            foreach (var ended in _running.Where(static agent => agent.IsFaulted))
            {
                await ended;
            }

            return Acknowledged >= before + (2 * Number);
        });
        return started.Elapsed;
    }

    /// <summary>Lets each agent finish its write.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
    }

    /// <summary>What agents failed of, <see cref="StopAsync"/> throws: a test that ends before that has failed of something else.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task WriteAsync(int agent)
    {
        for (var write = 0; !_stop.IsCancellationRequested; write++)
        {
            var title = string.Create(CultureInfo.InvariantCulture, $"{_name}-{agent}-{write}");
            var node = agent + write;
            await Eventually.HoldsAsync($"{title} is acknowledged", async () =>
            {
                var (status, body) = await _store(node++, title, $"v-{title}", title);
                if (status != HttpStatusCode.Created)
                {
                    Assert.True(status is null || (status == HttpStatusCode.ServiceUnavailable && IsDocumented(body)), $"{status}: {body}");
                    Interlocked.Increment(ref _refused);
                    return false;
                }

                Ledger[body.GetProperty("id").GetString()!] = $"v-{title}";
                Interlocked.Increment(ref _acknowledged);
                return true;
            });
        }
    }

    private static bool IsDocumented(JsonElement refusal) => refusal.GetProperty("code").GetString() switch
    {
        "draining" or "not_yet" or "unreachable" => true,
        "quorum_not_met" => refusal.GetProperty("reason").GetString() is "unreachable" or "timeout" or "refused" or "fenced" or "clock_skew" or "store_failed" or "draining",
        _ => false,
    };
}
