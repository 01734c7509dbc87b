using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Grains;

/// <summary>
/// Tells the cluster's record of startup tasks what this node's ledger says, again and again: a record that was lost, or a report that
/// was, is made up for. Nothing waits for it, and what it cannot reach it tries again later.
/// </summary>
public sealed class BackfillReporter : IAsyncDisposable
{
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(2);

    private readonly ClusterConnection _cluster;
    private readonly string _node;
    private readonly BackfillRunner _runner;
    private readonly TimeSpan _interval;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _loop;

    /// <param name="runner">Gets the record as its <see cref="BackfillRunner.Cluster"/>.</param>
    /// <param name="interval">Between two reports; after a failure too.</param>
    public BackfillReporter(ClusterConnection cluster, string node, BackfillRunner runner, TimeSpan interval, TimeProvider time)
    {
        _cluster = cluster;
        _node = node;
        _runner = runner;
        _interval = interval;
        _time = time;
        runner.Cluster = ReadAsync;
        _loop = LoopAsync();
    }

    /// <summary>Why the last round failed; null when it did not.</summary>
    public Exception? LastFailure { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _loop;
        _stopping.Dispose();
    }

    private async Task LoopAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await ReportAsync();
                LastFailure = null;
            }
            catch (Exception exception)
            {
                // The cluster or its database is away. The record grants nothing, so nothing is lost but time.
                LastFailure = exception;
            }

            await Task.WhenAny(Task.Delay(_interval, _time, _stopping.Token));
        }
    }

    private async Task ReportAsync()
    {
        if (_cluster.Grains is not { } grains)
        {
            return;
        }

        var ledger = (await _runner.ReadAsync(_stopping.Token)).Steps.Select(static status => status.Record).ToList();
        foreach (var step in _runner.Steps)
        {
            var newest = ledger.FindLast(record => record.Step == step.Name)!;
            await grains.GetGrain<IStartupTaskGrain>(step.Name).ReportAsync(
                new(_node, newest.Version, newest.State == BackfillState.Complete, _time.GetUtcNow().ToUnixTimeMilliseconds()));
        }
    }

    /// <summary>Null while it cannot be read: a node tells of itself all the same.</summary>
    private async Task<IReadOnlyList<BackfillReport>?> ReadAsync(CancellationToken cancellation)
    {
        if (_cluster.Grains is not { } grains)
        {
            return null;
        }

        try
        {
            var told = await Task.WhenAll(_runner.Steps.Select(async step =>
                (step.Name, Reports: await grains.GetGrain<IStartupTaskGrain>(step.Name).ReadAsync()))).WaitAsync(ReadTimeout, _time, cancellation);
            return
            [
                .. told.SelectMany(static step => step.Reports.Select(report =>
                    new BackfillReport(report.Node, step.Name, report.Version, report.IsComplete, Timestamp.FromUnixMilliseconds(report.At)))),
            ];
        }
        catch (Exception exception) when (!cancellation.IsCancellationRequested)
        {
            LastFailure = exception;
            return null;
        }
    }
}
