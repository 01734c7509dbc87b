using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>
/// The network between one node and another, in one direction of calling: a port that the caller is told, and the fault that a
/// test sets. While nothing runs behind it a connection is refused, as by a machine whose process is gone.
/// </summary>
internal sealed class LinkProxy : IAsyncDisposable
{
    private const int ChunkBytes = 64 << 10;
    private const int ChunksOnTheWay = 256;

    private readonly Lock _gate = new();
    private readonly HashSet<Socket> _open = [];
    private readonly CancellationTokenSource _stopping = new();
    private Socket _socket;
    private Task _accepting = Task.CompletedTask;
    private int _target;
    private TaskCompletionSource? _requestsCut;
    private TaskCompletionSource? _answersCut;

    public LinkProxy()
    {
        _socket = Bound(0);
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
    }

    public int Port { get; }

    public string Url => $"http://127.0.0.1:{Port}";

    /// <summary>How long the bytes of a request are under way: what a call takes more.</summary>
    public int DelayMilliseconds { get; set; }

    /// <summary>Holds back everything on its way to the callee; what was held flows on when this is taken back.</summary>
    public bool RequestsCut
    {
        get => Volatile.Read(ref _requestsCut) is not null;
        set => Switch(ref _requestsCut, value);
    }

    /// <summary>Holds back everything on its way to the caller: the work is done and nobody hears of it.</summary>
    public bool AnswersCut
    {
        get => Volatile.Read(ref _answersCut) is not null;
        set => Switch(ref _answersCut, value);
    }

    /// <summary>Lets calls through to a port of this machine.</summary>
    public void Open(int target)
    {
        _target = target;
        _socket.Listen();
        _accepting = AcceptAsync(_socket);
    }

    /// <summary>Refuses connections from now on, and breaks those that are open.</summary>
    public async Task CloseAsync()
    {
        _socket.Dispose();
        await _accepting;
        _accepting = Task.CompletedTask;
        Reset();
        _socket = Bound(Port);
    }

    /// <summary>Breaks all open connections with a reset.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            foreach (var socket in _open)
            {
                Break(socket);
            }

            _open.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _socket.Dispose();
        await _accepting;
        Reset();
        _stopping.Dispose();
    }

    private static Socket Bound(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        return socket;
    }

    private static void Switch(ref TaskCompletionSource? cut, bool on)
    {
        if (on)
        {
            Interlocked.CompareExchange(ref cut, new(TaskCreationOptions.RunContinuationsAsynchronously), null);
        }
        else
        {
            Interlocked.Exchange(ref cut, null)?.TrySetResult();
        }
    }

    private static void Break(Socket socket)
    {
        try
        {
            socket.LingerState = new(enable: true, seconds: 0);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }

        socket.Dispose();
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (true)
        {
            try
            {
                _ = CarryAsync(await listener.AcceptAsync());
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task CarryAsync(Socket caller)
    {
        var callee = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        caller.NoDelay = true;
        lock (_gate)
        {
            _open.Add(caller);
            _open.Add(callee);
        }

        try
        {
            await callee.ConnectAsync(IPAddress.Loopback, _target, _stopping.Token);
            await Task.WhenAll(
                PipeAsync(caller, callee, () => DelayMilliseconds, () => Volatile.Read(ref _requestsCut)),
                PipeAsync(callee, caller, static () => 0, () => Volatile.Read(ref _answersCut)));
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // One end broke off: so does the other.
        }

        lock (_gate)
        {
            _open.Remove(caller);
            _open.Remove(callee);
        }

        Break(caller);
        Break(callee);
    }

    /// <summary>Passes bytes on, each as long under way as was set when it came.</summary>
    private async Task PipeAsync(Socket from, Socket to, Func<int> delay, Func<TaskCompletionSource?> cut)
    {
        var underway = Channel.CreateBounded<(long DueAt, byte[] Bytes)>(ChunksOnTheWay);
        var reading = Task.Run(async () =>
        {
            var buffer = new byte[ChunkBytes];
            try
            {
                while (await from.ReceiveAsync(buffer, _stopping.Token) is var count and > 0)
                {
                    await underway.Writer.WriteAsync((Environment.TickCount64 + delay(), buffer[..count]), _stopping.Token);
                }
            }
            finally
            {
                underway.Writer.TryComplete();
            }
        });
        try
        {
            await foreach (var (dueAt, bytes) in underway.Reader.ReadAllAsync(_stopping.Token))
            {
                if (dueAt - Environment.TickCount64 is var wait and > 0)
                {
                    await Task.Delay((int)wait, _stopping.Token);
                }

                if (cut() is { } held)
                {
                    await held.Task.WaitAsync(_stopping.Token);
                }

                await to.SendAsync(bytes, _stopping.Token);
            }

            await reading;
            to.Shutdown(SocketShutdown.Send);
        }
        catch
        {
            // The other direction must not wait for bytes that will not come.
            Break(from);
            Break(to);
            throw;
        }
    }
}
