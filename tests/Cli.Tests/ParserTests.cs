using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using OrleansMemory.Cli.Bench;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Transfer;

namespace OrleansMemory.Cli.Tests;

/// <summary>The parsers of the command line, fed byte by byte.</summary>
public sealed class ParserTests
{
    [Fact]
    public async Task Elements_come_whole_however_the_stream_is_cut()
    {
        var large = new string('x', 200_000);
        var document = $$"""{"count":3,"note":"skip [me]","links":[],"extra":{"memories":[1]},"memories":[{"id":"a","x":[1,{"y":"\u00e9 😀"}]},"{{large}}",null,7],"links":[{"b":1}]}""";
        var bytes = new byte[] { 0xef, 0xbb, 0xbf }.Concat(Encoding.UTF8.GetBytes(document)).ToArray();
        for (var seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            var reader = new ArrayElementReader(new CutStream(seed < 3 ? bytes[3..] : bytes, () => seed % 3 == 0 ? random.Next(1, 12) : random.Next(1, 70_000)));
            var read = new List<string>();
            while (await reader.ReadAsync() is { } element)
            {
                read.Add($"{reader.Member}:{element.GetRawText()}");
            }

            Assert.Equal(["memories:{\"id\":\"a\",\"x\":[1,{\"y\":\"\\u00e9 😀\"}]}", $"memories:\"{large}\"", "memories:null", "memories:7", "links:{\"b\":1}"], read);
            Assert.Null(await reader.ReadAsync());
        }
    }

    [Fact]
    public async Task Every_truncation_of_a_document_is_a_fault()
    {
        var bytes = """{"a":1,"memories":[{"id":"x"},{"id":"y"}],"links":[]}"""u8.ToArray();
        for (var length = 0; length < bytes.Length; length++)
        {
            var reader = new ArrayElementReader(new MemoryStream(bytes, 0, length));
            await Assert.ThrowsAnyAsync<JsonException>(async () =>
            {
                while (await reader.ReadAsync() is not null)
                {
                }
            });
        }
    }

    [Theory]
    [InlineData("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", 201)]
    [InlineData("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nA;ext=1\r\n0123456789\r\n0\r\n\r\n", 200)]
    [InlineData("HTTP/1.1 503 Service Unavailable\r\ncontent-length:0\r\nConnection: close\r\n\r\n", 503)]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", 204)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n", 0)]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 0)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", 0)]
    [InlineData("nonsense\r\n\r\n", 0)]
    public async Task An_answer_ends_where_it_says_however_it_is_cut(string answer, int status)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var served = ServeAsync(listener, Encoding.ASCII.GetBytes(answer), keepAlive: status != 0 && !answer.Contains("close", StringComparison.Ordinal));
        using (var connection = new HttpConnection((IPEndPoint)listener.LocalEndpoint))
        {
            Assert.Equal(status, connection.Exchange("ping"u8));
            Assert.Equal(status, connection.Exchange("ping"u8));
        }

        listener.Stop();
        await served;
    }

    [Fact]
    public void Percentiles_are_samples()
    {
        var latencies = Latencies.Merge(Enumerable.Range(1, 10).Select(part =>
        {
            var some = new Latencies();
            for (var sample = 0; sample < 100; sample++)
            {
                some.Add(TimeSpan.FromMicroseconds((sample * 10) + part));
            }

            return some;
        }));
        Assert.Equal(1_000, latencies.Count);
        Assert.Equal(0.5, latencies.Milliseconds(0.5));
        Assert.Equal(0.99, latencies.Milliseconds(0.99));
        Assert.Equal(1.0, latencies.MaxMilliseconds);
        Assert.Equal(0, new Latencies().Milliseconds(0.5));
    }

    [Fact]
    public void Text_is_escaped_only_where_json_demands_it()
    {
        using var stream = new MemoryStream();
        using (var writer = Report.JsonWriter(stream))
        {
            writer.WriteStringValue("é 😀 <&'+\u2028\u007f\"\\\n\u0001\ud800");
        }

        Assert.Equal("\"é 😀 <&'+\u2028\u007f\\\"\\\\\\n\\u0001\ufffd\"", Encoding.UTF8.GetString(stream.ToArray()));
    }

    /// <summary>Answers each four bytes of request, seven bytes at a time, until the listener stops.</summary>
    private static async Task ServeAsync(TcpListener listener, byte[] answer, bool keepAlive)
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptTcpClientAsync();
                client.NoDelay = true;
                var stream = client.GetStream();
                var request = new byte[4];
                while (await stream.ReadAtLeastAsync(request, request.Length, throwOnEndOfStream: false) == request.Length)
                {
                    foreach (var part in answer.Chunk(7))
                    {
                        await stream.WriteAsync(part);
                    }

                    if (!keepAlive)
                    {
                        break;
                    }
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or InvalidOperationException or IOException)
        {
            // The listener stopped, or the client left.
        }
    }

    /// <summary>Gives at most as many bytes at a time as it is told.</summary>
    private sealed class CutStream(byte[] bytes, Func<int> length) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, length())], cancellationToken);
    }
}
