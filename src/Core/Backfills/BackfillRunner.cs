using System.Globalization;
using System.Reflection;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Backfills;

/// <summary>
/// Runs the steps of one store in the background, in the order of what they depend on. Each batch goes through the store's one writer
/// with its rows, its cursor and its progress, under a lease whose epoch fences: what an older epoch brings commits nothing.
/// </summary>
public sealed class BackfillRunner : IAsyncDisposable
{
    private const int ShownQuarantine = 100;
    private const int SavedCursorRows = 1_000;
    private const int Rounds = 10;

    /// <summary>Less would not be waited for at all.</summary>
    private static readonly TimeSpan ShortestRest = TimeSpan.FromMilliseconds(1);

    private static readonly string CodeVersion = typeof(BackfillRunner).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    private readonly IMemoryStore _store;
    private readonly CommandWriter _writer;
    private readonly IReadOnlyList<IBackfillStep> _steps;
    private readonly BackfillSettings _settings;
    private readonly string _opening;
    private readonly string _owner;
    private readonly TimeProvider _time;
    private Random _random = new(0);
    private readonly BackfillPace _pace;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, double> _rates = new(StringComparer.Ordinal);
    private readonly HashSet<(string Step, BackfillEventKind Kind)> _told = [];
    private readonly Dictionary<string, string> _checked = new(StringComparer.Ordinal);
    private int _controls;
    private int _controlsSeen;
    private TaskCompletionSource _wake = NewSignal();
    private volatile TaskCompletionSource _noticed = NewSignal();
    private Task _loop = Task.CompletedTask;

    /// <param name="opening">
    /// Names this opening of the store. Only one process has a store open, so a lease that was taken under another opening is nobody's.
    /// </param>
    /// <param name="name">Of this runner among those of the same opening.</param>
    /// <exception cref="ArgumentException">Steps depend on one another in a circle, or on one that is not among them, or share a name.</exception>
    public BackfillRunner(
        IMemoryStore store, CommandWriter writer, IReadOnlyList<IBackfillStep> steps, BackfillSettings settings, string opening, string name, TimeProvider time)
    {
        _store = store;
        _writer = writer;
        _steps = Ordered(steps);
        _settings = settings;
        _opening = $"@{opening}";
        _owner = name + _opening;
        _time = time;
        _pace = new(writer, settings, time);
    }

    /// <summary>Told from the runner's own scheduler; must be quick and never throw.</summary>
    public Action<BackfillEvent>? Observer { get; set; }

    /// <summary>Reads what the nodes of a cluster reported of their backfills, or null while it cannot; unset where nobody keeps such a record.</summary>
    public Func<CancellationToken, Task<IReadOnlyList<BackfillReport>?>>? Cluster { get; set; }

    /// <summary>Ends when every step that this code may run is complete for the first time.</summary>
    public Task Settled => _settled.Task;

    public IReadOnlyList<IBackfillStep> Steps => _steps;

    /// <param name="random">The runner's own.</param>
    /// <param name="scheduler">Exclusive: everything that the runner does runs on it, and never on the writer's.</param>
    public void Start(Random random, TaskScheduler scheduler)
    {
        _random = random;
        _loop = Task.Factory.StartNew(LoopAsync, CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler).Unwrap();
    }

    public async Task<BackfillOverview> ReadAsync(CancellationToken cancellation = default)
    {
        var ledger = await _store.ReadBackfillsAsync(cancellation);
        var known = _steps.Where(step => !ledger.Any(record => record.Step == step.Name && record.Version == step.Version))
            .Select(static step => new BackfillRecord(step.Name, step.Version) { Marker = step.Marker });
        var statuses = ledger.Concat(known).OrderBy(static record => record.Step, StringComparer.Ordinal).ThenBy(static record => record.Version)
            .Select(record => new BackfillStatus(record, RateOf(record)));
        return new([.. statuses], await _store.ReadQuarantineAsync(ShownQuarantine, cancellation));
    }

