using System.Text.Json.Nodes;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using OrleansMemory.Api.Mcp;

namespace OrleansMemory.Cli.Mcp;

/// <summary>Carries messages between a client on standard input and output and the <c>/mcp</c> of a node.</summary>
/// <param name="agentId">Names the caller after its client, where nothing else names it.</param>
internal sealed class McpBridge(Uri node, string? apiKey, ToolProfile profile, Func<string?, string> agentId)
{
    /// <summary>Runs until the input ends.</summary>
    public async Task RunAsync(Stream input, Stream output)
    {
        await using var client = new StdioTransport(input, output);
        HttpClientTransport? http = null;
        ITransport? far = null;
        var answering = Task.CompletedTask;
        await foreach (var message in client.MessageReader.ReadAllAsync())
        {
            try
            {
                if (far is null)
                {
                    // The first message names the client, and with it the caller.
                    http = Transport(message);
                    far = await http.ConnectAsync();
                    answering = AnswerAsync(far, client);
                }

                await far.SendMessageAsync(message);
            }
            catch (Exception exception) when (exception is HttpRequestException or McpException or InvalidOperationException or IOException or OperationCanceledException)
            {
                if (message is JsonRpcRequest request)
                {
                    await client.SendMessageAsync(new JsonRpcError
                    {
                        Id = request.Id,
                        Error = new() { Code = (int)McpErrorCode.InternalError, Message = $"the node at {node.GetLeftPart(UriPartial.Authority)} did not answer: {exception.Message}" },
                    });
                }
            }
        }

        if (far is not null)
        {
            await far.DisposeAsync();
            await http!.DisposeAsync();
        }

        await answering;
    }

    private HttpClientTransport Transport(JsonRpcMessage first)
    {
        var headers = new Dictionary<string, string>(StringComparer.Ordinal) { ["X-Agent-Id"] = agentId(ClientOf(first)) };
        if (apiKey is not null)
        {
            headers["X-API-Key"] = apiKey;
        }

        return new(new()
        {
            Endpoint = new(node.GetLeftPart(UriPartial.Path).TrimEnd('/') + (profile == ToolProfile.Core ? "/mcp?profile=core" : "/mcp")),
            TransportMode = HttpTransportMode.StreamableHttp,
            AdditionalHeaders = headers,
            EnableStandaloneGetStream = false,
            OwnsSession = false,
        });
    }

    private static async Task AnswerAsync(ITransport node, StdioTransport client)
    {
        try
        {
            await foreach (var message in node.MessageReader.ReadAllAsync())
            {
                await client.SendMessageAsync(message);
            }
        }
        catch (IOException)
        {
            // This end closed, or the client is gone.
        }
    }

    private static string? ClientOf(JsonRpcMessage message) => message is JsonRpcRequest { Params: JsonObject parameters }
        ? NameOf(parameters["clientInfo"]) ?? NameOf((parameters["_meta"] as JsonObject)?["io.modelcontextprotocol/clientInfo"])
        : null;

    private static string? NameOf(JsonNode? client) => client is JsonObject fields && fields["name"] is JsonValue name && name.TryGetValue<string>(out var text) ? text : null;
}
