using System.Globalization;
using System.Runtime.InteropServices;
using OrleansMemory.Core.Recall;
using SQLitePCL;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>The background thread: opens, loads, follows the queue, rebuilds, checkpoints.</summary>
internal sealed partial class SqliteTextIndex
{
    /// <summary>Entries of the queue, or rows of a rebuild, in one transaction of the index.</summary>
    private const int BatchRows = 1_000;

    /// <summary>Characters of old text read ahead in one batch.</summary>
    private const long BatchCharacters = 8 * 1024 * 1024;

    /// <summary>
    /// A batch starts at once when this many entries wait, when a query waits, or when the last batch started longer ago than
    /// <see cref="Pace"/>: each commit leaves a segment to be merged, so many tiny ones cost several times the processor time.
    /// </summary>
    private const int EagerRows = 256;

    private const int RowsPerCheckpoint = 16_000;
    private const int LoadRows = 10_000;

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan IdleBeforeCheckpoint = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(500);

    private readonly SqliteDatabase _main;
    private SqliteDatabase? _writer;
    private IndexStatements? _index;
    private MainStatements? _source;
    private long _lastArrival;
    private long _sinceCheckpoint;
    private bool _idle;

    private bool HasWork => _notified > _watermark || _touchesNotified > _touchesApplied || !_loaded || _cursor != long.MaxValue || _damaged;

    private void Run()
    {
        var lastStart = _time.GetTimestamp() - _time.TimestampFrequency;
        var failed = false;
        while (true)
        {
            var checkpoint = false;
            lock (_gate)
            {
                while (!_stopping && !HasWork && !checkpoint)
                {
                    _idle = true;
                    checkpoint = _sinceCheckpoint > 0 ? !Monitor.Wait(_gate, IdleBeforeCheckpoint) && !HasWork : !Monitor.Wait(_gate, Timeout.Infinite);
                }

                _idle = false;
                var rest = Pace - _time.GetElapsedTime(lastStart);
                while (!_stopping && !checkpoint && _loaded && _cursor == long.MaxValue && _waiters.Count == 0 && _notified - _watermark < EagerRows && rest > TimeSpan.Zero)
                {
                    Monitor.Wait(_gate, rest);
                    rest = Pace - _time.GetElapsedTime(lastStart);
                }
            }

            try
            {
                if (_stopping)
                {
                    if (!_damaged && !failed)
                    {
                        Checkpoint();
                    }

                    return;
                }

                lastStart = _time.GetTimestamp();
                lock (_step)
                {
                    if (checkpoint)
                    {
                        Checkpoint();
                    }
                    else
                    {
                        Advance();
                    }
                }

                failed = false;
                LastFailure = null;
            }
            catch (Exception failure)
            {
                failed = true;
                _source?.Reset();
                _index?.Reset();
                LastFailure = failure;
                if (failure is SqliteException { PrimaryCode: raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB })
                {
                    _damaged = true;
                }

                lock (_gate)
                {
                    if (!_stopping)
                    {
                        Monitor.Wait(_gate, RetryPause);
                    }
                }
            }
        }
    }

    private void Advance()
    {
        if (_damaged)
        {
            Replace();
        }
        else if (!_loaded)
        {
            Load();
        }
        else
        {
            Follow();
            if (_sinceCheckpoint >= RowsPerCheckpoint)
            {
                Checkpoint();
            }
        }
    }

    /// <summary>Opens the file, or makes a new one when it cannot be used.</summary>
    private void OpenFile()
    {
        lock (_files)
        {
            _source ??= new(_main);
            var last = _main.QueryInteger("select seq from sqlite_sequence where name = 'index_queue'") ?? 0;
            var first = _main.QueryInteger("select min(n) from index_queue") ?? (last + 1);
            try
            {
                _writer = OpenWriter();
                if (!IsUsable(_writer, first, last))
                {
                    Recreate(last);
                }

                _index = new(_writer);
            }
            catch (SqliteException)
            {
                Recreate(last);
                _index = new(_writer!);
            }

            var watermark = Number("watermark");
            lock (_gate)
            {
                _cursor = Number("cursor");
                _watermark = watermark;
                _notified = Math.Max(_notified, last);
                _sinceCheckpoint = 1;
                _incompleteSince = _time.GetTimestamp();
            }
        }
    }

