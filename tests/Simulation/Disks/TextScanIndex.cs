using System.Globalization;
using System.Text;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Simulation.Disks;

/// <summary>A full-text index that reads every shown memory for each query.</summary>
internal sealed class TextScanIndex(SimulatedStore store) : ITextIndex
{
    public async Task<ITextReader> ReadAsync(CancellationToken cancellation) => await store.Read(static tables => new Reader(tables));

    private static List<string> Tokens(string text)
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

        return tokens;
    }

    private sealed class Reader(Tables tables) : ITextReader
    {
        private readonly List<(long Row, Memory Memory, List<string> Tokens)> _documents = [.. tables.Memories.Values
            .Where(static row => row.Visibility == Core.Replication.RowVisibility.Shown)
            .Select(static row => (row.Row, row.View, Tokens($"{row.View.Title} {row.View.Content} {string.Join(' ', row.View.Tags)}")))];

        private readonly List<string> _namespaces = [];

        public bool IsComplete => true;

        public long Documents => _documents.Count;

        public double AverageLength => _documents.Count == 0 ? 0 : _documents.Average(static document => document.Tokens.Count);

        public Task<IReadOnlyList<long>> CountAsync(IReadOnlyList<string> words, CancellationToken cancellation) =>
            Task.FromResult<IReadOnlyList<long>>([.. words.Select(word => _documents.LongCount(document => Frequency(document.Tokens, word) > 0))]);

        public Task ScanAsync(TextScan scan, ICandidates candidates, CancellationToken cancellation)
        {
            IEnumerable<(long Row, Memory Memory, List<string> Tokens)> documents = scan.NewestFirst ? _documents.OrderByDescending(static document => document.Row) : _documents;
            foreach (var (row, memory, tokens) in documents)
            {
                if (scan.Namespace is not null && memory.Namespace != scan.Namespace)
                {
                    continue;
                }

                var frequencies = scan.Words.Select(word => Frequency(tokens, word)).ToArray();
                var isMatch = scan.Required.Count > 0 ? scan.Required.Any(word => frequencies[word] > 0)
                    : scan.Mode == MatchMode.All ? Array.TrueForAll(frequencies, static frequency => frequency > 0)
                    : Array.Exists(frequencies, static frequency => frequency > 0);
                if (!isMatch)
                {
                    continue;
                }

                var inputs = Inputs(memory, tokens.Count);
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

        public Task<IReadOnlyList<long>> FindAsync(IReadOnlyList<string> words, string? @namespace, long afterRow, int limit, CancellationToken cancellation) =>
            Task.FromResult<IReadOnlyList<long>>([.. _documents
                .Where(document => document.Row > afterRow && (@namespace is null || document.Memory.Namespace == @namespace) && words.Any(word => Frequency(document.Tokens, word) > 0))
                .Select(static document => document.Row).Order().Take(limit)]);

        public string NamespaceName(int number) => _namespaces[number];

        public Task<IReadOnlyList<Memory?>> FetchAsync(IReadOnlyList<long> rows, CancellationToken cancellation)
        {
            var shown = tables.Memories.Values.Where(static row => row.Visibility == Core.Replication.RowVisibility.Shown).ToDictionary(static row => row.Row, static row => row.View);
            return Task.FromResult<IReadOnlyList<Memory?>>([.. rows.Select(row => shown.GetValueOrDefault(row))]);
        }

        public void Dispose()
        {
        }

        /// <summary>A word of several parts stands for them next to each other.</summary>
        private static int Frequency(List<string> tokens, string word)
        {
            var parts = Tokens(word);
            var found = 0;
            for (var start = 0; start + parts.Count <= tokens.Count; start++)
            {
                if (parts.Count > 0 && tokens.Skip(start).Take(parts.Count).SequenceEqual(parts))
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
