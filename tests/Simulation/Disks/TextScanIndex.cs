using System.Globalization;
using System.Text;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Simulation.Disks;

/// <summary>A full-text index that reads every shown memory for each query.</summary>
internal sealed class TextScanIndex(SimulatedStore store) : ITextIndex
{
    /// <summary>Of memories that were looked at, by row.</summary>
    private readonly Dictionary<long, (Memory Memory, string[] Tokens)> _tokens = [];

    public async Task<ITextReader> ReadAsync(CancellationToken cancellation) => await store.Read(tables => new Reader(tables, TokensOf));

    private string[] TokensOf(MemoryRow row)
    {
        if (!_tokens.TryGetValue(row.Row, out var known) || known.Memory != row.View)
        {
            _tokens[row.Row] = known = (row.View, Tokens($"{row.View.Title} {row.View.Content} {string.Join(' ', row.View.Tags)}"));
        }

        return known.Tokens;
    }

    private static string[] Tokens(string text)
    {
        var tokens = new List<string>();
        var token = new StringBuilder();
        foreach (var rune in TextQuery.WithoutZeroWidth(text).EnumerateRunes())
        {
            if (Rune.IsLetterOrDigit(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber or UnicodeCategory.PrivateUse)
            {
                token.Append(Rune.ToLowerInvariant(rune).ToString());
            }
            else if (token.Length > 0)
            {
                tokens.Add(token.ToString());
                token.Clear();
            }
        }

        if (token.Length > 0)
        {
            tokens.Add(token.ToString());
        }

        return [.. tokens];
    }

    private sealed class Reader(Tables tables, Func<MemoryRow, string[]> tokens) : ITextReader
    {
        private readonly List<(long Row, Memory Memory, string[] Tokens)> _documents = [.. tables.Memories.Values
            .Where(static row => row.Visibility == RowVisibility.Shown)
            .Select(row => (row.Row, row.View, tokens(row)))];

        private readonly List<string> _namespaces = [];
        private Dictionary<long, int>? _places;

        public bool IsComplete => true;

        public long Documents => _documents.Count;

        public double AverageLength => _documents.Count == 0 ? 0 : _documents.Average(static document => document.Tokens.Length);

        public Task<IReadOnlyList<long>> CountAsync(IReadOnlyList<string> words, CancellationToken cancellation) =>
            Task.FromResult<IReadOnlyList<long>>([.. words.Select(Tokens).Select(parts => _documents.LongCount(document => Frequency(document.Tokens, parts) > 0))]);

        public Task ScanAsync(TextScan scan, ICandidates candidates, CancellationToken cancellation)
        {
            var parts = scan.Words.Select(Tokens).ToArray();
            IEnumerable<(long Row, Memory Memory, string[] Tokens)> documents = scan.NewestFirst ? _documents.OrderByDescending(static document => document.Row) : _documents;
            foreach (var (row, memory, tokens) in documents)
            {
                if (scan.Namespace is not null && memory.Namespace != scan.Namespace)
                {
                    continue;
                }

                var frequencies = Array.ConvertAll(parts, word => Frequency(tokens, word));
                var isMatch = scan.Required.Count > 0 ? scan.Required.Any(word => frequencies[word] > 0)
                    : scan.Mode == MatchMode.All ? Array.TrueForAll(frequencies, static frequency => frequency > 0)
                    : Array.Exists(frequencies, static frequency => frequency > 0);
                if (!isMatch)
                {
                    continue;
                }

                var inputs = Inputs(memory, tokens.Length);
                switch (candidates.Judge(row, inputs))
                {
                    case Interest.Take:
                        candidates.Take(row, inputs, frequencies);
                        break;
                    case Interest.Stop:
                        return Task.CompletedTask;
                    default:
                        break;
                }
            }

            return Task.CompletedTask;
        }

        public Task<IReadOnlyList<long>> FindAsync(IReadOnlyList<string> words, string? @namespace, long afterRow, int limit, CancellationToken cancellation)
        {
            var parts = words.Select(Tokens).ToArray();
            return Task.FromResult<IReadOnlyList<long>>([.. _documents
                .Where(document => document.Row > afterRow && (@namespace is null || document.Memory.Namespace == @namespace) && Array.Exists(parts, word => Frequency(document.Tokens, word) > 0))
                .Select(static document => document.Row).Order().Take(limit)]);
        }

        public bool TryGetInputs(long row, out RankInputs inputs)
        {
            _places ??= _documents.Index().ToDictionary(static document => document.Item.Row, static document => document.Index);
            var isHeld = _places.TryGetValue(row, out var place);
            inputs = isHeld ? Inputs(_documents[place].Memory, _documents[place].Tokens.Length) : default;
            return isHeld;
        }

        public string NamespaceName(int number) => _namespaces[number];

        public Task<IReadOnlyList<Memory?>> FetchAsync(IReadOnlyList<long> rows, CancellationToken cancellation)
        {
            var wanted = rows.ToHashSet();
            var shown = tables.Memories.Values.Where(row => row.Visibility == RowVisibility.Shown && wanted.Contains(row.Row)).ToDictionary(static row => row.Row, static row => row.View);
            return Task.FromResult<IReadOnlyList<Memory?>>([.. rows.Select(row => shown.GetValueOrDefault(row))]);
        }

        public void Dispose()
        {
        }

        /// <summary>A word of several parts stands for them next to each other.</summary>
        private static int Frequency(ReadOnlySpan<string> tokens, string[] parts)
        {
            var found = 0;
            for (var start = 0; start + parts.Length <= tokens.Length; start++)
            {
                if (parts.Length > 0 && tokens.Slice(start, parts.Length).SequenceEqual(parts))
                {
                    found++;
                }
            }

            return found;
        }

        private RankInputs Inputs(Memory memory, int length)
        {
            var number = _namespaces.IndexOf(memory.Namespace);
            if (number < 0)
            {
                number = _namespaces.Count;
                _namespaces.Add(memory.Namespace);
            }

            return new()
            {
                Namespace = number,
                Length = length,
                AccessCount = (int)Math.Min(memory.AccessCount, int.MaxValue),
                Agent = memory.Metadata.Text("agent_id") is { } agent ? RankInputs.Hash(agent) : 0,
                Tags = memory.Tags.Aggregate(0UL, static (bits, tag) => bits | RankInputs.TagBit(tag)),
                Confidence = memory.Confidence,
                CreatedAt = memory.CreatedAt,
                UpdatedAt = memory.UpdatedAt,
                ExpiresAt = memory.ExpiresAt ?? RankInputs.Never,
                Priority = (byte)memory.Priority,
                Tier = memory.Tier,
                Scope = Visibility.ScopeOf(memory.Metadata.Text("scope")),
            };
        }
    }
}
