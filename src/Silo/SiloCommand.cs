using System.CommandLine;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Silo;

/// <summary>The command line of <c>om-silo</c>: what it does not name comes from the same places as for <c>om serve</c>.</summary>
internal static class SiloCommand
{
    public static RootCommand Create()
    {
        var role = new Option<string?>("--role") { Description = "silo: a replica and its API; frontend: the API only, a client of the cluster [default: silo]" };
        var host = new Option<string?>("--host") { Description = $"Address to listen on [default: {NodeOptions.DefaultHost}]" };
        var port = new Option<int?>("--port") { Description = $"Port of the API; 0 takes a free one [default: {NodeOptions.DefaultPort}]" };
        var database = new Option<string?>("--db") { Description = "Database of this node" };
        var nodeId = new Option<string?>("--node-id") { Description = "Name of the silo, one of --cluster-nodes" };
        var grace = new Option<long?>("--shutdown-grace-secs") { Description = "Seconds that requests may take after a signal to stop [default: 30]" };
        var writes = new Option<int?>("--quorum-writes") { Description = "Nodes that must hold a write before it is answered; 0: do not wait [default: the majority]" };
        var timeout = new Option<long?>("--quorum-timeout-ms") { Description = "Milliseconds that a write waits for its quorum [default: 2000]" };
        var clusterId = new Option<string?>("--cluster-id") { Description = "Name of the cluster [default: orleans-memory]" };
        var clusterDatabase = new Option<string?>("--cluster-db") { Description = "Where the cluster keeps its members: a PostgreSQL connection, or a file for silos of one machine" };
        var nodes = new Option<string?>("--cluster-nodes") { Description = "Names of all silos that hold a replica, such as n1,n2,n3" };
        var advertise = new Option<string?>("--advertise") { Description = "Where other silos reach this one: an address of this machine; or HOST:PORT, when address translation or a mapped port makes that of --host and --silo-port [default: --host]" };
        var siloPort = new Option<int?>("--silo-port") { Description = $"Port for other silos [default: {ClusterOptions.DefaultSiloPort}]" };
        var gatewayPort = new Option<int?>("--gateway-port") { Description = $"Port for front ends; 0: none [default: {ClusterOptions.DefaultGatewayPort}]" };
        var dashboard = new Option<bool>("--dashboard") { Description = "Serve Orleans' dashboard under /dashboard, behind the API key" };
        var withInput = new Option<bool>("--exit-on-stdin-close") { Hidden = true };
        var command = new RootCommand("A silo: one replica of an OrleansMemory cluster, with its API; or a front end of one")
        {
            role, host, port, database, nodeId, grace, writes, timeout, clusterId, clusterDatabase, nodes, advertise, siloPort, gatewayPort, dashboard, withInput,
        };
        command.SetAction(async (line, cancellation) =>
        {
            try
            {
                var configured = ConfigurationLoader.Load(ConfigurationSources.OfProcess()).Options;
                var options = configured with
                {
                    Host = line.GetValue(host) ?? configured.Host,
                    Port = line.GetValue(port) ?? configured.Port,
                    DatabasePath = line.GetValue(database) ?? configured.DatabasePath,
                    NodeId = line.GetValue(nodeId) ?? configured.NodeId,
                    ShutdownGrace = line.GetValue(grace) is { } seconds ? TimeSpan.FromSeconds(seconds) : configured.ShutdownGrace,
                    QuorumWrites = line.GetValue(writes) ?? configured.QuorumWrites,
                    QuorumTimeout = line.GetValue(timeout) is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : configured.QuorumTimeout,
                    Cluster = configured.Cluster with
                    {
                        Role = line.GetValue(role) is { } named ? ClusterOptions.ParseRole(named) : configured.Cluster.Role,
                        Id = line.GetValue(clusterId) ?? configured.Cluster.Id,
                        Database = line.GetValue(clusterDatabase) ?? configured.Cluster.Database,
                        Nodes = line.GetValue(nodes) is { } list ? ClusterOptions.ParseNodes([list]) : configured.Cluster.Nodes,
                        AdvertisedAddress = line.GetValue(advertise) ?? configured.Cluster.AdvertisedAddress,
                        SiloPort = line.GetValue(siloPort) ?? configured.Cluster.SiloPort,
                        GatewayPort = line.GetValue(gatewayPort) ?? configured.Cluster.GatewayPort,
                        Dashboard = line.GetValue(dashboard) || configured.Cluster.Dashboard,
                    },
                };
                using var stop = new CancellationTokenSource();
                if (line.GetValue(withInput))
                {
                    StandardInput.OnClose(stop.Cancel);
                }

                if (options.Cluster.Role == ClusterRole.FrontEnd)
                {
                    await using var frontEnd = await FrontEndHost.StartAsync(options, TimeProvider.System, Console.Out);
                    await frontEnd.RunAsync(stop.Token);
                    return 0;
                }

                await using var silo = await SiloHost.StartAsync(options, TimeProvider.System, Console.Out);
                await silo.RunAsync(stop.Token);
                return 0;
            }
            catch (StoreFatalException exception)
            {
                // What the store holds is known only after it is read anew: nothing may be written on the way out.
                Console.Error.WriteLine($"Error: {exception.Message}");
                Environment.Exit(1);
                return 1;
            }
            catch (Exception exception) when (exception is MemoryException or InvalidOptionException or IOException or UnauthorizedAccessException)
            {
                await Console.Error.WriteLineAsync($"Error: {exception.Message}");
                return exception is MemoryException memory ? memory.Kind.ExitCode : 1;
            }
        });
        return command;
    }
}
