using System.Globalization;
using Npgsql;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Postgres;

public sealed partial class PostgresStore
{
    private const int MaxDifferences = 100;

    /// <summary>Everything within one snapshot, and the index, row by row, against its text.</summary>
    private async Task<StoreVerification> VerifyAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        var verifier = new RowVerifier();
        await using (var entries = Command(connection, $"select body from {Schema}.entry"))
        await using (var reader = await entries.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
            {
                verifier.Add(EntryState.Decode(PostgresRows.Bytes(reader, 0)));
            }
        }

        var wrong = new List<string>();
        long shown = 0;
        await using (var memories = Command(
            connection,
            $"""
            select {PostgresRows.RowColumns}, m.name_hash, t.length, tsvector_to_array(t.words)
            from {Schema}.memory m left join {Schema}.memory_text t on t.row = m.row order by m.namespace, m.title
            """))
        await using (var reader = await memories.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
            {
                var row = PostgresRows.ReadRow(reader);
                verifier.Add(row);
                shown += row.Visibility == RowVisibility.Shown ? 1 : 0;
                if (wrong.Count < MaxDifferences)
                {
                    Verify(reader, row, wrong);
                }
            }
        }

        await using (var derived = Command(connection, $"select {PostgresRows.Columns}, d.row, d.step, d.marker, d.value from {Schema}.derived d left join {Schema}.memory m on m.row = d.row and m.state = 0"))
        await using (var reader = await derived.ExecuteReaderAsync(cancellation))
        {
            const int First = PostgresRows.ColumnCount;
            while (await reader.ReadAsync(cancellation))
            {
                verifier.Add(
                    new(reader.GetInt64(First), PostgresRows.Text(reader, First + 1), PostgresRows.Text(reader, First + 2), PostgresRows.Bytes(reader, First + 3)),
                    reader.IsDBNull(0) ? null : PostgresRows.Read(reader));
            }
        }

        await using var texts = Command(connection, $"select count(*) from {Schema}.memory_text");
        if (await FirstAsync(texts, static row => row.GetInt64(0), cancellation) is var held && held != shown)
        {
            wrong.Add(string.Create(CultureInfo.InvariantCulture, $"the index holds {held} rows, the store shows {shown}"));
        }

        if (_writer.Vectors is { IsFilled: true } vectors)
        {
            wrong.AddRange(await vectors.VerifyAsync(connection, cancellation));
        }

        var kept = verifier.Finish(await ReadDigestsAsync(connection, cancellation));
        return kept with { Differences = [.. kept.Differences, .. wrong, .. await _index.VerifyAsync(connection, cancellation)] };
    }

    private void Verify(NpgsqlDataReader reader, MemoryRow row, List<string> wrong)
    {
        if (reader.GetInt64(PostgresRows.RowColumnCount) != PostgresRows.HashOf(row.Own.Name.Value))
        {
            wrong.Add($"{row.Own.Id}: the kept hash of its name is another");
        }

        var isHeld = !reader.IsDBNull(PostgresRows.RowColumnCount + 1);
        if (isHeld != (row.Visibility == RowVisibility.Shown))
        {
            wrong.Add($"{row.Own.Id}: is {row.Visibility} and {(isHeld ? "is" : "is not")} in the index");
            return;
        }

        if (isHeld)
        {
            var tokens = TextTokens.Of(row.View.Title, row.View.Tags, row.View.Content);
            var words = tokens.FormatVector().Split(' ', StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal);
            if (reader.GetInt32(PostgresRows.RowColumnCount + 1) != tokens.Length || !words.SetEquals(reader.GetFieldValue<string[]>(PostgresRows.RowColumnCount + 2)))
            {
                wrong.Add($"{row.Own.Id}: the index holds other words than its text");
            }

            if (!_index.Holds(row.Row, row.View, tokens.Length))
            {
                wrong.Add($"{row.Own.Id}: the rank inputs are old");
            }
        }
    }
}
