using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>Makes this node the one that decides for a namespace.</summary>
internal sealed class EpochTakeover(
    IMemoryStore store,
    CommandWriter writer,
    ReplicatedWriter replicated,
    IReadOnlyList<IReplicaLink> links,
    QuorumWriter quorum,
    AntiEntropy antiEntropy,
    PeerSession session,
    ReplicaCondition condition,
    ReplicaSetSettings settings,
    TimeProvider time)
{
    private static readonly TimeSpan CatchUpPause = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// Draws an epoch above all that this node knows, records it at so many replicas that every acknowledged write of the namespace is on one of
    /// them, and brings in what those hold after they recorded it. From then on no write of an earlier epoch reaches its quorum.
    /// </summary>
    /// <exception cref="QuorumException">Too few replicas answered in time; nothing was decided.</exception>
    public async Task<NamespaceEpoch> TakeAsync(string @namespace)
    {
        using var deadline = new CancellationTokenSource(settings.Timeout, time);
        while (true)
        {
            session.RequireAgreement();
            var body = EntryBodies.Encode(new EpochBody(store.Log.Node));
            var ((epoch, position), _) = await replicated.RunAsync(
                async write =>
                {
                    var stamp = write.NextStamp();
                    await write.PutAsync(new EntryState(EntryBodies.EpochKey(@namespace), @namespace, null, Live: true, stamp, body));
                    return (new NamespaceEpoch(@namespace, stamp), write.Position);
                },
                wanted: 1);

            // A node that has not recovered itself may lack what it once acknowledged.
            var needed = Math.Min(settings.QuorumReads - (condition.IsRecovering ? 0 : 1), links.Count);
            Faults.Replace(Fault.EpochNotRecorded, ref needed, 0);

            // The pumps bring it there; only then is there anything to ask for.
            await quorum.WaitAsync(position.Log, position.Sequence, position.Sequence, needed + 1, settings.Timeout);
            var asked = needed;
            Faults.Replace(Fault.CatchUpSkipped, ref asked, 0);
            var got = await CatchUpAsync(@namespace, position, asked, deadline);
            Faults.Replace(Fault.CatchUpSkipped, ref got, needed);
            if (got < needed && settings.QuorumWrites > 1)
            {
                throw new QuorumException(
                    new(got + 1, needed + 1, QuorumReasons.Unreachable),
                    QuorumException.NotStored,
                    $"{got + 1} of {needed + 1} nodes recorded that this one decides for the namespace {@namespace}");
            }

            if (await writer.RunAsync(write => write.FindEntryAsync(EntryBodies.EpochKey(@namespace))) is { } newest && newest.Stamp == epoch.Stamp)
            {
                return epoch with { IsComplete = got >= needed };
            }

            if (deadline.IsCancellationRequested)
            {
                throw new QuorumException(
                    new(1, needed + 1, QuorumReasons.Fenced), QuorumException.NotStored, $"another node decides for the namespace {@namespace} now; retry");
            }
        }
    }

    /// <returns>How many peers recorded the epoch and gave what they hold.</returns>
    private async Task<int> CatchUpAsync(string @namespace, LogPosition recorded, int needed, CancellationTokenSource deadline)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token);
        var calls = links.Select(link => CatchUpAsync(link, @namespace, recorded, enough.Token)).ToList();
        var got = 0;
        while (got < needed && calls.Count > 0)
        {
            var done = await Task.WhenAny(calls);
            calls.Remove(done);
            got += await done ? 1 : 0;
        }

        enough.Cancel();
        await Task.WhenAll(calls);
        return got;
    }

    private async Task<bool> CatchUpAsync(IReplicaLink link, string @namespace, LogPosition recorded, CancellationToken cancellation)
    {
        try
        {
            while (true)
            {
                try
                {
                    if (session.Hellos.TryGetValue(link.Address, out var hello) && !hello.Recovering
                        && await antiEntropy.PullAsync(link, Math.Max(condition.Floors.Common, hello.CommonFloor), @namespace, recorded, cancellation))
                    {
                        return true;
                    }
                }
                catch (Exception exception) when (exception is LinkException or MemoryException)
                {
                    // It may answer the next time.
                }

                await Task.Delay(CatchUpPause, time, cancellation);
            }
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
