using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using OrleansMemory.Compliance;

namespace OrleansMemory.Silo.Tests;

/// <summary>Silos as processes that are killed, paused and restarted while clients write through all of them.</summary>
[Collection("processes")]
public sealed class SiloCrashTests
{
    [Fact]
    [Trait(Campaign.Trait, "silo-crash")]
    public Task Killing_the_silo_that_decides_loses_nothing() => KillAsync(onPostgres: false, Campaign.Count("silo-crash", reduced: 2, full: 50));

    [Fact]
    [Trait(Campaign.Trait, "silo-crash-postgres")]
    public Task Killing_the_silo_that_decides_loses_nothing_on_PostgreSQL()
    {
        Assert.SkipWhen(Storage.Postgres.LocalPostgres.FindBinaries() is null, Storage.Postgres.LocalPostgres.HowToInstall);
        return KillAsync(onPostgres: true, Campaign.Count("silo-crash-postgres", reduced: 1, full: 50));
    }

    private static async Task KillAsync(bool onPostgres, int cycles)
    {
        await using var cluster = await SiloCluster.StartAsync(onPostgres);
        await using var agents = new Agents(cluster, "crash");
        var slowest = TimeSpan.Zero;
        for (var cycle = 0; cycle < cycles; cycle++)
        {
            var heads = await cluster.HeadsAsync();
            await agents.ResumedAsync();
            var victim = await cluster.DeciderAsync(heads);
            await cluster.KillAsync(victim);
            var resumed = await agents.ResumedAsync();
            slowest = resumed > slowest ? resumed : slowest;
            await cluster.StartAsync(victim);
            await cluster.ReadyAsync();
        }

        await agents.StopAsync();
        await AssertNothingLostAsync(cluster, agents);
        TestContext.Current.SendDiagnosticMessage(
            $"{cycles} kills, {agents.Acknowledged} acknowledged writes, {agents.Refused} refused attempts, 0 lost; writes resumed after at most {slowest.TotalSeconds:F1} s");
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{cycles} kills, {agents.Acknowledged} acknowledged writes, {agents.Refused} refused attempts, 0 lost; writes resumed after at most {slowest.TotalSeconds:F1} s");
        Assert.True(slowest < TimeSpan.FromSeconds(20), $"writes resumed after {slowest}");
    }

