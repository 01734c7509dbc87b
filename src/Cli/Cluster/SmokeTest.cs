using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using OrleansMemory.Cli.Bench;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Cli.Cluster;

/// <summary>
/// A fresh cluster under eight agents that write through all nodes while one node is killed and started again. Then every node
/// must hold exactly what was acknowledged, byte for byte, and recall it.
/// </summary>
internal sealed class SmokeTest : IDisposable
{
    private const int Agents = 8;
    private const int Facts = 10;
    private const int Seed = 60_601;
    private const int ContentBytes = 400;
    private const int NamedIds = 5;

    /// <summary>The node that is killed; of silos the one that decides for the namespace.</summary>
    private const int Victim = 1;

    private static readonly TimeSpan ConnectDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan WriteDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ConvergeDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RecallDeadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    private readonly ScratchCluster _scratch;
    private readonly NodeClient[] _nodes;
    private readonly ClusterHealth _health;
    private readonly SmokeLedger _ledger = new();
    private readonly List<string> _problems = [];
    private readonly Lock _gate = new();
    private readonly int _writes;
    private readonly ClusterKind _kind;
    private long _retries;

    private SmokeTest(ScratchCluster scratch, int writes, ClusterKind kind)
    {
        _kind = kind;
        _scratch = scratch;
        _writes = writes;
        _nodes = [.. scratch.Cluster.Addresses.Select(static address => new NodeClient(address, apiKey: null))];
        _health = new(scratch.Cluster.Addresses, apiKey: null);
    }

    /// <param name="nodes">3 or more.</param>
    /// <param name="writes">Memories that the agents store, beyond the sample set.</param>
    /// <param name="onPostgres">The nodes are on PostgreSQL.</param>
    public static async Task<SmokeReport> RunAsync(int nodes, int writes, bool onPostgres, ClusterKind kind)
    {
        var started = Stopwatch.GetTimestamp();
        await using var scratch = await ScratchCluster.StartAsync(Path.GetTempPath(), "om-smoke", nodes, quorumWrites: null, onPostgres, kind);
        using var test = new SmokeTest(scratch, writes, kind);
        return await test.RunAsync(started);
    }

    public void Dispose()
    {
        _health.Dispose();
        foreach (var node in _nodes)
        {
            node.Dispose();
        }
    }

    private async Task<SmokeReport> RunAsync(long started)
    {
        await ConnectAsync();
        var facts = await ImportSampleAsync();
        await WriteAndKillAsync();
        var (converged, digests) = await ConvergeAsync();
        var (present, lost) = await CompareAsync();
        var recalled = await RecallAsync(facts);
        await StopAsync();
        return new(_ledger.Count, present, lost, converged, digests, Interlocked.Read(ref _retries), recalled, facts.Count, Stopwatch.GetElapsedTime(started), _problems);
    }

    private async Task ConnectAsync()
    {
        using var deadline = new CancellationTokenSource(ConnectDeadline);
        try
        {
            await _health.WaitUntilConnectedAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new NodeFailedException(string.Create(CultureInfo.InvariantCulture, $"the nodes did not find each other within {ConnectDeadline.TotalSeconds} s"));
        }
    }

    /// <returns>Questions, each with the id of the memory that answers it.</returns>
    private async Task<List<(string Query, string Id)>> ImportSampleAsync()
    {
        await using var service = new RemoteMemoryService(_scratch.Cluster.Addresses[0], apiKey: null);
        var summary = await SampleSet.ImportAsync(service);
        if (summary.Errors is [var first, ..])
        {
            Off($"the sample set was not imported whole: {summary.Errors.Count} memories, the first: {first}");
        }

        await using var stream = SampleSet.Open();
        using var sample = await JsonDocument.ParseAsync(stream);
        foreach (var memory in sample.RootElement.GetProperty("memories").EnumerateArray())
        {
            _ledger.Acknowledge(memory.GetProperty("id").GetString()!, memory.GetProperty("content").GetString()!);
        }

        return [.. sample.RootElement.GetProperty("facts").EnumerateArray().Take(Facts).Select(static fact => (fact.GetProperty("query").GetString()!, fact.GetProperty("id").GetString()!))];
    }

