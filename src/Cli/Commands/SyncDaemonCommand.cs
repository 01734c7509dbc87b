using System.CommandLine;
using System.Net.Security;
using System.Runtime.InteropServices;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Cli.Sync;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Exchanges memories with nodes that are no members of the cluster, such as those of the peer system, until a signal ends it.</summary>
internal static class SyncDaemonCommand
{
    private const long DefaultInterval = 2;
    private const int DefaultRows = 500;

    public static CliCommand Create()
    {
        var peers = OptionKinds.Texts("Addresses of the other nodes; a comma list, may be given again", "--peers");
        var interval = OptionKinds.Number($"Seconds between two rounds [default: {DefaultInterval}]", 1L, 86_400L, "--interval");
        var apiKey = OptionKinds.Text("The key that the peers ask for; visible to who lists processes, so prefer [env: OM_SYNC_API_KEY]", "--api-key");
        var batch = OptionKinds.Number($"Rows in a request [default: {DefaultRows}]", 1, MemoryLimits.BatchRows, "--batch-size");
        var certificate = OptionKinds.Text("PEM file with the certificate that is shown to the peers", "--client-cert");
        var key = OptionKinds.Text("PEM file with the private key of that certificate", "--client-key");
        var insecure = OptionKinds.Flag("Do not check the peers' certificates", "--insecure-skip-server-verify");
        var command = new Command("sync-daemon", "Exchange memories with other nodes round by round: of each, the later change wins") { peers, interval, apiKey, batch, certificate, key, insecure };
        return new(command, async session =>
        {
            var addresses = NodeOptions.ParsePeers(session.Value(peers) ?? []);
            if (addresses.Count == 0)
            {
                throw new MemoryException(ErrorKind.MalformedRequest, "at least one --peers URL is required");
            }

            if (session.Value(certificate) is null != session.Value(key) is null)
            {
                throw new UsageException(command, "the arguments '--client-cert' and '--client-key' need each other");
            }

            using var stop = new CancellationTokenSource();
            using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
            using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
            var marks = SyncMarks.Open(session.Address is null ? session.Database.Store : null, session.Address);
            var rounds = addresses.Select(address =>
            {
                var options = new NodeClientOptions(session.Value(apiKey) ?? Variables.Read("SYNC_API_KEY"), Tls(session.Value(certificate), session.Value(key), session.Value(insecure)), TimeSpan.FromSeconds(30));
                var remote = new RemoteMemoryService(address, options);
                return new PeerSync(address, remote, remote.Node, marks, session.AgentId, session.Value(batch) ?? DefaultRows);
            }).ToList();
            session.Text.WriteLine($"sync-daemon: {rounds.Count} peer(s), every {session.Value(interval) ?? DefaultInterval} s");
            session.Report.Flush();
            while (!stop.IsCancellationRequested)
            {
                await RoundAsync(session, rounds, stop.Token);
                try
                {
                    await Task.Delay(TimeSpan.FromSeconds(session.Value(interval) ?? DefaultInterval), stop.Token);
                }
                catch (OperationCanceledException)
                {
                    break;
                }
            }

            return 0;

            void OnSignal(PosixSignalContext context)
            {
                context.Cancel = !stop.IsCancellationRequested;
                stop.Cancel();
            }
        });
    }

    /// <summary>Peers side by side; what fails with one is told and tried again in the next round. The database is open only for the round.</summary>
    private static async Task RoundAsync(Session session, List<PeerSync> peers, CancellationToken stopping)
    {
        try
        {
            await using var opened = await session.OpenNewAsync();
            await Task.WhenAll(peers.Select(async peer =>
            {
                try
                {
                    var cycle = await peer.RunAsync(opened.Service, stopping);
                    if (cycle.Pulled + cycle.Pushed > 0)
                    {
                        session.Error.WriteLine($"{peer.Peer}: pulled {cycle.Pulled}, pushed {cycle.Pushed}");
                    }

                    foreach (var refused in cycle.Refused)
                    {
                        session.Error.WriteLine($"{peer.Peer}: refused {refused}");
                    }
                }
                catch (Exception exception) when (exception is MemoryException or IOException or HttpRequestException or OperationCanceledException)
                {
                    Tell(peer.Peer.ToString(), exception);
                }
            }));
        }
        catch (MemoryException exception)
        {
            Tell("the local store", exception);
        }

        void Tell(string where, Exception exception)
        {
            if (!stopping.IsCancellationRequested)
            {
                session.Error.WriteLine($"{where}: {exception.Message}");
            }
        }
    }

    private static SslClientAuthenticationOptions Tls(string? certificate, string? key, bool insecure)
    {
        var tls = new SslClientAuthenticationOptions();
        if (certificate is not null)
        {
            tls.ClientCertificates = [PemFiles.ReadCertificate(certificate, key!, "client certificate", out _)];
        }

        if (insecure)
        {
#pragma warning disable CA5359 // Asked for in so many words.
            tls.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }

        return tls;
    }
}
