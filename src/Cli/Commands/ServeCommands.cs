using System.CommandLine;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core.Replication;
using OrleansMemory.Peers;

namespace OrleansMemory.Cli.Commands;

/// <summary>Commands that are a node until a signal ends them.</summary>
internal static class ServeCommands
{
    public static CliCommand Serve()
    {
        var host = OptionKinds.Text($"Address to listen on [default: {NodeOptions.DefaultHost}]", "--host");
        var port = OptionKinds.Number($"Port; 0 takes a free one [default: {NodeOptions.DefaultPort}]", 0, ushort.MaxValue, "--port");
        var certificate = OptionKinds.Text("PEM file with the certificate and its chain", "--tls-cert");
        var key = OptionKinds.Text("PEM file with the private key", "--tls-key");
        var allowlist = OptionKinds.Text("File with the SHA-256 fingerprints of the client certificates that are let in, one in a line; needs --tls-cert", "--mtls-allowlist");
        var clientAuthority = OptionKinds.Text("PEM file with the authorities whose client certificates say which agent calls", "--tls-client-ca");
        var grace = OptionKinds.Number("Seconds that requests may take after a signal to stop [default: 30]", 0L, 3_600L, "--shutdown-grace-secs");
        var nodeId = OptionKinds.Text("Name of the node; a database keeps its first [default: from the machine's name]", "--node-id");
        var quorumWrites = OptionKinds.Number("Nodes that must hold a write before it is answered; 0: do not wait [default: the majority]", 0, int.MaxValue, "--quorum-writes");
        var quorumPeers = OptionKinds.Texts("Addresses of the other nodes, such as http://10.0.0.2:9077; a comma list, may be given again", "--quorum-peers");
        var quorumTimeout = OptionKinds.Number("Milliseconds that a write waits for its quorum [default: 2000]", 1L, 600_000L, "--quorum-timeout-ms");
        var clientCertificate = OptionKinds.Text("PEM file with the certificate that the node shows to its peers", "--quorum-client-cert");
        var clientKey = OptionKinds.Text("PEM file with the private key of that certificate", "--quorum-client-key");
        var authority = OptionKinds.Text("PEM file with the authorities that the peers' certificates are checked against [default: the system's]", "--quorum-ca-cert");
        var withInput = OptionKinds.Flag("Stop when standard input closes", "--exit-on-stdin-close");
        withInput.Hidden = true;
        var command = new Command("serve", "Serve a database over HTTP")
        {
            host, port, certificate, key, allowlist, clientAuthority, grace, nodeId, quorumWrites, quorumPeers, quorumTimeout, clientCertificate, clientKey, authority, withInput,
        };
        return new(command, async session =>
        {
            if (session.Value(certificate) is null != session.Value(key) is null)
            {
                throw new UsageException(command, "the arguments '--tls-cert' and '--tls-key' need each other");
            }

            if (session.Value(allowlist) is not null && session.Value(certificate) is null && session.Configuration.TlsCertificatePath is null)
            {
                throw new UsageException(command, "the argument '--mtls-allowlist' needs '--tls-cert'");
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
                MtlsAllowlistPath = session.Value(allowlist) ?? configured.MtlsAllowlistPath,
                TlsClientCaPath = session.Value(clientAuthority) ?? configured.TlsClientCaPath,
                ShutdownGrace = session.Value(grace) is { } seconds ? TimeSpan.FromSeconds(seconds) : configured.ShutdownGrace,
                NodeId = session.Value(nodeId) ?? configured.NodeId,
                QuorumWrites = session.Value(quorumWrites) ?? configured.QuorumWrites,
                QuorumPeers = session.Value(quorumPeers) is { Length: > 0 } peers ? NodeOptions.ParsePeers(peers) : configured.QuorumPeers,
                QuorumTimeout = session.Value(quorumTimeout) is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : configured.QuorumTimeout,
                QuorumClientCertificatePath = session.Value(clientCertificate) ?? configured.QuorumClientCertificatePath,
                QuorumClientKeyPath = session.Value(clientKey) ?? configured.QuorumClientKeyPath,
                QuorumCaCertificatePath = session.Value(authority) ?? configured.QuorumCaCertificatePath,
            };
            using var stop = new CancellationTokenSource();
            if (session.Value(withInput))
            {
                StandardInput.OnClose(stop.Cancel);
            }

            using var links = new PeerLinks(options, TimeProvider.System);
            await using var local = await LocalService.OpenAsync(session.Database, options.ToNodeSettings(), options.NodeId, links.Links);
            var engine = local.HandOver();
            await using var node = await PeerHost.StartAsync(options, engine, TimeProvider.System, session.Text);
            var progress = !session.Report.ShowsProgress ? Task.CompletedTask : BackfillProgress.ShowAsync(engine.Backfills, session.Error, stop.Token);

            // Signals are heard from here on.
            var running = RunAsync(session, node, stop.Token);
            using var note = ServingNote.Write(session.Database.Store, node.Addresses);
            await running;
            await stop.CancelAsync();
            await progress;
            return 0;
        });
    }

    /// <summary>Serves until a signal or the token stops the node.</summary>
    public static async Task RunAsync(Session session, NodeHost node, CancellationToken stop = default)
    {
        try
        {
            await node.RunAsync(stop);
        }
        catch (StoreFatalException exception)
        {
            // What the store holds is known only after it is read anew: nothing may be written on the way out.
            Failure.Write(session.Error, exception);
            Environment.Exit(1);
        }
    }
}
