using System.Globalization;
using Npgsql;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// The writing connection. It holds the store's lock as its session's own, so that a connection that is lost can write nothing any
/// more, and a new one can write nothing before the server has ended the old one. Reconnects by itself, for as long as it takes,
/// and finds out then how a commit ended that was under way.
/// </summary>
internal sealed class PostgresWriter : IAsyncDisposable
{
    /// <summary>"OMEM".</summary>
    private const int LockClass = 0x4F4D454D;

    private const int PingSeconds = 5;

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(1);

    /// <summary>How long a commit in doubt holds its callers back, in case the server is back at once.</summary>
    private static readonly TimeSpan SettlePatience = TimeSpan.FromSeconds(2);

    private readonly NpgsqlDataSource _source;
    private readonly string _shown;
    private readonly PostgresTextIndex _index;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _use = new(1, 1);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<LogId, AppliedSet> _vector;
    private readonly Task _watch;
    private NpgsqlConnection? _connection;
    private Session _session;
    private TaskCompletionSource _connected = NewSignal();
    private volatile string? _problem;
    private volatile StoreFatalException? _fatal;
    private long _commits;
    private long _lastRow;
    private Pending? _pending;
    private bool? _settled;

    private PostgresWriter(
        NpgsqlDataSource source, string shown, NpgsqlConnection connection, Session session, PostgresTextIndex index, TimeProvider time, LogId log, State state)
    {
        _source = source;
        _shown = shown;
        _connection = connection;
        _session = session;
        _index = index;
        _time = time;
        Log = log;
        _commits = state.Commits;
        _lastRow = state.LastRow;
        _vector = state.Vector;
        _watch = WatchAsync();
    }

    public LogId Log { get; private set; }

    /// <summary>Null while the store can be written.</summary>
    public string? Problem => _problem;

    /// <summary>Null: they are not kept here.</summary>
    public PostgresVectors? Vectors { get; private set; }

