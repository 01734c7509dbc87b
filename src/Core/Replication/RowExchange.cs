namespace OrleansMemory.Core.Replication;

/// <summary>Brings in what no log brings, from each peer, and makes an old copy of this node its present self again.</summary>
internal sealed class RowExchange(
    IMemoryStore store,
    CommandWriter writer,
    Replica replica,
    QuorumWriter quorum,
    AntiEntropy antiEntropy,
    PeerSession session,
    ReplicaCondition condition,
    ReplicaSetSettings settings,
    TimeProvider time,
    CancellationToken stopped)
{
    private const int ComparedRows = 500;
    private const int DroppedRows = 500;
    private const int WrittenRows = 10_000;

    private static readonly TimeSpan CheckInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>After so long without a new row, what a log still lacks is not on its way.</summary>
    private static readonly TimeSpan ArrivalPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Exchanges digests with one peer: soon when it holds what no log will bring, or began a new log (an older copy of it may have
    /// written under numbers that were used), else at every upkeep.
    /// </summary>
    public async Task RunAsync(IReplicaLink link)
    {
        var next = time.GetTimestamp();
        var (rows, arrivedAt) = (0L, next);
        LogId? exchanged = null;
        while (!stopped.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(CheckInterval, time, stopped);
                if (condition.HeldRows is var held && held != rows)
                {
                    (rows, arrivedAt) = (held, time.GetTimestamp());
                }

                // While the peers' pumps bring what this node missed, an exchange would bring the same rows once more from each of
                // them; but it is put off for one interval at most.
                var now = time.GetTimestamp();
                var arriving = time.GetElapsedTime(arrivedAt) < ArrivalPause && now < next + Ticks(settings.UpkeepInterval) && condition.IsBehind(session.Hellos);
                if (session.Hellos.TryGetValue(link.Address, out var hello) && hello.Readable
                    && ((exchanged is { } known && known != hello.Log) || condition.HoldsOrphans(hello, session.Hellos) || condition.IsStale || (!arriving && now >= next)))
                {
                    next = time.GetTimestamp() + Ticks(settings.UpkeepInterval);
                    await PullAsync(link, hello);
                    exchanged = hello.Log;
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception)
            {
                // The pump tells of a peer that does not answer; the next check tries again.
                next = time.GetTimestamp() + Ticks(PauseAfterFailure);
            }
        }
    }

    private async Task PullAsync(IReplicaLink link, PeerHello hello)
    {
        if (!condition.TryBeginPull(out var stale))
        {
            return;
        }

        try
        {
            if (stale > 0)
            {
                // Asked anew, before and after: it may have been set back itself since it was last heard, and what it does not hold is let go of.
                hello = await link.GreetAsync(await session.HelloAsync(), stopped);
                if (!IsWhole(hello))
                {
                    return;
                }

                var gone = await GoneAsync(link, stale);
                var again = await link.GreetAsync(await session.HelloAsync(), stopped);
                if (again.Log != hello.Log || !IsWhole(again) || !await LetGoAsync(stale, gone))
                {
                    return;
                }
            }

            if (!await antiEntropy.PullAsync(link, Math.Max(condition.Floors.Common, hello.CommonFloor), stopped))
            {
                // Rows stamped too far ahead of this node's clock: it is tried again when time has passed.
                return;
            }

            if (stale > 0)
            {
                await RejoinedAsync(stale);
            }

            if (condition.IsRecovering)
            {
                // Asked after it was read: what was last heard of it may be from before it lost its disk.
                condition.Synchronised(link.Address, !(await link.GreetAsync(await session.HelloAsync(), stopped)).Recovering);
            }
        }
        finally
        {
            condition.EndPull(stale);
        }

        bool IsWhole(PeerHello peer) => peer.Readable && peer.Floor >= stale;
    }

    /// <summary>
    /// Rows that began below the floor and that a peer which holds all below it does not: they were deleted and forgotten since,
    /// whatever has been written to them here.
    /// </summary>
    /// <returns>Each with the stamp that it began at.</returns>
    private async Task<Dictionary<RowKey, Stamp>> GoneAsync(IReplicaLink link, long floor)
    {
        var theirs = (await link.ReadDigestsAsync(floor, stopped)).Digests;
        var mine = (await store.ReadDigestSnapshotAsync(floor, stopped)).Digests;
        Faults.Replace(Fault.RejoinDropsNewRows, ref floor, long.MaxValue);

        // Digests leave old deletes out, and they matter too: one that is forgotten must not meet what came under its id since.
        HashSet<DigestKey> buckets = [.. mine.Keys.Where(key => theirs.GetValueOrDefault(key) != mine[key]), DigestKey.Tombstones];
        var alike = new HashSet<UInt128>();
        string? after = null;
        do
        {
            var page = await link.ReadHashesAsync(buckets, after, stopped);
            alike.UnionWith(page.Rows.Select(static row => row.Hash));
            after = page.Next;
        }
        while (after is not null);

        var gone = new Dictionary<RowKey, Stamp>();
        do
        {
            var page = await store.ReadHashesAsync(buckets, after, ComparedRows, stopped);
            var old = (await store.ReadRowsAsync([.. page.Rows.Where(row => !alike.Contains(row.Hash)).Select(static row => row.Key)], stopped))
                .Select(static row => (row.Key, At: BornAt(row))).Where(row => row.At.Clock < floor).ToDictionary(static row => row.Key, static row => row.At);
            if (old.Count > 0)
            {
                // A memory that began later there is another one, brought in under an id that was free again.
                foreach (var row in await link.ReadRowsAsync([.. old.Keys], stopped))
                {
                    if (row.Key.Kind != MutationKind.Memory || (old.TryGetValue(row.Key, out var at) && BornAt(row) <= at))
                    {
                        old.Remove(row.Key);
                    }
                }
            }

            foreach (var (key, at) in old)
            {
                gone[key] = at;
            }

            after = page.Next;
        }
        while (after is not null);

        Faults.Run(Fault.RejoinKeepsOldRows, gone.Clear);
        return gone;
    }

    /// <summary>The stamp of the first write of what a row names.</summary>
    private static Stamp BornAt(ReplicatedRow row)
    {
        switch (row.Key.Kind)
        {
            case MutationKind.Memory:
                var state = MemoryCodec.Decode(row.Body);
                var first = state.BornAt;
                Faults.Replace(Fault.RejoinKeepsRewrittenRows, ref first, state.NewestStamp);
                return first;
            case MutationKind.MemoryDelete:
                return MemoryCodec.DecodeTombstone(row.Body).Stamp;
            default:
                return EntryState.Decode(row.Body).Stamp;
        }
    }

    /// <summary>
    /// This store is an older copy than what every node, itself included, once held: what it holds below the floor is either held
    /// by all the others or was deleted and forgotten. It lets go of the latter, and begins a log of its own anew.
    /// </summary>
    /// <returns>False when it is not behind that floor any more; then nothing was done.</returns>
    private async Task<bool> LetGoAsync(long floor, Dictionary<RowKey, Stamp> gone)
    {
        // Its log goes first: a row of the log must not outlive the row that it names, whenever the process dies. Then what it says
        // that it holds: nobody may take its word for a row that is about to go. And its clock may be as old as the copy: what it
        // decides from now on must be above the floor, where everybody looks for it. With the log it writes that there is such a floor:
        // when the process dies, the next one goes on from there, and other old copies hear of it.
        var written = await ReadWrittenAsync();
        if (condition.LettingGo(floor) is not { } known)
        {
            return false;
        }

        var left = store.Log;
        await writer.RunAsync(write =>
        {
            write.Observe(floor);
            write.SetFloors(known);
            write.TrimLog(write.Position);
            return ValueTask.FromResult(0);
        });
        await writer.RenewLogAsync();

        // What it wrote before it knew, and may keep, is for all the others still: the new log names it again.
        await writer.RunAsync(
            async write =>
            {
                write.ForgetVector();
                foreach (var row in written.Where(row => !gone.ContainsKey(row.Key)))
                {
                    await write.RelogAsync(row.Key, floor);
                }

                return written.Count;
            },
            ReadHints.Of([.. written.Select(static row => row.Key)]));
        condition.ForgotVector();

        // What came from a peer since this node runs is not old, unless the peer is an old copy itself, nor is what began in the log that was
        // left and a peer took from there: somebody may have been told who holds it.
        HashSet<string> arrived = [.. condition.ArrivedAbove(floor, session.Hellos)];
        Faults.Run(Fault.RejoinDropsNewRows, arrived.Clear);
        foreach (var chunk in gone.Where(row => !arrived.Contains(row.Key.Key) && !(row.Value.Log == left && written[row.Key].Any(quorum.WasHeld))).Select(static row => row.Key).Chunk(DroppedRows))
        {
            await writer.RunAsync(
                async write =>
                {
                    foreach (var key in chunk)
                    {
                        await write.DropAsync(key);
                    }

                    return chunk.Length;
                },
                ReadHints.Of(chunk));
        }

        return true;
    }

    /// <summary>Now this store holds all that the peer held, and so all below the floor that the peer knew.</summary>
    private async Task RejoinedAsync(long floor)
    {
        var floors = condition.Floors;
        await replica.SetFloorsAsync(new(Math.Max(floors.Own, floor), Math.Max(floors.Common, floor)));
        condition.Rejoined(floor);
    }

    /// <summary>Rows that this node logged since it started, or began its log, each with its places there.</summary>
    private async Task<ILookup<RowKey, LogPosition>> ReadWrittenAsync()
    {
        var written = new List<(RowKey Key, LogPosition Position)>();
        for (var after = writer.OpenedAt; await store.ReadLogAsync(after, WrittenRows, int.MaxValue, stopped) is { Count: > 0 } page; after = page[^1].Position.Sequence)
        {
            written.AddRange(page.Select(static mutation => (new RowKey(mutation.Kind, mutation.Key), mutation.Position)));
        }

        return written.ToLookup(static row => row.Key, static row => row.Position);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);
}
