using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Peers;

/// <summary>The links to the peers that the options name, and the connections they share.</summary>
public sealed class PeerLinks : IDisposable
{
    /// <summary>A peer that does not take a connection by then is not there.</summary>
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(10);

    private readonly HttpClient _client;

    /// <exception cref="InvalidOptionException">An option cannot be used, or a certificate cannot be read.</exception>
    public PeerLinks(NodeOptions options, TimeProvider time)
    {
        options.Validate();
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = ConnectTimeout,

            // A name may come to mean another address.
            PooledConnectionLifetime = ConnectionLifetime,
            EnableMultipleHttp2Connections = true,
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,

            // Trace headers are of no use to a peer.
            ActivityHeadersPropagator = null,

            // A key beyond ASCII is sent as the bytes that it is.
            RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
        };
        UseTls(handler.SslOptions, options);
        _client = new(handler) { Timeout = Timeout.InfiniteTimeSpan };
        if (options.PeerKey is { } key)
        {
            _client.DefaultRequestHeaders.TryAddWithoutValidation("X-API-Key", key);
        }

        Links = [.. options.QuorumPeers.Select(peer => new HttpReplicaLink(_client, peer, time))];
    }

    /// <summary>One for each peer, in the order of the options.</summary>
    public IReadOnlyList<IReplicaLink> Links { get; }

    public void Dispose() => _client.Dispose();

    private static void UseTls(SslClientAuthenticationOptions tls, NodeOptions options)
    {
        tls.EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
        if (options.QuorumClientCertificatePath is { } certificatePath)
        {
            var certificate = PemFiles.ReadCertificate(certificatePath, options.QuorumClientKeyPath!, "client certificate", out var chain);
            tls.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true);
        }

        if (options.QuorumCaCertificatePath is { } authorityPath)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.AddRange(PemFiles.ReadAuthorities(authorityPath, "CA certificate (--quorum-ca-cert or OM_QUORUM_CA_CERT)"));
            tls.CertificateChainPolicy = policy;
        }
    }
}
