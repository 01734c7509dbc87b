using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills;

/// <summary>How large the next batch is, and how long to keep still before it: what others write goes first.</summary>
internal sealed class BackfillPace(CommandWriter writer, BackfillSettings settings, TimeProvider time)
{
    private const int FirstRows = 64;

    /// <summary>A batch is to take this part of its lease at most.</summary>
    private const int LeaseShare = 10;

    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestTurn = TimeSpan.FromMilliseconds(100);

    private int _rows = FirstRows;
    private long _taken;
    private bool _isBusy;

    /// <summary>Of the next batch, at most.</summary>
    public int Rows => Math.Min(_rows, settings.LargestBatch);

    /// <summary>Those who wait for the writer go first, for a bounded time.</summary>
    public async Task GiveWayAsync(CancellationToken cancellation)
    {
        for (var waited = TimeSpan.Zero; writer.Waiting > 0 && waited < LongestTurn; waited += Turn)
        {
            await Task.Delay(Turn, time, cancellation);
        }
    }

    /// <summary>Learns from a batch: towards the wanted hold of the lock, and well within the lease.</summary>
    /// <param name="hold">How long others had to wait for it.</param>
    /// <param name="worked">All of it.</param>
    /// <param name="rows">Fewer than <see cref="Rows"/> say nothing about more.</param>
    public void Learn(TimeSpan hold, TimeSpan worked, int rows)
    {
        // One command is the batch's own.
        var taken = writer.Taken;
        _isBusy = taken - _taken > 1;
        _taken = taken;
        var factor = Math.Clamp(Math.Min(Ratio(_isBusy ? settings.BusyHold : settings.Hold, hold), Ratio(settings.Lease / LeaseShare, worked)), 0.25, 2);
        if (factor < 1 || rows >= Rows)
        {
            _rows = Math.Clamp((int)(_rows * factor), 1, settings.LargestBatch);
        }

        static double Ratio(TimeSpan wanted, TimeSpan taken) => wanted / (taken > TimeSpan.Zero ? taken : Turn);
    }

    /// <summary>A batch took longer than its lease.</summary>
    public void Shrink() => _rows = Math.Max(1, _rows / 2);

    public Task RestAsync(TimeSpan worked, CancellationToken cancellation)
    {
        var rest = _isBusy ? worked * settings.BusyRest : Turn;
        return Task.Delay(rest > Turn ? rest : Turn, time, cancellation);
    }
}
