using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// The full-text index of a store, in its own file beside the main one (<c>-index</c>). One background thread follows
/// <c>index_queue</c> of the main file and writes the index in batches; a query waits until that thread has passed the last
/// write that was acknowledged before it. The index commits its place in the queue (the watermark) with what it applied, so
/// a crash at any instant neither skips nor repeats a change. What is lost or damaged is rebuilt from the main file in the background.
/// </summary>
internal sealed partial class SqliteTextIndex : ITextIndex, IDisposable
{
    /// <summary>Of the index file. Another one is rebuilt.</summary>
    public const int FormatVersion = TextIndexStep.CurrentVersion;

    /// <summary>Queue entries behind which <see cref="WaitForRoomAsync"/> holds the writer back.</summary>
    public const long MaxLag = 50_000;

    /// <summary>How long a query waits for the index to catch up before it answers with what there is.</summary>
    public static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(2);

    /// <summary>How long the writer is held back while the index makes no headway at all.</summary>
    private static readonly TimeSpan MaxStandstill = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan CoverPause = TimeSpan.FromMilliseconds(20);

    private const string Schema = """
        create table meta(
            key text primary key,
            value not null) without rowid;
        create virtual table ft using fts5(ns, title, tags, content, content='', detail=full, tokenize='porter unicode61 remove_diacritics 2');
        insert into ft(ft, rank) values('automerge', 16);
        insert into ft(ft, rank) values('crisismerge', 32);
        insert into ft(ft, rank) values('hashsize', 8388608);
        """;

    private readonly string _mainPath;
    private readonly string _path;
    private readonly string _identity;
    private readonly TimeProvider _time;
    private readonly Thread _thread;
    private readonly Lock _step = new();
    private readonly Lock _files = new();
    private readonly object _gate = new();
    private readonly HashSet<long> _touched = [];
    private readonly List<Waiter> _waiters = [];
    private readonly Queue<(long Number, long Timestamp)> _arrivals = [];
    private volatile RankTable _rank = new();
    private volatile int _generation;
    private volatile bool _damaged;
    private long _notified;
    private long _watermark;
    private long _durable;
    private long _touchesNotified;
    private long _touchesApplied;
    private long _applied;

    /// <summary>The first row that a rebuild has still to take; the largest number when there is none.</summary>
    private long _cursor;
    private bool _loaded;
    private long _incompleteSince;
    private bool _stopping;

    private SqliteTextIndex(string mainPath, string storeIdentity, TimeProvider time)
    {
        _mainPath = mainPath;
        _path = PathOf(mainPath);
        _identity = storeIdentity;
        _time = time;
        _main = SqliteDatabase.Open(mainPath, readOnly: true);
        OpenFile();
        _thread = new Thread(Run) { IsBackground = true, Name = "index" };
        _thread.Start();
    }

    /// <summary>Entries of the queue that the index has yet to apply.</summary>
    public long LagRows => Math.Max(0, Volatile.Read(ref _notified) - Volatile.Read(ref _watermark));

    /// <summary>How long the oldest of them has waited, to about 50 ms.</summary>
    public double LagSeconds
    {
        get
        {
            lock (_gate)
            {
                return _arrivals.TryPeek(out var oldest) ? _time.GetElapsedTime(oldest.Timestamp).TotalSeconds : 0;
            }
        }
    }

    /// <summary>Entries of the queue up to this number are on stable storage in the index; the main store may delete them.</summary>
    public long DurableWatermark => Volatile.Read(ref _durable);

    /// <summary>Entries of the queue up to this number are visible to queries.</summary>
    public long Watermark => Volatile.Read(ref _watermark);

    /// <summary>False while the index is being loaded or rebuilt.</summary>
    public bool IsComplete
    {
        get
        {
            lock (_gate)
            {
                return _loaded && _cursor == long.MaxValue && !_damaged;
            }
        }
    }

    /// <summary>The last row that a rebuild has taken; the largest number when there is none.</summary>
    public long RebuiltThrough
    {
        get
        {
            lock (_gate)
            {
                return _damaged || _cursor == long.MinValue ? long.MinValue : _cursor == long.MaxValue ? long.MaxValue : _cursor - 1;
            }
        }
    }

    /// <summary>What the indexer last failed with; null once it works again.</summary>
    public Exception? LastFailure { get; private set; }

    /// <summary>Where the index of a store lies.</summary>
    public static string PathOf(string mainPath) => mainPath + "-index";

    /// <param name="mainPath">The main file, with its tables.</param>
    /// <param name="storeIdentity">Changes whenever the main file is another store, or an older copy of this one.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: a file cannot be opened.</exception>
    public static SqliteTextIndex Open(string mainPath, string storeIdentity, TimeProvider time) => new(mainPath, storeIdentity, time);

