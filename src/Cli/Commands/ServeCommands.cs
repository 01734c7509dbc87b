using System.CommandLine;
using System.Globalization;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Peers;

namespace OrleansMemory.Cli.Commands;

/// <summary>Commands that are a node until a signal ends them.</summary>
internal static class ServeCommands
{
    private const string DefaultUpFolder = ".om";

    public static CliCommand Serve()
    {
        var host = OptionKinds.Text($"Address to listen on [default: {NodeOptions.DefaultHost}]", "--host");
        var port = OptionKinds.Number($"Port; 0 takes a free one [default: {NodeOptions.DefaultPort}]", 0, ushort.MaxValue, "--port");
        var certificate = OptionKinds.Text("PEM file with the certificate and its chain", "--tls-cert");
        var key = OptionKinds.Text("PEM file with the private key", "--tls-key");
        var grace = OptionKinds.Number("Seconds that requests may take after a signal to stop [default: 30]", 0L, 3_600L, "--shutdown-grace-secs");
        var nodeId = OptionKinds.Text("Name of the node; a database keeps its first [default: from the machine's name]", "--node-id");
        var quorumWrites = OptionKinds.Number("Nodes that must hold a write before it is answered; 0: do not wait [default: the majority]", 0, int.MaxValue, "--quorum-writes");
        var quorumPeers = OptionKinds.Texts("Addresses of the other nodes, such as http://10.0.0.2:9077; a comma list, may be given again", "--quorum-peers");
        var quorumTimeout = OptionKinds.Number("Milliseconds that a write waits for its quorum [default: 2000]", 1L, 600_000L, "--quorum-timeout-ms");
        var clientCertificate = OptionKinds.Text("PEM file with the certificate that the node shows to its peers", "--quorum-client-cert");
        var clientKey = OptionKinds.Text("PEM file with the private key of that certificate", "--quorum-client-key");
        var authority = OptionKinds.Text("PEM file with the authorities that the peers' certificates are checked against [default: the system's]", "--quorum-ca-cert");
        var command = new Command("serve", "Serve a database over HTTP")
        {
            host, port, certificate, key, grace, nodeId, quorumWrites, quorumPeers, quorumTimeout, clientCertificate, clientKey, authority,
        };
        return new(command, async session =>
        {
            if (session.Value(certificate) is null != session.Value(key) is null)
            {
                throw new UsageException(command, "the arguments '--tls-cert' and '--tls-key' need each other");
            }

            if (session.Value(clientCertificate) is null != session.Value(clientKey) is null)
            {
                throw new UsageException(command, "the arguments '--quorum-client-cert' and '--quorum-client-key' need each other");
            }

            var configured = session.Configuration;
            var options = configured with
            {
                Host = session.Value(host) ?? configured.Host,
                Port = session.Value(port) ?? configured.Port,
                TlsCertificatePath = session.Value(certificate) ?? configured.TlsCertificatePath,
                TlsKeyPath = session.Value(key) ?? configured.TlsKeyPath,
                ShutdownGrace = session.Value(grace) is { } seconds ? TimeSpan.FromSeconds(seconds) : configured.ShutdownGrace,
                NodeId = session.Value(nodeId) ?? configured.NodeId,
                QuorumWrites = session.Value(quorumWrites) ?? configured.QuorumWrites,
                QuorumPeers = session.Value(quorumPeers) is { Length: > 0 } peers ? NodeOptions.ParsePeers(peers) : configured.QuorumPeers,
                QuorumTimeout = session.Value(quorumTimeout) is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : configured.QuorumTimeout,
                QuorumClientCertificatePath = session.Value(clientCertificate) ?? configured.QuorumClientCertificatePath,
                QuorumClientKeyPath = session.Value(clientKey) ?? configured.QuorumClientKeyPath,
                QuorumCaCertificatePath = session.Value(authority) ?? configured.QuorumCaCertificatePath,
            };
            using var links = new PeerLinks(options, TimeProvider.System);
            await using var local = await LocalService.OpenAsync(session.Database, options.ToNodeSettings(), options.NodeId, links.Links);
            await using var node = await NodeHost.StartAsync(options, local.HandOver(), TimeProvider.System, session.Text);
            await RunAsync(session, node);
            return 0;
        });
    }

    public static CliCommand Up()
    {
        var port = OptionKinds.Number($"Port; 0 takes a free one [default: {NodeOptions.DefaultPort}]", 0, ushort.MaxValue, "--port");
        var data = OptionKinds.Text($"Folder for the data, made when missing [default: {DefaultUpFolder}]", "--data");
        var command = new Command("up", "Try it: a node on this machine with the sample set in it, until Ctrl-C") { port, data };
        return new(command, async session =>
        {
            var folder = Directory.CreateDirectory(session.Value(data) ?? DefaultUpFolder).FullName;
            var configured = session.Configuration;
            var options = configured with { Host = NodeOptions.DefaultHost, Port = session.Value(port) ?? configured.Port };
            var database = new DatabaseLocation(Path.Combine(folder, "orleans-memory.db"), InDataFolder: false);
            await using var local = await LocalService.OpenAsync(database, options.ToNodeSettings());
            var imported = (await local.Service.StatisticsAsync()).Total == 0 ? await ImportSampleAsync(local.Service) : (long?)null;
            await using var node = await NodeHost.StartAsync(options, local.HandOver(), TimeProvider.System);
            Introduce(session, node.Addresses[0].GetLeftPart(UriPartial.Authority), folder, imported, withKey: options.ApiKey is not null);
            await RunAsync(session, node);
            return 0;
        });
    }

    private static async Task RunAsync(Session session, NodeHost node)
    {
        try
        {
            await node.RunAsync();
        }
        catch (StoreFatalException exception)
        {
            // What the store holds is known only after it is read anew: nothing may be written on the way out.
            Failure.Write(session.Error, exception);
            Environment.Exit(1);
        }
    }

    private static async Task<long> ImportSampleAsync(IMemoryService service)
    {
        await using var sample = SampleSet.Open();
        var summary = await new Importer(service, "system:sample", trustSource: true).RunAsync(sample);
        return summary.Imported;
    }

    private static void Introduce(Session session, string url, string folder, long? imported, bool withKey)
    {
        var sample = imported is { } count ? string.Create(CultureInfo.InvariantCulture, $", {count} sample memories loaded") : "";
        var key = withKey ? " -H \"X-API-Key: $OM_API_KEY\"" : "";
        session.Text.WriteLine(
            $$"""
            listening on {{url}}
            data in {{folder}}{{sample}}

            Store a memory:
              curl -s {{url}}/api/v1/memories{{key}} -H 'Content-Type: application/json' -d '{"title":"Release day","content":"We release on Tuesdays at 10:00 UTC.","namespace":"demo"}'
              om store --url {{url}} -n demo -T "Release day" -c "We release on Tuesdays at 10:00 UTC."

            Recall it:
              curl -s{{key}} '{{url}}/api/v1/recall?context=when+do+we+release'
              om recall --url {{url}} "when do we release"

            Ctrl-C stops the node; the data stays.
            """);
        session.Text.Flush();
    }
}