    /// <summary>Stops a step before its next batch, also over restarts, until it is resumed.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>: no such step.</exception>
    public Task PauseAsync(string step) => ControlAsync(step, static (_, record) => record.State == BackfillState.Complete
        ? record
        : Released(record) with { State = BackfillState.Paused });

    /// <inheritdoc cref="PauseAsync"/>
    public Task ResumeAsync(string step) => ControlAsync(step, static (_, record) => record.State == BackfillState.Paused
        ? record with { State = BackfillState.Pending, NextAttemptAt = null }
        : record);

    /// <summary>Tries a step that failed at once, and rows that are in quarantine once more.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>: no such step.</exception>
    public Task RetryAsync(string step) => ControlAsync(step, static (session, record) =>
    {
        session.Release(record.Step, record.Version);
        return record with
        {
            State = record.State == BackfillState.Failed ? BackfillState.Pending : record.State,
            Attempts = 0,
            NextAttemptAt = null,
            Quarantined = 0,
            Cursor = "",
        };
    });

    /// <summary>One of <see cref="BackfillActions"/> that change something.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>: no such step; <see cref="ErrorKind.InvalidQuery"/>: no such action.</exception>
    public Task ActAsync(string action, string step) => action switch
    {
        BackfillActions.Pause => PauseAsync(step),
        BackfillActions.Resume => ResumeAsync(step),
        BackfillActions.Retry => RetryAsync(step),
        _ => throw new MemoryException(ErrorKind.InvalidQuery, $"no such action '{action}': use pause, resume, retry or dry-run"),
    };

    /// <summary>Counts the rows that a step, or each of them, would take; touches none.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NotFound"/>: no such step.</exception>
    public async Task<IReadOnlyList<BackfillDryRun>> DryRunAsync(string? step = null, CancellationToken cancellation = default)
    {
        var counted = new List<BackfillDryRun>();
        foreach (var known in step is null ? _steps : [Find(step)])
        {
            counted.Add(new(known.Name, known.Version, await known.RemainingAsync(cancellation)));
        }

        return counted;
    }

    /// <summary>Stops after the batch that is under way.</summary>
    public async ValueTask DisposeAsync()
    {
        _stopping.Cancel();
        Wake();
        await _loop;
        _stopping.Dispose();
    }

    private async Task ControlAsync(string step, Func<WriteSession, BackfillRecord, BackfillRecord> change)
    {
        var known = Find(step);
        await _writer.RunAsync(async session =>
        {
            var held = await session.FindBackfillAsync(known.Name, known.Version) ?? new(known.Name, known.Version) { Marker = known.Marker };
            var changed = change(session, held);
            if (!ReferenceEquals(changed, held))
            {
                Put(session, changed);
            }

            return 0;
        });
        lock (_gate)
        {
            _controls++;
            _checked.Remove(step);
        }

        Wake();
    }

    private async Task LoopAsync()
    {
        var failures = 0;
        while (!_stopping.IsCancellationRequested)
        {
            var wake = Volatile.Read(ref _wake);
            if (_noticed.Task.IsCompleted)
            {
                _noticed = NewSignal();
            }

            TimeSpan rest;
            try
            {
                rest = await PassAsync();
                failures = 0;
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // The store is away: not even the failure can be written down.
                rest = Backoff(++failures);
                Tell(BackfillEventKind.Failed, "-", 0, exception.Message, exception: exception);
            }

            await RestAsync(rest, wake.Task);
        }
    }

    /// <summary>Each step once. Gives how long nothing needs to be done.</summary>
    private async Task<TimeSpan> PassAsync()
    {
        var rest = _settings.Sweep * (0.75 + (_random.NextDouble() / 2));
        lock (_gate)
        {
            _controlsSeen = _controls;
        }

        var ledger = await _store.ReadBackfillsAsync(_stopping.Token);
        var complete = new HashSet<string>(StringComparer.Ordinal);
        foreach (var step in _steps)
        {
            if (step.DependsOn.All(complete.Contains) && await RunAsync(step, ledger) is var due && (due is null ? complete.Add(step.Name) : due < rest))
            {
                rest = due ?? rest;
            }
        }

        if (complete.Count == _steps.Count)
        {
            _settled.TrySetResult();
        }

        return rest;
    }

