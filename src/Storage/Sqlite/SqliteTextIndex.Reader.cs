using System.Collections.Concurrent;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using SQLitePCL;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>Queries: a pool of connections to both files, one pair for each query that runs.</summary>
internal sealed partial class SqliteTextIndex
{
    private const int MaxCounts = 65_536;

    private static readonly int MaxReaders = Math.Clamp(Environment.ProcessorCount, 2, 16);

    private readonly SemaphoreSlim _readers = new(MaxReaders);
    private readonly ConcurrentStack<Reader> _idleReaders = new();
    private readonly ConcurrentDictionary<string, WordCount> _counts = new(StringComparer.Ordinal);

    private async Task<Reader> RentAsync(bool current, CancellationToken cancellation)
    {
        await _readers.WaitAsync(cancellation);
        try
        {
            lock (_files)
            {
                while (_idleReaders.TryPop(out var idle))
                {
                    if (idle.Generation == _generation)
                    {
                        idle.Begin(_rank, current && IsComplete);
                        return idle;
                    }

                    idle.Close();
                }

                var reader = new Reader(this, _generation);
                reader.Begin(_rank, current && IsComplete);
                return reader;
            }
        }
        catch (Exception exception)
        {
            _readers.Release();
            if (exception is SqliteException failure)
            {
                throw Failed(failure);
            }

            throw;
        }
    }

    private void Return(Reader reader)
    {
        if (reader.Generation == _generation && !_stopping)
        {
            _idleReaders.Push(reader);
        }
        else
        {
            reader.Close();
        }

        _readers.Release();
    }

    /// <summary>A query failed. When it met damage, the indexer replaces the file.</summary>
    private MemoryException Failed(SqliteException failure)
    {
        if (failure.PrimaryCode is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB)
        {
            lock (_gate)
            {
                _damaged = true;
                Monitor.Pulse(_gate);
            }
        }

        return new(ErrorKind.StoreFailed, $"the full-text index failed: {failure.Message}", failure);
    }

    /// <param name="Documents">In the index when it was counted.</param>
    /// <param name="Applied">Changes applied until it was counted.</param>
    private sealed record WordCount(long Count, long Documents, long Applied)
    {
        /// <summary>Words in fewer memories than this are counted anew after any change: it costs next to nothing.</summary>
        private const int Cheap = 64;

        /// <summary>A share of one in this many may change before a common word is counted anew; until then its share is taken as steady.</summary>
        private const int Steady = 20;

        public bool IsGood(long documents, long applied) =>
            applied == Applied || (Count >= Cheap && applied - Applied < Math.Max(Math.Min(documents, Documents) / Steady, 1));

        public long At(long documents) =>
            documents == Documents || Documents == 0 ? Count : (long)Math.Round((double)Count * documents / Documents);
    }

    private sealed class Reader : ITextReader
    {
        private readonly SqliteTextIndex _owner;
        private readonly SqliteDatabase _index;
        private readonly SqliteDatabase _main;
        private readonly Fts5Visitor _visitor;
        private readonly SqliteStatement _scan;
        private readonly SqliteStatement _scanNewest;
        private readonly SqliteStatement _count;
        private readonly SqliteStatement _find;
        private readonly SqliteStatement _fetch;
        private readonly int[] _frequencies = new int[MemoryLimits.QueryWords];
        private RankTable _rank = new();
        private bool _lent;

        public Reader(SqliteTextIndex owner, int generation)
        {
            _owner = owner;
            Generation = generation;
            _index = SqliteDatabase.Open(owner._path, readOnly: true);
            _main = SqliteDatabase.Open(owner._mainPath, readOnly: true);
            _index.Execute("pragma busy_timeout = 2000; pragma cache_size = -16384; pragma mmap_size = 1073741824");
            _main.Execute("pragma busy_timeout = 2000; pragma cache_size = -4096");
            _visitor = new(_index);
            _scan = _index.Prepare("select 1 from ft where ft match ?1 and om_visit(ft)");
            _scanNewest = _index.Prepare("select 1 from ft where ft match ?1 and om_visit(ft) order by rowid desc");
            _count = _index.Prepare("select count(*) from ft where ft match ?1");
            _find = _index.Prepare("select rowid from ft where ft match ?1 and rowid > ?2 order by rowid");
            _fetch = _main.Prepare("select " + MemoryRows.Columns + " from memory where row = ?1 and state = 0");
        }

        public int Generation { get; }

        public bool IsComplete { get; private set; }

        public long Documents => _rank.Documents;

        public double AverageLength => _rank.AverageLength;

        public void Begin(RankTable rank, bool isComplete)
        {
            _rank = rank;
            IsComplete = isComplete;
            _lent = true;
        }

        public bool TryGetInputs(long row, out RankInputs inputs) => _rank.TryGet(row, out inputs);

