using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Postgres;

/// <param name="Shown">As its readers see it; null: not shown any more.</param>
/// <param name="Tokens">Null: as they were.</param>
internal readonly record struct IndexChange(long Row, Memory? Shown, TextTokens? Tokens);

/// <summary>
/// The full-text index: table <c>memory_text</c> with a GIN index over its words, written in the transaction of the memories
/// themselves, so a query never waits for it. The words are those of the other store (one tokenizer and stemmer), so a query finds
/// the same. What ranking needs of each row is kept in this process, and so are the rows of the words that many rows hold, which
/// would take long to read each time; the one writer keeps both up.
/// </summary>
internal sealed partial class PostgresTextIndex(NpgsqlDataSource readers) : ITextIndex
{
    /// <summary>Words in fewer rows are read anew by each query: that takes about a millisecond.</summary>
    private const int KeptRows = 1_000;

    private const long KeptBytes = 64L << 20;

    /// <summary>In the place of a frequency: more than once.</summary>
    private const int Repeated = -1;

    private const string Schema = PostgresSchema.Name;

    private readonly RankTable _rank = new();
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, Kept> _kept = new(StringComparer.Ordinal);
    private readonly List<Loading> _loading = [];
    private long _uses;

    private long _written;
    private long _reads;

    /// <summary>Queries that read the index so far.</summary>
    public long Reads => Volatile.Read(ref _reads);

    /// <summary>Rows whose words were written so far.</summary>
    public long Written => Volatile.Read(ref _written);

    /// <summary>Words whose rows are kept.</summary>
    public int KeptWords => _kept.Count;

    private NpgsqlDataSource Readers => readers;

    public bool IsBesideRows => true;

    public Task<ITextReader> ReadAsync(CancellationToken cancellation) => Task.FromResult<ITextReader>(new Reader(this));

