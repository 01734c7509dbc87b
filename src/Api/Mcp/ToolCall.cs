using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Mcp;

/// <summary>What tools need besides the node.</summary>
internal sealed record ToolServices(TimeProvider Time, ApiInstruments Instruments, SimilarTitles SimilarTitles);

/// <summary>Who calls, and the node as this caller has it.</summary>
/// <param name="AgentId">Null: the caller has no name.</param>
/// <param name="Quorum">How many nodes must hold a write; null: as configured.</param>
/// <param name="Wrote">Hears where each write stands, for the caller's token.</param>
internal sealed record ToolCaller(INodeService Node, string? AgentId, string? Quorum = null, Action<LogPosition>? Wrote = null);

/// <summary>One call of a tool.</summary>
/// <param name="cancellation">Ends reads; a write that has begun goes on.</param>
internal sealed class ToolCall(ToolCaller caller, ToolArguments arguments, ToolServices services, CancellationToken cancellation)
{
    public INodeService Node => caller.Node;

    public ToolArguments Arguments => arguments;

    public BodyFields Fields => arguments.Fields;

    public ToolServices Services => services;

    public CancellationToken Cancellation => cancellation;

    /// <summary>Null: the caller has no name.</summary>
    public string? CallerId => caller.AgentId;

    /// <summary>Whom the call names, else the caller; null: nobody.</summary>
    public string? AgentId => Fields.TextOrNull("agent_id") is { } named ? Caller.Named(named) : caller.AgentId;

    /// <summary>As whom it writes: a caller without a name gets one.</summary>
    public string Author => AgentId ?? Caller.Anonymous(null);

    public WriteContext Writes() => new(AgentId, Quorum: caller.Quorum);

    public WriteContext WritesAs(string? author) => new(author, Quorum: caller.Quorum);

    public WriteReceipt Wrote(WriteReceipt receipt)
    {
        Wrote(receipt.Position);
        return receipt;
    }

    public void Wrote(LogPosition position) => caller.Wrote?.Invoke(position);
}
