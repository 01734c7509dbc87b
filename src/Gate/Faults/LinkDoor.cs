using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Gate.Faults;

/// <summary>A port of this machine that keeps its number, and is open or refuses connections, as a machine whose process is gone.</summary>
/// <param name="serve">Gets each accepted connection, which is its own from then on, and throws nothing.</param>
internal sealed class LinkDoor(Func<Socket, Task> serve) : IAsyncDisposable
{
    private Socket _socket = Bound(0);
    private Task _accepting = Task.CompletedTask;

    public int Port { get => field != 0 ? field : field = ((IPEndPoint)_socket.LocalEndPoint!).Port; }

    public void Open()
    {
        _socket.Listen();
        _accepting = AcceptAsync(_socket);
    }

    /// <summary>Refuses connections from now on; those that were accepted are not touched.</summary>
    public async Task CloseAsync()
    {
        var port = Port;
        await DisposeAsync();
        _accepting = Task.CompletedTask;
        _socket = Bound(port);
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        await _accepting;
    }

    private static Socket Bound(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        return socket;
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (true)
        {
            try
            {
                _ = serve(await listener.AcceptAsync());
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}
