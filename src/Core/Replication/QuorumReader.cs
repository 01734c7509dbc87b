using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>Brings the present state of rows in from as many other replicas as a read quorum needs.</summary>
internal sealed class QuorumReader(
    IReadOnlyList<IReplicaLink> links, Replica replica, PeerSession session, ReplicaCondition condition, ReplicaSetSettings settings, TimeProvider time)
{
    /// <exception cref="QuorumException">Too few answered.</exception>
    public async Task ReadThroughAsync(IReadOnlyList<RowKey> keys)
    {
        // This node counts, unless it may lack what it has answered for.
        var counts = !condition.IsRecovering;
        Faults.Replace(Fault.RecoveringReaderCounts, ref counts, true);
        var needed = settings.QuorumReads - (counts ? 1 : 0);
        session.RequireAgreement();
        var calls = links.Where(link => session.Hellos.TryGetValue(link.Address, out var hello) && !hello.Recovering)
            .Select(link => ReadThroughAsync(link, keys)).ToList();
        var got = 0;
        while (got < needed && calls.Count > 0)
        {
            var done = await Task.WhenAny(calls);
            calls.Remove(done);
            got += await done ? 1 : 0;
        }

        if (got < needed)
        {
            throw new QuorumException(
                new(settings.QuorumReads - needed + got, settings.QuorumReads, QuorumReasons.Unreachable),
                QuorumException.NotStored,
                $"{settings.QuorumReads - needed + got} of {settings.QuorumReads} nodes answered a quorum read");
        }
    }

    private async Task<bool> ReadThroughAsync(IReplicaLink link, IReadOnlyList<RowKey> keys)
    {
        using var deadline = new CancellationTokenSource(settings.Timeout, time);
        if (!session.Hellos.TryGetValue(link.Address, out var before))
        {
            return false;
        }

        try
        {
            var rows = await link.ReadRowsAsync(keys, deadline.Token);

            // Asked after it was read: what was last heard of it may be from before it lost its disk, and what an old copy holds may be deleted
            // here and forgotten. One that has rejoined since it was read has begun a new log.
            var hello = await link.GreetAsync(await session.HelloAsync(), deadline.Token);
            if (hello.Recovering || hello.Log != before.Log || hello.Floor < condition.Floors.Common)
            {
                return false;
            }

            var isTaken = await replica.JoinAsync(rows) == rows.Count;
            Faults.Replace(Fault.RefusedRowsAnswerReads, ref isTaken, true);

            // Else some were stamped too far ahead of this node's clock: the answer would be older than what the peer holds.
            return isTaken;
        }
        catch (Exception exception) when (exception is LinkException or MemoryException or OperationCanceledException)
        {
            return false;
        }
    }
}
