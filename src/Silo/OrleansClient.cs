using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Storage.Clustering;

namespace OrleansMemory.Silo;

/// <summary>A client of the cluster, as a front end's options say.</summary>
internal static class OrleansClient
{
    /// <summary>Silos come and go: who there is is read anew so often.</summary>
    private static readonly TimeSpan RefreshPeriod = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    /// <param name="options">Validated.</param>
    public static IHost Build(NodeOptions options, ClusterDatabase database, TimeProvider time, Action<ILoggingBuilder> configureLogging)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new() { ApplicationName = "OrleansMemory", DisableDefaults = true });
        OrleansSilo.AddLogging(builder.Logging, configureLogging);
        builder.Services.AddSingleton<IHostLifetime, OrleansSilo.NoLifetime>();
        builder.Services.AddSingleton(time);
        builder.UseOrleansClient(client =>
        {
            client.Configure<Orleans.Configuration.ClusterOptions>(cluster => cluster.ClusterId = cluster.ServiceId = options.Cluster.Id);
            client.UseAdoNetClustering(clustering => (clustering.Invariant, clustering.ConnectionString) = (database.Invariant, database.ConnectionString));
            client.Configure<GatewayOptions>(static gateways => gateways.GatewayListRefreshPeriod = RefreshPeriod);
            client.Configure<ConnectionOptions>(static connections => connections.OpenConnectionTimeout = MembershipSettings.ConnectTimeout);
            client.UseConnectionRetryFilter(async (_, cancellation) =>
            {
                // However long there is no silo.
                await Task.Delay(RetryPause, time, cancellation);
                return true;
            });
        });
        return builder.Build();
    }
}