    /// <returns>Null when the step is complete; else after how long it is to be looked at again.</returns>
    private async Task<TimeSpan?> RunAsync(IBackfillStep step, IReadOnlyList<BackfillRecord> ledger)
    {
        var record = ledger.FirstOrDefault(held => held.Step == step.Name && held.Version == step.Version);
        if (ledger.FirstOrDefault(held => held.Step == step.Name && held.Version > step.Version) is { } newer)
        {
            TellOnce(BackfillEventKind.NewerVersion, step, $"newer-version {newer.Version}");
            return null;
        }

        switch (record)
        {
            case { State: BackfillState.Paused }:
                TellOnce(BackfillEventKind.Paused, step, "paused");
                return _settings.Sweep;
            case { State: BackfillState.Failed, NextAttemptAt: { } next } when next > Timestamp.Now(_time):
                return TimeSpan.FromSeconds(next.SecondsSince(Timestamp.Now(_time)));
            case { State: BackfillState.Complete } when record.Marker == step.Marker && !await HasLateRowsAsync(step, record):
                TellOnce(BackfillEventKind.AlreadyComplete, step, "already-complete", record.RowsDone);
                return null;
            default:
                break;
        }

        if (record is not null && record.Marker != step.Marker)
        {
            Tell(BackfillEventKind.MarkerChanged, step.Name, step.Version, $"marker-changed from {record.Marker}");
        }

        try
        {
            var total = record?.StartedAt is null || record.Marker != step.Marker ? await step.RemainingAsync(_stopping.Token) : 0;
            if (await TakeAsync(step, record, ledger, total) is not { } taken)
            {
                return _settings.Sweep < _settings.Lease ? _settings.Sweep : _settings.Lease;
            }

            return await BatchesAsync(step, taken) ? null : _settings.Sweep;
        }
        catch (LeaseLostException exception)
        {
            Instruments.BackfillLeaseLosses.Add(1);
            _pace.Shrink();
            Tell(BackfillEventKind.LeaseLost, step.Name, step.Version, exception.Message);
            return TimeSpan.Zero;
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !_stopping.IsCancellationRequested)
        {
            return await FailAsync(step, exception);
        }
        finally
        {
            lock (_gate)
            {
                _rates.Remove(step.Name);
            }
        }
    }

    /// <summary>Whether a complete step has work again. Remembers how far it looked, and now and then writes it down.</summary>
    private async Task<bool> HasLateRowsAsync(IBackfillStep step, BackfillRecord record)
    {
        string? looked;
        lock (_gate)
        {
            looked = _checked.GetValueOrDefault(step.Name);
        }

        var page = await step.PendingAsync(looked ?? record.Cursor, 1, _stopping.Token);
        if (page.Rows.Count > 0)
        {
            return true;
        }

        lock (_gate)
        {
            // Who asked for another try meanwhile put rows behind this look back among the pending ones.
            if (_controls == _controlsSeen)
            {
                _checked[step.Name] = page.Cursor;
            }
        }

        // Not at the start: one with nothing pending writes nothing.
        if (looked is not null && long.TryParse(page.Cursor, CultureInfo.InvariantCulture, out var now) && long.TryParse(record.Cursor, CultureInfo.InvariantCulture, out var then) && now - then >= SavedCursorRows)
        {
            await _writer.RunAsync(async session =>
            {
                if (await session.FindBackfillAsync(step.Name, step.Version) == record)
                {
                    Put(session, record with { Cursor = page.Cursor });
                }

                return 0;
            });
        }

        return false;
    }

