using System.Net;
using OrleansMemory.Compliance;
using OrleansMemory.Storage.Postgres;

[assembly: AssemblyFixture(typeof(PostgresDatabases))]

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>Nodes on PostgreSQL, alone and among nodes on files.</summary>
public sealed class PostgresClusterTests(PostgresDatabases databases)
{
    private const int Writers = 4;

    [Fact]
    [Trait(Campaign.Trait, "mixed")]
    public async Task A_cluster_on_both_stores_ends_equal_under_load_and_kills()
    {
        var ledger = new Ledger();
        var url = await databases.CreateAsync($"mixed{Guid.NewGuid():n}");
        await using var cluster = await ProcessCluster.StartAsync(server: url);
        for (var kill = 0; kill < Campaign.Count("mixed", reduced: 3, full: 30); kill++)
        {
            var victim = cluster[kill % 3];
            using var stop = new CancellationTokenSource();
            var writing = cluster.Nodes.SelectMany(node => Enumerable.Range(0, Writers).Select(writer => ledger.WriteAsync(node, $"{kill}-{node}-{writer}", stop.Token))).ToList();
            await ledger.ReachAsync(ledger.Answered.Count + 200);
            await victim.KillAsync();
            await ledger.ReachAsync(ledger.Answered.Count + 100);
            await victim.StartAsync();
            await stop.CancelAsync();
            await Task.WhenAll(writing);
            await cluster.ConnectedAsync();
            await cluster.ConvergedAsync();
            ledger.AssertHeldBy($"after kill {kill} {victim}", await victim.ContentsAsync());
        }

        TestContext.Current.SendDiagnosticMessage($"{ledger.Answered.Count} answered writes, {ledger.Unanswered} unanswered, 0 lost");
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task A_server_that_is_away_is_told_in_every_answer_and_used_again_when_it_is_back()
    {
        Assert.SkipWhen(LocalPostgres.FindBinaries() is null, LocalPostgres.HowToInstall);
        await using var server = await LocalPostgres.StartAsync();
        var ledger = new Ledger();
        await using var cluster = await ProcessCluster.StartAsync(timeoutMilliseconds: 2_000, server: await server.CreateDatabaseAsync("away"));
        using var stop = new CancellationTokenSource();
        var writing = cluster.Nodes.Select(node => ledger.WriteAsync(node, $"{node}", stop.Token)).ToList();
        await ledger.ReachAsync(100);
        await server.StopAsync("immediate");
        await Eventually.HoldsAsync("the node is not ready", async () => (await cluster[0].ReadyAsync()).Status == HttpStatusCode.ServiceUnavailable);
        Assert.False(string.IsNullOrEmpty((await cluster[0].ReadyAsync()).Text("reason")));
        (await cluster[0].StoreAsync("refused", "x")).MissesQuorum("store_failed", "not_stored");
        Assert.Equal("store_failed", (await cluster[0].SendAsync(HttpMethod.Get, "/api/v1/memories", null)).Is(HttpStatusCode.ServiceUnavailable).Text("code"));

        // The others are a quorum.
        await ledger.ReachAsync(ledger.Answered.Count + 50);
        await server.StartAgainAsync();
        await cluster.ConnectedAsync();
        await ledger.ReachAsync(ledger.Answered.Count + 50);
        await stop.CancelAsync();
        await Task.WhenAll(writing);
        await cluster.ConvergedAsync();
        ledger.AssertHeldBy("n1", await cluster[0].ContentsAsync());
        await cluster.EndEqualAsync();
    }

    [Fact]
    public async Task A_smoke_test_of_nodes_with_servers_of_their_own_loses_nothing()
    {
        Assert.SkipWhen(LocalPostgres.FindBinaries() is null, LocalPostgres.HowToInstall);
        using var om = new Om();
        var outcome = await om.RunWithAsync([], "up", "--smoke", "--postgres", "--json", "--writes", "200");
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        var acknowledged = outcome.Json.GetProperty("acked").GetInt64();
        Assert.Equal([acknowledged, acknowledged, acknowledged], outcome.Json.GetProperty("present").EnumerateArray().Select(static present => present.GetInt64()));
        Assert.Equal(0, outcome.Json.GetProperty("lost").GetInt64());
    }

    [Fact]
    public async Task A_password_is_shown_nowhere()
    {
        var name = $"secret{Guid.NewGuid():n}";
        await databases.CreateAsync(name);
        using var om = new Om();
        var url = databases.Server.UrlOf(name) + "&password=h1dden";
        await using var node = await om.ServeWithAsync([("OM_DB", url)]);
        using var http = new HttpClient { BaseAddress = new Uri(node.Url) };
        foreach (var path in (string[])["/api/v1/health", "/readyz", "/api/v1/cluster", "/api/v1/stats", "/metrics"])
        {
            Assert.DoesNotContain("h1dden", await http.GetStringAsync(path), StringComparison.Ordinal);
        }

        if (OperatingSystem.IsLinux())
        {
            foreach (var process in Directory.GetDirectories("/proc").Where(static folder => Path.GetFileName(folder).All(char.IsAsciiDigit)))
            {
                Assert.DoesNotContain("h1dden", Read(Path.Combine(process, "cmdline")), StringComparison.Ordinal);
            }
        }

        var outcome = await node.StopAsync();
        Assert.DoesNotContain("h1dden", outcome.Output + outcome.Error, StringComparison.Ordinal);
        foreach (var arguments in (string[][])[["stats"], ["serve"], ["--help"], ["store", "--help"]])
        {
            outcome = await om.RunWithAsync([("OM_DB", url.Replace("&user=om", "&user=nobody", StringComparison.Ordinal))], arguments);
            Assert.DoesNotContain("h1dden", outcome.Output + outcome.Error, StringComparison.Ordinal);
        }

        static string Read(string path)
        {
            try
            {
                return File.ReadAllText(path);
            }
            catch (IOException)
            {
                // The process has ended.
                return "";
            }
        }
    }
}
