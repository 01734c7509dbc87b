using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Grains;
using OrleansMemory.Storage.Clustering;

namespace OrleansMemory.Silo;

/// <summary>
/// The part of a process that Orleans knows: a silo, or a client. It joins in the background, for as long as it takes, since what keeps
/// it from joining may pass, and leaves when it is told.
/// </summary>
/// <param name="build">Makes a host for one attempt.</param>
/// <param name="grace">How long leaving may take.</param>
internal sealed partial class ClusterMember(
    ClusterConnection cluster, ClusterDatabase database, string clusterId, Func<IHost> build, TimeSpan grace, TimeProvider time, ILogger<ClusterMember> logger) : IDisposable
{
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _leaving = new();
    private Task _joining = Task.CompletedTask;
    private IHost? _host;

    /// <summary>What the host has; null while it has not joined.</summary>
    public IServiceProvider? Services => cluster.Problem is null ? _host?.Services : null;

    public void Join() => _joining = JoinAsync();

    public async Task LeaveAsync()
    {
        await _leaving.CancelAsync();
        await _joining;
        if (_host is not { } host)
        {
            return;
        }

        using var atMost = new CancellationTokenSource(grace, time);
        try
        {
            await host.StopAsync(atMost.Token);
        }
        catch (Exception exception)
        {
            LogLeaveFailed(exception);
        }

        cluster.Close("this process has left the cluster");
        await DisposeAsync(host);
    }

    /// <summary>After it has left.</summary>
    public void Dispose() => _leaving.Dispose();

    private async Task JoinAsync()
    {
        for (var pause = FirstPause; !_leaving.IsCancellationRequested; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            IHost? host = null;
            try
            {
                if (!await database.IsInitializedAsync(_leaving.Token))
                {
                    throw new InvalidOptionException("the cluster's database has no tables for Orleans yet: run om cluster init --connection with it");
                }

                host = build();
                await host.StartAsync(_leaving.Token);
                _host = host;
                cluster.Open(host.Services);
                LogJoined(clusterId);
                await WatchAsync();
                return;
            }
            catch (Exception exception)
            {
                await DisposeAsync(host);
                if (_leaving.IsCancellationRequested)
                {
                    return;
                }

                cluster.Close($"cannot join the cluster: {exception.Message}");
                LogNotJoined(exception, clusterId);
            }

            await Task.WhenAny(Task.Delay(pause, time, _leaving.Token));
        }
    }

    /// <summary>A member needs the cluster's database only when members change; that it is away is told before.</summary>
    private async Task WatchAsync()
    {
        while (!_leaving.IsCancellationRequested)
        {
            await Task.WhenAny(Task.Delay(WatchInterval, time, _leaving.Token));
            try
            {
                await database.IsInitializedAsync(_leaving.Token);
                cluster.Warning = null;
            }
            catch (Exception exception)
            {
                cluster.Warning = _leaving.IsCancellationRequested ? null : $"the cluster's database cannot be reached, and no change of members is seen: {exception.Message}";
            }
        }
    }

    private async Task DisposeAsync(IHost? host)
    {
        try
        {
            await (host is IAsyncDisposable disposable ? disposable.DisposeAsync() : default);
        }
        catch (Exception exception)
        {
            LogLeaveFailed(exception);
        }
    }

    [LoggerMessage(4001, LogLevel.Information, "Joined the cluster {Cluster}")]
    private partial void LogJoined(string cluster);

    [LoggerMessage(4002, LogLevel.Error, "Cannot join the cluster {Cluster}; it is tried again")]
    private partial void LogNotJoined(Exception exception, string cluster);

    [LoggerMessage(4003, LogLevel.Warning, "Did not leave the cluster in order; the others notice by themselves")]
    private partial void LogLeaveFailed(Exception exception);
}
