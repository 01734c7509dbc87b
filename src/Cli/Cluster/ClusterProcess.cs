using System.Globalization;
using OrleansMemory.Core.Replication;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Storage.Clustering;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Cli.Cluster;

/// <summary>How to start the nodes of a cluster.</summary>
/// <param name="Folder">Where <c>n1.db</c> or <c>n1.pg</c> and so on are; made when missing.</param>
/// <param name="QuorumWrites">Null: the majority.</param>
/// <param name="Ports">One for each node; null takes free ones.</param>
/// <param name="Inherits">The nodes read the caller's variables and configuration, and keep logs beside their data.</param>
/// <param name="OnPostgres">Each node has a private PostgreSQL server of its own, whose data is in the folder; else a file.</param>
/// <param name="Kind">Silos share a database for their members beside the nodes' own, in the folder too.</param>
internal sealed record ClusterPlan(string Folder, int Nodes, int? QuorumWrites = null, IReadOnlyList<int>? Ports = null, bool Inherits = false, bool OnPostgres = false, ClusterKind Kind = ClusterKind.Peers)
{
    /// <summary>Set for each node, whatever it inherits.</summary>
    public IReadOnlyList<(string Name, string Value)> Variables { get; init; } = [];
}

/// <summary>Nodes of one cluster as children of this process, named n1, n2 and so on. They all end when it does.</summary>
internal sealed class ClusterProcess : IAsyncDisposable
{
    private const int StartTries = 3;

    private readonly ClusterPlan _plan;
    private readonly NodePlan[] _nodePlans;
    private readonly string? _clusterDatabase;
    private readonly int[] _siloPorts;
    private readonly IReadOnlyList<LocalPostgres> _servers;
    private readonly NodeProcess?[] _nodes;
    private readonly Lock _gate = new();
    private bool _stopping;

