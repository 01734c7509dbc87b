using System.Net;
using System.Net.Sockets;
using OrleansMemory.Gate.Faults;

namespace OrleansMemory.Gate.Tests.Faults;

/// <summary>Bytes through a link.</summary>
public sealed class LinkProxyTests
{
    private const int Bytes = 48 << 10;

    [Fact]
    public async Task A_slow_line_holds_bytes_back_until_it_is_fast_again()
    {
        await using var link = new LinkProxy();
        using var callee = new TcpListener(IPAddress.Loopback, 0);
        callee.Start();
        link.Open(((IPEndPoint)callee.LocalEndpoint).Port);
        link.BytesPerSecond = 32 << 10;
        using var caller = new TcpClient();
        await caller.ConnectAsync(IPAddress.Loopback, link.Port);
        using var called = await callee.AcceptTcpClientAsync();
        var started = TimeProvider.System.GetTimestamp();
        await caller.GetStream().WriteAsync(new byte[Bytes]);
        var received = new byte[Bytes];
        await called.GetStream().ReadExactlyAsync(received.AsMemory(0, Bytes / 2));
        Assert.True(TimeProvider.System.GetElapsedTime(started) > TimeSpan.FromMilliseconds(500));
        link.BytesPerSecond = 0;
        await called.GetStream().ReadExactlyAsync(received.AsMemory(Bytes / 2));
    }

    [Fact]
    public async Task A_reset_breaks_what_is_open_and_lets_new_connections_through()
    {
        await using var link = new LinkProxy();
        using var callee = new TcpListener(IPAddress.Loopback, 0);
        callee.Start();
        link.Open(((IPEndPoint)callee.LocalEndpoint).Port);
        using var caller = new TcpClient();
        await caller.ConnectAsync(IPAddress.Loopback, link.Port);
        using var called = await callee.AcceptTcpClientAsync();
        link.Reset();
        await Assert.ThrowsAsync<IOException>(async () => await caller.GetStream().ReadExactlyAsync(new byte[1]));
        await Assert.ThrowsAsync<IOException>(async () => await called.GetStream().ReadExactlyAsync(new byte[1]));
        using var second = new TcpClient();
        await second.ConnectAsync(IPAddress.Loopback, link.Port);
        using var answered = await callee.AcceptTcpClientAsync();
        await second.GetStream().WriteAsync(new byte[1]);
        await answered.GetStream().ReadExactlyAsync(new byte[1]);
    }
}
