using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Grains;
using OrleansMemory.Storage.Clustering;

namespace OrleansMemory.Silo;

/// <summary>
/// The API without a store: a client of an Orleans cluster. It answers first, not ready until it has found a node that is, and goes
/// on looking for silos for as long as it runs.
/// </summary>
public sealed class FrontEndHost : IAsyncDisposable
{
    private readonly NodeHost _front;
    private readonly FrontEndNodes _nodes;
    private readonly ClusterMember _member;
    private readonly ILoggerFactory _loggers;

    private FrontEndHost(NodeHost front, FrontEndNodes nodes, ClusterMember member, ILoggerFactory loggers)
    {
        _front = front;
        _nodes = nodes;
        _member = member;
        _loggers = loggers;
    }

    /// <summary>Where the API listens.</summary>
    public IReadOnlyList<Uri> Addresses => _front.Addresses;

    /// <summary>Starts the front end; its API answers when the task completes, and the cluster is looked for in the background.</summary>
    /// <param name="output">Gets one line, <c>ai-memory listening on http://127.0.0.1:9077</c>, once the port is bound.</param>
    /// <exception cref="InvalidOptionException">An option cannot be used.</exception>
    /// <exception cref="MemoryException">The cluster's database is named in a way that cannot be read.</exception>
    public static async Task<FrontEndHost> StartAsync(
        NodeOptions options, TimeProvider time, TextWriter? output = null, Action<ILoggingBuilder>? configureLogging = null)
    {
        options.Validate();
        options.Cluster.Validate(options);
        var database = ClusterDatabase.Parse(options.Cluster.Database!);
        if (database.IsLocal)
        {
            await database.InitializeAsync();
        }

        var log = configureLogging ?? StandardErrorLog.Add;
        var loggers = LoggerFactory.Create(log);
        var cluster = new ClusterConnection("no silo of the cluster has been found yet");
        var settings = new ReplicaSetSettings(options.Cluster.Nodes.Count - 1, options.QuorumWrites, options.QuorumTimeout);
        var member = new ClusterMember(
            cluster,
            database,
            options.Cluster.Id,
            () => OrleansClient.Build(options, database, time, log),
            options.ShutdownGrace,
            time,
            loggers.CreateLogger<ClusterMember>());
        var nodes = new FrontEndNodes(cluster, options.Cluster.Nodes, settings, time);
        try
        {
            var front = await NodeHost.StartAsync(options, new FrontEndService(cluster, nodes, settings, time), time, output, configureLogging, leave: member.LeaveAsync);
            member.Join();
            return new(front, nodes, member, loggers);
        }
        catch
        {
            await nodes.DisposeAsync();
            member.Dispose();
            loggers.Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="NodeHost.RunAsync"/>: drains, then lets go of the cluster.</summary>
    public Task RunAsync(CancellationToken stop = default) => _front.RunAsync(stop);

    public async ValueTask DisposeAsync()
    {
        await _front.DisposeAsync();
        await _nodes.DisposeAsync();
        _member.Dispose();
        _loggers.Dispose();
    }
}
