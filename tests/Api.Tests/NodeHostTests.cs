using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Api.Tests;

public sealed class NodeHostTests
{
    private const string Body = """{"title":"late","content":"still stored"}""";

    private static async Task<(TcpClient Client, NetworkStream Stream)> BeginCreateAsync(TestNode node)
    {
        var client = new TcpClient();
        await client.ConnectAsync(node.Address.Host, node.Address.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"POST /api/v1/memories HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {Body.Length}\r\n\r\n"));

        // The interim answer tells that the request is in flight.
        var interim = new byte[25];
        await stream.ReadExactlyAsync(interim);
        Assert.Equal("HTTP/1.1 100 Continue\r\n\r\n", Encoding.ASCII.GetString(interim));
        return (client, stream);
    }

    [Fact]
    public async Task A_stopping_node_finishes_what_is_in_flight_and_refuses_the_rest()
    {
        await using var node = await TestNode.StartAsync();
        var (client, stream) = await BeginCreateAsync(node);
        using var held = client;

        var stopping = node.Host.StopAsync();
        Reply ready;
        do
        {
            ready = await node.GetAsync("/readyz");
        }
        while (ready.Status == 200 && !stopping.IsCompleted);

        Assert.Equal(503, ready.Status);
        Assert.Equal("""{"reason":"draining","status":"not_ready"}""", ready.Text);
        (await node.GetAsync("/livez")).ShouldSucceed();
        var refused = await node.PostAsync("/api/v1/memories", Body);
        refused.ShouldFail(503, "draining");
        Assert.Equal("2", refused.Header("Retry-After"));
        Assert.True(refused.Message.Headers.ConnectionClose);
        Assert.False(stopping.IsCompleted);

        await stream.WriteAsync(Encoding.ASCII.GetBytes(Body));
        using var reader = new StreamReader(stream);
        Assert.StartsWith("HTTP/1.1 201 Created", await reader.ReadLineAsync());
        await stopping.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.False(node.Node.Health().Ready);
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => node.GetAsync("/livez"));
        Assert.Same(stopping, node.Host.StopAsync());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(300)]
    public async Task The_grace_bounds_the_wait(int milliseconds)
    {
        await using var node = await TestNode.StartAsync(new() { Port = 0, ShutdownGrace = TimeSpan.FromMilliseconds(milliseconds) });
        var (client, _) = await BeginCreateAsync(node);
        using var held = client;
        await node.Host.StopAsync().WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Contains(node.Log, line => line.StartsWith("2005 ", StringComparison.Ordinal));
        Assert.True(node.Log.Count == 1, string.Join('\n', node.Log));
    }

    [Fact]
    public async Task Running_ends_with_a_drain_when_asked_to()
    {
        await using var node = await TestNode.StartAsync();
        using var stop = new CancellationTokenSource();
        var running = node.Host.RunAsync(stop.Token);
        await node.StoreAsync("while running");
        Assert.False(running.IsCompleted);
        await stop.CancelAsync();
        await running.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.False(node.Node.Health().Ready);
    }

    [Fact]
    public async Task A_port_that_is_taken_is_named_and_nothing_is_left_open()
    {
        await using var node = await TestNode.StartAsync();
        var folder = Directory.CreateTempSubdirectory("om-api-");
        try
        {
            await using (var store = (IAsyncDisposable)SqliteStore.Open(Path.Combine(folder.FullName, "second.db")))
            {
                var second = await MemoryNode.StartAsync((SqliteStore)store, new(), TimeProvider.System, new Random(1));
                using var output = new StringWriter();
                var exception = await Assert.ThrowsAsync<InvalidOptionException>(() =>
                    NodeHost.StartAsync(new() { Port = node.Address.Port }, second, TimeProvider.System, output, _ => { }));
                Assert.Contains($"127.0.0.1:{node.Address.Port}", exception.Message);
                Assert.Contains("OM_PORT", exception.Message);
                Assert.Equal("", output.ToString());
                Assert.False(second.Health().Ready);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Tls_serves_http_1_and_2()
    {
        var folder = Directory.CreateTempSubdirectory("om-tls-");
        try
        {
            using var key = RSA.Create(2048);
            var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            var options = new NodeOptions { Port = 0, TlsCertificatePath = Path.Combine(folder.FullName, "c.pem"), TlsKeyPath = Path.Combine(folder.FullName, "k.pem") };
            await File.WriteAllTextAsync(options.TlsCertificatePath, certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(options.TlsKeyPath, key.ExportPkcs8PrivateKeyPem());
            await using var node = await TestNode.StartAsync(options);
            Assert.StartsWith($"ai-memory listening on https://127.0.0.1:{node.Address.Port}", node.Output.ToString());
            foreach (var version in (Version[])[HttpVersion.Version11, HttpVersion.Version20])
            {
                using var message = new HttpRequestMessage(HttpMethod.Post, "/api/v1/memories")
                {
                    Version = version,
                    VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                    Content = TestNode.Json("""{"title":"over tls","content":"c"}"""),
                };
                using var response = await node.Client.SendAsync(message);
                Assert.Equal(HttpStatusCode.Created, response.StatusCode);
                Assert.Equal(version, response.Version);
            }

            await File.WriteAllTextAsync(options.TlsKeyPath, "no key");
            await Assert.ThrowsAsync<InvalidOptionException>(() => TestNode.StartAsync(options));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Only_clients_on_the_list_get_in()
    {
        var folder = Directory.CreateTempSubdirectory("om-mtls-");
        try
        {
            using var key = RSA.Create(2048);
            using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(1));

            // Its time is over, which does not count.
            using var known = new CertificateRequest("CN=known", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(-1));
            var options = new NodeOptions
            {
                Port = 0,
                TlsCertificatePath = Path.Combine(folder.FullName, "c.pem"),
                TlsKeyPath = Path.Combine(folder.FullName, "k.pem"),
                MtlsAllowlistPath = Path.Combine(folder.FullName, "clients"),
            };
            await File.WriteAllTextAsync(options.TlsCertificatePath, certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(options.TlsKeyPath, key.ExportPkcs8PrivateKeyPem());
            await File.WriteAllTextAsync(options.MtlsAllowlistPath, "# clients\n\nsha256:" + string.Join(':', SHA256.HashData(known.RawData).Select(static value => value.ToString("X2"))) + "\n");
            await using (var node = await TestNode.StartAsync(options))
            {
                Assert.Equal(HttpStatusCode.OK, await StatusAsync(node.Address, known));
                await Assert.ThrowsAnyAsync<HttpRequestException>(() => StatusAsync(node.Address, certificate));
                await Assert.ThrowsAnyAsync<HttpRequestException>(() => StatusAsync(node.Address, null));
            }

            foreach (var broken in (string[])["", "# nobody\n", "12:34\n", new string('x', 64)])
            {
                await File.WriteAllTextAsync(options.MtlsAllowlistPath, broken);
                await Assert.ThrowsAsync<InvalidOptionException>(() => TestNode.StartAsync(options));
            }

            Assert.Throws<InvalidOptionException>(() => new NodeOptions { MtlsAllowlistPath = options.MtlsAllowlistPath }.Validate());
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        static async Task<HttpStatusCode> StatusAsync(Uri address, X509Certificate2? certificate)
        {
            using var handler = new SocketsHttpHandler();
            handler.SslOptions.RemoteCertificateValidationCallback = static (_, server, _, _) => server?.Subject == "CN=localhost";
            handler.SslOptions.ClientCertificates = certificate is null ? [] : [certificate];
            handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) => certificate!;
            using var client = new HttpClient(handler);
            return (await client.GetAsync(new Uri(address, "/api/v1/health"))).StatusCode;
        }
    }

    [Fact]
    public async Task Expired_memories_are_collected_in_the_background()
    {
        await using var node = await TestNode.StartAsync(new() { Port = 0, GcInterval = TimeSpan.FromSeconds(1) });
        var id = await node.StoreAsync("expires");
        (await node.PutAsync($"/api/v1/memories/{id}", """{"expires_at":"2020-01-01T00:00:00Z"}""")).ShouldSucceed();
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (await node.TotalAsync() > 0)
        {
            Assert.False(deadline.IsCancellationRequested, "the expired memory is still there");
        }
    }

    [Fact]
    public async Task An_unexpected_failure_is_logged_under_the_id_that_the_caller_gets_and_tells_nothing_else()
    {
        await using var node = await TestNode.StartAsync();
        await node.CloseStoreAsync();
        var reply = await node.GetAsync("/api/v1/memories");
        reply.ShouldFail(500, "internal", "internal server error");
        var id = reply.Header("X-Request-Id");
        Assert.NotNull(id);
        Assert.Contains(node.Log, line => line.StartsWith($"1001 Request {id} to /api/v1/memories failed unexpectedly", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_answer_names_no_server()
    {
        await using var node = await TestNode.StartAsync();
        Assert.Null((await node.GetAsync("/livez")).Header("Server"));
    }
}
