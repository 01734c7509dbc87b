using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills;

/// <summary>How large the next batch is, and how long to keep still before it: what others write goes first.</summary>
internal sealed class BackfillPace(CommandWriter writer, BackfillSettings settings, TimeProvider time)
{
    private const int FirstRows = 64;

    /// <summary>A commit costs the same however few rows it has: with fewer than these most of the hold would be that, and less of it is not had by fewer rows.</summary>
    private const int FewestForHold = 16;

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
        var byHold = Math.Max(FewestForHold, _rows * Ratio(_isBusy ? settings.BusyHold : settings.Hold, hold));
        var wanted = Math.Clamp((int)Math.Min(byHold, _rows * Ratio(settings.Lease / LeaseShare, worked)), 1, settings.LargestBatch);
        if (wanted < _rows || rows >= Rows)
        {
            _rows = wanted;
        }

        static double Ratio(TimeSpan wanted, TimeSpan taken) => Math.Clamp(wanted / (taken > TimeSpan.Zero ? taken : Turn), 0.25, 2);
    }

    /// <summary>A batch took longer than its lease.</summary>
    public void Shrink() => _rows = Math.Max(1, _rows / 2);

    public Task RestAsync(TimeSpan worked, CancellationToken cancellation)
    {
        var rest = _isBusy ? worked * settings.BusyRest : Turn;
        return Task.Delay(rest > Turn ? rest : Turn, time, cancellation);
    }
}
