namespace OrleansMemory.Core.Replication;

/// <summary>
/// Brings in from a peer what no log brings any more: rows of a log whose writer is gone or began anew, or that a damaged or
/// restored store lacks. Compares digests, then hashes of what differs, then fetches rows and joins them. After a full round this
/// store holds all that the peer held at its start, and says so in its vector.
/// </summary>
public sealed class AntiEntropy(IMemoryStore store, Replica replica)
{
    private const int HashRows = 5_000;
    private const int FetchRows = 500;

    /// <returns>True when this store holds all that the peer held; false when it could not take some of it in.</returns>
    /// <exception cref="LinkException">The peer stopped answering; what was brought in stays.</exception>
    /// <param name="floor">The higher of both sides' common floors: tombstones below it may be gone on either.</param>
    public async Task<bool> PullAsync(IReplicaLink peer, long floor, CancellationToken cancellation)
    {
        var theirs = await peer.ReadDigestsAsync(floor, cancellation);
        if (!await PullAsync(peer, theirs, floor, static _ => true, cancellation))
        {
            return false;
        }

        await replica.JoinVectorAsync(theirs.Vector);
        return true;
    }

    /// <summary>Brings in what bears on the decisions of one namespace, from a peer that holds a row of this node's log.</summary>
    /// <returns>False when the peer does not hold the row yet, or what it holds cannot all be taken in.</returns>
    /// <exception cref="LinkException">The peer stopped answering; what was brought in stays.</exception>
    public async Task<bool> PullAsync(IReplicaLink peer, long floor, string @namespace, LogPosition held, CancellationToken cancellation)
    {
        var theirs = await peer.ReadDigestsAsync(floor, cancellation);
        return theirs.Vector.TryGetValue(held.Log, out var rows) && rows.Contains(held.Sequence)
            && await PullAsync(peer, theirs, floor, key => Bears(key, @namespace), cancellation);
    }

    /// <summary>Its memories, and all that belongs to no namespace but the counts of accesses.</summary>
    private static bool Bears(DigestKey key, string @namespace) =>
        key.Namespace == @namespace || (key.Namespace.StartsWith('@') && key.Namespace != DigestKey.Of(MutationKind.Access, "").Namespace);

    private async Task<bool> PullAsync(
        IReplicaLink peer, DigestSnapshot theirs, long floor, Func<DigestKey, bool> wanted, CancellationToken cancellation)
    {
        var mine = await store.ReadDigestSnapshotAsync(floor, cancellation);
        var differing = theirs.Digests.Where(pair => wanted(pair.Key) && mine.Digests.GetValueOrDefault(pair.Key) != pair.Value).Select(static pair => pair.Key).ToHashSet();
        Faults.Run(Fault.VectorWithoutRows, differing.Clear);
        if (differing.Count == 0)
        {
            return true;
        }

        var whole = await FetchAsync(peer, differing, cancellation);

        // A row that was deleted there meanwhile, or moved to another namespace, was not in the buckets any more when they were read.
        var later = await peer.ReadDigestsAsync(floor, cancellation);
        var changed = theirs.Digests.Keys.Union(later.Digests.Keys)
            .Where(key => theirs.Digests.GetValueOrDefault(key) != later.Digests.GetValueOrDefault(key)).ToHashSet();
        Faults.Run(Fault.ExchangeMissesMoves, changed.Clear);
        if (changed.Count > 0)
        {
            // And one that moved may be deleted by now.
            changed.Add(DigestKey.Tombstones);
            whole &= await FetchAsync(peer, changed, cancellation);
            later = await peer.ReadDigestsAsync(floor, cancellation);
        }

        // A peer that holds less than it did was set back meanwhile: what it sent may be of before and after.
        var isSame = theirs.Vector.All(pair => (later.Vector.GetValueOrDefault(pair.Key) ?? AppliedSet.None).Covers(pair.Value));
        Faults.Replace(Fault.ExchangeSpansSetback, ref isSame, true);
        return whole && isSame;
    }

    /// <returns>False when some of it could not be taken in.</returns>
    private async Task<bool> FetchAsync(IReplicaLink peer, IReadOnlyCollection<DigestKey> buckets, CancellationToken cancellation)
    {
        var whole = true;
        string? after = null;
        do
        {
            var page = await peer.ReadHashesAsync(buckets, after, cancellation);
            foreach (var keys in (await MissingAsync(page.Rows, cancellation)).Chunk(FetchRows))
            {
                var rows = await peer.ReadRowsAsync(keys, cancellation);
                var joined = await replica.JoinAsync(rows);
                whole &= joined == rows.Count;
            }

            after = page.Next;
        }
        while (after is not null);

        return whole;
    }

    /// <summary>Those rows that this store holds otherwise or not at all.</summary>
    private async Task<IReadOnlyList<RowKey>> MissingAsync(IReadOnlyList<(RowKey Key, UInt128 Hash)> rows, CancellationToken cancellation)
    {
        var missing = new List<RowKey>();
        foreach (var chunk in rows.Chunk(HashRows))
        {
            var held = (await store.ReadRowsAsync([.. chunk.Select(static row => row.Key)], cancellation))
                .ToDictionary(static row => (row.Key.Kind, row.Key.Key), static row => MemoryCodec.Hash(row.Body.Span));
            missing.AddRange(chunk.Where(row => !held.TryGetValue((row.Key.Kind, row.Key.Key), out var hash) || hash != row.Hash).Select(static row => row.Key));
        }

        return missing;
    }
}
