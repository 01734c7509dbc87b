using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Peers.Tests;

public sealed class PeerLinksTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-links-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Nobody_there_is_down_and_a_wrong_key_is_not()
    {
        var port = Ports.Take(1)[0];
        var options = new NodeOptions { QuorumPeers = [new($"http://127.0.0.1:{port}/")], ApiKey = "wrong" };
        using var links = new PeerLinks(options, TimeProvider.System);
        Assert.Equal($"http://127.0.0.1:{port}", links.Links[0].Address);
        Assert.True((await Assert.ThrowsAsync<LinkException>(() => links.Links[0].ReadDigestsAsync(0, CancellationToken.None))).IsDown);

        await using var node = await Node.StartAsync(Path.Combine(_folder, "a.db"), new() { Port = port, ApiKey = "right" });
        var refused = await Assert.ThrowsAsync<LinkException>(() => links.Links[0].ReadDigestsAsync(0, CancellationToken.None));
        Assert.False(refused.IsDown);
        Assert.Contains("OM_API_KEY", refused.Message);
    }

    [Fact]
    public async Task Batches_and_rows_beyond_one_request_go_in_several()
    {
        await using var node = await Node.StartAsync(Path.Combine(_folder, "a.db"), new() { Port = 0, ApiKey = "schlüssel" });
        using var links = new PeerLinks(new() { QuorumPeers = [node.Host.Addresses[0]], ApiKey = "schlüssel" }, TimeProvider.System);
        var link = links.Links[0];
        var log = new LogId("far", 1);
        var metadata = Core.Memories.Metadata.Empty.With("text", new string('x', 60_000));
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() << Stamp.CounterBits;
        var batch = Enumerable.Range(1, 150).Select(number =>
        {
            var stamp = new Stamp(now + number, log);
            var state = new MemoryState
            {
                Id = $"id-{number}",
                Name = new(new("test", $"t{number}"), stamp),
                Body = new(new(new string('y', 60_000), [], "api"), stamp),
                Metadata = new(metadata, stamp),
                Priority = new(5, stamp),
                Confidence = new(1, stamp),
                Tier = Core.Memories.Tier.Long,
                Expiry = new(null, stamp),
                CreatedAt = new(number),
                UpdatedAt = new(number),
            };
            return new Mutation(new(log, number), stamp, 0, MutationKind.Memory, state.Id, MemoryCodec.Encode(state));
        }).ToList();
        Assert.True(batch.Sum(static mutation => (long)mutation.Body.Length) > 2 * LinkCodec.RequestBytes);
        Assert.All(await link.ApplyAsync(batch, CancellationToken.None), static outcome => Assert.Equal(ApplyOutcome.Applied, outcome));
        var rows = await link.ReadRowsAsync([.. batch.Select(static mutation => new RowKey(MutationKind.Memory, mutation.Key)), new(MutationKind.Memory, "nobody")], CancellationToken.None);
        Assert.Equal(batch.Select(static mutation => mutation.Key), rows.Select(static row => row.Key.Key));
        Assert.All(batch.Zip(rows), static pair => Assert.True(pair.First.Body.Span.SequenceEqual(pair.Second.Body.Span)));
    }

    [Fact]
    public async Task Tls_is_checked_against_the_given_authority()
    {
        var (certificate, key) = WriteCertificate("node");
        var (other, _) = WriteCertificate("other");
        await using var node = await Node.StartAsync(Path.Combine(_folder, "a.db"), new() { Port = 0, TlsCertificatePath = certificate, TlsKeyPath = key });
        var options = new NodeOptions
        {
            QuorumPeers = [new($"https://localhost:{node.Host.Addresses[0].Port}")],
            QuorumClientCertificatePath = certificate,
            QuorumClientKeyPath = key,
        };
        var versions = new ConcurrentDictionary<string, int>();
        using var requests = new MeterListener();
        requests.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Name == "http.client.request.duration")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        requests.SetMeasurementEventCallback<double>((_, _, tags, _) =>
        {
            var told = tags.ToArray().ToDictionary(static tag => tag.Key, static tag => tag.Value);
            if (told.GetValueOrDefault("server.port") is int port && port == options.QuorumPeers[0].Port && told.GetValueOrDefault("network.protocol.version") is string version)
            {
                versions.AddOrUpdate(version, 1, static (_, count) => count + 1);
            }
        });
        requests.Start();
        foreach (var (authority, works) in ((string?, bool)[])[(certificate, true), (other, false), (null, false)])
        {
            using var links = new PeerLinks(options with { QuorumCaCertificatePath = authority }, TimeProvider.System);
            if (works)
            {
                Assert.NotEmpty((await links.Links[0].ReadDigestsAsync(0, CancellationToken.None)).Digests);
            }
            else
            {
                Assert.False((await Assert.ThrowsAsync<LinkException>(() => links.Links[0].ReadDigestsAsync(0, CancellationToken.None))).IsDown);
            }
        }

        Assert.Equal("2", Assert.Single(versions).Key);
        await File.WriteAllTextAsync(other, "no certificate");
        Assert.Contains("--quorum-ca-cert", Assert.Throws<InvalidOptionException>(() => new PeerLinks(options with { QuorumCaCertificatePath = other }, TimeProvider.System)).Message);
    }

    /// <summary>It answers for its health at once; a write waits until the clock was compared, or nobody was there for long enough.</summary>
    [Fact]
    public async Task A_node_whose_peers_are_away_takes_a_write_only_after_it_looked_for_them()
    {
        var ports = Ports.Take(3);
        var options = new NodeOptions { Port = ports[0], QuorumPeers = [new($"http://127.0.0.1:{ports[1]}"), new($"http://127.0.0.1:{ports[2]}")] };
        await using var node = await Node.StartAsync(Path.Combine(_folder, "a.db"), options);
        var writing = node.Memories.StoreAsync(new() { Title = "t", Content = "c" }, new());
        using var client = new HttpClient { BaseAddress = node.Host.Addresses[0] };
        Assert.Equal(200, (int)(await client.GetAsync(new Uri("/livez", UriKind.Relative))).StatusCode);
        Assert.Equal(200, (int)(await client.GetAsync(new Uri("/readyz", UriKind.Relative))).StatusCode);
        Assert.False(node.Memories.WaitForFirstComparisonAsync().IsCompleted);
        Assert.False(writing.IsCompleted);
        Assert.Equal(0, (await node.Memories.StatisticsAsync()).Total);
        var refused = await Assert.ThrowsAsync<QuorumException>(() => writing);
        Assert.Equal(QuorumReasons.Unreachable, refused.Quorum.Reason);
        Assert.True(node.Memories.WaitForFirstComparisonAsync().IsCompleted);
    }

    private (string Certificate, string Key) WriteCertificate(string name)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var paths = (Path.Combine(_folder, $"{name}.pem"), Path.Combine(_folder, $"{name}-key.pem"));
        File.WriteAllText(paths.Item1, certificate.ExportCertificatePem());
        File.WriteAllText(paths.Item2, key.ExportPkcs8PrivateKeyPem());
        return paths;
    }

    private sealed record Node(MemoryNode Memories, NodeHost Host, PeerLinks Links, SqliteStore Store) : IAsyncDisposable
    {
        public static async Task<Node> StartAsync(string path, NodeOptions options)
        {
            var store = SqliteStore.Open(path);
            var links = new PeerLinks(options, TimeProvider.System);
            var memories = await MemoryNode.StartAsync(store, options.ToNodeSettings(), TimeProvider.System, new Random(), links.Links);
            var host = await PeerHost.StartAsync(options, memories, TimeProvider.System, configureLogging: static logging => logging.ClearProviders());
            return new(memories, host, links, store);
        }

        public async ValueTask DisposeAsync()
        {
            await Host.DisposeAsync();
            Links.Dispose();
            await Store.DisposeAsync();
        }
    }
}
