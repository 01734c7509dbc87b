using Microsoft.Extensions.Logging;
using ModelContextProtocol.Server;

namespace OrleansMemory.Api.Mcp;

/// <summary>The Model Context Protocol over standard input and output.</summary>
internal static class StdioServer
{
    /// <summary>Serves until the input ends.</summary>
    /// <param name="call">Runs a call on the node as its caller has it: takes the name of the client, if it gave one.</param>
    public static async Task RunAsync(
        Stream input, Stream output, ToolProfile profile, ToolServices services, Func<string?, Func<ToolCaller, Task<ToolAnswer>>, Task<ToolAnswer>> call, ILogger logger, CancellationToken stop)
    {
        await using var transport = new StdioTransport(input, output);
        await using var server = McpServer.Create(transport, new McpHandlers(profile, call, services, logger).ToOptions());
        await server.RunAsync(stop);
    }
}
