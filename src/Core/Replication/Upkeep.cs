using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>Advances the floors, forgets deletes and log rows that every node has, tries dead letters again.</summary>
internal sealed class Upkeep(
    IMemoryStore store,
    CommandWriter writer,
    Replica replica,
    PeerSession session,
    ReplicaCondition condition,
    FirstComparison comparison,
    IReadOnlyList<PeerPump> pumps,
    ReplicaSetSettings settings,
    TimeProvider time)
{
    private const int CollectedRows = 500;
    private const int CollectedInRound = 10_000;
    private const int TrimmedRows = 10_000;

    private IReadOnlyList<Tombstone> _candidates = [];
    private LogPosition _candidatesFoundAt;

    /// <summary>The last row of the own log that whoever reads it here beside the peers has read; unset: nobody does.</summary>
    public Func<long>? ReadThrough { get; set; }

    /// <summary>Round after round, until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken stopped)
    {
        while (true)
        {
            try
            {
                await Task.Delay(settings.UpkeepInterval, time, stopped);
                await comparison.WaitAsync();
                await replica.RetryAsync(store, () => condition.ForgottenBelow);
                await AdvanceFloorsAsync();
                await CollectTombstonesAsync(stopped);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception exception)
            {
                // Whoever writes hears why; the next round tries again.
                Instruments.UpkeepFailures.Add(1, new KeyValuePair<string, object?>("error", exception.GetType().Name));
            }
        }
    }

    private async Task AdvanceFloorsAsync()
    {
        if (!session.MembersAgree || condition.IsRecovering || (await store.ReadDeadLettersAsync(1)).Count > 0)
        {
            return;
        }

        // Decided where it is written: each answer to a greeting passes the writer too, so a node that was told of no higher floor
        // when it told its own is never passed. On disk before it is told: a node must never know less of its own floor than its peers do.
        await writer.RunAsync(write =>
        {
            if (condition.HigherFloors(write.NextStamp().Clock, session.Hellos) is { } floors)
            {
                write.SetFloors(floors);
            }

            return ValueTask.FromResult(0);
        });
    }

    /// <summary>
    /// Forgets deletes that every node knows. A row of the own log that such a delete overruled must not outlive it: sent later, it
    /// would bring the memory back. So candidates wait until the log is trimmed beyond all that was written when they were found.
    /// </summary>
    private async Task CollectTombstonesAsync(CancellationToken stopped)
    {
        if (_candidates.Count == 0)
        {
            var before = Timestamp.Now(time).AddSeconds(-(long)settings.TombstoneGrace.TotalSeconds);
            var floor = condition.Floors.Common;
            Faults.Replace(Fault.TombstoneCollectedEarly, ref floor, long.MaxValue);
            _candidates = await store.ReadTombstonesAsync(floor, before, CollectedInRound, stopped);
            _candidatesFoundAt = new(store.Log, (await store.ReadHeadAsync()).Sequence);
        }

        await TrimLogAsync();
        if (_candidatesFoundAt.Log != store.Log)
        {
            // What the old log held since the start was written to this one again.
            _candidatesFoundAt = new(store.Log, (await store.ReadHeadAsync()).Sequence);
        }

        var isNamed = condition.LogStart <= _candidatesFoundAt.Sequence;
        Faults.Replace(Fault.TombstoneCollectedUnderLog, ref isNamed, false);
        if (isNamed)
        {
            return;
        }

        foreach (var chunk in _candidates.Chunk(CollectedRows))
        {
            await writer.RunAsync(
                async write =>
                {
                    foreach (var tombstone in chunk)
                    {
                        await write.CollectAsync(tombstone);
                    }

                    return chunk.Length;
                },
                new ReadHints([.. chunk.Select(static tombstone => tombstone.Id)], [], []));
        }

        _candidates = [];
    }

    private async Task TrimLogAsync()
    {
        var log = store.Log;
        var head = (await store.ReadHeadAsync()).Sequence;
        var through = Math.Max(pumps.Select(pump => pump.HeldThrough(log)).Append(ReadThrough?.Invoke() ?? head).Append(head).Min(), head - settings.RetainedLogRows);
        for (var start = condition.LogStart; start <= through; start += TrimmedRows)
        {
            var end = new LogPosition(log, Math.Min(through, start + TrimmedRows - 1));
            await writer.RunAsync(write =>
            {
                write.TrimLog(end);
                return ValueTask.FromResult(0);
            });
            condition.Trimmed(end with { Sequence = end.Sequence + 1 });
        }
    }
}
