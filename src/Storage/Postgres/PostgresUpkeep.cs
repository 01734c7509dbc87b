using Npgsql;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// Background work of a store: moves new words from the list in which the inverted index first takes them into the index itself,
/// so that neither a commit nor a query pays for it, and measures the store.
/// </summary>
internal sealed class PostgresUpkeep : IAsyncDisposable
{
    /// <summary>New rows that wait to be moved at most while queries come: each reads through those that wait.</summary>
    private const int RowsWhileRead = 500;

    /// <summary>While none comes more wait: moved together they cost a fraction.</summary>
    private const int RowsWhileNotRead = 4_000;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Measured = TimeSpan.FromSeconds(15);

    private readonly NpgsqlDataSource _source;
    private readonly PostgresTextIndex _index;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _loop;
    private long _sizeBytes;

    public PostgresUpkeep(NpgsqlDataSource source, PostgresTextIndex index, TimeProvider time)
    {
        _source = source;
        _index = index;
        _time = time;
        _loop = LoopAsync();
    }

    /// <summary>Of the tables with their indexes, some seconds ago.</summary>
    public long SizeBytes => Volatile.Read(ref _sizeBytes);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _loop;
        _stopping.Dispose();
    }

    private async Task LoopAsync()
    {
        await Task.Yield();
        var (cleaned, written, reads) = (0L, 0L, 0L);
        long? measuredAt = null;
        while (true)
        {
            try
            {
                if (measuredAt is not { } at || _time.GetElapsedTime(at) >= Measured)
                {
                    Volatile.Write(ref _sizeBytes, await PostgresStore.ReadAsync(_source, PostgresStore.ReadSizeAsync, _stopping.Token));
                    measuredAt = _time.GetTimestamp();
                }

                var before = (Written: written, Reads: reads);
                (written, reads) = (_index.Written, _index.Reads);
                if (written - cleaned >= (reads > before.Reads ? RowsWhileRead : RowsWhileNotRead) || (written > cleaned && written == before.Written))
                {
                    await PostgresStore.ReadAsync(_source, CleanAsync, _stopping.Token);
                    cleaned = written;
                }
            }
            catch (Exception exception) when (exception is MemoryException or OperationCanceledException)
            {
                // The store is away, or this ends.
            }

            try
            {
                await Task.Delay(Interval, _time, _stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private static async Task<int> CleanAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands = { new("begin read write"), new($"select gin_clean_pending_list('{PostgresSchema.Name}.memory_words')"), new("commit") },
        };
        return await batch.ExecuteNonQueryAsync(cancellation);
    }
}
