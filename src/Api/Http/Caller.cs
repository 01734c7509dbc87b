using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>Who calls, as the request claims it, and what the caller asks of the write.</summary>
internal static class Caller
{
    private const string AgentHeader = "X-Agent-Id";
    private const string IdempotencyHeader = "Idempotency-Key";
    private const string StandardPrefix = "invalid agent_id: agent_id";
    private const string QuorumHeader = "X-Quorum";

    /// <summary>
    /// The agent that the body names, else the header, else none. A header beyond ASCII counts as absent.
    /// </summary>
    /// <param name="prefix">Begins the error.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidAgentId"/></exception>
    public static string? Agent(HttpContext context, string? fromBody = null, string prefix = StandardPrefix)
    {
        if (fromBody is not null)
        {
            return Named(fromBody, prefix);
        }

        var values = context.Request.Headers[AgentHeader];
        return values.Count == 1 && values[0] is { } header && Ascii.IsValid(header) ? MemoryRules.AgentId(header, prefix) : null;
    }

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidAgentId"/></exception>
    public static string Named(string agentId, string prefix = StandardPrefix) => MemoryRules.AgentId(agentId, prefix);

    /// <summary>Who writes, and how many nodes must hold it.</summary>
    public static WriteContext Writes(HttpContext context, string? agentFromBody = null) => new(Agent(context, agentFromBody), Quorum: Quorum(context));

    /// <summary>
    /// The name of a caller that gave none: <c>anonymous:req-</c> and 8 hexadecimal digits, random for each request. With an
    /// idempotency key they follow from the key, so that a retry is the same write.
    /// </summary>
    public static string Anonymous(string? idempotencyKey)
    {
        uint number;
        if (idempotencyKey is null)
        {
            number = (uint)Random.Shared.NextInt64(1L << 32);
        }
        else
        {
            Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
            SHA256.HashData(Encoding.UTF8.GetBytes(idempotencyKey), hash);
            number = BitConverter.ToUInt32(hash);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{AgentIdentity.AnonymousPrefix}req-{number:x8}");
    }

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidIdempotencyKey"/></exception>
    public static string? IdempotencyKey(HttpContext context)
    {
        var values = context.Request.Headers[IdempotencyHeader];
        return values.Count switch
        {
            0 => null,
            1 => MemoryRules.IdempotencyKey(values[0]!),
            _ => throw new MemoryException(ErrorKind.InvalidIdempotencyKey, "Idempotency-Key is given twice"),
        };
    }

    /// <summary>How many nodes must hold the write, in the request's word; null when it has none.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidQuorum"/></exception>
    public static string? Quorum(HttpContext context)
    {
        var values = context.Request.Headers[QuorumHeader];
        return values.Count switch
        {
            0 => null,
            1 => values[0],
            _ => throw new MemoryException(ErrorKind.InvalidQuorum, $"{QuorumHeader} is given twice"),
        };
    }
}

/// <summary>Entity tags: the version of a memory in quotes.</summary>
internal static class EntityTags
{
    public static void Set(HttpContext context, string version) => context.Response.Headers.ETag = string.Concat("\"", version, "\"");

    /// <summary>What a write leaves in the head of its answer.</summary>
    public static void Set(HttpContext context, WriteReceipt receipt)
    {
        if (receipt.Version.Length > 0)
        {
            Set(context, receipt.Version);
        }

        MemoryTokens.Answer(context, receipt.Position);
    }

    /// <summary>
    /// The version that <c>If-Match</c> asks for; null without one and for <c>*</c>. Of several tags the current one is taken,
    /// and the write itself proves that it still is.
    /// </summary>
    public static ValueTask<string?> IfMatchAsync(HttpContext context, IMemoryService service, string id)
    {
        var header = context.Request.Headers.IfMatch.ToString();
        if (header.Length == 0 || header == "*")
        {
            return default;
        }

        return header.Contains(',', StringComparison.Ordinal) ? CurrentOfAsync(header, service, id, context.RequestAborted) : new(Version(header));
    }

    private static async ValueTask<string?> CurrentOfAsync(string header, IMemoryService service, string id, CancellationToken cancellation)
    {
        var current = (await service.GetAsync(id, cancellation)).Version;
        var tags = header.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return Array.Exists(tags, tag => Version(tag) == current) ? current : Version(tags.FirstOrDefault() ?? "");
    }

    private static string Version(string tag)
    {
        var text = tag.AsSpan().Trim();
        return text.Length >= 2 && text[0] == '"' && text[^1] == '"' ? text[1..^1].ToString() : text.ToString();
    }
}
