using System.Globalization;
using SQLitePCL;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>The proof that the index holds what the main file says.</summary>
internal sealed partial class SqliteTextIndex
{
    private const int MaxDifferences = 100;
    private const int VerifyAttempts = 3;

    /// <summary>
    /// Compares every token of the index with one built anew in memory from the shown memories, and the rank table with their
    /// columns. Waits for a rebuild to end, then holds the indexer still; costs about as much as a rebuild.
    /// </summary>
    /// <returns>The first 100 differences; none when the index is exact. Damage is one, and starts a rebuild.</returns>
    public async Task<IReadOnlyList<string>> VerifyAsync(CancellationToken cancellation = default)
    {
        for (var attempt = 1; ; attempt++)
        {
            while (!await WaitAsync(Volatile.Read(ref _notified), Volatile.Read(ref _touchesNotified), Need.Complete, cancellation))
            {
                // A rebuild of a large store takes several rounds of the bounded wait.
            }

            try
            {
                // A commit that the writer has not told of yet looks like a difference, for a moment.
                var differences = await Task.Run(() => Verify(cancellation), cancellation);
                if (differences.Count == 0 || attempt == VerifyAttempts)
                {
                    return differences;
                }
            }
            catch (SqliteException failure) when (failure.PrimaryCode is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB)
            {
                return [Failed(failure).Message];
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), _time, cancellation);
        }
    }

    private List<string> Verify(CancellationToken cancellation)
    {
        var differences = new List<string>();
        lock (_step)
        {
            using var main = SqliteDatabase.Open(_mainPath, readOnly: true);
            using var actual = SqliteDatabase.Open(_path);
            using var expected = SqliteDatabase.Open(":memory:");
            main.Execute("begin");
            if (main.QueryInteger("select max(n) from index_queue") is { } last && last > _watermark)
            {
                differences.Add(string.Create(CultureInfo.InvariantCulture, $"the queue goes to {last}, the index to {_watermark}"));
                return differences;
            }

            expected.Execute(Schema);
            Build(main, expected, differences, cancellation);
            actual.Execute("create virtual table temp.tokens using fts5vocab(main, ft, instance)");
            expected.Execute("create virtual table temp.tokens using fts5vocab(main, ft, instance)");
            Compare(expected, actual, "select id, hex(sz) from ft_docsize order by id", 2, differences);
            Compare(expected, actual, "select term, doc, col, offset from temp.tokens", 4, differences);
            Check(actual, differences);
        }

        return differences;
    }

    private void Build(SqliteDatabase main, SqliteDatabase expected, List<string> differences, CancellationToken cancellation)
    {
        var insert = new IndexStatements(expected);
        var source = new MainStatements(main);
        long rows = 0;
        source.Rows.Bind(1, long.MinValue).Bind(2, long.MaxValue);
        while (source.Rows.Step())
        {
            cancellation.ThrowIfCancellationRequested();
            rows++;
            var row = source.Rows.Integer(0);
            IndexStatements.Run(insert.Insert, row, MainStatements.TextOf(source.Rows));
            insert.Length.Bind(1, row).Step();
            var length = LengthIn(insert.Length.Blob(0));
            insert.Length.Reset();
            if (differences.Count < MaxDifferences
                && (!_rank.TryGet(row, out var held) || !RankTable.Equal(held, _rank.Read(source.Rows, MainStatements.FirstRank, length))))
            {
                differences.Add(string.Create(CultureInfo.InvariantCulture, $"the rank inputs of row {row} are old"));
            }
        }

        source.Rows.Reset();
        if (rows != _rank.Documents)
        {
            differences.Add(string.Create(CultureInfo.InvariantCulture, $"the rank table holds {_rank.Documents} rows, the store shows {rows}"));
        }
    }

    /// <summary>Both statements return rows in one order; the first row where they part is a difference, and the last one compared.</summary>
    private static void Compare(SqliteDatabase expected, SqliteDatabase actual, string sql, int columns, List<string> differences)
    {
        using var left = expected.Prepare(sql);
        using var right = actual.Prepare(sql);
        while (true)
        {
            var one = Line(left, columns);
            var other = Line(right, columns);
            if (one != other)
            {
                differences.Add($"expected {one ?? "the end"}, the index holds {other ?? "the end"} [{sql}]");
            }

            if (one is null || one != other)
            {
                return;
            }
        }
    }

    private static string? Line(SqliteStatement statement, int columns) =>
        statement.Step() ? string.Join(' ', Enumerable.Range(0, columns).Select(statement.Text)) : null;

    private static void Check(SqliteDatabase actual, List<string> differences)
    {
        try
        {
            actual.Execute("insert into ft(ft) values('integrity-check')");
        }
        catch (SqliteException failure) when (failure.PrimaryCode == raw.SQLITE_CORRUPT)
        {
            differences.Add("the structure of the index is damaged");
        }
    }
}