        public string NamespaceName(int number) => _rank.NamespaceName(number);

        public Task<IReadOnlyList<long>> CountAsync(IReadOnlyList<string> words, CancellationToken cancellation)
        {
            var documents = Documents;
            var applied = Volatile.Read(ref _owner._applied);
            var counts = new long[words.Count];
            var missing = false;
            for (var word = 0; word < counts.Length; word++)
            {
                var known = _owner._counts.TryGetValue(words[word], out var count) && count.IsGood(documents, applied);
                counts[word] = known ? count!.At(documents) : -1;
                missing |= !known;
            }

            return missing
                ? On<IReadOnlyList<long>>(() => Count(words, counts, documents, applied, cancellation), cancellation)
                : Task.FromResult<IReadOnlyList<long>>(counts);
        }

        public Task ScanAsync(TextScan scan, ICandidates candidates, CancellationToken cancellation) =>
            On(() => Scan(scan, candidates, cancellation), cancellation);

        public Task<IReadOnlyList<long>> FindAsync(
            IReadOnlyList<string> words, string? @namespace, long afterRow, int limit, CancellationToken cancellation) =>
            On<IReadOnlyList<long>>(() => Find(words, @namespace, afterRow, limit, cancellation), cancellation);

        public Task<IReadOnlyList<Memory?>> FetchAsync(IReadOnlyList<long> rows, CancellationToken cancellation) =>
            On<IReadOnlyList<Memory?>>(() => Fetch(rows, cancellation), cancellation);

        public void Dispose()
        {
            if (_lent)
            {
                _lent = false;
                _owner.Return(this);
            }
        }

        public void Close()
        {
            _index.Dispose();
            _main.Dispose();
            _visitor.Dispose();
        }

        /// <summary>Runs off the caller's scheduler: a scan may take milliseconds.</summary>
        private async Task<T> On<T>(Func<T> work, CancellationToken cancellation)
        {
            try
            {
                return await Task.Run(work, cancellation);
            }
            catch (SqliteException failure)
            {
                throw _owner.Failed(failure);
            }
        }

        private long[] Count(IReadOnlyList<string> words, long[] counts, long documents, long applied, CancellationToken cancellation)
        {
            if (_owner._counts.Count > MaxCounts)
            {
                _owner._counts.Clear();
            }

            for (var word = 0; word < counts.Length; word++)
            {
                if (counts[word] < 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                    _count.Bind(1, IndexText.Quoted(words[word]));
                    counts[word] = _count.Step() ? _count.Integer(0) : 0;
                    _count.Reset();
                    _owner._counts[words[word]] = new(counts[word], documents, applied);
                }
            }

            return counts;
        }

        private bool Scan(TextScan scan, ICandidates candidates, CancellationToken cancellation)
        {
            var (match, firstPhrase) = IndexText.Pattern(scan);
            var rank = _rank;
            var words = scan.Words.Count;
            var visits = 0;
            _visitor.Run((scan.NewestFirst ? _scanNewest : _scan).Bind(1, match), Visit);
            return true;

            bool Visit(in Fts5Visitor.Match found)
            {
                if ((++visits & 0x3ff) == 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                }

                var row = found.Row;
                if (!rank.TryGet(row, out var inputs))
                {
                    return true;
                }

                switch (candidates.Judge(row, inputs))
                {
                    case Interest.Pass:
                        return true;
                    case Interest.Stop:
                        return false;
                    default:
                        var frequencies = _frequencies.AsSpan(0, words);
                        found.Frequencies(firstPhrase, frequencies);
                        candidates.Take(row, inputs, frequencies);
                        return true;
                }
            }
        }

        private List<long> Find(IReadOnlyList<string> words, string? @namespace, long afterRow, int limit, CancellationToken cancellation)
        {
            var found = new List<long>();
            _find.Bind(1, IndexText.Pattern(new(words, MatchMode.Any, [], @namespace, NewestFirst: false)).Match).Bind(2, afterRow);
            try
            {
                while (found.Count < limit && _find.Step())
                {
                    cancellation.ThrowIfCancellationRequested();
                    var row = _find.Integer(0);
                    if (_rank.TryGet(row, out var inputs) && (@namespace is null || _rank.NamespaceName(inputs.Namespace) == @namespace))
                    {
                        found.Add(row);
                    }
                }
            }
            finally
            {
                _find.Reset();
            }

            return found;
        }

        private Memory?[] Fetch(IReadOnlyList<long> rows, CancellationToken cancellation)
        {
            var memories = new Memory?[rows.Count];
            for (var position = 0; position < memories.Length; position++)
            {
                cancellation.ThrowIfCancellationRequested();
                memories[position] = _fetch.Bind(1, rows[position]).Step() ? MemoryRows.Read(_fetch, 0) : null;
                _fetch.Reset();
            }

            return memories;
        }
    }
}
