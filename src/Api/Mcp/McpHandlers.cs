using System.Text.Json;
using Microsoft.Extensions.Logging;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Mcp;

/// <summary>Answers what a client asks by the Model Context Protocol, over whichever transport.</summary>
/// <param name="call">Runs a call on the node as its caller has it: takes the name of the client, if it gave one.</param>
internal sealed partial class McpHandlers(ToolProfile profile, Func<string?, Func<ToolCaller, Task<ToolAnswer>>, Task<ToolAnswer>> call, ToolServices services, ILogger logger)
{
    private const string TokenField = "memory_token";

    /// <summary>Clients of the peer system look for this name.</summary>
    private const string ServerName = "ai-memory";

    /// <summary>The first revision of the protocol with structured results.</summary>
    private const string StructuredSince = "2025-06-18";

    public McpServerOptions ToOptions() => new()
    {
        ServerInfo = new() { Name = ServerName, Title = "OrleansMemory", Version = typeof(McpHandlers).Assembly.GetName().Version!.ToString(3) },
        ServerInstructions = McpPrompts.Instructions,
        ScopeRequests = false,
        Handlers = new()
        {
            ListToolsHandler = (request, _) => ValueTask.FromResult(new ListToolsResult { Tools = ToolCatalogue.Of(profile, IsStructured(request)) }),
            CallToolHandler = CallAsync,
            ListPromptsHandler = static (_, _) => ValueTask.FromResult(new ListPromptsResult { Prompts = McpPrompts.All }),
            GetPromptHandler = static (request, _) => ValueTask.FromResult(GetPrompt(request.Params)),
        },
        Filters = new() { Message = new() { IncomingFilters = [TellWrongParameters] } },
    };

    /// <summary>Parameters of another shape are the client's fault.</summary>
    private static McpMessageHandler TellWrongParameters(McpMessageHandler next) => async (message, cancellation) =>
    {
        try
        {
            await next(message, cancellation);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new McpProtocolException("the parameters are not of the shape that the method takes", exception, McpErrorCode.InvalidParams);
        }
    };

    private async ValueTask<CallToolResult> CallAsync(RequestContext<CallToolRequestParams> request, CancellationToken cancellation)
    {
        if (request.Params?.Name is not { Length: > 0 } name)
        {
            throw new McpProtocolException("missing or empty tool name", McpErrorCode.InvalidParams);
        }

        var tool = ToolCatalogue.Find(name, profile) ?? throw new McpProtocolException($"unknown tool: {(name.Length <= 64 ? name : name[..64])}", McpErrorCode.InvalidParams);
        try
        {
            var arguments = new ToolArguments(request.Params.Arguments);
            var client = request.JsonRpcRequest.Context?.ClientInfo?.Name ?? request.Server.ClientInfo?.Name;
            LogPosition? wrote = null;
            var answer = await call(client, caller => tool.Run(new(Noting(caller), arguments, services, cancellation)));
            var result = answer.ToResult(IsStructured(request));
            if (wrote is { } token)
            {
                // For a client that goes on at another node: the header of the answer may be gone already.
                result.Meta = new() { [TokenField] = token.ToString() };
            }

            return result;

            ToolCaller Noting(ToolCaller caller) => caller.Wrote is not { } tell ? caller : caller with
            {
                Wrote = position =>
                {
                    wrote = position;
                    tell(position);
                },
            };
        }
        catch (PendingException pending)
        {
            return ToolAnswer.Of(pending).ToResult(IsStructured(request));
        }
        catch (MemoryException exception)
        {
            return ToolAnswer.Failed(exception);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogUnexpected(exception, name);
            return ToolAnswer.Failed(new(ErrorKind.Internal, "internal server error"));
        }
    }

    private static GetPromptResult GetPrompt(GetPromptRequestParams? parameters)
    {
        try
        {
            return McpPrompts.Get(parameters?.Name, parameters?.Arguments);
        }
        catch (MemoryException exception)
        {
            throw new McpProtocolException(exception.Message, exception, McpErrorCode.InvalidParams);
        }
    }

    /// <summary>Revisions are named by their day.</summary>
    private static bool IsStructured(MessageContext request) =>
        string.CompareOrdinal(request.JsonRpcMessage.Context?.ProtocolVersion ?? request.Server.NegotiatedProtocolVersion, StructuredSince) >= 0;

    [LoggerMessage(1050, LogLevel.Error, "The tool {Tool} failed unexpectedly")]
    private partial void LogUnexpected(Exception exception, string tool);
}