    [Fact]
    [Trait(Campaign.Trait, "silo-create")]
    public async Task Of_one_title_created_everywhere_at_once_one_id_is_acknowledged_and_survives()
    {
        var titles = Campaign.Count("silo-create", reduced: 90, full: 1_000);
        await using var cluster = await SiloCluster.StartAsync();
        var acknowledged = new ConcurrentDictionary<string, ConcurrentDictionary<string, string>>();
        await cluster.InsistAsync(0, "first", "c", "first");
        using var stop = new CancellationTokenSource();
        var faults = FaultsAsync(cluster, stop.Token);
        await Parallel.ForAsync(0, titles, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (number, _) =>
        {
            var title = string.Create(CultureInfo.InvariantCulture, $"title-{number}");
            var ids = acknowledged.GetOrAdd(title, static _ => new());
            await Eventually.HoldsAsync($"{title} is acknowledged", async () =>
            {
                await Task.WhenAll(Enumerable.Range(0, SiloCluster.Count).Select(async node =>
                {
                    var (status, body) = await cluster.StoreAsync(node, title, $"v-{title}");
                    Assert.True(status is null or HttpStatusCode.Created or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout, $"{status}: {body}");
                    if (status == HttpStatusCode.Created)
                    {
                        ids[body.GetProperty("id").GetString()!] = "";
                    }
                }));
                return !ids.IsEmpty;
            });
        });
        await stop.CancelAsync();
        await faults;
        await cluster.ReadyAsync();
        await cluster.ConvergedAsync();
        Assert.All(acknowledged, pair => Assert.True(pair.Value.Count == 1, $"{pair.Key} was acknowledged as {string.Join(", ", pair.Value.Keys)}"));
        for (var node = 0; node < SiloCluster.Count; node++)
        {
            var listed = await cluster.ListAsync(node);
            Assert.Equal(listed.Count, listed.Values.Select(static memory => memory.Title).Distinct().Count());
            Assert.All(acknowledged, pair => Assert.Equal(pair.Key, listed.GetValueOrDefault(pair.Value.Keys.Single()).Title));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{titles} titles, each acknowledged as one id that is shown");
    }

    [Fact]
    public async Task A_silo_that_is_paused_past_the_verdict_comes_back_as_a_new_member()
    {
        await using var cluster = await SiloCluster.StartAsync();
        await using var agents = new Agents(cluster, "pause");
        var heads = await cluster.HeadsAsync();
        await agents.ResumedAsync();
        var victim = await cluster.DeciderAsync(heads);
        var paused = cluster.Processes[victim];
        await cluster.SuspendAsync(victim);
        var without = Stopwatch.StartNew();
        await Eventually.HoldsAsync("the others go on without it", async () =>
        {
            var others = Enumerable.Range(0, SiloCluster.Count).Where(node => node != victim);
            foreach (var node in others)
            {
                if ((await cluster.StoreAsync(node, $"without {node}", "c")).Status != HttpStatusCode.Created)
                {
                    return false;
                }
            }

            return true;
        });
        TestContext.Current.TestOutputHelper?.WriteLine($"the others went on after {without.Elapsed.TotalSeconds:F1} s");
        cluster.Resume(victim);

        // It hears that it was declared dead, and ends; whoever started it starts it again.
        Assert.Equal(ProcessEnd.ExitCode, await paused.Ended.WaitAsync(TimeSpan.FromSeconds(60)));
        await cluster.StartAsync(victim);
        await cluster.ReadyAsync();
        await agents.ResumedAsync();
        await agents.StopAsync();
        await AssertNothingLostAsync(cluster, agents);
    }

    [Fact]
    public async Task A_rolling_restart_under_load_loses_nothing_and_fails_no_read()
    {
        await using var cluster = await SiloCluster.StartAsync();
        await using var agents = new Agents(cluster, "rolling");
        using var stop = new CancellationTokenSource();
        var reading = Task.Run(() => ReadAsync(cluster, stop.Token));
        for (var node = 0; node < SiloCluster.Count; node++)
        {
            await agents.ResumedAsync();
            Assert.Equal(0, await cluster.Processes[node].StopAsync(TimeSpan.FromSeconds(60)));
            await cluster.StartAsync(node);
            await cluster.ReadyAsync();
        }

        await agents.ResumedAsync();
        await stop.CancelAsync();
        var (reads, failed) = await reading;
        Assert.True(reads > SiloCluster.Count && failed == 0, $"{failed} of {reads} reads failed");
        await agents.StopAsync();
        await AssertNothingLostAsync(cluster, agents);
    }

    /// <summary>Reads as a client does that knows all silos: from the next one when one does not answer.</summary>
    private static async Task<(int Reads, int Failed)> ReadAsync(SiloCluster cluster, CancellationToken stop)
    {
        var (reads, failed) = (0, 0);
        for (; !stop.IsCancellationRequested; reads++)
        {
            var answered = false;
            for (var attempt = 0; attempt < SiloCluster.Count && !answered; attempt++)
            {
                answered = (await cluster.SendAsync((reads + attempt) % SiloCluster.Count, HttpMethod.Get, "/api/v1/memories?limit=5")).Status == HttpStatusCode.OK;
            }

            failed += answered ? 0 : 1;
            await Task.WhenAny(Task.Delay(TimeSpan.FromMilliseconds(10), stop));
        }

        return (reads, failed);
    }

    private static async Task AssertNothingLostAsync(SiloCluster cluster, Agents agents)
    {
        await cluster.ReadyAsync();
        await cluster.ConvergedAsync();
        for (var node = 0; node < SiloCluster.Count; node++)
        {
            var listed = await cluster.ListAsync(node);
            var lost = agents.Ledger.Where(pair => listed.GetValueOrDefault(pair.Key).Content != pair.Value).Select(static pair => pair.Value).ToList();
            Assert.True(lost.Count == 0, $"node {node} lacks {lost.Count} of {agents.Ledger.Count}: {string.Join(", ", lost.Take(5))}");
        }
    }

    /// <summary>Kills the silo that decides, or pauses it, again and again.</summary>
    private static async Task FaultsAsync(SiloCluster cluster, CancellationToken stop)
    {
        for (var turn = 0; !stop.IsCancellationRequested; turn++)
        {
            var heads = await cluster.HeadsAsync();
            await Task.WhenAny(Task.Delay(TimeSpan.FromSeconds(1), stop));
            var victim = await cluster.DeciderAsync(heads);
            if (turn % 2 == 0)
            {
                await cluster.KillAsync(victim);
                await cluster.StartAsync(victim);
            }
            else
            {
                await cluster.SuspendAsync(victim);
                await Task.WhenAny(Task.Delay(TimeSpan.FromSeconds(5), stop));
                cluster.Resume(victim);
            }

            await cluster.ReadyAsync();
        }
    }
}