    private ClusterProcess(ClusterPlan plan, IReadOnlyList<LocalPostgres> servers, IReadOnlyList<string> databases, string? clusterDatabase)
    {
        _plan = plan;
        _servers = servers;
        var silos = plan.Kind == ClusterKind.Silo ? plan.Nodes : 0;
        var free = FreePorts.Take((plan.Ports is null ? plan.Nodes : 0) + (2 * silos));
        _siloPorts = free[^(2 * silos)..];
        _clusterDatabase = clusterDatabase;
        Ports = plan.Ports ?? free[..plan.Nodes];
        Addresses = [.. Ports.Select(static port => new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}")))];
        _nodes = new NodeProcess?[plan.Nodes];
        _nodePlans = [.. databases.Select((database, node) => PlanOf(node, database))];
    }

    public int Count => _nodes.Length;

    public IReadOnlyList<int> Ports { get; }

    public IReadOnlyList<Uri> Addresses { get; }

    public string Folder => _plan.Folder;

    /// <summary>Of silos on PostgreSQL: the server of the cluster's own database.</summary>
    public LocalPostgres ClusterServer => _servers[Count];

    /// <summary>Of silos: where their members are.</summary>
    public string ClusterDatabaseLocation => _clusterDatabase ?? throw new InvalidOperationException("peers have no such database");

    /// <summary>W.</summary>
    public int QuorumWrites => new ReplicaSetSettings(Count - 1, _plan.QuorumWrites, TimeSpan.Zero).QuorumWrites;

    /// <summary>The process that was started last for a node.</summary>
    public NodeProcess this[int node] => Volatile.Read(ref _nodes[node]) ?? throw new InvalidOperationException($"{NameOf(node)} was not started");

    public static string NameOf(int node) => string.Create(CultureInfo.InvariantCulture, $"n{node + 1}");

    /// <summary>Starts all nodes; they listen when the task completes.</summary>
    /// <exception cref="NodeFailedException">One did not start; none is left running.</exception>
    public static async Task<ClusterProcess> StartAsync(ClusterPlan plan)
    {
        Directory.CreateDirectory(plan.Folder);
        var servers = new List<LocalPostgres>();
        try
        {
            var databases = new List<string>();
            for (var node = 0; node < plan.Nodes; node++)
            {
                if (plan.OnPostgres)
                {
                    var server = await LocalPostgres.StartAsync(Path.Combine(plan.Folder, $"{NameOf(node)}.pg"));
                    servers.Add(server);
                    databases.Add(await server.CreateDatabaseAsync(NameOf(node)));
                }
                else
                {
                    databases.Add(Path.Combine(plan.Folder, $"{NameOf(node)}.db"));
                }
            }

            return await StartAsync(plan, servers, databases, await ClusterDatabaseAsync(plan, servers));
        }
        catch
        {
            foreach (var server in servers)
            {
                await server.DisposeAsync();
            }

            throw;
        }
    }

    /// <summary>Where silos keep who is a member; null for peers.</summary>
    private static async Task<string?> ClusterDatabaseAsync(ClusterPlan plan, List<LocalPostgres> servers)
    {
        if (plan.Kind == ClusterKind.Peers)
        {
            return null;
        }

        if (!plan.OnPostgres)
        {
            return Path.Combine(plan.Folder, "cluster.db");
        }

        var server = await LocalPostgres.StartAsync(Path.Combine(plan.Folder, "cluster.pg"));
        servers.Add(server);
        var database = await server.CreateDatabaseAsync("cluster");
        await ClusterDatabase.Parse(database).InitializeAsync();
        return database;
    }

    private static async Task<ClusterProcess> StartAsync(ClusterPlan plan, List<LocalPostgres> servers, List<string> databases, string? clusterDatabase)
    {
        for (var attempt = 1; ; attempt++)
        {
            var cluster = new ClusterProcess(plan, servers, databases, clusterDatabase);
            try
            {
                await Task.WhenAll(Enumerable.Range(0, cluster.Count).Select(node => cluster.StartAsync(node)));
                return cluster;
            }
            catch (NodeFailedException) when (plan.Ports is null && attempt < StartTries)
            {
                // Between being found free and being taken, a port may have gone to somebody else.
                await cluster.EndNodesAsync();
            }
            catch
            {
                await cluster.EndNodesAsync();
                throw;
            }
        }
    }

    /// <summary>Starts a node that has ended, on its port and data.</summary>
    /// <param name="plan">How it is started from now on; null: as before.</param>
    /// <exception cref="NodeFailedException">It did not start.</exception>
    public async Task StartAsync(int node, NodePlan? plan = null)
    {
        _nodePlans[node] = plan ?? _nodePlans[node];
        var started = await NodeProcess.StartAsync(_nodePlans[node]);
        NodeProcess? ended;
        lock (_gate)
        {
            ended = _nodes[node];
            _nodes[node] = started;
            if (_stopping)
            {
                started.AskToStop();
            }
        }

        if (ended is not null)
        {
            await ended.DisposeAsync();
        }
    }

    /// <summary>SIGKILL to all, at once.</summary>
    public void Kill()
    {
        lock (_gate)
        {
            _stopping = true;
            foreach (var node in _nodes)
            {
                node?.Kill();
            }
        }
    }

    /// <summary>Lets all nodes drain at the same time, and kills those that take longer.</summary>
    /// <returns>Their exit statuses.</returns>
    public Task<int[]> StopAsync(TimeSpan atMost)
    {
        lock (_gate)
        {
            _stopping = true;
            return Task.WhenAll(_nodes.Select(node => node?.StopAsync(atMost) ?? Task.FromResult(0)));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await EndNodesAsync();
        await Task.WhenAll(_servers.Select(static server => server.DisposeAsync().AsTask()));
    }

    private async Task EndNodesAsync()
    {
        Kill();
        foreach (var node in _nodes)
        {
            if (node is not null)
            {
                await node.DisposeAsync();
            }
        }
    }

    private NodePlan PlanOf(int node, string database)
    {
        List<string> options = [];
        if (Count > 1)
        {
            options.AddRange(["--quorum-writes", QuorumWrites.ToString(CultureInfo.InvariantCulture)]);
        }

        var log = _plan.Inherits ? Path.Combine(Folder, $"{NameOf(node)}.log") : null;
        if (_clusterDatabase is { } members)
        {
            options.AddRange(["--cluster-nodes", string.Join(',', Enumerable.Range(0, Count).Select(NameOf))]);
            options.AddRange(["--silo-port", _siloPorts[node].ToString(CultureInfo.InvariantCulture)]);
            options.AddRange(["--gateway-port", _siloPorts[Count + node].ToString(CultureInfo.InvariantCulture)]);
            return new([SiloProgram.Require()], NameOf(node), Ports[node], database, options, _plan.Inherits, log) { ClusterDatabase = members, Variables = _plan.Variables };
        }

        if (Count > 1)
        {
            options.AddRange(["--quorum-peers", string.Join(',', Addresses.Where((_, other) => other != node).Select(static address => address.GetLeftPart(UriPartial.Authority)))]);
        }

        return new([.. OwnProgram(), "serve"], NameOf(node), Ports[node], database, options, _plan.Inherits, log) { Variables = _plan.Variables };
    }

    private static string[] OwnProgram()
    {
        var program = Environment.ProcessPath ?? throw new NodeFailedException("cannot find this program");

        // Started as `dotnet om.dll`, the program is the library.
        return Path.GetFileNameWithoutExtension(program) == "dotnet" ? [program, Environment.GetCommandLineArgs()[0]] : [program];
    }
}
