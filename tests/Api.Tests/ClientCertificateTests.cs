using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace OrleansMemory.Api.Tests;

/// <summary>Over real TLS: a client certificate of the authority that is configured says who calls; any other opens nothing.</summary>
public sealed class ClientCertificateTests(ClientCertificateTests.TlsNode tls) : IClassFixture<ClientCertificateTests.TlsNode>
{
    [Fact]
    public async Task A_certificate_is_the_agent_that_it_names()
    {
        using var alice = tls.Client("alice");
        var stored = await SendAsync(alice, HttpMethod.Post, "/api/v1/memories", """{"title":"of alice","content":"c"}""");
        Assert.Equal(201, stored.Status);
        Assert.Equal(("alice", "bound"), ((string?)stored.Json["metadata"]!["agent_id"], (string?)stored.Json["metadata"]!["agent_identity"]));
        Assert.Equal(403, (await SendAsync(alice, HttpMethod.Post, "/api/v1/memories", """{"title":"as bob","content":"c","agent_id":"bob"}""")).Status);

        // Another agent does not see it; one named by a URI is that URI, whatever its common name.
        using var uri = tls.Client("alice", uri: "spiffe://om/agent/carol");
        Assert.Equal(404, (await SendAsync(uri, HttpMethod.Get, $"/api/v1/memories/{stored.Json["id"]}")).Status);
        Assert.Equal("spiffe://om/agent/carol", (string?)(await SendAsync(uri, HttpMethod.Post, "/api/v1/memories", """{"title":"of carol","content":"c"}""")).Json["metadata"]!["agent_id"]);
    }

    [Fact]
    public async Task A_certificate_may_stand_for_a_key_with_its_role()
    {
        using var operations = tls.Client("operations");
        Assert.Equal(200, (await SendAsync(operations, HttpMethod.Get, "/api/v1/cluster?digest=true")).Status);
        using var auditor = tls.Client("auditor");
        Assert.Equal(200, (await SendAsync(auditor, HttpMethod.Get, "/api/v1/memories")).Status);
        Assert.Equal(403, (await SendAsync(auditor, HttpMethod.Post, "/api/v1/memories", """{"title":"t","content":"c"}""")).Status);
    }

    [Fact]
    public async Task Without_a_certificate_a_key_is_needed()
    {
        using var nobody = tls.Client(null);
        Assert.Equal(200, (await SendAsync(nobody, HttpMethod.Get, "/api/v1/health")).Status);
        Assert.Equal(401, (await SendAsync(nobody, HttpMethod.Get, "/api/v1/memories")).Status);
        Assert.Equal(401, (await SendAsync(nobody, HttpMethod.Get, "/metrics")).Status);
        Assert.Equal(200, (await SendAsync(nobody, HttpMethod.Get, "/api/v1/memories", key: "k")).Status);

        // A key that is wrong is not made up for by a certificate, and a name that is no agent's names nobody.
        using var alice = tls.Client("alice");
        Assert.Equal(401, (await SendAsync(alice, HttpMethod.Get, "/api/v1/memories", key: "wrong")).Status);
        using var odd = tls.Client("not an agent");
        Assert.Equal(401, (await SendAsync(odd, HttpMethod.Get, "/api/v1/memories")).Status);
        using var two = tls.Client("alice", uri: "om:first", secondUri: "om:second");
        Assert.Equal(401, (await SendAsync(two, HttpMethod.Get, "/api/v1/memories")).Status);
    }

    [Theory]
    [InlineData("stranger")]
    [InlineData("expired")]
    [InlineData("server")]
    public async Task A_certificate_that_nobody_vouches_for_opens_no_connection(string flaw)
    {
        using var client = tls.Client("alice", flaw);
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => SendAsync(client, HttpMethod.Get, "/api/v1/health"));
        Assert.True(failure is HttpRequestException or IOException or AuthenticationException, failure.ToString());
    }

    private static async Task<Reply> SendAsync(HttpClient client, HttpMethod method, string path, string? body = null, string? key = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : TestNode.Json(body) };
        if (key is not null)
        {
            request.Headers.Add("X-API-Key", key);
        }

        var response = await client.SendAsync(request);
        return new((int)response.StatusCode, await response.Content.ReadAsStringAsync(), response);
    }

    /// <summary>A node with a certificate of its own, and an authority for those of its clients.</summary>
    public sealed class TlsNode : IAsyncLifetime
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("om-mtls-");
        private readonly X509Certificate2 _authority = Authority("CN=clients");
        private readonly X509Certificate2 _stranger = Authority("CN=strangers");
        private TestNode _node = null!;

        public async ValueTask InitializeAsync()
        {
            string Write(string name, string pem)
            {
                var path = Path.Combine(_folder.FullName, name);
                File.WriteAllText(path, pem);
                return path;
            }

            using var own = Authority("CN=localhost");
            _node = new()
            {
                Options = new()
                {
                    Port = 0,
                    TlsCertificatePath = Write("c.pem", own.ExportCertificatePem()),
                    TlsKeyPath = Write("k.pem", own.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem()),
                    TlsClientCaPath = Write("ca.pem", _authority.ExportCertificatePem()),
                    Keys =
                    [
                        new("key") { Key = "k", AgentId = "keyed" }, new("operations") { Certificate = "operations", Role = "admin" }, new("auditor") { Certificate = "auditor", Role = "reader" },
                    ],
                },
            };
            await _node.InitializeAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await _node.DisposeAsync();
            _authority.Dispose();
            _stranger.Dispose();
            _folder.Delete(recursive: true);
        }

        internal HttpClient Client(string? name, string? flaw = null, string? uri = null, string? secondUri = null)
        {
            var handler = new SocketsHttpHandler();
            handler.SslOptions.RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate is not null;
            if (name is not null)
            {
                handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(Issue(name, flaw, uri, secondUri), additionalCertificates: null, offline: true);
            }

            return new(handler) { BaseAddress = _node.Address, Timeout = TimeSpan.FromSeconds(60) };
        }

        private static X509Certificate2 Authority(string name)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
            using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-30), DateTimeOffset.UtcNow.AddDays(30));
            return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), password: null, X509KeyStorageFlags.Exportable);
        }

        private X509Certificate2 Issue(string name, string? flaw, string? uri, string? secondUri)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(flaw == "server" ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2")], critical: false));
            if (uri is not null)
            {
                var names = new SubjectAlternativeNameBuilder();
                names.AddDnsName("somewhere");
                names.AddUri(new(uri));
                if (secondUri is not null)
                {
                    names.AddUri(new(secondUri));
                }

                request.CertificateExtensions.Add(names.Build());
            }

            var end = flaw == "expired" ? DateTimeOffset.UtcNow.AddDays(-1) : DateTimeOffset.UtcNow.AddDays(1);
            using var certificate = request.Create(flaw == "stranger" ? _stranger : _authority, end.AddDays(-10), end, RandomNumberGenerator.GetBytes(8)).CopyWithPrivateKey(key);
            return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), password: null);
        }
    }
}