    /// <summary>
    /// Tells of a committed transaction of the main store. Cheap; call it after each commit and before its callers are answered.
    /// </summary>
    /// <param name="lastQueueNumber">The last number in <c>index_queue</c> so far.</param>
    /// <param name="rankChanged">
    /// Rows whose tier, priority, confidence, access count, times, agent or scope changed without an entry in the queue.
    /// </param>
    public void Notify(long lastQueueNumber, ReadOnlySpan<long> rankChanged = default)
    {
        lock (_gate)
        {
            if (lastQueueNumber > _notified)
            {
                var now = _time.GetTimestamp();
                if (_arrivals.Count == 0 || now - _lastArrival > _time.TimestampFrequency / 20)
                {
                    _arrivals.Enqueue((_notified + 1, now));
                    _lastArrival = now;
                }

                Volatile.Write(ref _notified, lastQueueNumber);
            }

            foreach (var row in rankChanged)
            {
                _touched.Add(row);
            }

            _touchesNotified += rankChanged.Length;
            if (_idle || _notified - _watermark >= EagerRows)
            {
                Monitor.Pulse(_gate);
            }
        }
    }

    /// <summary>Completes at once, or when the index is no further behind than <see cref="MaxLag"/>.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.Overloaded"/>: the index has stood still for <see cref="MaxStandstill"/>.</exception>
    public async ValueTask WaitForRoomAsync(CancellationToken cancellation = default)
    {
        var since = _time.GetTimestamp();
        var seen = Watermark;
        while (LagRows > MaxLag)
        {
            await WaitAsync(Volatile.Read(ref _notified) - MaxLag, 0, Need.Queue, cancellation);
            if (Watermark != seen)
            {
                (since, seen) = (_time.GetTimestamp(), Watermark);
            }
            else if (_time.GetElapsedTime(since) > MaxStandstill)
            {
                throw new MemoryException(
                    ErrorKind.Overloaded, $"the full-text index is {LagRows} rows behind and does not move; nothing was stored: {LastFailure?.Message ?? "it is slow"}", LastFailure);
            }
        }
    }

    /// <inheritdoc/>
    public async Task<ITextReader> ReadAsync(CancellationToken cancellation)
    {
        long target, touches;
        lock (_gate)
        {
            target = _notified;
            touches = _touchesNotified;
        }

        var current = await WaitAsync(target, touches, Need.CompleteSoon, cancellation);
        return await RentAsync(current, cancellation);
    }

    /// <inheritdoc/>
    public async Task CoverAsync(long row, CancellationToken cancellation)
    {
        while (RebuiltThrough < row)
        {
            ObjectDisposedException.ThrowIf(_stopping, this);
            await Task.Delay(CoverPause, _time, cancellation);
        }
    }

    /// <summary>Stops the indexer after its batch and makes the index durable. No reader may be in use.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_stopping)
            {
                return;
            }

            _stopping = true;
            Monitor.PulseAll(_gate);
        }

        _thread.Join();
        lock (_gate)
        {
            foreach (var waiter in _waiters)
            {
                waiter.Reached.TrySetResult();
            }
        }

        lock (_files)
        {
            while (_idleReaders.TryPop(out var reader))
            {
                reader.Close();
            }

            _writer?.Dispose();
            _writer = null;
        }

        _main.Dispose();
        _readers.Dispose();
    }

    /// <summary>True when the index reached the target in time.</summary>
    private async ValueTask<bool> WaitAsync(long target, long touches, Need need, CancellationToken cancellation)
    {
        Waiter waiter;
        lock (_gate)
        {
            waiter = new(target, touches, need, new(TaskCreationOptions.RunContinuationsAsynchronously));
            if (HasReached(waiter))
            {
                return true;
            }

            ObjectDisposedException.ThrowIf(_stopping, this);
            _waiters.Add(waiter);
            Monitor.Pulse(_gate);
        }

        try
        {
            await waiter.Reached.Task.WaitAsync(MaxWait, _time, cancellation);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
        finally
        {
            lock (_gate)
            {
                _waiters.Remove(waiter);
            }
        }
    }

    private bool HasReached(Waiter waiter) => _watermark >= waiter.Target && _touchesApplied >= waiter.Touches && waiter.Need switch
    {
        Need.Queue => true,
        Need.CompleteSoon => (_loaded && _cursor == long.MaxValue && !_damaged) || _time.GetElapsedTime(_incompleteSince) > MaxWait,
        _ => _loaded && _cursor == long.MaxValue && !_damaged,
    };

    private enum Need
    {
        /// <summary>The queue was followed to the target.</summary>
        Queue,

        /// <summary>Also complete, unless that takes long: a query waits for a small store to load, not for a large one.</summary>
        CompleteSoon,

        Complete,
    }

    private sealed record Waiter(long Target, long Touches, Need Need, TaskCompletionSource Reached);
}
