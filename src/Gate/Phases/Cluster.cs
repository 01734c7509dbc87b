using OrleansMemory.Gate.Clients;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Phases;

/// <summary>The nodes of a phase: started by it, or given by their addresses.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan AnswerDeadline = TimeSpan.FromSeconds(5);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = AnswerDeadline };

    private Cluster(NodeSet? nodes, IReadOnlyList<NodeAddress> addresses)
    {
        Nodes = nodes;
        Addresses = addresses;
    }

    /// <summary>Null when they run elsewhere.</summary>
    public NodeSet? Nodes { get; }

    public IReadOnlyList<NodeAddress> Addresses { get; }

    public static async Task<Cluster> StartAsync(NodesPlan plan, CancellationToken cancellation)
    {
        var nodes = await NodeSet.StartAsync(plan, cancellation);
        try
        {
            await nodes.WaitReadyAsync(StartDeadline, cancellation);
            return new(nodes, [.. Enumerable.Range(0, nodes.Count).Select(node => new NodeAddress(NodeSet.NameOf(node), nodes.AddressOf(node)))]);
        }
        catch
        {
            await nodes.DisposeAsync();
            throw;
        }
    }

    /// <exception cref="GateException">One of them is not ready.</exception>
    public static async Task<Cluster> OfAsync(IReadOnlyList<NodeAddress> given, CancellationToken cancellation)
    {
        var cluster = new Cluster(null, given);
        for (var node = 0; node < given.Count; node++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!await cluster.IsReadyAsync(node))
            {
                throw new GateException($"{given[node].Address} is not ready: see its /readyz");
            }
        }

        return cluster;
    }

    public Traffic NewTraffic() => new(Addresses);

    /// <summary>Starts each node again that ended by itself; nothing with nodes that run elsewhere.</summary>
    public Task ReviveAsync() => Nodes?.ReviveAsync() ?? Task.CompletedTask;

    public async Task<bool> IsReadyAsync(int node)
    {
        if (Nodes is not null)
        {
            return await Nodes.IsReadyAsync(node);
        }

        try
        {
            using var answer = await _http.GetAsync(new Uri(Addresses[node].Address, "/readyz"));
            return answer.IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (Nodes is not null)
        {
            await Nodes.DisposeAsync();
        }
    }
}
