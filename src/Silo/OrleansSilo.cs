using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Orleans.Dashboard;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Core;
using OrleansMemory.Grains;
using OrleansMemory.Storage.Clustering;

namespace OrleansMemory.Silo;

/// <summary>The silo around a node's engines, as its options say.</summary>
internal static class OrleansSilo
{
    /// <param name="options">Validated.</param>
    /// <param name="node">The caller's: it outlives the silo.</param>
    public static IHost Build(NodeOptions options, ClusterDatabase database, MemoryNode node, TimeProvider time, Action<ILoggingBuilder> configureLogging)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new() { ApplicationName = "OrleansMemory", DisableDefaults = true });
        AddLogging(builder.Logging, configureLogging);
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddSingleton(time);
        builder.Services.AddSingleton(node);
        builder.Services.AddSingleton<IFatalErrorHandler, ProcessEnd>();
        builder.UseOrleans(silo => Configure(silo, options, database));
        return builder.Build();
    }

    public static void AddLogging(ILoggingBuilder logging, Action<ILoggingBuilder> configureLogging)
    {
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Orleans", LogLevel.Warning);
        logging.AddFilter("OrleansMemory", LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        configureLogging(logging);
    }

    private static void Configure(ISiloBuilder silo, NodeOptions node, ClusterDatabase database)
    {
        var cluster = node.Cluster;
        silo.Configure<Orleans.Configuration.ClusterOptions>(options =>
        {
            options.ClusterId = cluster.Id;
            options.ServiceId = cluster.Id;
        });
        silo.Configure<SiloOptions>(options => options.SiloName = node.NodeId!);
        var (advertised, listening) = cluster.ResolveEndpoints(node);
        silo.Configure<EndpointOptions>(options =>
        {
            (options.AdvertisedIPAddress, options.SiloPort, options.GatewayPort) = (advertised.Address, advertised.Port, cluster.GatewayPort);
            options.SiloListeningEndpoint = new(listening, cluster.SiloPort);
            options.GatewayListeningEndpoint = cluster.GatewayPort > 0 ? new(listening, cluster.GatewayPort) : null;
        });
        silo.UseAdoNetClustering(options => (options.Invariant, options.ConnectionString) = (database.Invariant, database.ConnectionString));
        silo.AddAdoNetGrainStorageAsDefault(options => (options.Invariant, options.ConnectionString) = (database.Invariant, database.ConnectionString));
        silo.UseAdoNetReminderService(options => (options.Invariant, options.ConnectionString) = (database.Invariant, database.ConnectionString));
        silo.Configure<ClusterMembershipOptions>(MembershipSettings.Apply);
        silo.Configure<ConnectionOptions>(static options => options.OpenConnectionTimeout = MembershipSettings.ConnectTimeout);
        silo.Configure<SiloMessagingOptions>(static options => options.SystemResponseTimeout = MembershipSettings.SystemTimeout);
        if (cluster.Dashboard)
        {
            // Its pages are routed within this container.
            silo.Services.AddRouting();
            silo.Services.AddSingleton(new DiagnosticListener("OrleansMemory.Dashboard"));
            silo.AddDashboard(static options => options.HideTrace = true);
        }

        silo.AddPlacementDirector<NodePlacement, NodePlacementDirector>();
    }

    /// <summary>Signals are the front end's.</summary>
    public sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
