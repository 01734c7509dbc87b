using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Peers;

/// <summary>
/// What other nodes ask: the answering side of <see cref="HttpReplicaLink"/>. Binary bodies by <see cref="LinkCodec"/>. The node's
/// key is asked for as on every route. Answered while the node drains too, so that others reach their quorum meanwhile.
/// </summary>
internal sealed class ReplicaRoutes(ReplicaEndpoint endpoint)
{
    public const string Root = "/internal/v1/replica";
    public const string ContentType = "application/octet-stream";

    public static void Map(IEndpointRouteBuilder endpoints, ReplicaEndpoint endpoint)
    {
        var routes = new ReplicaRoutes(endpoint);
        endpoints.MapInternal($"{Root}/greet", routes.GreetAsync);
        endpoints.MapInternal($"{Root}/apply", routes.ApplyAsync);
        endpoints.MapInternal($"{Root}/digests", routes.DigestsAsync);
        endpoints.MapInternal($"{Root}/hashes", routes.HashesAsync);
        endpoints.MapInternal($"{Root}/rows", routes.RowsAsync);
    }

    private async Task GreetAsync(HttpContext context)
    {
        var greeting = LinkCodec.DecodeHello(await ReadAsync(context));
        await AnswerAsync(context, LinkCodec.Encode(await endpoint.GreetAsync(greeting)));
    }

    private async Task ApplyAsync(HttpContext context)
    {
        var batch = LinkCodec.DecodeBatch(await ReadAsync(context));
        await AnswerAsync(context, LinkCodec.Encode(await endpoint.ApplyAsync(batch)));
    }

    private async Task DigestsAsync(HttpContext context)
    {
        var floor = LinkCodec.DecodeFloor(await ReadAsync(context));
        await AnswerAsync(context, LinkCodec.Encode(await endpoint.ReadDigestsAsync(floor, context.RequestAborted)));
    }

    private async Task HashesAsync(HttpContext context)
    {
        var (buckets, after) = LinkCodec.DecodeHashesQuestion(await ReadAsync(context));
        await AnswerAsync(context, LinkCodec.Encode(await endpoint.ReadHashesAsync(buckets, after, context.RequestAborted)));
    }

    private async Task RowsAsync(HttpContext context)
    {
        var (rows, answered) = await endpoint.ReadSomeRowsAsync(LinkCodec.DecodeKeys(await ReadAsync(context)), context.RequestAborted);
        await AnswerAsync(context, LinkCodec.Encode(rows, answered));
    }

    /// <summary>The whole body in an array of its own: rows keep slices of it.</summary>
    private static async ValueTask<ReadOnlyMemory<byte>> ReadAsync(HttpContext context)
    {
        if (context.Request.ContentLength is not { } length)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, "the length of the body must be told");
        }

        if (length > LinkCodec.RequestBytes)
        {
            throw new MemoryException(ErrorKind.BodyTooLarge, $"request body exceeds {LinkCodec.RequestBytes} bytes");
        }

        var bytes = new byte[length];
        var filled = 0;
        var reader = context.Request.BodyReader;
        while (filled < bytes.Length)
        {
            var result = await reader.ReadAsync();
            result.Buffer.CopyTo(bytes.AsSpan(filled));
            filled += (int)result.Buffer.Length;
            reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted && filled < bytes.Length)
            {
                throw new MemoryException(ErrorKind.MalformedRequest, "the body ends early");
            }
        }

        return bytes;
    }

    private static async Task AnswerAsync(HttpContext context, PooledBytes answer)
    {
        // The bytes are copied before the call returns; awaiting only waits for a slow reader.
        var response = context.Response;
        response.ContentType = ContentType;
        response.ContentLength = answer.Memory.Length;
        var written = response.BodyWriter.WriteAsync(answer.Memory);
        answer.Dispose();
        await written;
    }
}