    /// <summary>Opens a connection, takes the store's lock with it, and migrates.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreInUse"/>, or what the schema says.</exception>
    public static async Task<(NpgsqlConnection Connection, Session Session)> LockAsync(NpgsqlDataSource source, string shown, TimeSpan patience, TimeProvider time)
    {
        var connection = await source.OpenConnectionAsync();
        try
        {
            var started = time.GetTimestamp();
            while (!await TryLockAsync(connection))
            {
                if (time.GetElapsedTime(started) >= patience)
                {
                    throw new MemoryException(ErrorKind.StoreInUse, $"database {shown} is in use by another process; stop it, or reach the node that serves it with --url");
                }

                await Task.Delay(RetryPause, time);
            }

            return (connection, await SessionOfAsync(connection));
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public static async Task<PostgresWriter> StartAsync(
        NpgsqlDataSource source, string shown, NpgsqlConnection connection, Session session, PostgresTextIndex index, TimeProvider time, LogId log) =>
        new(source, shown, connection, session, index, time, log, await ReadStateAsync(connection));

    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: the server is away.</exception>
    public IStoreTransaction Begin()
    {
        RequireSound();
        return _problem is not null || _pending is not null
            ? throw new MemoryException(ErrorKind.StoreFailed, $"the store failed; nothing was stored: {_problem}")
            : new Transaction(this);
    }

    /// <summary>The vectors of a model, which every commit keeps up from now on; null and why, when the server cannot hold them.</summary>
    /// <param name="scanners">Connections whose plans may read whole tables.</param>
    public Task<(IVectorIndex? Index, string? Why)> OpenVectorsAsync(NpgsqlDataSource scanners, string marker, int dimension) => UseAsync(async connection =>
    {
        var (schema, isFilled, why) = await PostgresSchema.PrepareVectorsAsync(connection, marker, dimension);
        Vectors = schema is null ? null : new(this, scanners, schema, marker, dimension, isFilled);
        return ((IVectorIndex?)Vectors, why);
    });

    public bool Settle()
    {
        RequireSound();
        if (_settled is not { } settled)
        {
            throw new MemoryException(ErrorKind.StoreFailed, $"the store failed; how the last commit ended is not known yet: {_problem}");
        }

        _settled = null;
        return settled;
    }

    /// <summary>Begins the log anew. Not told how it ended, the process must: the log's name is in doubt.</summary>
    public async Task RenewLogAsync(ulong incarnation)
    {
        var log = new LogId(Log.Node, incarnation);
        await UseAsync(async connection =>
        {
            try
            {
                await using var batch = new NpgsqlBatch(connection)
                {
                    BatchCommands =
                    {
                        new($"update {PostgresSchema.Name}.meta set value = $1 where key = 'incarnation'") { Parameters = { new() { Value = StoredLog.FormatIncarnation(log) } } },
                        new($"delete from {PostgresSchema.Name}.mutation_log where set_id = 0 and incarnation <> $1") { Parameters = { new() { Value = StoredLog.FormatIncarnation(log) } } },
                    },
                };
                return await batch.ExecuteNonQueryAsync();
            }
            catch (NpgsqlException exception) when (IsLost(connection, exception))
            {
                _fatal = new("the store went away while a new log was begun", exception);
                throw _fatal;
            }
        });
        Log = log;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _watch;
        if (_connection is { } connection)
        {
            await connection.DisposeAsync();
        }

        _stopping.Dispose();
        _use.Dispose();
    }

    /// <summary>The connection is of no use any more; what the server answered last, if anything, may not be the whole truth.</summary>
    internal static bool IsLost(NpgsqlConnection connection, Exception exception) =>
        connection.FullState.HasFlag(System.Data.ConnectionState.Broken) || connection.State != System.Data.ConnectionState.Open
        || exception is not PostgresException { Severity: not ("FATAL" or "PANIC") };

    private void RequireSound()
    {
        if (_fatal is { } fatal)
        {
            throw new StoreFatalException(fatal.Message, fatal);
        }
    }

    internal async Task<T> UseAsync<T>(Func<NpgsqlConnection, Task<T>> use)
    {
        RequireSound();
        await _use.WaitAsync();
        try
        {
            var connection = _connection ?? throw new MemoryException(ErrorKind.StoreFailed, $"the store failed: {_problem}");
            try
            {
                return await use(connection);
            }
            catch (NpgsqlException exception)
            {
                if (IsLost(connection, exception))
                {
                    await LoseAsync(exception);
                }

                throw PostgresStore.Failure(exception);
            }
        }
        finally
        {
            _use.Release();
        }
    }

    private async Task LoseAsync(Exception exception)
    {
        _problem = PostgresStore.Describe(exception);
        if (_connection is { } connection)
        {
            _connection = null;
            _connected = NewSignal();
            await connection.DisposeAsync();
        }
    }

    private async Task CommitAsync(ChangeSet changes)
    {
        var (rows, texts, effects, derived) = Plan(changes);
        var pending = new Pending(changes, _commits + 1, effects, PostgresVectors.IsChangedBy(changes.Derived, derived));
        Task connected;
        Exception? lost = null;
        RequireSound();
        await _use.WaitAsync();
        try
        {
            var connection = _connection ?? throw new MemoryException(ErrorKind.StoreFailed, $"the store failed; nothing was stored: {_problem}");
            await using var batch = new NpgsqlBatch(connection);
            PostgresCommit.Fill(batch, pending.Number, Log, changes, rows, texts, derived, Vectors);
            try
            {
                await batch.ExecuteNonQueryAsync();
                Apply(pending);
                return;
            }
            catch (PostgresException exception) when (!IsLost(connection, exception))
            {
                if (exception.SqlState == PostgresErrorCodes.NotNullViolation && exception.TableName == "head")
                {
                    _fatal = new("another process has written to the store", exception);
                    throw _fatal;
                }

                throw PostgresStore.Failure(exception);
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or OperationCanceledException or TimeoutException or ObjectDisposedException)
            {
                lost = exception;
                _pending = pending;
                _settled = null;
                await LoseAsync(exception);
                connected = _connected.Task;
            }
        }
        finally
        {
            _use.Release();
        }

        try
        {
            await connected.WaitAsync(SettlePatience, _time);
        }
        catch (TimeoutException)
        {
            throw new CommitUncertainException("the store went away in the middle of a commit", lost);
        }

        if (!Settle())
        {
            throw new MemoryException(ErrorKind.StoreFailed, $"the store failed; nothing was stored: {PostgresStore.Describe(lost)}", lost);
        }
    }

    /// <summary>Which row each memory has, and what becomes of the index.</summary>
    private (long[] Rows, List<(long Row, TextTokens? Tokens)> Texts, List<IndexChange> Effects, DerivedPlan Derived) Plan(ChangeSet changes)
    {
        var rows = new long[changes.Memories.Count];
        var texts = new List<(long Row, TextTokens? Tokens)>();
        var effects = new List<IndexChange>();
        var derived = new DerivedPlan();
        var last = _lastRow;
        for (var index = 0; index < rows.Length; index++)
        {
            var change = changes.Memories[index];
            var row = rows[index] = change.Before?.Row ?? ++last;
            var old = change.Before is { Visibility: RowVisibility.Shown } before ? before.View : null;
            var present = change.After is { Visibility: RowVisibility.Shown } after ? after.View : null;
            if ((old ?? present) is not null && (old is null || present is null || !DerivedColumns.HasSameText(old, present)))
            {
                derived.Add(row, old, present);
            }

            if (present is not null && old is not null && old.Title == present.Title && old.Content == present.Content && old.Tags.SequenceEqual(present.Tags))
            {
                effects.Add(new(row, present, null));
            }
            else if (present is not null)
            {
                var tokens = TextTokens.Of(present.Title, present.Tags, present.Content);
                texts.Add((row, tokens));
                effects.Add(new(row, present, tokens));
            }
            else if (old is not null)
            {
                texts.Add((row, null));
                effects.Add(new(row, null, null));
            }
        }

        if (changes.Reindexed.Count > 0)
        {
            // What a change of this commit wrote is newer.
            var written = texts.Select(static text => text.Row).ToHashSet();
            foreach (var again in changes.Reindexed.Where(again => written.Add(again.Row)))
            {
                var tokens = TextTokens.Of(again.View.Title, again.View.Tags, again.View.Content);
                texts.Add((again.Row, tokens));
                effects.Add(new(again.Row, again.View, tokens));
            }
        }

        return (rows, texts, effects, derived);
    }

    /// <summary>Goes on from what is committed.</summary>
    private void Apply(Pending pending)
    {
        _commits = pending.Number;
        _lastRow += pending.Changes.Memories.Count(static change => change.Before is null);
        if (pending.Changes.ForgetVector)
        {
            _vector.Clear();
        }

        foreach (var (log, applied) in pending.Changes.Vector)
        {
            _vector[log] = applied;
        }

        _index.Apply(pending.Effects);
        if (pending.ChangesVectors)
        {
            Vectors?.Notice();
        }
    }

    /// <summary>Keeps the connection, or finds the way back to one.</summary>
    private async Task WatchAsync()
    {
        while (!_stopping.IsCancellationRequested && _fatal is null)
        {
            try
            {
                await Task.Delay(_connection is null ? RetryPause : PingInterval, _time, _stopping.Token);
                await _use.WaitAsync(_stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            try
            {
                if (_connection is { } connection)
                {
                    await PingAsync(connection);
                }
                else
                {
                    await ReconnectAsync();
                }
            }
            catch (Exception exception)
            {
                await LoseAsync(exception);
            }
            finally
            {
                _use.Release();
            }
        }
    }

    private async Task PingAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("select 1", connection) { CommandTimeout = PingSeconds };
        await command.ExecuteNonQueryAsync(_stopping.Token);
    }

    private async Task ReconnectAsync()
    {
        var connection = await _source.OpenConnectionAsync(_stopping.Token);
        try
        {
            if (!await TryLockAsync(connection))
            {
                // Most likely the connection that was lost here, of which the server has not heard yet that it is gone.
                await EndAsync(connection, _session);
                if (!await TryLockAsync(connection))
                {
                    throw new MemoryException(ErrorKind.StoreInUse, $"database {_shown} is in use by another process");
                }
            }

            var session = await SessionOfAsync(connection);
            var (log, state) = (await PostgresStore.ReadLogIdAsync(connection), await ReadStateAsync(connection));
            if (log != Log || (state.Commits != _commits && state.Commits != _pending?.Number))
            {
                _fatal = new("the store is not what it was: it was written by another process, or is an older copy", new InvalidOperationException(
                    string.Create(CultureInfo.InvariantCulture, $"log {log} after commit {state.Commits}, expected {Log} after {_commits}")));
                throw _fatal;
            }

            if (_pending is { } pending)
            {
                _pending = null;
                _settled = state.Commits == pending.Number;
                if (_settled == true)
                {
                    Apply(pending);
                }
            }

            (_connection, _session) = (connection, session);
            _problem = null;
            _connected.TrySetResult();
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private static async Task<bool> TryLockAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand($"select pg_try_advisory_lock({LockClass}, 0)", connection);
        return await command.ExecuteScalarAsync() is true;
    }

    private static async Task<Session> SessionOfAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()", connection);
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        return new(reader.GetInt32(0), reader.GetDateTime(1));
    }

    /// <summary>Ends a session of this process and waits, for a short time, until it is gone.</summary>
    private static async Task EndAsync(NpgsqlConnection connection, Session session)
    {
        await using var command = new NpgsqlCommand("select pg_terminate_backend(pid, 1000) from pg_stat_activity where pid = $1 and backend_start = $2", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = session.ProcessId });
        command.Parameters.Add(new NpgsqlParameter<DateTime> { TypedValue = session.StartedAt });
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<State> ReadStateAsync(NpgsqlConnection connection)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new($"select commits from {PostgresSchema.Name}.head where set_id = 0"),
                new($"select coalesce(max(row), 0) from {PostgresSchema.Name}.memory"),
                new($"select node, incarnation, applied, ranges from {PostgresSchema.Name}.vector where set_id = 0"),
            },
        };
        await using var reader = await batch.ExecuteReaderAsync();
        await reader.ReadAsync();
        var commits = reader.GetInt64(0);
        await reader.NextResultAsync();
        await reader.ReadAsync();
        var lastRow = reader.GetInt64(0);
        await reader.NextResultAsync();
        return new(commits, lastRow, await PostgresStore.ReadVectorAsync(reader));
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Names a session of the server: process ids are used again.</summary>
    internal readonly record struct Session(int ProcessId, DateTime StartedAt);

    private sealed record State(long Commits, long LastRow, Dictionary<LogId, AppliedSet> Vector);

    /// <summary>A commit that is under way.</summary>
    private sealed record Pending(ChangeSet Changes, long Number, IReadOnlyList<IndexChange> Effects, bool ChangesVectors);

    private sealed class Transaction(PostgresWriter writer) : IStoreTransaction
    {
        private readonly Dictionary<string, MemoryRow?> _memories = new(StringComparer.Ordinal);
        private readonly Dictionary<string, Tombstone?> _tombstones = new(StringComparer.Ordinal);
        private readonly Dictionary<string, List<EntryState>> _access = new(StringComparer.Ordinal);
        private readonly Dictionary<MemoryName, List<MemoryRow>> _groups = [];
        private readonly Dictionary<EntryKey, EntryState?> _entries = [];

        public async ValueTask PrefetchAsync(ReadHints hints) => await LoadAsync(hints);

        public async ValueTask<MemoryRow?> FindMemoryAsync(string id)
        {
            if (!_memories.ContainsKey(id))
            {
                await LoadAsync(ReadHints.OfMemory(id));
            }

            return _memories[id];
        }

        public async ValueTask<Tombstone?> FindTombstoneAsync(string id)
        {
            if (!_tombstones.ContainsKey(id))
            {
                await LoadAsync(ReadHints.OfMemory(id));
            }

            return _tombstones[id];
        }

        public async ValueTask<IReadOnlyList<MemoryRow>> FindGroupAsync(MemoryName name)
        {
            if (!_groups.ContainsKey(name))
            {
                await LoadAsync(new([], [name], []));
            }

            return _groups[name];
        }

        public async ValueTask<EntryState?> FindEntryAsync(EntryKey key)
        {
            if (!_entries.ContainsKey(key))
            {
                await LoadAsync(new([], [], [key]));
            }

            return _entries[key];
        }

        public async ValueTask<IReadOnlyList<EntryState>> FindAccessAsync(string memoryId)
        {
            if (!_access.ContainsKey(memoryId))
            {
                await LoadAsync(ReadHints.OfMemory(memoryId));
            }

            return _access[memoryId];
        }

        /// <summary>The writer is the only one to change it.</summary>
        public ValueTask<AppliedSet> FindAppliedAsync(LogId log) => new(writer._vector.GetValueOrDefault(log) ?? AppliedSet.None);

        public async ValueTask<BackfillRecord?> FindBackfillAsync(string step, int version) =>
            await writer.UseAsync(connection => PostgresStore.FindBackfillAsync(connection, step, version));

        public async ValueTask CommitAsync(ChangeSet changes) => await writer.CommitAsync(changes);

        /// <summary>Until the commit nothing was written.</summary>
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        /// <summary>
        /// Reads all that is asked in one round trip. The store's lock keeps it true until the commit. What is asked for leads, row by row
        /// (lateral, offset 0), to what is held: a plan made over empty tables would else go through all that is held.
        /// </summary>
        private async Task LoadAsync(ReadHints hints)
        {
            var ids = hints.Ids.Where(id => !_memories.ContainsKey(id)).Distinct().ToArray();
            var names = hints.Names.Where(name => !_groups.ContainsKey(name)).Distinct().ToArray();
            var entries = hints.Entries.Where(key => !_entries.ContainsKey(key)).Distinct().ToArray();
            if (ids.Length + names.Length + entries.Length > 0)
            {
                await writer.UseAsync(connection => LoadAsync(connection, ids, names, entries));
            }
        }

        private async Task<int> LoadAsync(NpgsqlConnection connection, string[] ids, MemoryName[] names, EntryKey[] entries)
        {
            await using var batch = new NpgsqlBatch(connection);
            if (ids.Length > 0)
            {
                string[] escaped = [.. ids.Select(PostgresRows.Escaped)];
                Add(batch, $"select {PostgresRows.RowColumns} from {PostgresSchema.Name}.memory m where m.id = any($1)", escaped);
                Add(
                    batch,
                    $"""
                    select {PostgresRows.RowColumns} from {PostgresSchema.Name}.memory o
                    cross join lateral (
                        select * from {PostgresSchema.Name}.memory g
                        where g.name_hash = o.name_hash and g.namespace = o.namespace and g.title = o.title and g.state < 2 and g.row <> o.row offset 0) m
                    where o.id = any($1)
                    """,
                    escaped);
                Add(batch, $"select body from {PostgresSchema.Name}.tombstone where id = any($1)", escaped);
                Add(batch, $"select body from {PostgresSchema.Name}.entry where kind = {(int)MutationKind.Access} and owner = any($1)", escaped);
            }

            if (names.Length > 0)
            {
                Add(
                    batch,
                    $"""
                    select {PostgresRows.RowColumns} from unnest($1::bigint[], $2::text[], $3::text[]) as u(name_hash, namespace, title)
                    cross join lateral (
                        select * from {PostgresSchema.Name}.memory g
                        where g.name_hash = u.name_hash and g.namespace = u.namespace and g.title = u.title and g.state < 2 offset 0) m
                    """,
                    names.Select(PostgresRows.HashOf).ToArray(),
                    names.Select(static name => PostgresRows.Escaped(name.Namespace)).ToArray(),
                    names.Select(static name => PostgresRows.Escaped(name.Title)).ToArray());
            }

            if (entries.Length > 0)
            {
                Add(
                    batch,
                    $"select e.body from unnest($1::integer[], $2::text[]) as u(kind, key) cross join lateral (select body from {PostgresSchema.Name}.entry x where x.kind = u.kind and x.key = u.key offset 0) e",
                    entries.Select(static key => (int)key.Kind).ToArray(),
                    entries.Select(static key => PostgresRows.Escaped(key.Key)).ToArray());
            }

            await using var reader = await batch.ExecuteReaderAsync();
            if (ids.Length > 0)
            {
                var memories = (await PostgresStore.AllAsync(reader, static row => PostgresRows.ReadRow(row))).ToDictionary(static row => row.Own.Id);
                await reader.NextResultAsync();
                var groups = memories.Values.Concat(await PostgresStore.AllAsync(reader, static row => PostgresRows.ReadRow(row)))
                    .Where(static row => row.Visibility != RowVisibility.Archived).DistinctBy(static row => row.Row).ToLookup(static row => row.Own.Name.Value);
                await reader.NextResultAsync();
                var tombstones = (await PostgresStore.AllAsync(reader, static row => MemoryCodec.DecodeTombstone(PostgresRows.Bytes(row, 0)))).ToDictionary(static row => row.Id);
                await reader.NextResultAsync();
                var access = (await PostgresStore.AllAsync(reader, ReadEntry)).ToLookup(static entry => entry.Owner);
                await reader.NextResultAsync();
                foreach (var name in memories.Values.Select(static row => row.Own.Name.Value).Distinct())
                {
                    _groups.TryAdd(name, [.. groups[name].OrderBy(static row => row.Row)]);
                }

                foreach (var id in ids)
                {
                    _memories[id] = memories.GetValueOrDefault(id);
                    _tombstones[id] = tombstones.GetValueOrDefault(id);
                    _access[id] = [.. access[id]];
                }
            }

            if (names.Length > 0)
            {
                var groups = (await PostgresStore.AllAsync(reader, static row => PostgresRows.ReadRow(row))).ToLookup(static row => row.Own.Name.Value);
                await reader.NextResultAsync();
                foreach (var name in names)
                {
                    _groups[name] = [.. groups[name].OrderBy(static row => row.Row)];
                }
            }

            if (entries.Length > 0)
            {
                var found = (await PostgresStore.AllAsync(reader, ReadEntry)).ToDictionary(static entry => entry.Key);
                foreach (var key in entries)
                {
                    _entries[key] = found.GetValueOrDefault(key);
                }
            }

            return 0;
        }

        private static EntryState ReadEntry(NpgsqlDataReader reader) => EntryState.Decode(PostgresRows.Bytes(reader, 0));

        private static void Add(NpgsqlBatch batch, string sql, params Array[] values)
        {
            var command = new NpgsqlBatchCommand(sql);
            foreach (var value in values)
            {
                command.Parameters.Add(new() { Value = value });
            }

            batch.BatchCommands.Add(command);
        }
    }
}