    /// <summary>
    /// Takes the lease under the next epoch, unless a runner of this opening holds one that has not ended, or has completed the step since
    /// the ledger was read.
    /// </summary>
    private Task<BackfillRecord?> TakeAsync(IBackfillStep step, BackfillRecord? seen, IReadOnlyList<BackfillRecord> ledger, long total) => _writer.RunAsync(async session =>
    {
        var held = await session.FindBackfillAsync(step.Name, step.Version);
        if (held is { State: BackfillState.Paused }
            || (held is { State: BackfillState.Complete } && held.Marker == step.Marker && seen?.State != BackfillState.Complete)
            || (held is { LeaseOwner: { } owner, LeaseExpiresAt: { } end } && end > session.Now && owner != _owner && owner.EndsWith(_opening, StringComparison.Ordinal)))
        {
            return null;
        }

        if (held is not null && held.Marker != step.Marker)
        {
            held = new BackfillRecord(step.Name, step.Version) { LeaseEpoch = held.LeaseEpoch };
            session.Release(step.Name, step.Version);
        }

        foreach (var older in ledger.Where(record => record.Step == step.Name && record.Version < step.Version && record.State != BackfillState.Superseded))
        {
            Put(session, Released(older) with { State = BackfillState.Superseded });
        }

        var taken = (held ?? new(step.Name, step.Version)) with { Marker = step.Marker };
        taken = taken with
        {
            State = taken.State == BackfillState.Complete ? BackfillState.Complete : BackfillState.Running,
            RowsTotal = taken.StartedAt is null ? total : taken.RowsTotal,
            StartedAt = taken.StartedAt ?? session.Now,
            LeaseOwner = _owner,
            LeaseEpoch = taken.LeaseEpoch + 1,
            LeaseExpiresAt = End(session),
            NextAttemptAt = null,
        };
        return (BackfillRecord?)Put(session, taken);
    });

    /// <returns>True when the step is complete.</returns>
    private async Task<bool> BatchesAsync(IBackfillStep step, BackfillRecord record)
    {
        Tell(
            record.State == BackfillState.Complete ? BackfillEventKind.Repairing : record.Cursor.Length > 0 ? BackfillEventKind.Resumed : BackfillEventKind.Started,
            step.Name,
            step.Version,
            record.State == BackfillState.Complete ? "late rows" : record.Cursor.Length > 0 ? $"resumed at {record.Cursor}" : $"{record.RowsTotal} rows",
            record.RowsDone);
        var started = _time.GetTimestamp();
        var before = record.RowsDone;
        for (var round = 1; ;)
        {
            await _pace.GiveWayAsync(_stopping.Token);
            var began = _time.GetTimestamp();
            var page = await step.PendingAsync(record.Cursor, _pace.Rows, _stopping.Token);
            var batch = page.Rows.Count > 0 ? await step.ApplyAsync(page.Rows, _stopping.Token) : new(static _ => new(0), []);

            // Once rows were found that it had passed over, the step's word for its last rows is not enough.
            var mayEnd = page.IsLast && await step.RemainingAsync(_stopping.Token) <= (round == 1 ? page.Rows.Count : 0);
            if (page is { IsLast: true, Rows.Count: 0 } && !mayEnd)
            {
                // Rows were passed over, as by a fault in the step: they must not be called done, nor be looked for without an end.
                page = page with { Cursor = "" };
                if (round++ == Rounds)
                {
                    throw new InvalidOperationException("rows are left that the step does not bring up");
                }
            }

            var (committed, hold) = await CommitAsync(step, record, page, batch, mayEnd);
            record = committed;
            if (record.State == BackfillState.Paused)
            {
                TellOnce(BackfillEventKind.Paused, step, "paused");
                return false;
            }

            var worked = _time.GetElapsedTime(began);
            Instruments.BackfillRows.Add(page.Rows.Count, new KeyValuePair<string, object?>("step", step.Name));
            Instruments.BackfillBatchSeconds.Record(worked.TotalSeconds);
            Instruments.BackfillLockSeconds.Record(hold.TotalSeconds);
            _pace.Learn(hold, worked, page.Rows.Count);
            if (batch.Failures.Count > 0)
            {
                Tell(BackfillEventKind.Quarantined, step.Name, step.Version, batch.Failures[0].Error, batch.Failures.Count);
            }

            lock (_gate)
            {
                _rates[step.Name] = (record.RowsDone - before) / Math.Max(_time.GetElapsedTime(started).TotalSeconds, 0.001);
            }

            if (record is { State: BackfillState.Complete, LeaseOwner: null })
            {
                var took = _time.GetElapsedTime(started).TotalSeconds;
                Tell(BackfillEventKind.Completed, step.Name, step.Version, string.Create(CultureInfo.InvariantCulture, $"{record.RowsDone - before} rows in {took:0.0} s"), record.RowsDone);
                return true;
            }

            await _pace.RestAsync(worked, _stopping.Token);
        }
    }