    private async Task WriteAndKillAsync()
    {
        var before = _ledger.Count;
        var text = new BenchText(Seed);
        var content = new byte[ContentBytes];
        var contents = new string[_writes];
        for (var write = 0; write < contents.Length; write++)
        {
            text.Fill(content);
            contents[write] = string.Create(CultureInfo.InvariantCulture, $"v-{write} {Encoding.ASCII.GetString(content)}");
        }

        var kill = KillAndRestartAsync(before + (_writes * 2 / 5), before + (_writes * 3 / 5));
        var agents = Task.WhenAll(Enumerable.Range(0, Agents).Select(agent => Task.Run(() => WriteAsync(agent, contents))));
        await agents;
        if (_ledger.Count - before < _writes)
        {
            Off($"{_writes - (_ledger.Count - before)} of {_writes} stores were not acknowledged");
            return;
        }

        await kill;
    }

    private async Task KillAndRestartAsync(long killAt, long restartAt)
    {
        await _ledger.ReachAsync(killAt);
        var number = _kind == ClusterKind.Silo ? await DeciderAsync() : Victim;
        var victim = _scratch.Cluster[number];
        victim.Kill();
        await victim.Ended;
        await _ledger.ReachAsync(restartAt);
        await _scratch.Cluster.StartAsync(number);
    }

    /// <summary>All that is written stands in the log of the silo that decides it.</summary>
    private async Task<int> DeciderAsync()
    {
        var heads = await Task.WhenAll(Enumerable.Range(0, _nodes.Length).Select(async node => (await _health.ReadAsync(node, withDigest: false, CancellationToken.None)).Head));
        return Array.IndexOf(heads, heads.Max());
    }

    private async Task WriteAsync(int agent, string[] contents)
    {
        var name = $"smoke-{agent}";
        for (var write = agent; write < contents.Length; write += Agents)
        {
            var title = string.Create(CultureInfo.InvariantCulture, $"smoke {write}");
            var context = new WriteContext(name, IdempotencyKey: title);
            if (await StoreAsync(write / Agents, title, contents[write], context) is not { } id)
            {
                return;
            }

            if (!_ledger.Acknowledge(id, contents[write]))
            {
                Off($"{id} was acknowledged with two contents");
            }
        }
    }

    /// <returns>The memory's id; null when no node took it in time.</returns>
    private async Task<string?> StoreAsync(int turn, string title, string content, WriteContext context)
    {
        var began = Stopwatch.GetTimestamp();
        var pause = FirstPause;
        for (var node = turn % _nodes.Length; ; node = (node + 1) % _nodes.Length)
        {
            try
            {
                var answer = await _nodes[node].SendAsync(HttpMethod.Post, "memories", writer => WriteDraft(writer, title, content), context);
                return answer.Body.GetProperty("id").GetString();
            }
            catch (MemoryException exception) when (exception.Kind.HttpStatus is 503 or 504)
            {
                if (Stopwatch.GetElapsedTime(began) > WriteDeadline)
                {
                    Off($"no node took {title} within {WriteDeadline.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s: {exception.Message}");
                    return null;
                }
            }
            catch (MemoryException exception)
            {
                Off($"{ClusterProcess.NameOf(node)} refused {title}: {exception.Message}");
                return null;
            }

            Interlocked.Increment(ref _retries);
            await Task.Delay(pause);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private static void WriteDraft(Utf8JsonWriter writer, string title, string content)
    {
        writer.WriteStartObject();
        writer.WriteString("title", title);
        writer.WriteString("content", content);
        writer.WriteString("namespace", "smoke");
        writer.WriteString("tier", "long");
        writer.WriteEndObject();
    }

    private async Task<(TimeSpan? After, IReadOnlyList<string> Digests)> ConvergeAsync()
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            var digests = await Task.WhenAll(Enumerable.Range(0, _nodes.Length).Select(DigestAsync));
            var elapsed = Stopwatch.GetElapsedTime(began);
            if (digests.All(digest => digest is not null && digest == digests[0]))
            {
                return (elapsed, digests!);
            }

            if (elapsed > ConvergeDeadline)
            {
                IReadOnlyList<string> seen = [.. digests.Select(static digest => digest ?? "no answer")];
                Off($"the nodes still differ after {ConvergeDeadline.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s: {string.Join(", ", seen)}");
                return (null, seen);
            }

            await Task.Delay(PollInterval);
        }
    }

    private async Task<string?> DigestAsync(int node)
    {
        try
        {
            return (await _health.ReadAsync(node, withDigest: true, CancellationToken.None)).Digest;
        }
        catch (MemoryException)
        {
            return null;
        }
    }

