using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Peers;

/// <summary>
/// A link to a node over HTTP. Connections stay open and as many requests as the pumps have are in flight on them; with TLS they
/// share one HTTP/2 connection where the peer speaks it. A call takes at most 30 s, whatever its caller allows.
/// </summary>
/// <param name="client">The caller's; one serves the links to all peers.</param>
/// <param name="peer">Absolute, http or https; its path, if any, stands before those of the API.</param>
public sealed class HttpReplicaLink(HttpClient client, Uri peer, TimeProvider time) : IReplicaLink
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(30);

    private readonly string _root = peer.GetLeftPart(UriPartial.Path).TrimEnd('/') + ReplicaRoutes.Root;

    public string Address { get; } = peer.GetLeftPart(UriPartial.Path).TrimEnd('/');

    public Task<PeerHello> GreetAsync(PeerHello mine, CancellationToken cancellation) =>
        AskAsync("greet", LinkCodec.Encode(mine), LinkCodec.DecodeHello, cancellation);

    /// <summary>A batch above <see cref="LinkCodec.BatchBytes"/> goes in several requests, one after the other.</summary>
    public async Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch, CancellationToken cancellation)
    {
        List<ApplyOutcome>? outcomes = null;
        foreach (var part in LinkCodec.SplitBatch(batch))
        {
            var answer = await AskAsync("apply", LinkCodec.Encode(part), LinkCodec.DecodeOutcomes, cancellation);
            if (ReferenceEquals(part, batch))
            {
                return answer;
            }

            (outcomes ??= []).AddRange(answer);
            if (answer.Count != part.Count)
            {
                // The count tells the caller that the answer cannot be trusted.
                break;
            }
        }

        return outcomes ?? [];
    }

    public Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation) =>
        AskAsync("digests", LinkCodec.Encode(floor), LinkCodec.DecodeSnapshot, cancellation);

    public Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation) =>
        AskAsync("hashes", LinkCodec.Encode(buckets, after), LinkCodec.DecodeHashes, cancellation);

    /// <summary>An answer that would grow too large comes in parts.</summary>
    public async Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation)
    {
        var (rows, answered) = await AskAsync("rows", LinkCodec.Encode(keys), LinkCodec.DecodeRows, cancellation);
        if (answered >= keys.Count)
        {
            return rows;
        }

        var all = new List<ReplicatedRow>(rows);
        while (answered < keys.Count)
        {
            var (more, next) = await AskAsync("rows", LinkCodec.Encode([.. keys.Skip(answered)]), LinkCodec.DecodeRows, cancellation);
            if (next <= 0)
            {
                throw new LinkException($"{Address} answers for none of the rows it is asked for", isDown: false);
            }

            all.AddRange(more);
            answered += next;
        }

        return all;
    }

    private async Task<T> AskAsync<T>(string what, PooledBytes question, Func<ReadOnlyMemory<byte>, T> decode, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(CallTimeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"{_root}/{what}")
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
                Content = new ReadOnlyMemoryContent(question.Memory),
            };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(ReplicaRoutes.ContentType);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token);
            if (response.StatusCode != HttpStatusCode.OK)
            {
                throw new LinkException(await ProblemAsync(response, what, both.Token), isDown: false);
            }

            var answer = decode(await ReadAsync(response.Content, both.Token));

            // Only an answer proves that the question was sent in full: after anything else the buffer may still be read.
            question.Dispose();
            return answer;
        }
        catch (OperationCanceledException exception) when (!cancellation.IsCancellationRequested)
        {
            throw new LinkException($"{Address} did not answer in time ({what})", isDown: false, exception);
        }
        catch (HttpRequestException exception)
        {
            throw new LinkException($"{Address} cannot be reached: {exception.Message}", IsDown(exception), exception);
        }
        catch (IOException exception)
        {
            throw new LinkException($"{Address} broke off its answer: {exception.Message}", isDown: false, exception);
        }
        catch (MemoryException exception)
        {
            throw new LinkException($"{Address} gave an answer that cannot be read ({what}): {exception.Message}", isDown: false, exception);
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContent content, CancellationToken cancellation)
    {
        if (content.Headers.ContentLength is not { } length || length > LinkCodec.AnswerBytes)
        {
            throw new LinkException($"{Address} gave an answer of {content.Headers.ContentLength?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "unknown"} bytes", isDown: false);
        }

        // Rows keep slices of it.
        var bytes = new byte[length];
        await using var stream = await content.ReadAsStreamAsync(cancellation);
        await stream.ReadExactlyAsync(bytes, cancellation);
        return bytes;
    }

    private async Task<string> ProblemAsync(HttpResponseMessage response, string what, CancellationToken cancellation)
    {
        if (response.StatusCode == HttpStatusCode.Unauthorized)
        {
            return $"{Address} refused this node's API key: give all nodes of a cluster the same api_key (OM_API_KEY)";
        }

        var status = $"{Address} answered HTTP {(int)response.StatusCode} to {what}";
        if (response.Content.Headers.ContentLength is not (> 0 and <= 2_000))
        {
            return status;
        }

        return $"{status}: {await response.Content.ReadAsStringAsync(cancellation)}";
    }

    /// <summary>Nobody listens there, as opposed to somebody who is slow or breaks off.</summary>
    private static bool IsDown(HttpRequestException exception) =>
        exception.HttpRequestError == HttpRequestError.NameResolutionError
        || exception.InnerException is SocketException
        {
            SocketErrorCode: SocketError.ConnectionRefused or SocketError.HostUnreachable or SocketError.NetworkUnreachable
                or SocketError.HostDown or SocketError.NetworkDown or SocketError.HostNotFound or SocketError.AddressNotAvailable,
        };
}
