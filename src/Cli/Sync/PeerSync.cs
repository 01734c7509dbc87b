using System.Globalization;
using System.Text;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Sync;

/// <param name="Refused">Rows that one side does not take, and why; they hold up nothing behind them.</param>
internal sealed record SyncCycle(long Pulled, long Pushed, IReadOnlyList<string> Refused);

/// <summary>
/// Exchanges memories with one node of this or of the peer system, by its sync routes: of each name the later change wins. A mark moves only past rows that
/// were taken or refused for good; rows of the last update time are read again, so none that shares it is passed over.
/// </summary>
internal sealed class PeerSync(Uri peer, RemoteMemoryService remote, NodeClient client, SyncMarks marks, string agentId, int batchRows)
{
    private const int MostRows = 10_000;
    private const int PagesInCycle = 1_000;
    private const int PushBytes = 1_500_000;

    /// <summary>A row from further ahead than this moves the mark only to now.</summary>
    private const double SkewSeconds = 60;

    public Uri Peer => peer;

    public async Task<SyncCycle> RunAsync(IDomainService local, CancellationToken stopping)
    {
        var refused = new List<string>();
        var pulled = await PullAsync(local, refused, stopping);
        var pushed = await PushAsync(local, refused, stopping);
        return new(pulled, pushed, refused);
    }

    private async Task<long> PullAsync(IDomainService local, List<string> refused, CancellationToken stopping)
    {
        var (taken, limit) = (0L, batchRows);
        for (var page = 0; page < PagesInCycle && !stopping.IsCancellationRequested; page++)
        {
            var mark = marks.Of(peer).Pulled;
            var path = $"sync/since?limit={limit.ToString(CultureInfo.InvariantCulture)}&peer={Uri.EscapeDataString(agentId)}{(mark is null ? "" : $"&since={Uri.EscapeDataString(mark)}")}";
            var body = (await client.SendAsync(HttpMethod.Get, path, null, new WriteContext(agentId), stopping)).Body;
            var rows = new List<Memory>();
            foreach (var row in WireReader.Field(body, "memories").EnumerateArray())
            {
                try
                {
                    rows.Add(WireReader.Memory(row));
                }
                catch (MemoryException exception)
                {
                    refused.Add($"{WireReader.Shown(row, "id") ?? "?"}: {exception.Message}");
                }
            }

            foreach (var batch in rows.Chunk(MemoryLimits.BatchRows))
            {
                taken += await TakeAsync(local, batch, refused);
            }

            if (rows.Count == 0)
            {
                return taken;
            }

            var next = Before(rows.Max(static row => row.UpdatedAt)).ToString();
            if (next == mark && rows.Count >= limit)
            {
                // More rows of one update time than a page holds.
                if (limit == MostRows)
                {
                    next = rows.Max(static row => row.UpdatedAt).ToString();
                }

                limit = Math.Min(limit * 10, MostRows);
            }

            marks.Set(peer, marks.Of(peer) with { Pulled = next });
            if (rows.Count < limit || next == mark)
            {
                return taken;
            }
        }

        return taken;
    }

    private async Task<long> TakeAsync(IDomainService local, Memory[] rows, List<string> refused)
    {
        var outcomes = await local.SyncAsync(rows, new WriteContext(agentId));
        for (var row = 0; row < rows.Length; row++)
        {
            if (outcomes[row].Error is { } error)
            {
                // Could not be written now: the mark stays, and the next cycle tries again.
                refused.Add(error.Kind.HttpStatus < 500 ? $"{rows[row].Id}: {error.Message}" : throw error);
            }
        }

        return outcomes.Count(static outcome => outcome.Changed);
    }

    private async Task<long> PushAsync(IDomainService local, List<string> refused, CancellationToken stopping)
    {
        long sent = 0;
        while (!stopping.IsCancellationRequested)
        {
            var place = marks.Of(peer).Pushed is { } cursor ? ChangePlace.FromCursor(cursor) : ChangePlace.Start;
            var rows = await local.ChangesAsync(place, Math.Min(batchRows, MemoryLimits.BatchRows), stopping);
            if (rows.Count == 0)
            {
                return sent;
            }

            foreach (var batch in Batches(rows))
            {
                var outcomes = await remote.SyncAsync(batch, new WriteContext(agentId));
                for (var row = 0; row < batch.Count; row++)
                {
                    if (outcomes[row].Error is { } error)
                    {
                        refused.Add($"{batch[row].Id}: {error.Message}");
                    }
                }

                sent += outcomes.Count(static outcome => outcome.Changed);
                marks.Set(peer, marks.Of(peer) with { Pushed = new ChangePlace(batch[^1].UpdatedAt, batch[^1].Id).ToCursor() });
            }
        }

        return sent;
    }

    /// <summary>No request is larger than a node takes.</summary>
    private static IEnumerable<List<Memory>> Batches(IReadOnlyList<Memory> rows)
    {
        var (batch, bytes) = (new List<Memory>(), 0L);
        foreach (var row in rows)
        {
            // Escapes and field names, with room to spare.
            var size = 1_024L + (2L * (Encoding.UTF8.GetByteCount(row.Content) + Encoding.UTF8.GetByteCount(row.Title) + Encoding.UTF8.GetByteCount(row.Metadata.Json)));
            if (batch.Count > 0 && bytes + size > PushBytes)
            {
                yield return batch;
                (batch, bytes) = ([], 0);
            }

            batch.Add(row);
            bytes += size;
        }

        yield return batch;
    }

    private static Timestamp Before(Timestamp instant)
    {
        var now = Timestamp.Now(TimeProvider.System);
        var bound = instant.SecondsSince(now) > SkewSeconds ? now : instant;
        return new(bound.Nanoseconds - 1);
    }
}
