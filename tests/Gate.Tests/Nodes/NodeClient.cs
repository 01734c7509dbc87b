using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Tests.Nodes;

/// <summary>What tests ask of nodes.</summary>
internal static class NodeClient
{
    private const string Namespace = "gate";
    private const int PageRows = 200;

    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromSeconds(60);
    private static readonly HttpClient Http = new(new SocketsHttpHandler { UseProxy = false, PooledConnectionLifetime = TimeSpan.FromSeconds(5) }) { Timeout = TimeSpan.FromSeconds(20) };

    public static Task ReadyAsync(this NodeSet nodes) => nodes.WaitReadyAsync(ReadyDeadline);

    /// <returns>No status when there was no answer.</returns>
    public static Task<HttpStatusCode?> StoreAsync(this NodeSet nodes, int node, string title, string? quorum = null, string @namespace = Namespace) =>
        StoreAsync(nodes.AddressOf(node), title, quorum, @namespace);

    public static async Task<HttpStatusCode?> StoreAsync(Uri address, string title, string? quorum = null, string @namespace = Namespace)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(address, "/api/v1/memories"))
        {
            Content = JsonContent.Create(new { title, content = $"v-{title}", @namespace, tier = "long" }),
        };
        if (quorum is not null)
        {
            request.Headers.Add("X-Quorum", quorum);
        }

        try
        {
            using var answer = await Http.SendAsync(request);
            return answer.StatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>The titles of one page.</summary>
    public static async Task<(IReadOnlyList<string> Titles, string? Cursor)> PageAsync(Uri address, string? cursor = null)
    {
        var after = cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}";
        using var page = JsonDocument.Parse(await Http.GetStringAsync(new Uri(address, $"/api/v1/memories?namespace={Namespace}&limit={PageRows}{after}")));
        return (
            [.. page.RootElement.GetProperty("memories").EnumerateArray().Select(static memory => memory.GetProperty("title").GetString()!)],
            page.RootElement.TryGetProperty("next_cursor", out var next) ? next.GetString() : null);
    }

    /// <summary>The titles of all that a node lists, in order.</summary>
    public static async Task<IReadOnlyList<string>> TitlesAsync(this NodeSet nodes, int node)
    {
        var titles = new List<string>();
        string? cursor = null;
        do
        {
            (var page, cursor) = await PageAsync(nodes.AddressOf(node), cursor);
            titles.AddRange(page);
        }
        while (cursor is not null);
        titles.Sort(StringComparer.Ordinal);
        return titles;
    }

    /// <summary>Waits until all nodes have one digest.</summary>
    public static Task ConvergedAsync(this NodeSet nodes) => Eventually.HoldsAsync("all nodes have one digest", async () =>
    {
        var digests = await Task.WhenAll(Enumerable.Range(0, nodes.Count).Select(async node =>
        {
            using var body = JsonDocument.Parse(await Http.GetStringAsync(new Uri(nodes.AddressOf(node), "/api/v1/cluster?digest=true")));
            return body.RootElement.GetProperty("digest").GetString();
        }));
        return digests.All(digest => digest == digests[0]);
    });
}
