using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace OrleansMemory.Cli.Tests;

public sealed class SyncDaemonTests : IDisposable
{
    private readonly Om _om = new();

    public void Dispose() => _om.Dispose();

    [Fact]
    public async Task Over_tls_each_side_knows_the_other_or_nothing_is_exchanged()
    {
        var (server, client) = (Certificate("server"), Certificate("client"));
        await File.WriteAllTextAsync(_om.PathTo("allowed"), client.Fingerprint + "\n");
        (await _om.RunAsync("--db", "theirs.db", "store", "-T", "theirs", "-c", "x")).Exits(0);
        (await _om.RunAsync("--db", "ours.db", "store", "-T", "ours", "-c", "x")).Exits(0);
        await using var node = await _om.ServeAsync("--db", "theirs.db", "--tls-cert", server.Path, "--tls-key", server.Key, "--mtls-allowlist", "allowed");
        Assert.StartsWith("https://", node.Url, StringComparison.Ordinal);
        string[] shared = ["--db", "ours.db", "sync-daemon", "--peers", node.Url, "--interval", "1"];

        // A server that nobody vouches for, and a client that shows nothing: told each round, and nothing is exchanged.
        foreach (var refused in (string[][])[["--client-cert", client.Path, "--client-key", client.Key], ["--insecure-skip-server-verify"]])
        {
            using var daemon = _om.Start([.. shared, .. refused]);
            Assert.StartsWith(node.Url, await daemon.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)), StringComparison.Ordinal);
            Assert.Equal(0, await Om.TerminateAsync(daemon));
        }

        Assert.Equal(["ours"], await TitlesAsync());
        using (var daemon = _om.Start([.. shared, "--insecure-skip-server-verify", "--client-cert", client.Path, "--client-key", client.Key]))
        {
            Assert.Matches("pulled 1, pushed 1$", await daemon.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)));
            Assert.Equal(0, await Om.TerminateAsync(daemon));
        }

        Assert.Equal(["ours", "theirs"], await TitlesAsync());
        (await _om.RunAsync([.. shared, "--client-cert", client.Path])).Exits(2);
    }

    private async Task<IEnumerable<string?>> TitlesAsync() =>
        (await _om.RunAsync("--db", "ours.db", "list", "--json")).Exits(0).Json.GetProperty("memories").EnumerateArray().Select(static memory => memory.GetProperty("title").GetString()).Order(StringComparer.Ordinal);

    private (string Path, string Key, string Fingerprint) Certificate(string name)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var (path, keyPath) = (_om.PathTo($"{name}.pem"), _om.PathTo($"{name}-key.pem"));
        File.WriteAllText(path, certificate.ExportCertificatePem());
        File.WriteAllText(keyPath, key.ExportPkcs8PrivateKeyPem());
        return (path, keyPath, certificate.GetCertHashString(HashAlgorithmName.SHA256));
    }
}
