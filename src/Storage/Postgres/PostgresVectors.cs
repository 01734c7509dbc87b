using System.Globalization;
using System.Text;
using Npgsql;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// The vectors of a model in table <c>memory_vector</c>, of length 1, in a column of pgvector's type: written in the transaction of the derived values that
/// they come from, and compared by the server, one by one.
/// </summary>
/// <param name="schema">Of the extension's type and operators, quoted.</param>
/// <param name="isFilled">The table holds the vector of every derived value.</param>
internal sealed class PostgresVectors(PostgresWriter writer, NpgsqlDataSource readers, string schema, string marker, int dimension, bool isFilled) : IVectorIndex
{
    private const string Schema = PostgresSchema.Name;
    private const int LoadedRows = 500;

    private readonly Lock _gate = new();
    private Task? _loaded = isFilled ? Task.CompletedTask : null;
    private long _changes;
    private (long Changes, long Rows)? _counted;

    public int Dimension => dimension;

    /// <summary>The table holds the vector of every derived value. Changed and read by the one writer.</summary>
    public bool IsFilled { get; private set; } = isFilled;

    public Task LoadAsync()
    {
        lock (_gate)
        {
            return _loaded is null or { IsFaulted: true } or { IsCanceled: true } ? _loaded = FillAsync() : _loaded;
        }
    }

    /// <summary>Counted anew once it has changed.</summary>
    public async ValueTask<long> CountAsync(CancellationToken cancellation)
    {
        var changes = Volatile.Read(ref _changes);
        lock (_gate)
        {
            if (_counted is { } counted && counted.Changes == changes)
            {
                return counted.Rows;
            }
        }

        var rows = await PostgresStore.ReadAsync(
            readers,
            async (connection, token) =>
            {
                await using var command = new NpgsqlCommand($"select count(*) from {Schema}.memory_vector", connection);
                return (long)(await command.ExecuteScalarAsync(token))!;
            },
            cancellation);
        lock (_gate)
        {
            _counted = (changes, rows);
        }

        return rows;
    }

    public async ValueTask<IReadOnlyDictionary<long, double>> CosinesAsync(float[] unit, IReadOnlyList<long> rows, CancellationToken cancellation)
    {
        if (rows.Count == 0)
        {
            return new Dictionary<long, double>();
        }

        var found = await ReadAsync(
            $"select v.row, {Distance("$1")} from {Schema}.memory_vector v where v.row = any($2)", [unit, rows.ToArray()], cancellation);
        return found.ToDictionary(static near => near.Row, static near => near.Cosine);
    }

    public async ValueTask<IReadOnlyList<NearRow>> NearestAsync(VectorScan scan, CancellationToken cancellation)
    {
        var query = scan.Query;
        var values = new List<object> { query.Now.Nanoseconds, scan.Unit };
        var conditions = new StringBuilder();
        PostgresStore.AppendFilter(conditions, values, query.Filter);
        foreach (var condition in query.Visibility.Conditions)
        {
            PostgresStore.AppendSeen(conditions, values, condition);
        }

        // Only shown memories have vectors. Without filters the wide rows need not be read: the few that have expired are found by their index.
        var sql = new StringBuilder($"select v.row, {Distance("$2")} as distance from {Schema}.memory_vector v ");
        sql.Append(conditions.Length == 0
            ? $"where not exists (select 1 from {Schema}.memory m where m.row = v.row and m.state = 0 and m.expires_at is not null and m.expires_at <= $1)"
            : $"join {Schema}.memory m on m.row = v.row where {PostgresStore.Live}{conditions}");
        sql.Append(CultureInfo.InvariantCulture, $" order by distance, v.row limit {PostgresStore.Place(values, (long)scan.Count)}");
        var nearest = await ReadAsync(sql.ToString(), values, cancellation);
        return [.. nearest.TakeWhile(near => near.Cosine > scan.Least)];
    }

    /// <summary>Whether a commit changes the table.</summary>
    public static bool IsChangedBy(IReadOnlyList<DerivedValue> values, DerivedPlan plan) => values.Count + plan.Gone.Count + plan.Old.Count > 0;

    /// <summary>What a commit changes of the table: the vectors of derived values come, those of changed and hidden rows go.</summary>
    public void AddTo(NpgsqlBatch batch, IReadOnlyList<DerivedValue> values, DerivedPlan plan)
    {
        var put = values.Where(value => value.Step == EmbeddingStep.StepName && value.Marker == marker).ToList();
        if (put.Count > 0)
        {
            batch.BatchCommands.Add(Put(put));
        }

        if (plan.Gone.Count + plan.Old.Count > 0)
        {
            batch.BatchCommands.Add(new($"delete from {Schema}.memory_vector where row = any($1)") { Parameters = { new NpgsqlParameter<long[]> { TypedValue = [.. plan.Gone, .. plan.Old] } } });
        }
    }

    /// <summary>The table has changed.</summary>
    public void Notice() => Interlocked.Increment(ref _changes);

