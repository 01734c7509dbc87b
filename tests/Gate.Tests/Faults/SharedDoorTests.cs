using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Faults;

namespace OrleansMemory.Gate.Tests.Faults;

/// <summary>Several processes that come through one door.</summary>
public sealed class SharedDoorTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task The_end_that_opened_a_connection_is_found_with_its_process_and_the_other_end_is_not()
    {
        Assert.SkipWhen(SocketOwner.WhyNot is not null, SocketOwner.WhyNot ?? "");
        using var callee = new TcpListener(IPAddress.Loopback, 0);
        callee.Start();
        using var caller = new TcpClient();
        await caller.ConnectAsync(IPAddress.Loopback, ((IPEndPoint)callee.LocalEndpoint).Port);
        var (from, to) = ((IPEndPoint)caller.Client.LocalEndPoint!, (IPEndPoint)caller.Client.RemoteEndPoint!);
        Assert.Equal(Environment.ProcessId, SocketOwner.Find(from, to, [Environment.ProcessId]));
        Assert.Null(SocketOwner.Find(from, to, [1]));
        Assert.Null(SocketOwner.Find(from, to, [int.MaxValue]));
        Assert.Null(SocketOwner.Find(from, new(IPAddress.Loopback, 1), [Environment.ProcessId]));
    }

    [Fact]
    public async Task Each_process_has_a_link_of_its_own_and_a_stranger_has_none()
    {
        Assert.SkipWhen(SocketOwner.WhyNot is not null, SocketOwner.WhyNot ?? "");
        using var callee = new TcpListener(IPAddress.Loopback, 0);
        callee.Start();
        await using var links = new Links();
        var processes = new ConcurrentQueue<int>();
        await using var door = new SharedDoor(() => [.. processes], process => links.Of[processes.ToList().IndexOf(process)]);
        door.Open(((IPEndPoint)callee.LocalEndpoint).Port);
        using var first = Caller(door.Port);
        processes.Enqueue(first.Id);

        // What came through the link that is cut is held back, on the connection that was there before the cut too.
        using var called = await ConnectedAsync(first, callee);
        Assert.Equal("1 hears", await TellAsync(first, called, "1 hears"));
        links.Of[0].RequestsCut = true;
        await SayAsync(first, "1 is cut off");
        using var second = Caller(door.Port);
        processes.Enqueue(second.Id);
        using var other = await ConnectedAsync(second, callee);
        Assert.Equal("2 hears", await TellAsync(second, other, "2 hears"));
        Assert.False(called.GetStream().DataAvailable);
        links.Of[0].RequestsCut = false;
        Assert.Equal("1 is cut off", await HeardAsync(called));

        links.Of[1].Reset();
        await Assert.ThrowsAsync<IOException>(() => HeardAsync(other));
        Assert.Equal("1 hears on", await TellAsync(first, called, "1 hears on"));

        using var stranger = Caller(door.Port);
        await Eventually.HoldsAsync("the stranger's connection is broken", async () =>
        {
            await SayAsync(stranger, "nobody hears");
            return stranger.HasExited;
        });
        Assert.False(callee.Pending());

        await door.CloseAsync();
        using var late = Caller(door.Port);
        await late.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Deadline);
        Assert.NotEqual(0, late.ExitCode);
    }

    /// <summary>A process of its own that connects and sends what it is told, a line at a time.</summary>
    private static Process Caller(int port) => Process.Start(new ProcessStartInfo(
        "bash", ["-c", string.Create(CultureInfo.InvariantCulture, $"exec 3<>/dev/tcp/127.0.0.1/{port} || exit 1; while read -r line; do printf '%s\\n' \"$line\" >&3 || exit 2; done")])
    {
        RedirectStandardInput = true,
        RedirectStandardError = true,
        UseShellExecute = false,
    })!;

    private static async Task<TcpClient> ConnectedAsync(Process caller, TcpListener callee)
    {
        var accepted = callee.AcceptTcpClientAsync();
        var ended = caller.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Same(accepted, await Task.WhenAny(accepted, ended).WaitAsync(Deadline));
        return await accepted;
    }

    private static async Task SayAsync(Process caller, string line)
    {
        try
        {
            await caller.StandardInput.WriteLineAsync(line);
            await caller.StandardInput.FlushAsync();
        }
        catch (IOException)
        {
            // It has ended.
        }
    }

    private static async Task<string?> TellAsync(Process caller, TcpClient called, string line)
    {
        await SayAsync(caller, line);
        return await HeardAsync(called);
    }

    private static async Task<string?> HeardAsync(TcpClient called)
    {
        using var reader = new StreamReader(called.GetStream(), leaveOpen: true);
        return await reader.ReadLineAsync().WaitAsync(Deadline);
    }

    private sealed class Links : IAsyncDisposable
    {
        public LinkProxy[] Of { get; } = [new(), new()];

        public async ValueTask DisposeAsync()
        {
            foreach (var link in Of)
            {
                await link.DisposeAsync();
            }
        }
    }
}
