using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OrleansMemory.Gate.Clients;
using OrleansMemory.Gate.Ledgers;

namespace OrleansMemory.Gate.Tests.Clients;

/// <summary>What a client of the gate sends, as the server sees it.</summary>
public sealed class AgentTests : IAsyncLifetime
{
    private readonly ConcurrentQueue<string> _requests = new();
    private WebApplication _server = null!;
    private int _answered;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _server = builder.Build();

        // Each write is answered with a token of its own.
        _server.Run(async context =>
        {
            var id = context.Request.Path.Value!["/api/v1/memories".Length..];
            _requests.Enqueue($"{context.Request.Method} {id} {context.Request.Headers["X-Memory-Token"]}");
            var number = ++_answered;
            context.Response.StatusCode = context.Request.Method == "POST" ? 201 : 200;
            context.Response.Headers["X-Memory-Token"] = string.Create(CultureInfo.InvariantCulture, $"t{number}");
            await context.Response.WriteAsync($$"""{"id":"m{{number}}","content":"c"}""");
        });
        await _server.StartAsync();
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task What_it_asks_of_a_memory_carries_the_token_of_the_last_write_to_it()
    {
        var address = _server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        using var traffic = new Traffic([new("n1", new(address))]);
        var agent = new Agent(traffic, 1, "c", "ns", withToken: true);
        await agent.CreateAsync(0);
        await agent.CreateAsync(0);
        var (first, second) = (agent.Owns[0], agent.Owns[1]);
        await agent.ReadAsync(first, 0);
        await agent.UpdateAsync(first, 0, turn: 1);
        await agent.ReadAsync(second, 0);
        await agent.ReadAsync(first, 0);
        await agent.DeleteAsync(second, 0);
        await agent.ReadAsync(first, 0);
        await agent.CreateAsync(0);

        // Reads are answered with tokens too, of nothing that the client wrote.
        Assert.Equal(
            ["POST  ", "POST  t1", "GET /m1 t1", "PUT /m1 t1", "GET /m2 t2", "GET /m1 t4", "DELETE /m2 t2", "GET /m1 t4", "POST  t7"],
            _requests);
    }

    [Theory]
    [InlineData(Operations.Delete)]
    [InlineData(Operations.Promote)]
    [InlineData(Operations.Update)]
    public async Task A_write_that_was_sent_is_never_taken_for_one_that_was_not(string op)
    {
        // It answers one request and takes another, and then neither it nor anybody else is there.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var taken = TakeTwoAsync(listener);
        using var traffic = new Traffic([new("n1", new($"http://{listener.LocalEndpoint}"))]);
        var agent = new Agent(traffic, 1, "c", "ns", withToken: false);
        await agent.CreateAsync(0);
        var memory = Assert.Single(agent.Owns);
        var operation = await (op switch
        {
            Operations.Delete => agent.DeleteAsync(memory, 0),
            Operations.Promote => agent.PromoteAsync(memory, 0),
            _ => agent.UpdateAsync(memory, 0, turn: 1),
        });
        Assert.Equal((op, Outcome.Indeterminate), (operation.Op, operation.Outcome));
        await taken;

        static async Task TakeTwoAsync(TcpListener listener)
        {
            using var connection = await listener.AcceptTcpClientAsync();
            await using var stream = connection.GetStream();
            await ReadAsync(stream);
            await stream.WriteAsync("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"id\":\"m\"}"u8.ToArray());
            await ReadAsync(stream);
            listener.Stop();
        }

        static async Task ReadAsync(NetworkStream stream)
        {
            // To the end of the head: what follows it is not looked at.
            var last = 0;
            var one = new byte[1];
            while (last != 0x0d0a0d0a)
            {
                await stream.ReadExactlyAsync(one);
                last = (last << 8) | one[0];
            }

            while (stream.DataAvailable)
            {
                await stream.ReadExactlyAsync(one);
            }
        }
    }
}