    /// <summary>Compares the table with the derived values that it comes from.</summary>
    public async Task<IReadOnlyList<string>> VerifyAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            $"""
            select coalesce(d.row, v.row), d.value, v.value::real[] from (select row, value from {Schema}.derived where step = $1 and marker = $2) d
            full join {Schema}.memory_vector v on v.row = d.row
            """,
            connection)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = EmbeddingStep.StepName }, new NpgsqlParameter<string> { TypedValue = PostgresRows.Escaped(marker) } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var differences = new List<string>();
        while (await reader.ReadAsync(cancellation))
        {
            var derived = reader.IsDBNull(1) ? null : EmbeddingStep.UnitOf(reader.GetFieldValue<byte[]>(1), dimension);
            var held = reader.IsDBNull(2) ? null : reader.GetFieldValue<float[]>(2);
            if (!(derived ?? []).AsSpan().SequenceEqual(held ?? []))
            {
                differences.Add(string.Create(CultureInfo.InvariantCulture, $"row {reader.GetInt64(0)} has another vector than its derived value"));
            }
        }

        return differences;
    }

    /// <summary>Page by page, each read and written between two commits.</summary>
    private async Task FillAsync()
    {
        for (var after = 0L; !IsFilled;)
        {
            after = await writer.UseAsync(async connection =>
            {
                var page = await ReadPageAsync(connection, after);
                await using var batch = new NpgsqlBatch(connection);
                if (page.Count > 0)
                {
                    batch.BatchCommands.Add(Put(page));
                }

                if (page.Count < LoadedRows)
                {
                    batch.BatchCommands.Add(new($"update {Schema}.head set vector_commits = commits where set_id = 0"));
                }

                await batch.ExecuteNonQueryAsync();
                Notice();
                IsFilled = page.Count < LoadedRows;
                return IsFilled ? after : page[^1].Row;
            });
        }
    }

    private async Task<List<DerivedValue>> ReadPageAsync(NpgsqlConnection connection, long after)
    {
        await using var command = new NpgsqlCommand($"select row, value from {Schema}.derived where step = $1 and marker = $2 and row > $3 order by row limit $4", connection)
        {
            Parameters =
            {
                new NpgsqlParameter<string> { TypedValue = EmbeddingStep.StepName },
                new NpgsqlParameter<string> { TypedValue = PostgresRows.Escaped(marker) },
                new NpgsqlParameter<long> { TypedValue = after },
                new NpgsqlParameter<long> { TypedValue = LoadedRows },
            },
        };
        await using var reader = await command.ExecuteReaderAsync();
        return await PostgresStore.AllAsync(reader, row => new DerivedValue(row.GetInt64(0), EmbeddingStep.StepName, marker, row.GetFieldValue<byte[]>(1)));
    }

    /// <summary>Inserts vectors of rows whose derived value is there, all as one array that is cut into pieces. One that is there is of the same text.</summary>
    private NpgsqlBatchCommand Put(List<DerivedValue> values)
    {
        var rows = new List<long>(values.Count);
        var numbers = new List<float>(values.Count * dimension);
        foreach (var value in values)
        {
            if (EmbeddingStep.UnitOf(value.Value, dimension) is { } unit)
            {
                rows.Add(value.Row);
                numbers.AddRange(unit);
            }
        }

        return new($"""
            insert into {Schema}.memory_vector (row, value)
            select u.row, ($2::real[])[(u.place - 1) * $3 + 1 : u.place * $3]::{schema}.vector from unnest($1::bigint[]) with ordinality as u(row, place)
            cross join lateral (select 1 from {Schema}.derived d where d.row = u.row and d.step = $4 and d.marker = $5 offset 0) d
            on conflict (row) do nothing
            """)
        {
            Parameters =
            {
                new NpgsqlParameter<long[]> { TypedValue = [.. rows] },
                new NpgsqlParameter<float[]> { TypedValue = [.. numbers] },
                new NpgsqlParameter<int> { TypedValue = dimension },
                new NpgsqlParameter<string> { TypedValue = EmbeddingStep.StepName },
                new NpgsqlParameter<string> { TypedValue = PostgresRows.Escaped(marker) },
            },
        };
    }

    /// <summary>The negative of the inner product, which of vectors of length 1 is the cosine.</summary>
    private string Distance(string place) => $"v.value operator({schema}.<#>) {place}::real[]::{schema}.vector";

    private Task<List<NearRow>> ReadAsync(string sql, IReadOnlyList<object> values, CancellationToken cancellation) => PostgresStore.ReadAsync(
        readers,
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection);
            foreach (var value in values)
            {
                command.Parameters.Add(new() { Value = value });
            }

            await using var reader = await command.ExecuteReaderAsync(token);
            return await PostgresStore.AllAsync(reader, static row => new NearRow(row.GetInt64(0), -row.GetDouble(1)), token);
        },
        cancellation);
}
