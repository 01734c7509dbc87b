using Npgsql;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Storage.Postgres;

/// <summary>Queries: the rows of the words are at hand, so a scan reads nothing.</summary>
internal sealed partial class PostgresTextIndex
{
    private sealed class Reader(PostgresTextIndex owner) : ITextReader
    {
        private readonly Dictionary<string, WordPostings> _words = new(StringComparer.Ordinal);

        public bool IsComplete => true;

        public long Documents => owner._rank.Documents;

        public double AverageLength => owner._rank.AverageLength;

        public bool TryGetInputs(long row, out RankInputs inputs) => owner._rank.TryGet(row, out inputs);

        public string NamespaceName(int number) => owner._rank.NamespaceName(number);

        public async Task<IReadOnlyList<long>> CountAsync(IReadOnlyList<string> words, CancellationToken cancellation) =>
            [.. (await WordsAsync(words, cancellation)).Select(static word => word.Count)];

        public async Task ScanAsync(TextScan scan, ICandidates candidates, CancellationToken cancellation)
        {
            var words = await WordsAsync(scan.Words, cancellation);
            await Task.Run(() => Scan(scan, words, candidates, cancellation), cancellation);
        }

        public async Task<IReadOnlyList<long>> FindAsync(
            IReadOnlyList<string> words, string? @namespace, long afterRow, int limit, CancellationToken cancellation)
        {
            var found = new List<long>();
            var postings = await WordsAsync(words, cancellation);
            var chunks = new byte[]?[postings.Length];
            var any = new byte[WordPostings.ChunkRows];
            for (var number = (int)Math.Max(0, (afterRow + 1) >> WordPostings.ChunkBits); number < postings.Max(static word => word.Chunks) && found.Count < limit; number++)
            {
                Chunks(postings, number, chunks);
                WordPostings.Unite(chunks, any);
                for (var index = NextSet(any, 0); index < any.Length && found.Count < limit; index = NextSet(any, index + 1))
                {
                    var row = ((long)number << WordPostings.ChunkBits) + index;
                    if (row > afterRow && owner._rank.TryGet(row, out var inputs) && (@namespace is null || NamespaceName(inputs.Namespace) == @namespace))
                    {
                        found.Add(row);
                    }
                }
            }

            return found;
        }

        public async Task<IReadOnlyList<Memory?>> FetchAsync(IReadOnlyList<long> rows, CancellationToken cancellation)
        {
            if (rows.Count == 0)
            {
                return [];
            }

            var found = await PostgresStore.ReadAsync(owner.Readers, async (connection, token) =>
            {
                await using var command = new NpgsqlCommand($"select {PostgresRows.Columns}, m.row from {Schema}.memory m where m.row = any($1) and m.state = 0", connection);
                command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. rows] });
                await using var reader = await command.ExecuteReaderAsync(token);
                return await PostgresStore.AllAsync(reader, static row => (Row: row.GetInt64(PostgresRows.ColumnCount), Memory: PostgresRows.Read(row)), token);
            }, cancellation);
            var byRow = found.ToDictionary(static each => each.Row, static each => each.Memory);
            return [.. rows.Select(row => byRow.GetValueOrDefault(row))];
        }

        public void Dispose()
        {
        }

        private async Task<WordPostings[]> WordsAsync(IReadOnlyList<string> words, CancellationToken cancellation)
        {
            var missing = words.Where(word => !_words.ContainsKey(word)).Distinct().ToList();
            if (missing.Count > 0)
            {
                var found = await owner.FindAsync(missing, cancellation);
                for (var index = 0; index < found.Length; index++)
                {
                    _words[missing[index]] = found[index];
                }
            }

            return [.. words.Select(word => _words[word])];
        }

        private void Scan(TextScan scan, WordPostings[] words, ICandidates candidates, CancellationToken cancellation)
        {
            var chunks = new byte[]?[words.Length];
            var selecting = scan.Required.Count > 0 ? new byte[]?[scan.Required.Count] : chunks;
            var any = new byte[WordPostings.ChunkRows];
            var frequencies = new int[words.Length];
            var all = scan.Mode == MatchMode.All && scan.Required.Count == 0;
            var last = words.Length == 0 ? 0 : words.Max(static word => word.Chunks);
            for (var step = 0; step < last; step++)
            {
                cancellation.ThrowIfCancellationRequested();
                var number = scan.NewestFirst ? last - 1 - step : step;
                Chunks(words, number, chunks);
                if (scan.Required.Count > 0)
                {
                    for (var index = 0; index < selecting.Length; index++)
                    {
                        selecting[index] = chunks[scan.Required[index]];
                    }
                }

                if (all ? Array.Exists(chunks, static chunk => chunk is null) : Array.TrueForAll(selecting, static chunk => chunk is null))
                {
                    continue;
                }

                WordPostings.Unite(selecting, any);
                var start = (long)number << WordPostings.ChunkBits;
                if (scan.NewestFirst)
                {
                    for (var index = any.Length - 1; index >= 0; index--)
                    {
                        if (any[index] != 0 && !Visit(start, index))
                        {
                            return;
                        }
                    }
                }
                else
                {
                    for (var index = NextSet(any, 0); index < any.Length; index = NextSet(any, index + 1))
                    {
                        if (!Visit(start, index))
                        {
                            return;
                        }
                    }
                }
            }

            bool Visit(long start, int index)
            {
                if (all && Array.Exists(chunks, chunk => chunk![index] == 0))
                {
                    return true;
                }

                var row = start + index;
                if (!owner._rank.TryGet(row, out var inputs))
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
                        for (var word = 0; word < frequencies.Length; word++)
                        {
                            frequencies[word] = chunks[word]?[index] ?? 0;
                        }

                        candidates.Take(row, inputs, frequencies);
                        return true;
                }
            }
        }

        private static void Chunks(WordPostings[] words, int number, byte[]?[] chunks)
        {
            for (var word = 0; word < words.Length; word++)
            {
                chunks[word] = words[word].Chunk(number);
            }
        }

        private static int NextSet(ReadOnlySpan<byte> bytes, int from)
        {
            var next = bytes[from..].IndexOfAnyExcept((byte)0);
            return next < 0 ? bytes.Length : from + next;
        }
    }
}
