using System.Threading.Channels;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>What a decision gave, and the range of its mutations in the log; none when <paramref name="Last"/> is below <paramref name="First"/>.</summary>
/// <param name="Memories">Those that the mutations write to.</param>
public sealed record Decided<T>(T Value, LogId Log, long First, long Last, IReadOnlyList<string> Memories);

/// <summary>
/// The one writer of a store. It takes all commands that wait, runs them in order in one transaction, each on the state that the
/// ones before it left, and answers every caller after the one fsync. A command that fails is undone alone. Decide and commit are
/// one step, so two creates of one title never both find it free.
/// </summary>
public sealed class CommandWriter : IAsyncDisposable
{
    private const int QueuedCommands = 8_192;
    private const int CommandsInGroup = 1_024;

    private static readonly TimeSpan SettlePause = TimeSpan.FromMilliseconds(200);

    private readonly IMemoryStore _store;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Channel<Command> _queue;
    private readonly TaskCompletionSource<StoreFatalException> _fatal = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _loop = Task.CompletedTask;
    private StoreHead _head;

    /// <summary>Committed, or not: the store went away before it said.</summary>
    private ChangeSet? _unsettled;
    private long _openedAt;
    private long _taken;
    private Timestamp _lastNow;
    private volatile bool _stopped;

    private CommandWriter(IMemoryStore store, TimeProvider time, Random random)
    {
        _store = store;
        _time = time;
        _random = random;
        _queue = Channel.CreateBounded<Command>(new BoundedChannelOptions(QueuedCommands) { SingleReader = true });
    }

    /// <summary>Ends when the store can no longer be trusted: the process must stop and recover from disk.</summary>
    public Task<StoreFatalException> Fatal => _fatal.Task;

    /// <summary>The log that is written now.</summary>
    public LogId Log => _store.Log;

    /// <summary>Commands that wait now.</summary>
    public int Waiting => _queue.Reader.Count;

    /// <summary>Commands that were taken so far.</summary>
    public long Taken => Volatile.Read(ref _taken);

    /// <summary>The last sequence number before what was written since the store was opened, or its log renewed.</summary>
    public long OpenedAt => _openedAt;

    /// <summary>Gets every change before it is committed; set before the first command. Must be quick and never throw.</summary>
    public Action<ChangeSet>? Committing { get; set; }

    /// <summary>Gets every commit before its callers are answered; set before the first command. Must be quick and never throw.</summary>
    public Action<LogId, ChangeSet>? Committed { get; set; }

    /// <summary>The instant that a group of commands is run at; set before the first command. Unset: the wall clock's.</summary>
    public Func<Timestamp>? Clock { get; set; }

    /// <summary>Whether the numbers that the log goes on with are free; set before the first command. Unset: they are.</summary>
    public Func<bool>? MayLog { get; set; }

    /// <param name="scheduler">Exclusive: everything that the writer does runs on it.</param>
    public static async Task<CommandWriter> StartAsync(IMemoryStore store, TaskScheduler scheduler, TimeProvider time, Random random)
    {
        var writer = new CommandWriter(store, time, random) { _head = await store.ReadHeadAsync() };
        writer._openedAt = writer._head.Sequence;
        writer._loop = Task.Factory.StartNew(writer.LoopAsync, CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler).Unwrap();
        return writer;
    }

    /// <summary>
    /// Runs a decision in the next transaction. The task ends when what it decided is on stable storage, or with what it threw;
    /// then it changed nothing.
    /// </summary>
    /// <param name="hints">What the decision will most likely read.</param>
    public async Task<T> RunAsync<T>(Func<WriteSession, ValueTask<T>> decide, ReadHints? hints = null) => (await DecideAsync(decide, hints)).Value;

    /// <summary>As <see cref="RunAsync"/>, with where the decision's mutations stand in the log.</summary>
    public async Task<Decided<T>> DecideAsync<T>(Func<WriteSession, ValueTask<T>> decide, ReadHints? hints = null)
    {
        var command = new Command<T>(decide, hints);
        try
        {
            if (!_queue.Writer.TryWrite(command))
            {
                await _queue.Writer.WriteAsync(command);
            }
        }
        catch (ChannelClosedException)
        {
            throw _stopped
                ? new MemoryException(ErrorKind.StoreFailed, "the store failed and the node is stopping; retry on another node")
                : new MemoryException(ErrorKind.Draining, "the node is shutting down; retry on another node");
        }

        return await command.Task;
    }

    /// <summary>A clock reading below every stamp that is drawn from now on, and the last sequence number before it.</summary>
    public Task<StoreHead> DrawClockAsync() => RunAsync(static session =>
    {
        session.NextStamp();
        return ValueTask.FromResult(session.Head);
    });