    /// <summary>Rows, cursor, progress and lease in one transaction; with the last batch the mark that the step is complete.</summary>
    /// <returns>Also how long other writes had to wait for it.</returns>
    private async Task<(BackfillRecord Record, TimeSpan Hold)> CommitAsync(IBackfillStep step, BackfillRecord lease, BackfillPage page, BackfillBatch batch, bool mayEnd)
    {
        var locked = 0L;
        var written = await _writer.RunAsync(async session =>
        {
            locked = _time.GetTimestamp();
            var held = await session.FindBackfillAsync(step.Name, step.Version);
            if (held is { State: BackfillState.Paused })
            {
                return held;
            }

            var isOurs = held is not null && held.LeaseEpoch == lease.LeaseEpoch && held.LeaseOwner == _owner;
            Faults.Replace(Fault.StaleEpochCommits, ref isOurs, held is not null);
            if (held is null || !isOurs)
            {
                throw new LeaseLostException($"epoch {lease.LeaseEpoch} is not the present one, {held?.LeaseEpoch ?? 0}");
            }

            // Never extended: whoever could have taken it meanwhile must be able to rely on its end.
            var hasEnded = held.LeaseExpiresAt is not { } end || end <= session.Now;
            Faults.Replace(Fault.ExpiredLeaseExtended, ref hasEnded, false);
            Faults.Replace(Fault.StaleEpochCommits, ref hasEnded, false);
            if (hasEnded)
            {
                throw new LeaseLostException($"the lease of epoch {lease.LeaseEpoch} has ended");
            }

            var left = await batch.WriteAsync(session);
            foreach (var (key, error) in batch.Failures)
            {
                session.Quarantine(new(step.Name, step.Version, key, error, session.Now));
            }

            var done = held.RowsDone + page.Rows.Count - left;
            var next = held with
            {
                Cursor = page.Cursor,
                RowsDone = done,
                RowsTotal = Math.Max(held.RowsTotal, done),
                Quarantined = held.Quarantined + batch.Failures.Count,
                Attempts = 0,
                LastError = batch.Failures.Count > 0 ? batch.Failures[^1].Error : held.LastError,
                LeaseExpiresAt = End(session),
            };
            if (mayEnd && left == 0 && await IsEmptyAfterAsync(step, page))
            {
                next = Released(next) with { State = BackfillState.Complete, CompletedAt = held.CompletedAt ?? session.Now, LastError = next.Quarantined > 0 ? next.LastError : null };
            }

            return Put(session, next);
        });
        return (written, _time.GetElapsedTime(locked));
    }

    /// <summary>The writer holds everybody off meanwhile: what the look-up finds now beside this batch's own rows is left.</summary>
    private static async Task<bool> IsEmptyAfterAsync(IBackfillStep step, BackfillPage page)
    {
        var after = await step.PendingAsync(page.Cursor, page.Rows.Count + 1);
        return after.Rows.Count == 0 || after.Rows.All(row => page.Rows.Any(own => own.Key == row.Key));
    }

