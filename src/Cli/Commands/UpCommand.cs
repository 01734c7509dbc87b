using System.CommandLine;
using System.Globalization;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Cli.Cluster;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Peers;
using OrleansMemory.Storage;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Cli.Commands;

/// <summary>Nodes on this machine, for a first look: a cluster as child processes, or one node within this process.</summary>
internal static class UpCommand
{
    private const string DefaultFolder = ".om";
    private const int DefaultNodes = 3;
    private const int MostNodes = 7;
    private const int DefaultSmokeWrites = 2_000;

    public static CliCommand Create()
    {
        var nodes = OptionKinds.Number($"Nodes [default: {DefaultNodes}]", 1, MostNodes, "--nodes");
        var port = OptionKinds.Number($"Port of the first node, the others follow; 0 takes free ones [default: {NodeOptions.DefaultPort}]", 0, ushort.MaxValue, "--port");
        var data = OptionKinds.Text($"Folder for the data, made when missing [default: {DefaultFolder}]", "--data");
        var smoke = OptionKinds.Flag("Test a fresh cluster instead, one node killed in the middle of the writes, and end", "--smoke");
        var writes = OptionKinds.Number($"Memories that --smoke writes [default: {DefaultSmokeWrites}]", 10, 1_000_000, "--writes");
        var postgres = OptionKinds.Flag("Keep the data in PostgreSQL, a private server for each node (needs PostgreSQL 15 or newer installed)", "--postgres");
        var cluster = OptionKinds.Text("Host of the nodes: silo (Orleans) or peers [default: silo where om-silo is built]", "--cluster");
        var command = new Command("up", "Try it: a cluster on this machine with the sample set in it, until Ctrl-C") { nodes, port, data, smoke, writes, postgres, cluster };
        return new(command, async session =>
        {
            var count = session.Value(nodes) ?? DefaultNodes;
            if (count == 1 && session.Value(cluster) == "silo")
            {
                throw new UsageException(command, "the argument '--cluster silo' needs '--nodes' of 2 or more");
            }

            var kind = count == 1 ? ClusterKind.Peers : SiloProgram.Choose(session.Value(cluster));
            if (session.Value(smoke))
            {
                if (session.Value(port) is not null || session.Value(data) is not null)
                {
                    throw new UsageException(command, "the argument '--smoke' takes free ports and a temporary folder: it cannot be used with '--port' or '--data'");
                }

                if (count < 3)
                {
                    throw new UsageException(command, "the argument '--smoke' kills a node and needs '--nodes' of 3 or more");
                }

                return await SmokeAsync(session, count, session.Value(writes) ?? DefaultSmokeWrites, session.Value(postgres), kind);
            }

            if (session.Value(writes) is not null)
            {
                throw new UsageException(command, "the argument '--writes' needs '--smoke'");
            }

            var folder = Directory.CreateDirectory(session.Value(data) ?? DefaultFolder).FullName;
            var first = session.Value(port) ?? session.Configuration.Port;
            return count == 1
                ? await OneNodeAsync(session, first, folder, session.Value(postgres))
                : await LocalCluster.RunAsync(session, new(folder, count, Ports: Ports(command, first, count), Inherits: true, OnPostgres: session.Value(postgres), Kind: kind));
        });
    }

    private static List<int>? Ports(Command command, int first, int count) =>
        first == 0 ? null
        : first + count - 1 <= ushort.MaxValue ? [.. Enumerable.Range(first, count)]
        : throw new UsageException(command, string.Create(CultureInfo.InvariantCulture, $"invalid value '{first}' for '--port': {count} ports follow each other up to {ushort.MaxValue}"));

    private static async Task<int> SmokeAsync(Session session, int nodes, int writes, bool onPostgres, ClusterKind kind)
    {
        var report = await SmokeTest.RunAsync(nodes, writes, onPostgres, kind);
        foreach (var problem in report.Problems)
        {
            session.Error.WriteLine($"off: {problem}");
        }

        if (session.Json)
        {
            session.Report.Json(report.WriteJson);
        }
        else
        {
            session.Text.WriteLine(report.Summary);
        }

        return report.Problems.Count == 0 ? 0 : 1;
    }

    private static async Task<int> OneNodeAsync(Session session, int port, string folder, bool onPostgres)
    {
        var options = session.Configuration with { Host = NodeOptions.DefaultHost, Port = port };
        await using var server = onPostgres ? await LocalPostgres.StartAsync(Path.Combine(folder, "orleans-memory.pg")) : null;
        var place = server is null ? Path.Combine(folder, "orleans-memory.db") : await server.CreateDatabaseAsync("orleans_memory");
        var database = new DatabaseLocation(StoreLocation.Parse(place), InDataFolder: false);
        await using var local = await LocalService.OpenAsync(database, options.ToNodeSettings());
        var imported = (await local.Service.StatisticsAsync()).Total == 0 ? (await SampleSet.ImportAsync(local.Service)).Imported : (long?)null;
        await using var node = await PeerHost.StartAsync(options, local.HandOver(), TimeProvider.System);
        var url = node.Addresses[0].GetLeftPart(UriPartial.Authority);
        session.Text.WriteLine($"listening on {url}");
        Introduction.Write(session.Text, folder, imported, url, url, place, options.ApiKey is not null);
        session.Text.WriteLine("Ctrl-C stops the node; the data stays.");
        session.Text.Flush();
        await ServeCommands.RunAsync(session, node);
        return 0;
    }
}
