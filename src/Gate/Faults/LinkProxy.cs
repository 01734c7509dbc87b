using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace OrleansMemory.Gate.Faults;

/// <summary>
/// The network between one node and another, in one direction of calling: a port that the caller is told, and the fault that is
/// set. While nothing runs behind it a connection is refused, as by a machine whose process is gone. Where one port is told to several
/// callers, a <see cref="SharedDoor"/> takes their connections and each link carries those of one caller.
/// </summary>
public sealed class LinkProxy : IAsyncDisposable
{
    private const int ChunkBytes = 64 << 10;
    private const int ChunksOnTheWay = 256;

    /// <summary>What a slow link passes on at a time.</summary>
    private const int SliceBytes = 1 << 10;

    private readonly Lock _gate = new();
    private readonly HashSet<Socket> _open = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly LinkDoor _door;
    private int _target;
    private TaskCompletionSource? _requestsCut;
    private TaskCompletionSource? _answersCut;
    private long _requestsFreeAt;
    private long _answersFreeAt;

    public LinkProxy() => _door = new(caller => CarryAsync(caller, _target));

    public int Port => _door.Port;

    public string Url => $"http://127.0.0.1:{Port}";

    /// <summary>What a call takes more: half of it on its way there, half on the way back.</summary>
    public int DelayMilliseconds { get; set; }

    /// <summary>What passes in a second, each way, over all connections; 0: no limit.</summary>
    public int BytesPerSecond { get; set; }

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
        _door.Open();
    }

    /// <summary>Refuses connections from now on, and breaks those that are open.</summary>
    public async Task CloseAsync()
    {
        await _door.CloseAsync();
        Reset();
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
        await _door.DisposeAsync();
        Reset();
        _stopping.Dispose();
    }

    /// <summary>Carries an accepted connection on to a port of this machine, to its end.</summary>
    internal async Task CarryAsync(Socket caller, int target)
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
            await callee.ConnectAsync(IPAddress.Loopback, target, _stopping.Token);
            await Task.WhenAll(
                PipeAsync(caller, callee, () => Volatile.Read(ref _requestsCut), bytes => FreeAt(ref _requestsFreeAt, bytes)),
                PipeAsync(callee, caller, () => Volatile.Read(ref _answersCut), bytes => FreeAt(ref _answersFreeAt, bytes)));
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

    internal static void Break(Socket socket)
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

    /// <summary>Takes its turn on the link.</summary>
    /// <returns>When so many bytes have passed, in the machine's ticks; 0 without a limit.</returns>
    private long FreeAt(ref long freeAt, int bytes)
    {
        lock (_gate)
        {
            freeAt = BytesPerSecond is var rate and > 0 ? Math.Max(freeAt, Environment.TickCount64) + (bytes * 1000L / rate) : 0;
            return freeAt;
        }
    }

    /// <summary>Passes bytes on, each as long under way as was set when it came, and no faster than the link is.</summary>
    private async Task PipeAsync(Socket from, Socket to, Func<TaskCompletionSource?> cut, Func<int, long> freeAt)
    {
        var underway = Channel.CreateBounded<(long DueAt, byte[] Bytes)>(ChunksOnTheWay);
        var reading = Task.Run(async () =>
        {
            var buffer = new byte[ChunkBytes];
            try
            {
                while (await from.ReceiveAsync(buffer, _stopping.Token) is var count and > 0)
                {
                    await underway.Writer.WriteAsync((Environment.TickCount64 + (DelayMilliseconds / 2), buffer[..count]), _stopping.Token);
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

                for (var sent = 0; sent < bytes.Length;)
                {
                    var slice = BytesPerSecond > 0 ? Math.Min(SliceBytes, bytes.Length - sent) : bytes.Length - sent;
                    if (freeAt(slice) - Environment.TickCount64 is var busy and > 0)
                    {
                        await Task.Delay((int)busy, _stopping.Token);
                    }

                    await to.SendAsync(bytes.AsMemory(sent, slice), _stopping.Token);
                    sent += slice;
                }
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
