using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Grains;
using OrleansMemory.Storage;
using OrleansMemory.Storage.Clustering;

namespace OrleansMemory.Silo;

/// <summary>
/// One node of an Orleans cluster: its store and engines, the front end, and the silo that others reach them by. The front end
/// answers first, not ready until the silo has joined; the engines outlive the silo, so that nothing that a grain began is cut off.
/// </summary>
public sealed class SiloHost : IAsyncDisposable
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromSeconds(2);

    private readonly NodeOptions _options;
    private readonly MemoryNode _node;
    private readonly IAsyncDisposable _store;
    private readonly ILoggerFactory _loggers;
    private readonly ClusterMember _member;
    private NodeHost _front = null!;
    private BackfillReporter? _reporter;

    private SiloHost(
        NodeOptions options, ClusterDatabase database, TimeProvider time, ClusterConnection cluster, IAsyncDisposable store, MemoryNode node, Action<ILoggingBuilder> configureLogging)
    {
        _options = options;
        _store = store;
        _node = node;
        _loggers = LoggerFactory.Create(configureLogging);
        _member = new(
            cluster,
            database,
            options.Cluster.Id,
            () => OrleansSilo.Build(options, database, node, time, configureLogging),
            options.ShutdownGrace,
            time,
            _loggers.CreateLogger<ClusterMember>());
    }

    /// <summary>Where the API listens.</summary>
    public IReadOnlyList<Uri> Addresses => _front.Addresses;

    /// <summary>The node's engines.</summary>
    public MemoryNode Node => _node;

    /// <summary>The silo's services; null while it is not a member.</summary>
    public IServiceProvider? Services => _member.Services;

    /// <summary>Starts the node; its API answers when the task completes, and the silo joins in the background, for as long as it takes.</summary>
    /// <param name="output">Gets one line, <c>ai-memory listening on http://127.0.0.1:9077</c>, once the port is bound.</param>
    /// <exception cref="InvalidOptionException">An option cannot be used.</exception>
    /// <exception cref="MemoryException">The store cannot be opened.</exception>
    public static async Task<SiloHost> StartAsync(
        NodeOptions options, TimeProvider time, TextWriter? output = null, Action<ILoggingBuilder>? configureLogging = null)
    {
        options.Validate();
        options.Cluster.Validate(options);
        var database = ClusterDatabase.Parse(options.Cluster.Database!);
        if (database.IsLocal)
        {
            await database.InitializeAsync();
        }

        var cluster = new ClusterConnection();
        var others = options.Cluster.Nodes.Where(node => node != options.NodeId).ToList();
        var settings = options.ToNodeSettings();
        settings = settings with { ReplicaSet = settings.ReplicaSet with { Peers = others.Count } };
        var store = await StoreLocation.Parse(options.DatabasePath).OpenAsync(options.NodeId, time);
        MemoryNode node;
        try
        {
            if (store.Log.Node != options.NodeId)
            {
                throw new InvalidOptionException($"the database is that of the node {store.Log.Node}, not of {options.NodeId}: set --node-id or OM_NODE_ID to {store.Log.Node}, or name another database");
            }

            node = await MemoryNode.StartAsync(
                store,
                settings,
                time,
                new Random(),
                [.. others.Select(other => new GrainReplicaLink(cluster, other, time))],
                directory: new GrainNamespaces(cluster, settings.ReplicaSet, time));
            node.Curator.Lease = new GrainCurationLease(cluster, options.NodeId!);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }

        var silo = new SiloHost(options, database, time, cluster, store, node, configureLogging ?? StandardErrorLog.Add);
        try
        {
            silo._front = await NodeHost.StartAsync(options, node, time, output, configureLogging, silo.Map, silo.LeaveAsync);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }

        silo._member.Join();
        silo._reporter = new(cluster, options.NodeId!, node.Backfills, ReportInterval, time);
        return silo;
    }

    /// <summary>As <see cref="NodeHost.RunAsync"/>: drains, then leaves the cluster.</summary>
    public Task RunAsync(CancellationToken stop = default) => _front.RunAsync(stop);

    public async ValueTask DisposeAsync()
    {
        await _front.DisposeAsync();
        await _store.DisposeAsync();
        _member.Dispose();
        _loggers.Dispose();
    }

    private async Task LeaveAsync()
    {
        await (_reporter?.DisposeAsync() ?? default);
        await _member.LeaveAsync();
    }

    private void Map(WebApplication application)
    {
        if (_options.Cluster.Dashboard)
        {
            var dashboard = new DashboardGate(_options.ApiKey!, () => Services);
            application.Use(next => context => dashboard.InvokeAsync(context, next));
        }
    }
}
