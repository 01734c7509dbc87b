using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>Takes what other nodes decided into this node's store.</summary>
public sealed class Replica(CommandWriter writer, TimeProvider time)
{
    /// <summary>How far ahead of this node's clock a row may be stamped.</summary>
    public static readonly TimeSpan MaxClockSkew = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Applies a batch in one transaction; ends when it is on stable storage. One outcome for each row, in order. Applied and
    /// already count toward a quorum, nothing else does.
    /// </summary>
    /// <exception cref="MemoryException">The store failed: nothing was applied and no vector moved.</exception>
    public Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch) => writer.RunAsync(session => DecideAsync(session, batch));

    /// <summary>Joins rows that came by digest exchange, without a place in a log. A row that this code cannot read is left out, and its digest goes on to differ.</summary>
    /// <returns>How many are held now, or overruled by a tombstone.</returns>
    public Task<int> JoinAsync(IReadOnlyList<ReplicatedRow> rows) => writer.RunAsync(async session =>
    {
        var joined = 0;
        foreach (var row in rows)
        {
            if (await session.JoinAsync(row.Key.Kind, row.Body) is ApplyOutcome.Applied or ApplyOutcome.RefusedDeleted)
            {
                joined++;
            }
        }

        return joined;
    });

    /// <summary>Says that everything a peer held at some instant is held here too.</summary>
    public Task<int> JoinVectorAsync(IReadOnlyDictionary<LogId, AppliedSet> vector) => writer.RunAsync(async session =>
    {
        foreach (var (log, held) in vector)
        {
            await session.JoinAppliedAsync(log, held);
        }

        return vector.Count;
    });

    private async ValueTask<IReadOnlyList<ApplyOutcome>> DecideAsync(WriteSession session, IReadOnlyList<Mutation> batch)
    {
        var horizon = time.GetUtcNow().Add(MaxClockSkew).ToUnixTimeMilliseconds();
        var outcomes = new ApplyOutcome[batch.Count];
        for (var index = 0; index < batch.Count; index++)
        {
            var mutation = batch[index];
            var outcome = mutation.Stamp.UnixMilliseconds > horizon ? ApplyOutcome.RefusedFutureStamp : await session.ApplyAsync(mutation);
            if (outcome is ApplyOutcome.RefusedFutureStamp or ApplyOutcome.RefusedMalformed)
            {
                session.Refuse(new(mutation, outcome, Attempts: 1, session.Now, new(session.Now.Nanoseconds + (RetryAfter.Ticks * 100))));
            }

            outcomes[index] = outcome;
        }

        return outcomes;
    }
}
