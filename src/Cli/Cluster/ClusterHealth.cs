using System.Net;
using System.Text.Json;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Cli.Cluster;

/// <summary>What a node says of itself and its peers.</summary>
/// <param name="Log">The log that it writes.</param>
/// <param name="Head">The last sequence number of that log.</param>
/// <param name="Vector">For each log, the number up to which the node holds every row.</param>
/// <param name="PeersUp">Peers that answer it.</param>
/// <param name="BehindRows">The most that a peer lacks of this node's log.</param>
/// <param name="Digest">Over all replicated rows, with their number; null when it was not asked for.</param>
internal sealed record NodeView(LogId Log, long Head, IReadOnlyDictionary<LogId, long> Vector, int PeersUp, long BehindRows, bool Recovering, string? Digest);

/// <summary>Asks nodes how they and their cluster are.</summary>
internal sealed class ClusterHealth(IReadOnlyList<Uri> addresses, string? apiKey) : IDisposable
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromSeconds(2);

    private readonly NodeClient[] _nodes = [.. addresses.Select(address => new NodeClient(address, apiKey))];
    private readonly HttpClient _http = new() { Timeout = ReadyTimeout };

    /// <exception cref="MemoryException">No answer.</exception>
    public async Task<NodeView> ReadAsync(int node, bool withDigest, CancellationToken cancellation) =>
        Parse((await _nodes[node].GetAsync(withDigest ? "cluster?digest=true" : "cluster", cancellation)).Body);

    /// <summary>Why a node should get no requests; null when it should.</summary>
    public async Task<string?> ProblemAsync(int node, CancellationToken cancellation)
    {
        try
        {
            using var answer = await _http.GetAsync(new Uri(addresses[node], "/readyz"), cancellation);
            if (answer.StatusCode == HttpStatusCode.OK)
            {
                return null;
            }

            using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(cancellation));
            return body.RootElement.TryGetProperty("reason", out var reason) ? reason.GetString() : $"HTTP {(int)answer.StatusCode}";
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException or OperationCanceledException)
        {
            return "it does not answer";
        }
    }

    /// <summary>Ends when every node is ready, hears all others and counts for quorum reads.</summary>
    public async Task WaitUntilConnectedAsync(CancellationToken cancellation)
    {
        for (var node = 0; node < _nodes.Length;)
        {
            try
            {
                if (await ProblemAsync(node, cancellation) is null
                    && await ReadAsync(node, withDigest: false, cancellation) is { Recovering: false } view && view.PeersUp == _nodes.Length - 1)
                {
                    node++;
                    continue;
                }
            }
            catch (MemoryException)
            {
                // It does not listen yet, or no more.
            }

            await Task.Delay(PollInterval, cancellation);
        }
    }

    public void Dispose()
    {
        _http.Dispose();
        foreach (var node in _nodes)
        {
            node.Dispose();
        }
    }

    private static NodeView Parse(JsonElement body)
    {
        var vector = new Dictionary<LogId, long>();
        foreach (var held in body.GetProperty("vector").EnumerateObject())
        {
            if (LogId.TryParse(held.Name, out var log))
            {
                vector[log] = held.Value.GetProperty("through").GetInt64();
            }
        }

        var peers = body.GetProperty("peers").EnumerateArray().ToList();
        return new(
            LogId.TryParse(body.GetProperty("log").GetString()!, out var own) ? own : default,
            body.GetProperty("head").GetInt64(),
            vector,
            peers.Count(static peer => peer.GetProperty("up").GetBoolean()),
            peers.Select(static peer => peer.GetProperty("behind_rows").GetInt64()).DefaultIfEmpty(0).Max(),
            body.GetProperty("recovering").GetBoolean(),
            body.TryGetProperty("digest", out var digest) ? digest.GetString() : null);
    }
}
