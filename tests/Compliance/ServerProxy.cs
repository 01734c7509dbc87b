using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Compliance;

/// <summary>The network between a store and its server: a port of this machine that leads to the server's socket, and the fault that a test sets.</summary>
public sealed class ServerProxy : IAsyncDisposable
{
    private readonly string _target;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Lock _gate = new();
    private readonly HashSet<Socket> _open = [];
    private readonly Task _accepting;
    private volatile bool _swallowsAnswers;
    private volatile bool _refuses;

    public ServerProxy(string socketPath)
    {
        _target = socketPath;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>Of a database of the server.</summary>
    public string UrlOf(string database) => $"postgres://om@127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/{database}?sslmode=disable";

    /// <summary>What the server answers is lost from now on; what it is asked arrives.</summary>
    public void SwallowAnswers() => _swallowsAnswers = true;

    /// <summary>Breaks every connection, and each new one until <see cref="Mend"/>.</summary>
    public void Break(bool andRefuse)
    {
        _refuses = andRefuse;
        lock (_gate)
        {
            foreach (var socket in _open)
            {
                socket.Dispose();
            }

            _open.Clear();
        }
    }

    public void Mend()
    {
        _swallowsAnswers = false;
        _refuses = false;
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        Break(andRefuse: true);
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptSocketAsync();
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return;
            }

            _ = CarryAsync(client);
        }
    }

    private async Task CarryAsync(Socket client)
    {
        var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        lock (_gate)
        {
            if (_refuses)
            {
                client.Dispose();
                server.Dispose();
                return;
            }

            _open.Add(client);
            _open.Add(server);
        }

        try
        {
            client.NoDelay = true;
            await server.ConnectAsync(new UnixDomainSocketEndPoint(_target));
            await Task.WhenAny(PipeAsync(client, server, isAnswer: false), PipeAsync(server, client, isAnswer: true));
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The server is away, or the test broke the connection.
        }

        lock (_gate)
        {
            _open.Remove(client);
            _open.Remove(server);
        }

        client.Dispose();
        server.Dispose();
    }

    private async Task PipeAsync(Socket from, Socket to, bool isAnswer)
    {
        var buffer = new byte[65_536];
        try
        {
            while (await from.ReceiveAsync(buffer) is var count and > 0)
            {
                if (!isAnswer || !_swallowsAnswers)
                {
                    await to.SendAsync(buffer.AsMemory(0, count));
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // One end broke off: so does the other.
        }
    }
}
