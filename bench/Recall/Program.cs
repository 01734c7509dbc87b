using System.Diagnostics;
using System.Globalization;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;
using OrleansMemory.Recall.Benchmark;
using OrleansMemory.Storage.Sqlite;

// Arguments: --rows N (100,000), --queries N for each class (300), --checks N of them against the exhaustive formula (40), --batch N rows a commit (1,000).
var rows = Option("--rows", 100_000);
var queries = Option("--queries", 300);
var checks = Option("--checks", 40);
var batch = Option("--batch", 1_000);
var folder = Directory.CreateTempSubdirectory("recall-benchmark");
try
{
    var path = Path.Combine(folder.FullName, "store.db");
    var now = Timestamp.Now(TimeProvider.System);
    var corpus = new Corpus(seed: 1, now);
    using var store = SqliteDatabase.Open(path);
    store.Execute("pragma journal_mode = wal; pragma synchronous = off;");
    store.Execute(SqliteSchema.Main);
    var clock = Stopwatch.StartNew();
    using (var memory = store.Prepare("""
        insert into memory(row, state, tier, priority, confidence, access_count, created_at, updated_at, id, namespace, agent_id, scope, source, hash, title, tags, metadata, own, content)
        values(?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'api', x'', ?12, ?13, '{}', x'', ?14)
        """))
    using (var queue = store.Prepare("insert into index_queue(row) values(?1)"))
    {
        for (var first = 1; first <= rows; first += batch)
        {
            store.Execute("begin");
            for (var row = first; row < first + batch && row <= rows; row++)
            {
                corpus.Insert(memory, queue, row);
            }

            store.Execute("commit");
        }
    }

    Console.WriteLine($"SQLite {SqliteLibrary.Version}, {Environment.ProcessorCount} processors, {rows:N0} memories written in {clock.Elapsed.TotalSeconds:F1} s");

    var processor = Process.GetCurrentProcess().TotalProcessorTime;
    clock.Restart();
    using var index = SqliteTextIndex.Open(path, "benchmark", TimeProvider.System);
    while (!index.IsComplete || index.LagRows > 0)
    {
        Thread.Sleep(10);
    }

    processor = Process.GetCurrentProcess().TotalProcessorTime - processor;
    Console.WriteLine($"index built in {clock.Elapsed.TotalSeconds:F1} s: {processor.TotalMicroseconds / rows:F1} us of processor time for each row, {new FileInfo(SqliteTextIndex.PathOf(path)).Length / 1e6:F0} MB");

    clock.Restart();
    using var exhaustive = new Exhaustive(Path.Combine(folder.FullName, "plain.db"), path);
    Console.WriteLine($"exhaustive reference built in {clock.Elapsed.TotalSeconds:F1} s");

    var equal = 0;
    var compared = 0;
    foreach (var (name, pick) in new (string, Func<string[]>)[]
    {
        ("rare", () => [corpus.Word(2_000, 50_000), corpus.Word(2_000, 50_000), corpus.Word(2_000, 50_000)]),
        ("mixed", () => [corpus.Word(1_000, 20_000), corpus.Word(100, 1_000), corpus.Word(4, 100)]),
        ("common", () => [corpus.Word(4, 60), corpus.Word(4, 60), corpus.Word(4, 60)]),
    })
    {
        var texts = Enumerable.Range(0, queries).Select(_ => pick()).ToArray();
        var times = new List<double>();
        foreach (var words in texts)
        {
            clock.Restart();
            await Recall(words);
            times.Add(clock.Elapsed.TotalMilliseconds);
        }

        var bare = new List<double>();
        var plain = new List<double>();
        var same = 0;
        foreach (var words in texts.Take(checks))
        {
            clock.Restart();
            exhaustive.Bare(words);
            bare.Add(clock.Elapsed.TotalMilliseconds);
            clock.Restart();
            var expected = exhaustive.Recall(words, now);
            plain.Add(clock.Elapsed.TotalMilliseconds);
            var actual = await Recall(words);
            same += IsSame(expected, actual) ? 1 : 0;
        }

        equal += same;
        compared += Math.Min(checks, texts.Length);
        Console.WriteLine($"{name,-7} recall ms {Quantiles(times)}; FTS5 order by bm25 {Quantiles(bare)}; exhaustive {Quantiles(plain)}; same top 10: {same} of {Math.Min(checks, texts.Length)}");
    }

    Console.WriteLine($"same top 10 over all: {100.0 * equal / compared:F1} %");

    async Task<Ranking> Recall(string[] words) => await Ranker.RankAsync(
        index, TextQuery.From(new RecallQuery { Context = string.Join(' ', words) }, now), ScoringWeights.Reference, CancellationToken.None);

    bool IsSame(IReadOnlyList<(long Row, double Score)> expected, Ranking actual)
    {
        // Equal scores may stand in either order: each place must hold an equal score, and the memory that scores it.
        using var rowOf = store.Prepare("select row from memory where id = ?1");
        var scores = expected.ToDictionary(each => each.Row, each => each.Score);
        for (var place = 0; place < expected.Count; place++)
        {
            if (place >= actual.Memories.Count || !rowOf.Bind(1, actual.Memories[place].Memory.Id).Step())
            {
                return false;
            }

            var row = rowOf.Integer(0);
            rowOf.Reset();
            var tie = Math.Abs(actual.Memories[place].Score - expected[place].Score) < 1e-6;
            if (row != expected[place].Row && !(tie && (scores.ContainsKey(row) || place == expected.Count - 1)))
            {
                return false;
            }
        }

        return true;
    }
}
finally
{
    folder.Delete(recursive: true);
}

string Quantiles(List<double> times)
{
    times.Sort();
    return string.Create(CultureInfo.InvariantCulture, $"p50 {At(0.5):F1} p95 {At(0.95):F1} p99 {At(0.99):F1}");

    double At(double share) => times[Math.Min(times.Count - 1, (int)(times.Count * share))];
}

int Option(string name, int otherwise)
{
    var at = Array.IndexOf(args, name);
    return at >= 0 && at + 1 < args.Length ? int.Parse(args[at + 1], CultureInfo.InvariantCulture) : otherwise;
}