    /// <summary>Fills the rank table. Nothing is written meanwhile.</summary>
    public async Task LoadAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(
            $"""
            select m.row, t.length, m.tier, m.priority, m.confidence, m.access_count, m.created_at, m.updated_at, m.expires_at, m.namespace, m.agent_id, m.scope, m.tags
            from {Schema}.memory m join {Schema}.memory_text t on t.row = m.row where m.state = 0
            """,
            connection)
        { CommandTimeout = 0 };
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            _rank.Set(reader.GetInt64(0), _rank.Inputs(
                (Tier)reader.GetInt16(2),
                reader.GetInt16(3),
                reader.GetDouble(4),
                reader.GetInt64(5),
                new(reader.GetInt64(6)),
                new(reader.GetInt64(7)),
                reader.IsDBNull(8) ? null : new Timestamp(reader.GetInt64(8)),
                PostgresRows.Text(reader, 9),
                PostgresRows.TextOrNull(reader, 10),
                PostgresRows.TextOrNull(reader, 11),
                PostgresRows.ParseTags(reader.GetString(12)),
                reader.GetInt32(1)));
        }
    }

    /// <summary>Whether the rank table says of a row what its memory says.</summary>
    public bool Holds(long row, Memory shown, int length)
    {
        lock (_gate)
        {
            return _rank.TryGet(row, out var held) && RankTable.Equal(held, InputsOf(shown, length));
        }
    }

    /// <summary>Compares the rows that are kept of words with those that the tables hold, and the number of rows.</summary>
    public async Task<IReadOnlyList<string>> VerifyAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        var differences = new List<string>();
        foreach (var (word, kept) in _kept)
        {
            var loaded = new Loading(word);
            await LoadAsync(connection, [loaded], cancellation);
            var chunks = Math.Max(loaded.Postings.Chunks, kept.Postings.Chunks);
            if (Enumerable.Range(0, chunks).Any(chunk => !Same(loaded.Postings.Chunk(chunk), kept.Postings.Chunk(chunk))))
            {
                differences.Add("the rows that are kept of a common word are old");
            }
        }

        await using var command = new NpgsqlCommand($"select count(*), coalesce(sum(length), 0)::bigint from {Schema}.memory_text", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        if (reader.GetInt64(0) is var rows && rows != _rank.Documents)
        {
            differences.Add(string.Create(CultureInfo.InvariantCulture, $"the rank table holds {_rank.Documents} rows, the index {rows}"));
        }

        return differences;

        static bool Same(byte[]? one, byte[]? other) => (one ?? new byte[WordPostings.ChunkRows]).AsSpan().SequenceEqual(other ?? new byte[WordPostings.ChunkRows]);
    }

    /// <summary>Follows a commit, before its callers are answered.</summary>
    public void Apply(IReadOnlyList<IndexChange> changes)
    {
        lock (_gate)
        {
            foreach (var change in changes)
            {
                Apply(change);
            }
        }
    }

    private void Apply(IndexChange change)
    {
        if (change.Shown is not { } shown)
        {
            _rank.Remove(change.Row);
            foreach (var kept in _kept.Values)
            {
                kept.Postings.Set(change.Row, 0);
            }
        }
        else
        {
            var isHeld = _rank.TryGet(change.Row, out var held);
            var length = change.Tokens?.Length ?? held.Length;
            _rank.Set(change.Row, InputsOf(shown, length));
            if (change.Tokens is { } tokens)
            {
                Volatile.Write(ref _written, _written + 1);
                if (isHeld)
                {
                    foreach (var (word, kept) in _kept)
                    {
                        kept.Postings.Set(change.Row, tokens.FrequencyOf(word));
                    }
                }
                else
                {
                    foreach (var word in tokens.Frequencies.Keys)
                    {
                        _kept.GetValueOrDefault(word)?.Postings.Set(change.Row, tokens.FrequencyOf(word));
                    }
                }
            }
        }

        if (change.Shown is null || change.Tokens is not null)
        {
            foreach (var loading in _loading)
            {
                loading.Changes.Add((change.Row, change.Tokens?.FrequencyOf(loading.Word) ?? (byte)0));
            }
        }
    }

    private RankInputs InputsOf(Memory memory, int length) => _rank.Inputs(
        memory.Tier, memory.Priority, memory.Confidence, memory.AccessCount, memory.CreatedAt, memory.UpdatedAt, memory.ExpiresAt, memory.Namespace,
        memory.Metadata.Text("agent_id"), memory.Metadata.Text("scope"), memory.Tags, length);

    /// <summary>The rows of words, as they are committed at some instant after the call.</summary>
    private async Task<WordPostings[]> FindAsync(IReadOnlyList<string> words, CancellationToken cancellation)
    {
        var found = new Dictionary<string, WordPostings>(StringComparer.Ordinal);
        var phrases = new List<string>();
        var missing = new List<string>();
        var parts = words.Distinct().ToDictionary(static word => word, TextTokens.OfQuery);
        foreach (var (word, tokens) in parts)
        {
            if (tokens.Count == 0)
            {
                found[word] = new();
            }
            else if (tokens.Count > 1)
            {
                phrases.Add(word);
            }
            else if (_kept.TryGetValue(tokens[0], out var kept))
            {
                kept.UsedAt = Interlocked.Increment(ref _uses);
                found[word] = kept.Postings;
            }
            else
            {
                missing.Add(word);
            }
        }

        if (missing.Count > 0 || phrases.Count > 0)
        {
            Interlocked.Increment(ref _reads);
            await PostgresStore.ReadAsync(readers, async (connection, token) =>
            {
                await LoadAsync(connection, missing.ToDictionary(static word => word, word => parts[word][0]), found, token);
                foreach (var phrase in phrases)
                {
                    found[phrase] = await LoadPhraseAsync(connection, parts[phrase], token);
                }

                return 0;
            }, cancellation);
        }

        return [.. words.Select(word => found[word])];
    }

    private async Task LoadAsync(NpgsqlConnection connection, Dictionary<string, string> words, Dictionary<string, WordPostings> found, CancellationToken cancellation)
    {
        var loading = words.Values.Distinct().ToDictionary(static word => word, static word => new Loading(word));
        if (loading.Count == 0)
        {
            return;
        }

        // Told of every change from before the rows are read, so that none is missed.
        lock (_gate)
        {
            _loading.AddRange(loading.Values);
        }

        try
        {
            await LoadAsync(connection, [.. loading.Values], cancellation);
            foreach (var (word, token) in words)
            {
                found[word] = loading[token].Postings;
            }
        }
        finally
        {
            lock (_gate)
            {
                _loading.RemoveAll(each => loading.GetValueOrDefault(each.Word) == each);
                foreach (var each in loading.Values.Where(static each => each.IsComplete && each.Postings.Count >= KeptRows))
                {
                    foreach (var (row, frequency) in each.Changes)
                    {
                        each.Postings.Set(row, frequency);
                    }

                    _kept[each.Word] = new(each.Postings) { UsedAt = Interlocked.Increment(ref _uses) };
                }

                Shrink();
            }
        }
    }

    /// <summary>Reads the rows of words: first those that hold them, once or more than once, then those that hold them twice, three times, ... until all are told.</summary>
    private static async Task LoadAsync(NpgsqlConnection connection, List<Loading> words, CancellationToken cancellation)
    {
        const int FirstRound = 4;
        var asked = new List<(Loading Word, string Query, int Frequency)>();
        foreach (var word in words)
        {
            asked.Add((word, TextTokens.FormatQuery(word.Word), 1));
            asked.Add((word, TextTokens.FormatRepeatedQuery(word.Word), Repeated));
            asked.AddRange(Queries(word, 2, FirstRound));
        }

        await LoadAsync(connection, asked, cancellation);
        for (var first = FirstRound + 1; first <= TextTokens.MaxFrequency && words.Exists(static word => word.Untold > 0); first *= 2)
        {
            var last = Math.Min((first * 2) - 1, TextTokens.MaxFrequency);
            await LoadAsync(connection, [.. words.Where(static word => word.Untold > 0).SelectMany(word => Queries(word, first, last))], cancellation);
        }

        foreach (var word in words)
        {
            word.IsComplete = true;
        }

        static IEnumerable<(Loading Word, string Query, int Frequency)> Queries(Loading word, int first, int last) =>
            Enumerable.Range(first, last - first + 1).Select(frequency => (word, TextTokens.FormatQuery(word.Word, frequency), frequency));
    }

    private static async Task LoadAsync(NpgsqlConnection connection, List<(Loading Word, string Query, int Frequency)> asked, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            $"select (select array_agg(t.row) from {Schema}.memory_text t where t.words @@ u.query::tsquery) from unnest($1::text[]) with ordinality as u(query, n) order by u.n",
            connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. asked.Select(static each => each.Query)] });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        foreach (var (word, _, frequency) in asked)
        {
            await reader.ReadAsync(cancellation);
            var rows = reader.IsDBNull(0) ? [] : reader.GetFieldValue<long[]>(0);
            if (frequency == Repeated)
            {
                word.Untold = rows.Length;
                continue;
            }

            word.Untold -= frequency > 1 ? rows.Length : 0;
            foreach (var row in rows)
            {
                word.Postings.Set(row, (byte)frequency);
            }
        }
    }

    /// <summary>Rows that hold the words next to each other: those that hold them all are read and looked through.</summary>
    private static async Task<WordPostings> LoadPhraseAsync(NpgsqlConnection connection, IReadOnlyList<string> phrase, CancellationToken cancellation)
    {
        var postings = new WordPostings();
        await using var command = new NpgsqlCommand(
            $"select m.row, m.title, m.tags, m.content from {Schema}.memory_text t join {Schema}.memory m on m.row = t.row and m.state = 0 where t.words @@ $1::text::tsquery", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = string.Join(" & ", phrase.Distinct().Select(static word => TextTokens.FormatQuery(word))) });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var columns = TextTokens.Columns(PostgresRows.Text(reader, 1), PostgresRows.ParseTags(reader.GetString(2)), PostgresRows.Text(reader, 3));
            postings.Set(reader.GetInt64(0), (byte)Math.Min(TextTokens.CountPhrase(columns, phrase), TextTokens.MaxFrequency));
        }

        return postings;
    }

    /// <summary>Lets go of the words that were not asked for longest. Under the gate.</summary>
    private void Shrink()
    {
        var bytes = _kept.Values.Sum(static kept => kept.Postings.Bytes);
        foreach (var (word, kept) in _kept.OrderBy(static pair => pair.Value.UsedAt).ToList())
        {
            if (bytes <= KeptBytes)
            {
                return;
            }

            bytes -= kept.Postings.Bytes;
            _kept.TryRemove(word, out _);
        }
    }

    private sealed class Kept(WordPostings postings)
    {
        public WordPostings Postings => postings;

        public long UsedAt { get; set; }
    }

    /// <summary>A word whose rows are being read, and what was committed meanwhile.</summary>
    private sealed class Loading(string word)
    {
        public string Word => word;

        public WordPostings Postings { get; } = new();

        public List<(long Row, byte Frequency)> Changes { get; } = [];

        /// <summary>Rows that hold it more than once and were not told yet how often.</summary>
        public int Untold { get; set; }

        public bool IsComplete { get; set; }
    }
}
