using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// Gathers the touches of recalled memories and writes them in batches, so that a recall writes nothing on its path. Touches that
/// were not written when the process dies are lost: they are hints about use, not acknowledged writes.
/// </summary>
internal sealed class AccessRecorder : IAsyncDisposable
{
    private const int MemoriesWaiting = 50_000;
    private const int MemoriesInBatch = 200;

    private readonly CommandWriter _writer;
    private readonly Lifetimes _lifetimes;
    private readonly TimeProvider _time;
    private readonly TimeSpan _interval;
    private readonly Func<bool> _mayWrite;
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _loop;
    private Dictionary<string, Touch> _waiting = new(StringComparer.Ordinal);

    /// <param name="mayWrite">False while the node must write nothing to its log yet: touches wait.</param>
    public AccessRecorder(CommandWriter writer, Func<bool> mayWrite, NodeSettings settings, TimeProvider time, TaskScheduler scheduler)
    {
        _mayWrite = mayWrite;
        _writer = writer;
        _lifetimes = settings.Lifetimes;
        _time = time;
        _interval = settings.TouchInterval;
        _loop = Task.Factory.StartNew(LoopAsync, CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler).Unwrap();
    }

    /// <summary>Counts one access of each memory, now. Never waits; when too many wait, more are dropped and counted as such.</summary>
    public void Record(IEnumerable<string> ids)
    {
        var now = Timestamp.Now(_time);
        lock (_gate)
        {
            foreach (var id in ids)
            {
                if (_waiting.TryGetValue(id, out var touch))
                {
                    _waiting[id] = new(touch.Count + 1, now);
                }
                else if (_waiting.Count < MemoriesWaiting)
                {
                    _waiting[id] = new(1, now);
                }
                else
                {
                    Instruments.TouchesDropped.Add(1);
                }
            }
        }
    }

    /// <summary>Writes what waits.</summary>
    public async Task FlushAsync()
    {
        if (!_mayWrite())
        {
            return;
        }

        Dictionary<string, Touch> touches;
        lock (_gate)
        {
            touches = _waiting;
            _waiting = new(StringComparer.Ordinal);
        }

        long written = 0;
        try
        {
            foreach (var batch in touches.Chunk(MemoriesInBatch))
            {
                written += await _writer.RunAsync(session => DecideAsync(session, batch), HintsOf(batch));
            }
        }
        finally
        {
            Instruments.TouchesDropped.Add(touches.Count - written);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _stopping.Cancel();
        await _loop;
        _stopping.Dispose();
    }

    private async Task LoopAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(_interval, _time, _stopping.Token);
            }
            catch (OperationCanceledException)
            {
                // The last touches are written on the way out.
            }

            try
            {
                await FlushAsync();
            }
            catch (Exception)
            {
                // Touches are hints: they were counted as dropped, and whoever writes next hears why. The loop goes on whatever it was.
            }
        }
    }

    private ReadHints HintsOf(KeyValuePair<string, Touch>[] touches) =>
        new([.. touches.Select(static touch => touch.Key)], [], [.. touches.Select(touch => EntryBodies.AccessKey(touch.Key, _writer.Log))]);

    private async ValueTask<int> DecideAsync(WriteSession session, KeyValuePair<string, Touch>[] touches)
    {
        foreach (var (id, touch) in touches)
        {
            if (await session.FindAsync(id) is not { Visibility: RowVisibility.Shown } row)
            {
                continue;
            }

            var key = EntryBodies.AccessKey(id, session.Position.Log);
            var held = await session.FindEntryAsync(key) is { } entry ? EntryBodies.Access(entry.Body).Count : 0;
            var body = new AccessBody(Math.Min(held + touch.Count, MemoryLimits.MaxAccessCount), touch.At.Nanoseconds);
            await session.PutAsync(new EntryState(key, id, null, Live: true, session.NextStamp(), EntryBodies.Encode(body)));
            var extended = _lifetimes.ExtensionOf(row.View.Tier, touch.At);
            if (row.Own.Expiry.Value is { } end && extended > end)
            {
                // Under the stamp of the last explicit set: a touch never beats what a caller said.
                await session.PutAsync((await session.FindAsync(id))!.Own with { Expiry = new(extended, row.Own.Expiry.Stamp) }, session.NextStamp());
            }
        }

        return touches.Length;
    }

    private readonly record struct Touch(long Count, Timestamp At);
}
