using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests;

/// <summary>The reference: one plain FTS5 table over the shown memories, its own bm25, every match scored, filtered and sorted.</summary>
internal sealed class PlainFormula : IDisposable
{
    private readonly SqliteDatabase _plain = SqliteDatabase.Open(":memory:");
    private readonly Dictionary<long, Memory> _memories = [];

    public PlainFormula(SqliteDatabase store)
    {
        _plain.Execute("create virtual table plain using fts5(title, content, tags, tokenize='porter unicode61 remove_diacritics 2')");
        using var insert = _plain.Prepare("insert into plain(rowid, title, content, tags) values(?1, ?2, ?3, ?4)");
        using var rows = store.Prepare("select row, " + MemoryRows.Columns + " from memory where state = 0");
        while (rows.Step())
        {
            var memory = MemoryRows.Read(rows, 1);
            _memories.Add(rows.Integer(0), memory);
            insert.Bind(1, rows.Integer(0)).Bind(2, memory.Title).Bind(3, memory.Content).Bind(4, string.Join(' ', memory.Tags)).Run();
        }
    }

    public List<RankedMemory> Rank(IReadOnlyList<string> words, MatchMode mode, MemoryFilter filter, string? asAgent, Timestamp now)
    {
        var visibility = Visibility.Of(principal: null, asAgent);
        var found = new List<(long Row, RankedMemory Ranked)>();
        using var matches = _plain.Prepare("select rowid, bm25(plain) from plain where plain match ?1");
        matches.Bind(1, string.Join(mode == MatchMode.All ? " AND " : " OR ", words.Select(word => $"\"{word}\"")));
        while (matches.Step())
        {
            var memory = _memories[matches.Integer(0)];
            var age = Math.Max(0, now.SecondsSince(memory.UpdatedAt)) / 86_400;
            var score = -matches.Real(1) + (0.5 * memory.Priority) + (0.1 * Math.Min(memory.AccessCount, 50)) + (2 * memory.Confidence) + (1 / (1 + (0.1 * age)));
            score += mode == MatchMode.All ? 0 : memory.Tier switch { Tier.Long => 3, Tier.Mid => 1, _ => 0 };
            var shown = (memory.ExpiresAt is null || memory.ExpiresAt > now)
                && (filter.Namespace is null || filter.Namespace == memory.Namespace)
                && (filter.Tier is null || filter.Tier == memory.Tier)
                && (filter.MinPriority is null || memory.Priority >= filter.MinPriority)
                && (filter.Since is null || memory.CreatedAt >= filter.Since)
                && (filter.Until is null || memory.CreatedAt <= filter.Until)
                && (filter.Tag is null || memory.Tags.Contains(filter.Tag))
                && (filter.AgentId is null || memory.Metadata.Text("agent_id") == filter.AgentId)
                && visibility.Shows(memory);
            if (shown)
            {
                found.Add((matches.Integer(0), new(memory, score)));
            }
        }

        return [.. found.OrderByDescending(each => Math.Round(each.Ranked.Score, 9)).ThenBy(each => each.Row).Select(each => each.Ranked)];
    }

    public void Dispose() => _plain.Dispose();
}