    private async Task<TimeSpan?> FailAsync(IBackfillStep step, Exception exception)
    {
        var attempts = await _writer.RunAsync(async session =>
        {
            var held = await session.FindBackfillAsync(step.Name, step.Version) ?? new(step.Name, step.Version) { Marker = step.Marker };
            if (held.State == BackfillState.Paused || (held.LeaseOwner is { } owner && owner != _owner && held.LeaseExpiresAt > session.Now))
            {
                return held.Attempts;
            }

            var rest = Backoff(held.Attempts + 1);
            Put(session, Released(held) with
            {
                State = held.State == BackfillState.Complete ? BackfillState.Complete : BackfillState.Failed,
                Attempts = held.Attempts + 1,
                NextAttemptAt = new(session.Now.Nanoseconds + (rest.Ticks * 100)),
                LastError = $"{exception.GetType().Name}: {exception.Message}",
            });
            return held.Attempts + 1;
        });
        Tell(BackfillEventKind.Failed, step.Name, step.Version, $"attempt {attempts}: {exception.Message}", exception: exception);
        return Backoff(attempts);
    }

    private TimeSpan Backoff(int failures)
    {
        var longest = _settings.FirstRetry * Math.Pow(2, Math.Min(failures, 20) - 1);
        return (longest < _settings.LongestRetry ? longest : _settings.LongestRetry) * (0.5 + (_random.NextDouble() / 2));
    }

    private async Task RestAsync(TimeSpan rest, Task wake)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        var over = Task.Delay(rest > ShortestRest ? rest : ShortestRest, _time, ended.Token);
        var noticed = _noticed.Task;
        if (await Task.WhenAny(over, wake, noticed).OnOwnScheduler() == noticed)
        {
            await Task.WhenAny(over, wake, Task.Delay(_settings.Settle, _time, ended.Token)).OnOwnScheduler();
        }

        ended.Cancel();
    }

    /// <summary>There are rows in an old form now: they are looked for soon, however many say so, and not only at the next sweep. Cheap.</summary>
    public void Notice()
    {
        if (!_noticed.Task.IsCompleted)
        {
            _noticed.TrySetResult();
        }
    }

    private void Wake() => Interlocked.Exchange(ref _wake, NewSignal()).TrySetResult();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Timestamp End(WriteSession session) => new(session.Now.Nanoseconds + (_settings.Lease.Ticks * 100));

    private static BackfillRecord Released(BackfillRecord record) => record with { LeaseOwner = null, LeaseExpiresAt = null };

    private static BackfillRecord Put(WriteSession session, BackfillRecord record)
    {
        record = record with { UpdatedAt = session.Now, CodeVersion = CodeVersion };
        session.PutBackfill(record);
        return record;
    }

    private double RateOf(BackfillRecord record)
    {
        lock (_gate)
        {
            return record.LeaseOwner == _owner ? _rates.GetValueOrDefault(record.Step) : 0;
        }
    }

    private IBackfillStep Find(string step) =>
        _steps.FirstOrDefault(known => known.Name == step)
        ?? throw new MemoryException(ErrorKind.NotFound, $"there is no backfill '{step}'; there are: {string.Join(", ", _steps.Select(static known => known.Name))}");

    private void TellOnce(BackfillEventKind kind, IBackfillStep step, string reason, long rows = 0)
    {
        if (_told.Add((step.Name, kind)))
        {
            Tell(kind, step.Name, step.Version, reason, rows);
        }
    }

    private void Tell(BackfillEventKind kind, string step, int version, string reason, long rows = 0, Exception? exception = null) =>
        Observer?.Invoke(new(kind, step, version, reason, rows, exception));

    /// <summary>Each step after those that it depends on, otherwise as given.</summary>
    private static List<IBackfillStep> Ordered(IReadOnlyList<IBackfillStep> steps)
    {
        var ordered = new List<IBackfillStep>(steps.Count);
        while (ordered.Count < steps.Count)
        {
            var next = steps.FirstOrDefault(step => !ordered.Contains(step) && step.DependsOn.All(name => ordered.Exists(done => done.Name == name)))
                ?? throw new ArgumentException("backfills depend on one another in a circle, or on one that is not there", nameof(steps));
            ordered.Add(next);
        }

        return ordered.DistinctBy(static step => step.Name).Count() == ordered.Count ? ordered : throw new ArgumentException("two backfills share a name", nameof(steps));
    }

    private sealed class LeaseLostException(string message) : Exception(message);
}