    /// <summary>Lists every node to the end, and compares with the ledger and among each other.</summary>
    private async Task<(IReadOnlyList<long> Present, long Lost)> CompareAsync()
    {
        var listings = await Task.WhenAll(_nodes.Select(ListAsync));
        var lost = new HashSet<string>(StringComparer.Ordinal);
        for (var node = 0; node < listings.Length; node++)
        {
            var name = ClusterProcess.NameOf(node);
            var missing = _ledger.LostIn(listings[node].Contents).ToList();
            lost.UnionWith(missing);
            OffForEach($"{name} lacks what was acknowledged, or holds it otherwise", missing);
            OffForEach($"{name} holds what nobody stored", _ledger.UnknownIn(listings[node].Contents).ToList());
            OffForEach($"{name} and {ClusterProcess.NameOf(0)} hold different rows", [.. listings[node].Rows.Except(listings[0].Rows).Select(static row => row.Key)]);
            if (listings[node].Repeated > 0)
            {
                Off($"{name} listed {listings[node].Repeated} memories twice");
            }
        }

        return ([.. listings.Select(static listing => (long)listing.Contents.Count)], lost.Count);
    }

    private static async Task<Listing> ListAsync(NodeClient node)
    {
        var listing = new Listing();
        for (var cursor = ""; ;)
        {
            var page = (await node.GetAsync(string.Create(CultureInfo.InvariantCulture, $"memories?limit={MemoryLimits.ListRows}{cursor}"))).Body;
            foreach (var memory in page.GetProperty("memories").EnumerateArray())
            {
                listing.Add(memory.GetProperty("id").GetString()!, memory);
            }

            if (!page.TryGetProperty("next_cursor", out var next) || next.ValueKind != JsonValueKind.String)
            {
                return listing;
            }

            cursor = $"&cursor={Uri.EscapeDataString(next.GetString()!)}";
        }
    }

    private async Task<int> RecallAsync(IReadOnlyList<(string Query, string Id)> facts)
    {
        var recalled = 0;
        for (var fact = 0; fact < facts.Count; fact++)
        {
            var began = Stopwatch.GetTimestamp();
            var node = fact % _nodes.Length;
            bool found;
            do
            {
                var answer = (await _nodes[node].GetAsync($"recall?context={Uri.EscapeDataString(facts[fact].Query)}")).Body;
                found = answer.GetProperty("memories").EnumerateArray().Any(memory => memory.GetProperty("id").GetString() == facts[fact].Id);
            }
            while (!found && Stopwatch.GetElapsedTime(began) < RecallDeadline);

            recalled += found ? 1 : 0;
            if (!found)
            {
                Off($"{ClusterProcess.NameOf(node)} did not recall: {facts[fact].Query}");
            }
        }

        return recalled;
    }

    private async Task StopAsync()
    {
        var statuses = await _scratch.StopAsync();
        for (var node = 0; node < statuses.Length; node++)
        {
            if (statuses[node] != 0)
            {
                Off($"{ClusterProcess.NameOf(node)} did not end well: {_scratch.Cluster[node].LastWord}");
            }
        }
    }

    private void OffForEach(string what, List<string> ids)
    {
        if (ids.Count > 0)
        {
            Off(string.Create(CultureInfo.InvariantCulture, $"{what}: {ids.Count} ({string.Join(", ", ids.Take(NamedIds))}{(ids.Count > NamedIds ? ", ..." : "")})"));
        }
    }

    private void Off(string problem)
    {
        lock (_gate)
        {
            _problems.Add(problem);
        }
    }

    /// <summary>All that one node lists.</summary>
    private sealed class Listing
    {
        /// <summary>Hashes of contents by id.</summary>
        public Dictionary<string, string> Contents { get; } = new(StringComparer.Ordinal);

        /// <summary>Hashes of all fields by id.</summary>
        public Dictionary<string, string> Rows { get; } = new(StringComparer.Ordinal);

        public int Repeated { get; private set; }

        public void Add(string id, JsonElement memory)
        {
            if (!Contents.TryAdd(id, SmokeLedger.Hash(memory.GetProperty("content").GetString()!)))
            {
                Repeated++;
            }

            Rows[id] = SmokeLedger.Hash(memory.GetRawText());
        }
    }
}
