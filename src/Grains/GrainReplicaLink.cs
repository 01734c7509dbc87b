using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>
/// A link to a node through its <see cref="IReplicaGrain"/>. A call has its own deadline, and after one that failed others fail at
/// once for a while. Giving up cancels nothing at the other end.
/// </summary>
/// <param name="node">The node's id, which is its silo's name.</param>
public sealed class GrainReplicaLink(ClusterConnection cluster, string node, TimeProvider time) : IReplicaLink
{
    private static readonly TimeSpan GreetDeadline = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(5);

    private readonly CircuitBreaker _breaker = new(time);

    public string Address { get; } = $"silo:{node}";

    public Task<PeerHello> GreetAsync(PeerHello mine, CancellationToken cancellation) =>
        AskAsync(LinkCodec.Encode(mine), static (grain, question) => grain.GreetAsync(question), LinkCodec.DecodeHello, GreetDeadline, cancellation);

    /// <summary>A batch above <see cref="LinkCodec.BatchBytes"/> goes in several calls, one after the other.</summary>
    public async Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch, CancellationToken cancellation)
    {
        var outcomes = new List<ApplyOutcome>(batch.Count);
        foreach (var part in LinkCodec.SplitBatch(batch))
        {
            var answer = await AskAsync(
                LinkCodec.Encode(part), static (grain, question) => grain.ApplyAsync(question), LinkCodec.DecodeOutcomes, CallDeadline, cancellation);
            outcomes.AddRange(answer);
            if (answer.Count != part.Count)
            {
                // The count tells the caller that the answer cannot be trusted.
                break;
            }
        }

        return outcomes;
    }

    public Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation) =>
        AskAsync(LinkCodec.Encode(floor), static (grain, question) => grain.ReadDigestsAsync(question), LinkCodec.DecodeSnapshot, CallDeadline, cancellation);

    public Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation) =>
        AskAsync(LinkCodec.Encode(buckets, after), static (grain, question) => grain.ReadHashesAsync(question), LinkCodec.DecodeHashes, CallDeadline, cancellation);

    /// <summary>An answer that would grow too large comes in parts.</summary>
    public async Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation)
    {
        var all = new List<ReplicatedRow>();
        for (var answered = 0; answered < keys.Count;)
        {
            var (rows, next) = await AskAsync(
                LinkCodec.Encode([.. keys.Skip(answered)]), static (grain, question) => grain.ReadRowsAsync(question), LinkCodec.DecodeRows, CallDeadline, cancellation);
            if (next <= 0)
            {
                throw new LinkException($"{Address} answers for none of the rows it is asked for", isDown: false);
            }

            all.AddRange(rows);
            answered += next;
        }

        return all;
    }

    private async Task<T> AskAsync<T>(
        PooledBytes question,
        Func<IReplicaGrain, LinkMessage, Task<LinkMessage>> ask,
        Func<ReadOnlyMemory<byte>, T> decode,
        TimeSpan deadline,
        CancellationToken cancellation)
    {
        var message = Messages.Of(question);
        if (cluster.Grains is not { } grains)
        {
            throw new LinkException(cluster.Problem ?? "the cluster cannot be reached", isDown: true);
        }

        if (!cluster.MayBeUp(node))
        {
            throw new LinkException($"no silo named {node} is active", isDown: true);
        }

        if (!_breaker.TryEnter())
        {
            throw new LinkException($"{Address} did not answer a moment ago", isDown: false);
        }

        try
        {
            var answer = await ask(grains.GetGrain<IReplicaGrain>(node), message).WaitAsync(deadline, time, cancellation);
            _breaker.Succeeded();
            return answer.Problem is null ? decode(answer.Bytes) : throw new LinkException($"{Address}: {answer.Problem}", isDown: false);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            _breaker.Abandoned();
            throw;
        }
        catch (MemoryException exception)
        {
            throw new LinkException($"{Address} gave an answer that cannot be read: {exception.Message}", isDown: false, exception);
        }
        catch (Exception exception) when (exception is not LinkException)
        {
            _breaker.Failed();
            var isDown = exception is SiloUnavailableException && !cluster.MayBeUp(node);
            throw new LinkException(
                exception is TimeoutException ? $"{Address} did not answer within {deadline.TotalSeconds} s" : $"{Address} cannot be reached: {exception.Message}", isDown, exception);
        }
    }
}
