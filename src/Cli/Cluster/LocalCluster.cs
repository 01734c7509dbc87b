using System.Globalization;
using System.Runtime.InteropServices;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Cli.Cluster;

/// <summary>
/// A cluster in the foreground. Tells how its nodes are, starts those that die again, and lets all drain when a signal stops it;
/// a second signal kills them.
/// </summary>
internal sealed class LocalCluster
{
    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    /// <summary>A node that ran this long is no longer one that cannot run.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(30);

    /// <summary>Beyond the nodes' own grace.</summary>
    private static readonly TimeSpan StopSlack = TimeSpan.FromSeconds(5);

    private readonly Session _session;
    private readonly ClusterProcess _cluster;
    private readonly CancellationToken _stop;
    private readonly Lock _gate = new();

    private LocalCluster(Session session, ClusterProcess cluster, CancellationToken stop)
    {
        _session = session;
        _cluster = cluster;
        _stop = stop;
    }

    /// <summary>Runs until a signal.</summary>
    /// <returns>The exit status: 0 when every node drained.</returns>
    /// <exception cref="InvalidOptionException">A port is in use.</exception>
    /// <exception cref="NodeFailedException">A node did not start; none is left running.</exception>
    public static async Task<int> RunAsync(Session session, ClusterPlan plan)
    {
        if (session.Configuration.HasTls)
        {
            throw new InvalidOptionException("om up speaks plain http on the loopback address: unset OM_TLS_CERT and OM_TLS_KEY, or start nodes with om serve");
        }

        if (FreePorts.FirstTaken(plan.Ports ?? []) is { } taken)
        {
            throw new InvalidOptionException(string.Create(
                CultureInfo.InvariantCulture, $"port {taken} on 127.0.0.1 is in use: stop what listens there, or name another first port with --port"));
        }

        using var stop = new CancellationTokenSource();
        ClusterProcess? cluster = null;
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        KeepOldLogs(plan);
        await using var started = cluster = await ClusterProcess.StartAsync(plan);
        var local = new LocalCluster(session, cluster, stop.Token);
        try
        {
            await local.IntroduceAsync();
            await Task.WhenAll(Enumerable.Range(0, cluster.Count).Select(local.FollowAsync));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // A signal came before the cluster was up.
        }

        local.Say("stopping");
        var statuses = await cluster.StopAsync(session.Configuration.ShutdownGrace + StopSlack);
        return statuses.All(static status => status == 0) ? 0 : 1;

        void OnSignal(PosixSignalContext context)
        {
            if (stop.IsCancellationRequested)
            {
                cluster?.Kill();
            }
            else
            {
                context.Cancel = true;
                stop.Cancel();
            }
        }
    }

    private static void KeepOldLogs(ClusterPlan plan)
    {
        foreach (var log in Enumerable.Range(0, plan.Nodes).Select(node => Path.Combine(plan.Folder, $"{ClusterProcess.NameOf(node)}.log")).Where(File.Exists))
        {
            File.Move(log, $"{log}.old", overwrite: true);
        }
    }

    private async Task IntroduceAsync()
    {
        await WaitUntilReadyAsync();
        var imported = await ImportWhenEmptyAsync();
        var urls = _cluster.Addresses.Select(static address => address.GetLeftPart(UriPartial.Authority)).ToList();
        for (var node = 0; node < urls.Count; node++)
        {
            _session.Text.WriteLine($"{ClusterProcess.NameOf(node)} listening on {urls[node]}");
        }

        _session.Text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"a write is answered when {_cluster.QuorumWrites} of {urls.Count} nodes hold it on disk"));
        Introduction.Write(_session.Text, _cluster.Folder, imported, urls[0], urls[^1], _cluster[0].Plan.Database, _session.Configuration.ApiKey is not null);
        _session.Text.WriteLine("Ctrl-C stops the nodes; the data stays.");
        _session.Text.Flush();
    }

    private async Task WaitUntilReadyAsync()
    {
        using var health = new ClusterHealth(_cluster.Addresses, _session.Configuration.ApiKey);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(_stop);
        deadline.CancelAfter(ReadyDeadline);
        try
        {
            await health.WaitUntilConnectedAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            throw new NodeFailedException(string.Create(CultureInfo.InvariantCulture, $"the nodes did not find each other within {ReadyDeadline.TotalSeconds} s"));
        }
    }

    private async Task<long?> ImportWhenEmptyAsync()
    {
        foreach (var address in _cluster.Addresses)
        {
            await using var service = new RemoteMemoryService(address, _session.Configuration.ApiKey);
            if ((await service.StatisticsAsync(_stop)).Total > 0)
            {
                return null;
            }
        }

        await using var first = new RemoteMemoryService(_cluster.Addresses[0], _session.Configuration.ApiKey);
        return (await SampleSet.ImportAsync(first, _stop)).Imported;
    }

    /// <summary>Follows one node until the cluster stops.</summary>
    private async Task FollowAsync(int node)
    {
        using var health = new ClusterHealth([_cluster.Addresses[node]], _session.Configuration.ApiKey);
        var name = ClusterProcess.NameOf(node);
        var pause = FirstPause;
        var startedAt = TimeProvider.System.GetTimestamp();
        string? told = null;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _cluster[node].Ended.WaitAsync(CheckInterval, _stop);
            }
            catch (TimeoutException)
            {
                var problem = await health.ProblemAsync(0, _stop);
                if (problem != told && !_stop.IsCancellationRequested)
                {
                    Say(problem is null ? $"{name} is back at {_cluster.Addresses[node].GetLeftPart(UriPartial.Authority)}" : $"{name} is not ready: {problem}");
                    told = problem;
                }

                continue;
            }
            catch (OperationCanceledException)
            {
                return;
            }

            told = _cluster[node].LastWord;
            if (TimeProvider.System.GetElapsedTime(startedAt) > Settled)
            {
                pause = FirstPause;
            }

            Say($"{name} is down: {told}; it is started again in {pause.TotalSeconds.ToString("0.##", CultureInfo.InvariantCulture)} s");
            try
            {
                await Task.Delay(pause, _stop);
                startedAt = TimeProvider.System.GetTimestamp();
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
                await _cluster.StartAsync(node);
                Say($"{name} is started again");
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (NodeFailedException exception)
            {
                Say(exception.Message);
            }
        }
    }

    private void Say(string line)
    {
        lock (_gate)
        {
            _session.Text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DateTime.Now:HH:mm:ss} {line}"));
            _session.Text.Flush();
        }
    }
}
