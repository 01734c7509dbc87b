using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Recall.Benchmark;

/// <summary>The formula as ai-memory runs it: one FTS5 table over title, content and tags, every match scored and sorted.</summary>
internal sealed class Exhaustive : IDisposable
{
    private readonly SqliteDatabase _database;
    private readonly SqliteStatement _recall;
    private readonly SqliteStatement _bare;

    public Exhaustive(string path, string mainPath)
    {
        _database = SqliteDatabase.Open(path);
        _database.Execute($"attach '{mainPath}' as main_store");
        _database.Execute("""
            pragma main.journal_mode = off;
            pragma main.synchronous = off;
            begin;
            create virtual table plain using fts5(title, content, tags, content='', tokenize='porter unicode61 remove_diacritics 2');
            insert into plain(plain, rank) values('hashsize', 67108864);
            insert into plain(rowid, title, content, tags) select row, title, content, tags from main_store.memory not indexed order by row;
            create table inputs as select row, priority, access_count, confidence, tier, updated_at from main_store.memory not indexed order by row;
            commit;
            """);
        _recall = _database.Prepare("""
            select p.rowid, -bm25(plain) + 0.5 * m.priority + 0.1 * min(m.access_count, 50) + 2.0 * m.confidence
                + case m.tier when 2 then 3.0 when 1 then 1.0 else 0.0 end + 1.0 / (1.0 + 0.1 * ((?2 - m.updated_at) / 86400e9)) as score
            from plain p cross join inputs m on m.rowid = p.rowid
            where plain match ?1 order by score desc limit 10
            """);
        _bare = _database.Prepare("select rowid from plain where plain match ?1 order by bm25(plain) limit 10");
    }

    public IReadOnlyList<(long Row, double Score)> Recall(IReadOnlyList<string> words, Timestamp now)
    {
        var found = new List<(long, double)>();
        _recall.Bind(1, Match(words)).Bind(2, now.Nanoseconds);
        while (_recall.Step())
        {
            found.Add((_recall.Integer(0), _recall.Real(1)));
        }

        _recall.Reset();
        return found;
    }

    /// <summary>FTS5 alone, ordered by bm25.</summary>
    public void Bare(IReadOnlyList<string> words)
    {
        _bare.Bind(1, Match(words));
        _bare.Run();
    }

    public void Dispose() => _database.Dispose();

    private static string Match(IReadOnlyList<string> words) => string.Join(" OR ", words.Select(word => $"\"{word}\""));
}