    private SqliteDatabase OpenWriter()
    {
        var database = SqliteDatabase.Open(_path);
        try
        {
            database.Execute("""
                pragma journal_mode = wal;
                pragma synchronous = normal;
                pragma wal_autocheckpoint = 0;
                pragma cache_size = -32768;
                """);
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>True when the file is of this format and store, and every change it lacks is in the queue.</summary>
    private bool IsUsable(SqliteDatabase database, long first, long last)
    {
        if (database.QueryInteger("select count(*) from sqlite_master where name in ('meta', 'ft')") != 2)
        {
            return false;
        }

        var format = database.QueryInteger("select value from meta where key = 'format'");
        var identity = database.QueryText("select value from meta where key = 'identity'");
        var watermark = database.QueryInteger("select value from meta where key = 'watermark'");
        return format == FormatVersion && identity == _identity && watermark >= first - 1 && watermark <= last;
    }

    private void Recreate(long last)
    {
        _index = null;
        _writer?.Dispose();
        _writer = null;
        _generation++;
        foreach (var end in (ReadOnlySpan<string>)["", "-wal", "-shm"])
        {
            File.Delete(_path + end);
        }

        _writer = OpenWriter();
        _writer.Execute("begin immediate");
        _writer.Execute(Schema);
        using var meta = _writer.Prepare("insert into meta(key, value) values('format', ?1), ('identity', ?2), ('watermark', ?3), ('cursor', ?4)");
        meta.Bind(1, FormatVersion).Bind(2, _identity).Bind(3, last).Bind(4, long.MinValue).Run();
        _writer.Execute("commit");
    }

    private void Replace()
    {
        lock (_gate)
        {
            _loaded = false;
        }

        lock (_files)
        {
            Recreate(_main.QueryInteger("select seq from sqlite_sequence where name = 'index_queue'") ?? 0);
        }

        OpenFile();
        _damaged = false;
    }

    private long Number(string key) =>
        _writer!.QueryInteger(string.Create(CultureInfo.InvariantCulture, $"select value from meta where key = '{key}'")) ?? 0;

    /// <summary>Fills the rank table with what the index holds.</summary>
    private void Load()
    {
        Checkpoint();
        var rank = new RankTable();
        var after = long.MinValue;
        var source = _source!;
        var index = _index!;
        index.Lengths.Bind(1, after);
        var more = index.Lengths.Step();
        for (var read = LoadRows; read == LoadRows && !_stopping;)
        {
            read = 0;
            source.Ranks.Bind(1, after).Bind(2, LoadRows);
            while (source.Ranks.Step())
            {
                read++;
                after = source.Ranks.Integer(0);
                while (more && index.Lengths.Integer(0) < after)
                {
                    more = index.Lengths.Step();
                }

                if (more && index.Lengths.Integer(0) == after)
                {
                    rank.Set(after, rank.Read(source.Ranks, 1, LengthIn(index.Lengths.Blob(1))));
                }
            }

            source.Ranks.Reset();
        }

        index.Lengths.Reset();
        _rank = rank;
        lock (_gate)
        {
            _loaded = !_stopping;
            Release();
        }
    }

    /// <summary>Applies the next entries of the queue, and rows of a rebuild, in one transaction.</summary>
    private void Follow()
    {
        long[] touched;
        long touches;
        lock (_gate)
        {
            touched = [.. _touched];
            touches = _touchesNotified;
            _touched.Clear();
        }

        var pending = new SortedDictionary<long, Change>();
        var ranks = new List<(long Row, RankInputs? Inputs)>();
        var watermark = _watermark;
        var cursor = _cursor;
        if (_main.IsInTransaction)
        {
            // The end of the last state that was read failed.
            _main.Execute("rollback");
        }

        _main.Execute("begin");
        try
        {
            var reachedEnd = ReadQueue(pending, ref watermark);
            if (watermark != _watermark || cursor != long.MaxValue)
            {
                _writer!.Execute("begin immediate");
                foreach (var (row, change) in pending)
                {
                    if (row < cursor)
                    {
                        Apply(row, change, ranks);
                    }
                }

                if (reachedEnd && cursor != long.MaxValue)
                {
                    cursor = TakeRows(cursor, ranks);
                }

                _index!.SaveProgress.Bind(1, watermark).Bind(2, cursor).Run();
                _writer.Execute("commit");
            }

            foreach (var row in touched)
            {
                // A row of the batch was read above, with the length of its new text.
                if (!pending.ContainsKey(row) && _rank.TryGet(row, out var old) && _source!.Read(row) && _source.IsShown)
                {
                    ranks.Add((row, _rank.Read(_source.Row, MainStatements.FirstRank, old.Length)));
                }

                _source!.Row.Reset();
            }
        }
        catch
        {
            // What was touched is read again after the failure; the index transaction never happened.
            lock (_gate)
            {
                _touched.UnionWith(touched);
            }

            Abandon();
            throw;
        }
        finally
        {
            _source!.Row.Reset();
            _main.Execute("commit");
        }

        foreach (var (row, inputs) in ranks)
        {
            if (inputs is { } known)
            {
                _rank.Set(row, known);
            }
            else
            {
                _rank.Remove(row);
            }
        }

        _sinceCheckpoint += ranks.Count;
        Volatile.Write(ref _applied, _applied + ranks.Count);
        lock (_gate)
        {
            Volatile.Write(ref _watermark, watermark);
            _cursor = cursor;
            _touchesApplied = touches;
            Release();
        }
    }

    private void Abandon()
    {
        _source!.Reset();
        _index!.Reset();
        if (_writer!.IsInTransaction)
        {
            _writer.Execute("rollback");
        }
    }

    /// <summary>
    /// Reads the next entries. A row's first entry tells what the index holds of it; the entry after the batch, when there is
    /// one, tells what it must hold at the batch's end; else the row itself does.
    /// </summary>
    /// <returns>True when the batch reached the end of the queue.</returns>
    private bool ReadQueue(SortedDictionary<long, Change> pending, ref long watermark)
    {
        var queue = _source!.Queue;
        queue.Bind(1, watermark).Bind(2, BatchRows);
        var read = 0;
        long characters = 0;
        while (characters < BatchCharacters && queue.Step())
        {
            read++;
            watermark = queue.Integer(0);
            var row = queue.Integer(1);
            if (!pending.ContainsKey(row))
            {
                var old = OldText(queue);
                characters += old?.Content.Length ?? 0;
                pending.Add(row, new(old, IsPresent: true, null));
            }
        }

        queue.Reset();
        if (read < BatchRows && characters < BatchCharacters)
        {
            return true;
        }

        queue.Bind(1, watermark).Bind(2, long.MaxValue);
        var rest = false;
        while (queue.Step())
        {
            rest = true;
            var row = queue.Integer(1);
            if (pending.TryGetValue(row, out var change) && change.IsPresent)
            {
                pending[row] = change with { IsPresent = false, New = OldText(queue) };
            }
        }

        queue.Reset();
        return !rest;
    }

    private static IndexText? OldText(SqliteStatement queue) =>
        queue.IsNull(2) ? null : IndexText.Of(queue.Text(2), queue.Text(3), queue.Text(4), queue.Text(5));

    private void Apply(long row, Change change, List<(long Row, RankInputs? Inputs)> ranks)
    {
        var source = _source!;
        var shown = source.Read(row) && source.IsShown;
        var text = change.IsPresent ? shown ? source.Text() : null : change.New;
        var length = 0;
        if (text is not null && text == change.Old)
        {
            length = LengthOf(row);
        }
        else if (text != change.Old)
        {
            if (change.Old is { } old)
            {
                IndexStatements.Run(_index!.Delete, row, old);
            }

            if (text is { } present)
            {
                length = Insert(row, present);
            }
        }

        // What the index holds of a row that is not shown any more goes with a later entry; until then nobody needs its rank.
        ranks.Add((row, shown && text is not null ? _rank.Read(source.Row, MainStatements.FirstRank, length) : null));
        source.Row.Reset();
    }

    /// <summary>Takes the next rows of a rebuild.</summary>
    /// <returns>The row to go on from.</returns>
    private long TakeRows(long cursor, List<(long Row, RankInputs? Inputs)> ranks)
    {
        var rows = _source!.Rows;
        rows.Bind(1, cursor).Bind(2, BatchRows / 2);
        var read = 0;
        while (rows.Step())
        {
            read++;
            var row = rows.Integer(0);
            cursor = row + 1;
            ranks.Add((row, _rank.Read(rows, MainStatements.FirstRank, Insert(row, MainStatements.TextOf(rows)))));
        }

        rows.Reset();
        return read < BatchRows / 2 ? long.MaxValue : cursor;
    }

    /// <returns>The tokens of the row, without that of the namespace.</returns>
    private int Insert(long row, IndexText text)
    {
        IndexStatements.Run(_index!.Insert, row, text);
        return LengthOf(row);
    }

    private int LengthOf(long row)
    {
        var length = _index!.Length.Bind(1, row).Step() ? LengthIn(_index.Length.Blob(0)) : 0;
        _index.Length.Reset();
        return length;
    }

    /// <summary>Sums the varints of a row of FTS5's docsize table, one for each column, but the first.</summary>
    private static int LengthIn(ReadOnlySpan<byte> sizes)
    {
        var sum = 0;
        var column = 0;
        var value = 0;
        foreach (var part in sizes)
        {
            value = (value << 7) | (part & 0x7f);
            if (part < 0x80)
            {
                sum += column++ == 0 ? 0 : value;
                value = 0;
            }
        }

        return sum;
    }

    /// <summary>Completes the waiters whose target is reached. Under the gate.</summary>
    private void Release()
    {
        while (_arrivals.TryPeek(out var oldest) && (oldest.Number <= _watermark && (_notified == _watermark || IsPassed())))
        {
            _arrivals.Dequeue();
        }

        foreach (var waiter in CollectionsMarshal.AsSpan(_waiters))
        {
            if (HasReached(waiter))
            {
                waiter.Reached.TrySetResult();
            }
        }

        // An arrival stands for all entries up to the next one.
        bool IsPassed() => _arrivals.Count > 1 && _arrivals.ElementAt(1).Number <= _watermark + 1;
    }

    /// <summary>Makes all that is committed durable.</summary>
    private void Checkpoint()
    {
        var watermark = _watermark;
        var code = raw.sqlite3_wal_checkpoint_v2(_writer!.Handle, null, raw.SQLITE_CHECKPOINT_PASSIVE, out var frames, out var moved);
        if (code is not (raw.SQLITE_OK or raw.SQLITE_BUSY))
        {
            throw _writer.Failure(code, "checkpoint");
        }

        // A reader of an older state may hold frames back; they are synced with the next round.
        if (code == raw.SQLITE_OK && frames == moved)
        {
            _sinceCheckpoint = 0;
            Volatile.Write(ref _durable, watermark);
        }
    }

    /// <param name="Old">What the index holds; null for nothing.</param>
    /// <param name="IsPresent">It must hold what the row has now; else <paramref name="New"/>.</param>
    private sealed record Change(IndexText? Old, bool IsPresent, IndexText? New);

    private sealed class IndexStatements(SqliteDatabase database)
    {
        public SqliteStatement Insert { get; } = database.Prepare("insert into ft(rowid, ns, title, tags, content) values(?1, ?2, ?3, ?4, ?5)");

        public SqliteStatement Delete { get; } = database.Prepare("insert into ft(ft, rowid, ns, title, tags, content) values('delete', ?1, ?2, ?3, ?4, ?5)");

        public SqliteStatement Length { get; } = database.Prepare("select sz from ft_docsize where id = ?1");

        public SqliteStatement Lengths { get; } = database.Prepare("select id, sz from ft_docsize where id > ?1 order by id");

        public SqliteStatement SaveProgress { get; } = database.Prepare("update meta set value = case key when 'watermark' then ?1 else ?2 end where key in ('watermark', 'cursor')");

        public static void Run(SqliteStatement statement, long row, IndexText text) =>
            statement.Bind(1, row).Bind(2, text.Namespace).Bind(3, text.Title).Bind(4, text.Tags).Bind(5, text.Content).Run();

        public void Reset()
        {
            Insert.Reset();
            Delete.Reset();
            Length.Reset();
            Lengths.Reset();
            SaveProgress.Reset();
        }
    }

    private sealed class MainStatements(SqliteDatabase database)
    {
        public const int FirstRank = 6;

        private const string Columns = "row, state, namespace, title, tags, content, " + RankTable.Columns;

        public SqliteStatement Queue { get; } =
            database.Prepare("select n, row, old_namespace, old_title, old_tags, old_content from index_queue where n > ?1 order by n limit ?2");

        public SqliteStatement Row { get; } = database.Prepare("select " + Columns + " from memory where row = ?1");

        public SqliteStatement Rows { get; } = database.Prepare("select " + Columns + " from memory not indexed where row >= ?1 and state = 0 order by row limit ?2");

        public SqliteStatement Ranks { get; } =
            database.Prepare("select row, " + RankTable.Columns + " from memory not indexed where row > ?1 and state = 0 order by row limit ?2");

        public bool IsShown => Row.Integer(1) == SqliteSchema.Shown;

        public static IndexText TextOf(SqliteStatement row) => IndexText.Of(row.Text(2), row.Text(3), row.Text(4), row.Text(5));

        public bool Read(long row) => Row.Bind(1, row).Step();

        public IndexText Text() => TextOf(Row);

        public void Reset()
        {
            Queue.Reset();
            Row.Reset();
            Rows.Reset();
            Ranks.Reset();
        }
    }
}
