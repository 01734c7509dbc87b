using OrleansMemory.Core.Replication;

namespace OrleansMemory.Compliance;

/// <summary>What a test does to a link: nothing, cut it, hang it, or slow it down.</summary>
public sealed class LinkFaults
{
    private volatile TaskCompletionSource? _hung;
    private int _batches;

    /// <summary>Batches that were to be applied at the other end.</summary>
    public int Batches => Volatile.Read(ref _batches);

    /// <summary>Calls fail at once, as if nothing listened.</summary>
    public bool Cut { get; set; }

    /// <summary>Calls fail, and nothing tells whether the other end is there.</summary>
    public bool Broken { get; set; }

    /// <summary>Added before each call, in milliseconds.</summary>
    public int DelayMilliseconds { get; set; }

    /// <summary>Calls get no answer until this is taken back.</summary>
    public bool Hung
    {
        get => _hung is not null;
        set
        {
            if (value)
            {
                _hung ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
            else
            {
                var hung = _hung;
                _hung = null;
                hung?.TrySetResult();
            }
        }
    }

    internal void Count() => Interlocked.Increment(ref _batches);

    internal async Task PassAsync(string address, CancellationToken cancellation)
    {
        if (_hung is { } hung)
        {
            await hung.Task.WaitAsync(cancellation);
        }

        if (DelayMilliseconds > 0)
        {
            await Task.Delay(DelayMilliseconds, cancellation);
        }

        if (Cut)
        {
            throw new LinkException($"{address} is cut", isDown: true);
        }

        if (Broken)
        {
            throw new LinkException($"the way to {address} is broken", isDown: false);
        }
    }
}

/// <summary>Any link, with faults before and after each call: an answer can be lost after the work was done.</summary>
public sealed class FaultyLink(IReplicaLink inner, LinkFaults faults) : IReplicaLink
{
    public string Address => inner.Address;

    public Task<PeerHello> GreetAsync(PeerHello mine, CancellationToken cancellation) => ThroughAsync(() => inner.GreetAsync(mine, cancellation), cancellation);

    public Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch, CancellationToken cancellation)
    {
        faults.Count();
        return ThroughAsync(() => inner.ApplyAsync(batch, cancellation), cancellation);
    }

    public Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation) =>
        ThroughAsync(() => inner.ReadDigestsAsync(floor, cancellation), cancellation);

    public Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation) =>
        ThroughAsync(() => inner.ReadHashesAsync(buckets, after, cancellation), cancellation);

    public Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation) =>
        ThroughAsync(() => inner.ReadRowsAsync(keys, cancellation), cancellation);

    private async Task<T> ThroughAsync<T>(Func<Task<T>> call, CancellationToken cancellation)
    {
        await faults.PassAsync(Address, cancellation);
        var answer = await call();
        await faults.PassAsync(Address, cancellation);
        return answer;
    }
}
