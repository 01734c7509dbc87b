using System.Globalization;
using System.Net;
using System.Text;

namespace OrleansMemory.Cli.Bench;

/// <summary>Fills nodes with memories through their bulk route, over two connections.</summary>
internal static class RowLoader
{
    private const int BatchRows = 1_000;
    private const int Connections = 2;

    /// <param name="nodes">Connections are spread over them in turn.</param>
    /// <param name="first">The number of the first row: rows of one number have one title.</param>
    /// <exception cref="InvalidDataException">A node refused a batch.</exception>
    public static async Task LoadAsync(IReadOnlyList<IPEndPoint> nodes, string host, string? apiKey, BenchText text, long rows, long first = 0)
    {
        using var turn = new SemaphoreSlim(1);
        long begun = 0;

        // Text comes from one generator, one batch at a time, so that a seed gives the same rows at any speed.
        async Task SendAsync(IPEndPoint node)
        {
            using var connection = new HttpConnection(node);
            var content = new byte[WriteRequests.ContentBytes];
            while (true)
            {
                byte[] request;
                await turn.WaitAsync();
                try
                {
                    if (begun >= rows)
                    {
                        return;
                    }

                    var count = (int)Math.Min(BatchRows, rows - begun);
                    request = Request(host, apiKey, text, content, first + begun, count);
                    begun += count;
                }
                finally
                {
                    turn.Release();
                }

                var status = connection.Exchange(request);
                if (status is < 200 or >= 300)
                {
                    throw new InvalidDataException($"loading rows failed: HTTP {status}");
                }
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Connections).Select(index => Task.Run(() => SendAsync(nodes[index % nodes.Count]))));
    }

    private static byte[] Request(string host, string? apiKey, BenchText text, byte[] content, long first, int count)
    {
        var body = new StringBuilder(count * (WriteRequests.ContentBytes + 128)).Append('[');
        for (var row = 0; row < count; row++)
        {
            text.Fill(content);
            body.Append(row == 0 ? "" : ",")
                .Append(CultureInfo.InvariantCulture, $$"""{"title":"row {{first + row}}","content":"{{Encoding.ASCII.GetString(content)}}","namespace":"bench/{{(first + row) % 16}}","tier":"long"}""");
        }

        body.Append(']');
        var key = apiKey is null ? "" : $"X-API-Key: {apiKey}\r\n";
        var head = $"POST /api/v1/memories/bulk HTTP/1.1\r\nHost: {host}\r\n{key}Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n";
        return Encoding.ASCII.GetBytes(head + body);
    }
}
