using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>Takes what other nodes decided into this node's store.</summary>
public sealed class Replica(CommandWriter writer, ClockComparison clock)
{
    /// <summary>How far ahead of this node's clock a row may be stamped.</summary>
    public static readonly TimeSpan MaxClockSkew = TimeSpan.FromSeconds(60);

    private const int DeadLettersInRound = 200;
    private const int LongestRetryFactor = 60;

    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Applies a batch in one transaction; ends when it is on stable storage. One outcome for each row, in order. Applied and
    /// already count toward a quorum, nothing else does.
    /// </summary>
    /// <exception cref="MemoryException">The store failed: nothing was applied and no vector moved.</exception>
    public async Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch)
    {
        var outcomes = await writer.RunAsync(session => DecideAsync(session, batch), HintsOf(batch.Select(static row => (row.Kind, row.Key, row.Body))));
        foreach (var same in outcomes.CountBy(static outcome => outcome))
        {
            Instruments.AppliedRows.Add(same.Value, new KeyValuePair<string, object?>("outcome", NameOf(same.Key)));
        }

        return outcomes;
    }

    /// <summary>As metrics and the cluster's status say it.</summary>
    public static string NameOf(ApplyOutcome outcome) => outcome switch
    {
        ApplyOutcome.Applied => "applied",
        ApplyOutcome.Already => "already",
        ApplyOutcome.Fenced => "fenced",
        ApplyOutcome.RefusedDeleted => "refused_deleted",
        ApplyOutcome.RefusedFutureStamp => "refused_future_stamp",
        ApplyOutcome.RefusedMalformed => "refused_malformed",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome)),
    };

    /// <summary>Tries dead letters again whose time has come.</summary>
    /// <param name="floor">
    /// The clock below which deletes may be forgotten, read when it is decided. What an old copy had refused below it is let go of:
    /// every node held it once, and whatever deleted it would not be met any more.
    /// </param>
    /// <returns>How many were applied.</returns>
    public async Task<int> RetryAsync(IMemoryStore store, Func<long> floor)
    {
        var now = clock.Now();
        var due = (await store.ReadDeadLettersAsync(DeadLettersInRound)).Where(letter => letter.NextAttemptAt <= now || IsOld(letter)).ToList();
        return due.Count == 0 ? 0 : await writer.RunAsync(async session =>
        {
            var applied = 0;
            var horizon = Horizon();
            foreach (var letter in due)
            {
                if (IsOld(letter))
                {
                    session.Resolve(letter.Mutation.Position);
                    continue;
                }

                var outcome = letter.Mutation.Stamp.UnixMilliseconds > horizon ? ApplyOutcome.RefusedFutureStamp : await session.ApplyAsync(letter.Mutation);
                if (outcome is ApplyOutcome.RefusedFutureStamp or ApplyOutcome.RefusedMalformed)
                {
                    var pause = RetryAfter * Math.Min(letter.Attempts + 1, LongestRetryFactor);
                    session.Refuse(letter with { Reason = outcome, Attempts = letter.Attempts + 1, NextAttemptAt = session.Now.AddSeconds((long)pause.TotalSeconds) });
                }
                else
                {
                    session.Resolve(letter.Mutation.Position);
                    applied++;
                }
            }

            return applied;
        });

        bool IsOld(DeadLetter letter)
        {
            var isOld = letter.Mutation.Stamp.Clock < floor();
            Faults.Replace(Fault.OldRefusalsRetried, ref isOld, false);
            return isOld;
        }
    }

    /// <summary>
    /// Joins rows that came by digest exchange, without a place in a log. A row that this code cannot read, or that is stamped too
    /// far ahead, is left out, and its digest goes on to differ.
    /// </summary>
    /// <returns>How many are held now, or overruled by a tombstone.</returns>
    public Task<int> JoinAsync(IReadOnlyList<ReplicatedRow> rows) => writer.RunAsync(async session =>
    {
        var joined = 0;
        var horizon = Horizon();
        foreach (var row in rows)
        {
            if (await session.JoinAsync(row.Key.Kind, row.Body, horizon) is ApplyOutcome.Applied or ApplyOutcome.RefusedDeleted)
            {
                joined++;
            }
        }

        return joined;
    }, HintsOf(rows.Select(static row => (row.Key.Kind, row.Key.Key, row.Body))));

    /// <summary>Takes in deletes that overrule what this node wrote.</summary>
    /// <returns>The deletes that were held here already and that this node decided itself.</returns>
    public Task<IReadOnlyDictionary<string, Stamp>> BuryAsync(IReadOnlyList<ReplicatedRow> rows) => writer.RunAsync(async session =>
    {
        var own = new Dictionary<string, Stamp>(StringComparer.Ordinal);
        foreach (var row in rows)
        {
            if (await session.FindTombstoneAsync(row.Key.Key) is { Stamp: var stamp } && stamp.Log == session.Position.Log)
            {
                own[row.Key.Key] = stamp;
            }

            await session.JoinAsync(row.Key.Kind, row.Body, Horizon());
        }

        return (IReadOnlyDictionary<string, Stamp>)own;
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

    private static ReadHints HintsOf(IEnumerable<(MutationKind Kind, string Key, ReadOnlyMemory<byte> Body)> rows)
    {
        var ids = new List<string>();
        var names = new List<MemoryName>();
        var entries = new List<EntryKey>();
        foreach (var (kind, key, body) in rows)
        {
            switch (kind)
            {
                case MutationKind.Memory:
                    ids.Add(key);
                    if (MemoryCodec.TryReadName(body, out var name))
                    {
                        names.Add(name);
                    }

                    break;
                case MutationKind.MemoryDelete:
                    ids.Add(key);
                    break;
                default:
                    entries.Add(new(kind, key));
                    break;
            }
        }

        return new(ids, names, entries);
    }

    /// <summary>Sets what this store knows of floors; ends when it is on stable storage.</summary>
    public Task<int> SetFloorsAsync(Floors floors) => writer.RunAsync(session =>
    {
        session.SetFloors(floors);
        return ValueTask.FromResult(0);
    });

    private long Horizon() => (clock.Now().Nanoseconds / 1_000_000) + (long)MaxClockSkew.TotalMilliseconds;

    private async ValueTask<IReadOnlyList<ApplyOutcome>> DecideAsync(WriteSession session, IReadOnlyList<Mutation> batch)
    {
        var horizon = Horizon();
        var outcomes = new ApplyOutcome[batch.Count];
        for (var index = 0; index < batch.Count; index++)
        {
            var mutation = batch[index];
            var outcome = mutation.Stamp.UnixMilliseconds > horizon ? ApplyOutcome.RefusedFutureStamp : await session.ApplyAsync(mutation);
            if (outcome is ApplyOutcome.RefusedFutureStamp or ApplyOutcome.RefusedMalformed)
            {
                Faults.Run(Fault.VectorPastRefusedRow, () => _ = session.JoinAppliedAsync(
                    mutation.Position.Log, AppliedSet.None.With(mutation.Position.Sequence, mutation.Position.Sequence)).AsTask());
                session.Refuse(new(mutation, outcome, Attempts: 1, session.Now, session.Now.AddSeconds((long)RetryAfter.TotalSeconds)));
            }

            outcomes[index] = outcome;
        }

        return outcomes;
    }
}
