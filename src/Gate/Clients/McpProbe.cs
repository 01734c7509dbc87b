using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace OrleansMemory.Gate.Clients;

/// <summary>The first three messages of a client of the Model Context Protocol, over either transport.</summary>
internal static class McpProbe
{
    private const string Initialize =
        """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"gate","version":"1"}}}""";

    private const string Initialized = """{"jsonrpc":"2.0","method":"notifications/initialized"}""";
    private const string ListTools = """{"jsonrpc":"2.0","id":2,"method":"tools/list"}""";
    private const int ListId = 2;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <returns>How many tools <c>om mcp</c> in front of a node lists.</returns>
    /// <exception cref="CommandException">It listed none.</exception>
    public static async Task<int> StdioAsync(CommandLine om, Uri node, CancellationToken cancellation)
    {
        var output = await om.RunAsync(["mcp", "--url", node.GetLeftPart(UriPartial.Authority)], $"{Initialize}\n{Initialized}\n{ListTools}\n", cancellation: cancellation);
        return Count(output.Split('\n')) ?? throw new CommandException("om mcp listed no tools");
    }

    /// <returns>How many tools a node lists at <c>/mcp</c>.</returns>
    /// <exception cref="CommandException">It listed none.</exception>
    public static async Task<int> HttpAsync(Uri node, string? key, CancellationToken cancellation)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = Patience };
        string? session = null;
        int? count = null;
        foreach (var message in (string[])[Initialize, Initialized, ListTools])
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(node, "/mcp")) { Content = new StringContent(message, Encoding.UTF8, new MediaTypeHeaderValue("application/json")) };
            request.Headers.Accept.ParseAdd("application/json");
            request.Headers.Accept.ParseAdd("text/event-stream");
            if (key is not null)
            {
                request.Headers.Add("X-API-Key", key);
            }

            if (session is not null)
            {
                request.Headers.Add("Mcp-Session-Id", session);
            }

            try
            {
                using var answer = await http.SendAsync(request, cancellation);
                session ??= answer.Headers.TryGetValues("Mcp-Session-Id", out var named) ? named.First() : null;
                const string Data = "data:";
                var text = await answer.Content.ReadAsStringAsync(cancellation);
                count = Count(text.Split('\n').Select(static line => line.StartsWith(Data, StringComparison.Ordinal) ? line[Data.Length..] : line)) ?? count;
            }
            catch (Exception exception) when (exception is HttpRequestException || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
            {
                throw new CommandException($"/mcp did not answer: {exception.Message}");
            }
        }

        return count ?? throw new CommandException("/mcp listed no tools");
    }

    private static int? Count(IEnumerable<string> lines)
    {
        foreach (var line in lines.Where(static line => line.TrimStart().StartsWith('{')))
        {
            try
            {
                using var message = JsonDocument.Parse(line);
                if (message.RootElement.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.Number && id.GetInt32() == ListId
                    && message.RootElement.TryGetProperty("result", out var result) && result.TryGetProperty("tools", out var tools))
                {
                    return tools.GetArrayLength();
                }
            }
            catch (JsonException)
            {
                // Not a message.
            }
        }

        return null;
    }
}
