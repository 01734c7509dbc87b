using System.Diagnostics;
using System.Net;
using System.Text.Json;
using OrleansMemory.Compliance;
using OrleansMemory.Storage.Clustering;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Silo.Tests;

/// <summary>What an operator does to a cluster, and what happens to its database.</summary>
[Collection("processes")]
public sealed class OperatorTests
{
    [Fact]
    public async Task A_lost_node_is_replaced_by_an_empty_one()
    {
        await using var cluster = await SiloCluster.StartAsync();
        var url = cluster.Processes.Addresses[0].GetLeftPart(UriPartial.Authority);
        var id = await cluster.InsistAsync(0, "kept", "content", "kept");
        var (code, output) = await OmAsync("cluster", "status", "--url", url, "--connection", cluster.Processes.ClusterDatabaseLocation, "--json");
        Assert.Equal(0, code);
        var status = JsonDocument.Parse(output).RootElement;
        Assert.Equal(["n1", "n2", "n3"], status.GetProperty("silos").EnumerateArray().Where(static silo => silo.GetProperty("status").GetString() == "active").Select(static silo => silo.GetProperty("silo").GetString()));
        Assert.Equal(2, status.GetProperty("node").GetProperty("peers").GetArrayLength());

        // It is still there: no replacement.
        await Eventually.HoldsAsync("a node that is there is not replaced, once none recovers", async () =>
        {
            (code, output) = await OmAsync("cluster", "replace", "n3", "--url", url, "--connection", cluster.Processes.ClusterDatabaseLocation);
            return code != 0 && output.Contains("still a member", StringComparison.Ordinal);
        });
        await cluster.KillAsync(2);
        foreach (var file in Directory.GetFiles(cluster.Processes.Folder, "n3.db*"))
        {
            File.Delete(file);
        }

        await Eventually.HoldsAsync("the others have declared it dead", async () =>
            (await ClusterDatabase.Parse(cluster.Processes.ClusterDatabaseLocation).ReadMembersAsync("orleans-memory")).Where(static member => member.Silo == "n3").All(static member => !member.IsMember));
        var replacing = OmAsync("cluster", "replace", "n3", "--url", url, "--connection", cluster.Processes.ClusterDatabaseLocation);
        await cluster.StartAsync(2);
        (code, output) = await replacing;
        Assert.True(code == 0 && output.Contains("holds everything", StringComparison.Ordinal), output);
        await cluster.ReadyAsync();
        await cluster.ConvergedAsync();
        Assert.Equal(HttpStatusCode.OK, (await cluster.SendAsync(2, HttpMethod.Get, $"/api/v1/memories/{id}")).Status);
        await cluster.InsistAsync(2, "after", "content", "after");
    }

    [Fact]
    public async Task Writes_survive_a_restart_of_the_clusters_database()
    {
        Assert.SkipWhen(LocalPostgres.FindBinaries() is null, LocalPostgres.HowToInstall);
        await using var cluster = await SiloCluster.StartAsync(onPostgres: true);
        await using var agents = new Agents(cluster, "members");
        await agents.ResumedAsync();
        await cluster.Processes.ClusterServer.StopAsync();

        // Who is a member is known without it.
        await agents.ResumedAsync();
        await cluster.Processes.ClusterServer.StartAgainAsync();
        await agents.ResumedAsync();
        await cluster.KillAsync(1);
        await agents.ResumedAsync();
        await cluster.StartAsync(1);
        await cluster.ReadyAsync();
        await agents.StopAsync();
        await cluster.ConvergedAsync();
        var listed = await cluster.ListAsync(1);
        Assert.All(agents.Ledger, pair => Assert.Equal(pair.Value, listed.GetValueOrDefault(pair.Key).Content));
    }

    [Fact]
    public async Task A_silo_that_alone_is_cut_off_from_the_clusters_database_writes_on_and_says_so()
    {
        Assert.SkipWhen(LocalPostgres.FindBinaries() is null, LocalPostgres.HowToInstall);
        await using var cluster = await SiloCluster.StartAsync(onPostgres: true);
        await using var proxy = new ServerProxy(cluster.Processes.ClusterServer.SocketPath);
        Assert.Equal(0, await cluster.Processes[0].StopAsync(TimeSpan.FromSeconds(60)));
        await cluster.Processes.StartAsync(0, cluster.Processes[0].Plan with { ClusterDatabase = proxy.UrlOf("cluster") });
        await cluster.ReadyAsync();
        await using var agents = new Agents(cluster, "cut");
        await agents.ResumedAsync();
        proxy.Break(andRefuse: true);
        await Eventually.HoldsAsync("it is ready and says what is wrong", async () => (await cluster.SendAsync(0, HttpMethod.Get, "/readyz")) is (HttpStatusCode.OK, var body)
            && body.TryGetProperty("reason", out var reason) && reason.GetString()!.Contains("database", StringComparison.Ordinal));
        await agents.ResumedAsync();

        // Another one goes and comes back meanwhile.
        await cluster.KillAsync(1);
        await cluster.StartAsync(1);
        await agents.ResumedAsync();
        proxy.Mend();
        await Eventually.HoldsAsync("nothing is wrong any more", async () =>
            (await cluster.SendAsync(0, HttpMethod.Get, "/readyz")) is (HttpStatusCode.OK, var body) && !body.TryGetProperty("reason", out _));
        await cluster.ReadyAsync();

        // Who is a member is known to it again.
        await cluster.KillAsync(2);
        await agents.ResumedAsync();
        await cluster.StartAsync(2);
        await cluster.ReadyAsync();
        await agents.StopAsync();
        await cluster.ConvergedAsync();
        var listed = await cluster.ListAsync(0);
        Assert.All(agents.Ledger, pair => Assert.Equal(pair.Value, listed.GetValueOrDefault(pair.Key).Content));
    }

    [Fact]
    public async Task The_tables_of_the_clusters_database_are_made_once_and_again()
    {
        Assert.SkipWhen(LocalPostgres.FindBinaries() is null, LocalPostgres.HowToInstall);
        await using var server = await LocalPostgres.StartAsync();
        var location = await server.CreateDatabaseAsync("members");
        var database = ClusterDatabase.Parse(location);
        Assert.False(await database.IsInitializedAsync());
        for (var time = 0; time < 2; time++)
        {
            var (code, output) = await OmAsync("cluster", "init", "--connection", location);
            Assert.True(code == 0, output);
            Assert.True(await database.IsInitializedAsync());
        }

        Assert.Empty(await database.ReadMembersAsync("orleans-memory"));
    }

    /// <summary>Runs the command line to its end.</summary>
    private static async Task<(int Code, string Output)> OmAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "om"), arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OM_NO_CONFIG"] = "1";
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, output + await error);
    }
}