    /// <summary>The last sequence number and clock reading, none drawn for it.</summary>
    public Task<StoreHead> ReadHeadAsync() => RunAsync(static session => ValueTask.FromResult(session.Head));

    /// <summary>Begins a new log under a new incarnation; what the old one holds since the store was opened is written to it again.</summary>
    public Task RenewLogAsync() => RunAsync(static session =>
    {
        session.RequestRenewal();
        return ValueTask.FromResult(new Renewal());
    });

    /// <summary>Takes no more commands, finishes those that wait.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _loop;
    }

    private async Task LoopAsync()
    {
        var group = new List<Command>(CommandsInGroup);
        try
        {
            while (await NextAsync())
            {
                while (group.Count < CommandsInGroup && _queue.Reader.TryRead(out var command))
                {
                    group.Add(command);
                }

                Volatile.Write(ref _taken, _taken + group.Count);
                await RunGroupAsync(group);
                group.Clear();
            }
        }
        catch (Exception exception)
        {
            // A writer that is dead in silence would let every caller wait for ever.
            Stop(group, exception as StoreFatalException ?? new("the writer failed in a way that was not foreseen", exception));
        }
    }

    /// <summary>Waits for commands, and meanwhile for the end of a commit that is in doubt: peers are to get it without another write.</summary>
    private async Task<bool> NextAsync()
    {
        var queued = QueuedAsync();
        while (_unsettled is not null && !queued.IsCompleted)
        {
            await Task.WhenAny(queued, Task.Delay(SettlePause, _time));
            try
            {
                await SettleAsync();
            }
            catch (MemoryException)
            {
                // Not yet.
            }
        }

        return await queued;
    }

    /// <summary>Ends on the writer's scheduler, which a combinator over the queue's own task would leave.</summary>
    private async Task<bool> QueuedAsync() => await _queue.Reader.WaitToReadAsync();

    private async Task SettleAsync()
    {
        if (_unsettled is not { } changes)
        {
            return;
        }

        var stored = await _store.SettleAsync();
        _unsettled = null;
        if (stored)
        {
            Publish(changes);
        }
    }

    /// <summary>Answers every command of the group. What it throws ends the writer: what is on disk is not known.</summary>
    private async Task RunGroupAsync(List<Command> group)
    {
        var started = _time.GetTimestamp();
        var renew = false;
        ChangeSet? changes = null;
        try
        {
            await SettleAsync();
            await using var transaction = await _store.BeginAsync();
            if (HintsOf(group) is { } hints)
            {
                await transaction.PrefetchAsync(hints);
            }

            var now = Now();
            var session = new WriteSession(transaction, _store.Log, MayLog?.Invoke() ?? true, _head, now > _lastNow ? now : _lastNow, _random);
            foreach (var command in group)
            {
                session.BeginDecision();
                await command.DecideAsync(session);
            }

            _head = _head with { Clock = session.Head.Clock };
            renew = session.RenewalRequested;
            if (session.HasChanges)
            {
                changes = session.ToChangeSet();
                Committing?.Invoke(changes);
                Faults.Run(Fault.AckBeforeCommit, () => group.ForEach(static command => command.Complete()));
                await transaction.CommitAsync(changes);
                _lastNow = changes.Log.Count > 0 ? session.Now : _lastNow;
            }
        }
        catch (MemoryException exception)
        {
            Fail(group, exception);
            return;
        }
        catch (CommitUncertainException exception)
        {
            _unsettled = changes;
            Fail(group, new UncertainWriteException(exception));
            return;
        }
        catch (Exception exception) when (changes is null && exception is not StoreFatalException)
        {
            Fail(group, new MemoryException(ErrorKind.StoreFailed, $"the store failed; nothing was stored: {exception.Message}", exception));
            return;
        }

        if (changes is not null)
        {
            Publish(changes);
            Instruments.CommitRows.Record(changes.Log.Count);
            Instruments.CommitSeconds.Record(_time.GetElapsedTime(started).TotalSeconds);
        }

        MemoryException? notRenewed = null;
        if (renew)
        {
            try
            {
                await RenewAsync();
            }
            catch (MemoryException exception)
            {
                // The group itself is on disk; only those who asked for the new log hear of this.
                notRenewed = exception;
            }
        }

        foreach (var command in group)
        {
            if (notRenewed is not null && command.AsksRenewal)
            {
                command.Fail(notRenewed);
            }
            else
            {
                command.Complete();
            }
        }
    }

    /// <summary>Goes on from what was committed, and tells of it.</summary>
    private void Publish(ChangeSet changes)
    {
        _head = changes.Head;
        Committed?.Invoke(_store.Log, changes);
    }

    /// <summary>Takes nothing more; nobody gets an answer that could be wrong.</summary>
    private void Stop(List<Command> group, StoreFatalException exception)
    {
        _stopped = true;
        _queue.Writer.TryComplete();
        Fail(group, new UncertainWriteException(exception));
        while (_queue.Reader.TryRead(out var waiting))
        {
            waiting.Fail(new MemoryException(ErrorKind.StoreFailed, "the store failed and the node is stopping; nothing was stored", exception));
        }

        _fatal.TrySetResult(exception);
    }

    private async Task RenewAsync()
    {
        // What was written since the store was opened stands under numbers that peers take for other rows: it is logged again.
        var rows = new HashSet<RowKey>();
        for (var after = _openedAt; await _store.ReadLogAsync(after, CommandsInGroup, int.MaxValue) is { Count: > 0 } page; after = page[^1].Position.Sequence)
        {
            rows.UnionWith(page.Select(static mutation => new RowKey(mutation.Kind, mutation.Key)));
        }

        await _store.RenewLogAsync();
        _head = _head with { Sequence = 0 };
        _openedAt = 0;
        await using var transaction = await _store.BeginAsync();
        var session = new WriteSession(transaction, _store.Log, mayLog: true, _head, Now(), _random);
        session.BeginDecision();
        foreach (var row in rows)
        {
            session.Relog(row.Kind, row.Key);
        }

        if (session.HasChanges)
        {
            var changes = session.ToChangeSet();
            await transaction.CommitAsync(changes);
            Publish(changes);
        }
    }

    private static ReadHints? HintsOf(List<Command> group)
    {
        var hints = group.Where(static command => command.Hints is not null).Select(static command => command.Hints!).ToList();
        return hints.Count switch
        {
            0 => null,
            1 => hints[0],
            _ => new(
                [.. hints.SelectMany(static hint => hint.Ids)],
                [.. hints.SelectMany(static hint => hint.Names)],
                [.. hints.SelectMany(static hint => hint.Entries)]),
        };
    }

    private Timestamp Now() => Clock?.Invoke() ?? Timestamp.Now(_time);

    private static void Fail(List<Command> group, MemoryException exception)
    {
        foreach (var command in group)
        {
            command.Fail(exception);
        }
    }

    /// <summary>What a command that asks for a new log gives.</summary>
    private readonly record struct Renewal;

    private abstract class Command
    {
        public abstract ReadHints? Hints { get; }

        /// <summary>It asked for a new log.</summary>
        public abstract bool AsksRenewal { get; }

        public abstract ValueTask DecideAsync(WriteSession session);

        public abstract void Complete();

        public abstract void Fail(MemoryException exception);
    }

    private sealed class Command<T>(Func<WriteSession, ValueTask<T>> decide, ReadHints? hints) : Command
    {
        private readonly TaskCompletionSource<Decided<T>> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private Decided<T>? _result;
        private Exception? _refused;

        public Task<Decided<T>> Task => _completion.Task;

        public override ReadHints? Hints => hints;

        public override bool AsksRenewal => typeof(T) == typeof(Renewal);

        public override async ValueTask DecideAsync(WriteSession session)
        {
            try
            {
                var before = session.Head.Sequence;
                var value = await decide(session);
                var last = session.Head.Sequence;
                _result = new(value, session.Position.Log, before + 1, last, session.MemoriesOfLast(last - before));
            }
            catch (Exception exception) when (!IsOfStore(exception))
            {
                // Also what nobody foresaw, as a row that cannot be read: it fails its own caller and nobody else.
                session.Undo();
                _refused = exception;
            }
        }

        public override void Complete()
        {
            if (_refused is not null)
            {
                _completion.TrySetException(_refused);
            }
            else
            {
                _completion.TrySetResult(_result!);
            }
        }

        /// <summary>Also when it was refused: that may rest on what a command before it changed, and nothing of that is on disk.</summary>
        public override void Fail(MemoryException exception)
        {
            Exception answer = exception;
            Faults.Replace(Fault.RefusalOutlivesItsGround, ref answer, _refused ?? exception);
            _completion.TrySetException(answer);
        }

        /// <summary>After these the transaction itself cannot be trusted.</summary>
        private static bool IsOfStore(Exception exception) => exception is StoreFatalException
            || (exception is MemoryException { Kind: var kind } && (kind == ErrorKind.StoreFailed || kind == ErrorKind.StoreFull));
    }
}
