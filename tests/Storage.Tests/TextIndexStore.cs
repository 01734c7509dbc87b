using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests;

/// <summary>The main file as a store's writer leaves it for the index: rows, and a queue entry for each change of indexable text.</summary>
internal sealed class TextIndexStore : IDisposable
{
    private static readonly string[] Scopes = ["private", "team", "unit", "org", "collective"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("text-index");
    private readonly Random _random;

    public TextIndexStore(int seed)
    {
        _random = new Random(seed);
        Path = System.IO.Path.Combine(_folder.FullName, "store.db");
        Database = SqliteDatabase.Open(Path);
        Database.Execute("pragma journal_mode = wal; pragma synchronous = off;");
        Database.Execute(SqliteSchema.Main);
    }

    public static Timestamp Now { get; } = new(1_800_000_000_000_000_000);

    public string Path { get; }

    public SqliteDatabase Database { get; }

    public SqliteTextIndex? Index { get; private set; }

    public long LastQueueNumber => Database.QueryInteger("select seq from sqlite_sequence where name = 'index_queue'") ?? 0;

    public SqliteTextIndex Open(string identity = "store")
    {
        Index?.Dispose();
        return Index = SqliteTextIndex.Open(Path, identity, TimeProvider.System);
    }

    public void Close()
    {
        Index?.Dispose();
        Index = null;
    }

    /// <summary>One transaction of the writer, told to the index.</summary>
    public void Commit(Action changes, params ReadOnlySpan<long> rankChanged)
    {
        Database.Execute("begin immediate");
        changes();
        Database.Execute("commit");
        Index?.Notify(LastQueueNumber, rankChanged);
    }

    public void Put(Memory memory, long row, int state = SqliteSchema.Shown)
    {
        Remember(row);
        using var statement = Database.Prepare("""
            insert or replace into memory(row, state, tier, priority, confidence, access_count, created_at, updated_at, expires_at, id, namespace, agent_id, scope, source,
                hash, title, tags, metadata, own, content)
            values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, x'', ?15, ?16, ?17, x'', ?18)
            """);
        statement.Bind(1, row).Bind(2, state).Bind(3, (int)memory.Tier).Bind(4, memory.Priority).Bind(5, memory.Confidence).Bind(6, memory.AccessCount)
            .Bind(7, memory.CreatedAt.Nanoseconds).Bind(8, memory.UpdatedAt.Nanoseconds).Bind(9, memory.ExpiresAt?.Nanoseconds).Bind(10, memory.Id)
            .Bind(11, memory.Namespace).Bind(12, memory.Metadata.Text("agent_id")).Bind(13, memory.Metadata.Text("scope")).Bind(14, memory.Source)
            .Bind(15, memory.Title).Bind(16, MemoryRows.FormatTags(memory.Tags)).Bind(17, memory.Metadata.Json).Bind(18, memory.Content).Run();
    }

    public void Delete(long row)
    {
        Remember(row);
        Database.Execute($"delete from memory where row = {row}");
    }

    public void SetState(long row, int state)
    {
        Remember(row);
        Database.Execute($"update memory set state = {state} where row = {row}");
    }

    /// <summary>Words drawn as in natural text, so that some are in most memories and most in few.</summary>
    public string Text(int words) => string.Join(' ', Enumerable.Range(0, words).Select(_ => Word()));

    public string Word() => $"w{(int)Math.Pow(2_000, _random.NextDouble())}q";

    public Memory Draw(long row)
    {
        var created = Now.AddSeconds(-_random.Next(1, 90 * 86_400));
        var metadata = Metadata.Empty.With("agent_id", $"agent-{_random.Next(3)}");
        return new()
        {
            Id = $"id-{row}",
            Tier = (Tier)_random.Next(3),
            Namespace = (_random.Next(6)) switch { 0 => "a", 1 => "a/b", 2 => "a/b/c", 3 => "a/b/c/d", 4 => "a/x", _ => "global" },
            Title = Text(4),
            Content = Text(_random.Next(5, 60)),
            Tags = [.. Enumerable.Range(0, _random.Next(3)).Select(_ => $"tag-{_random.Next(100)}").Distinct()],
            Priority = _random.Next(1, 11),
            Confidence = Math.Round(_random.NextDouble(), 2),
            Source = "api",
            AccessCount = _random.Next(60),
            CreatedAt = created,
            UpdatedAt = created.AddSeconds(_random.Next(0, 86_400)),
            ExpiresAt = _random.Next(8) switch { 0 => Now.AddSeconds(-5), 1 => Now.AddSeconds(600), _ => null },
            Metadata = _random.Next(3) == 0 ? metadata : metadata.With("scope", Scopes[_random.Next(Scopes.Length)]),
        };
    }

    public void Fill(int rows, int perCommit = 500)
    {
        for (long first = 1; first <= rows; first += perCommit)
        {
            Commit(() =>
            {
                for (var row = first; row < first + perCommit && row <= rows; row++)
                {
                    Put(Draw(row), row, row % 11 == 0 ? SqliteSchema.Archived : SqliteSchema.Shown);
                }
            });
        }
    }

    public void Dispose()
    {
        Close();
        Database.Dispose();
        _folder.Delete(recursive: true);
    }

    /// <summary>The queue entry: what was indexable before this change.</summary>
    private void Remember(long row) => Database.Execute($"""
        insert into index_queue(row, old_namespace, old_title, old_tags, old_content)
        select {row}, m.namespace, m.title, m.tags, m.content from (select 1) left join memory m on m.row = {row} and m.state = 0
        """);
}
