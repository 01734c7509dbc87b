using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Gate.Faults;

/// <summary>
/// The one port by which several processes reach another: who opened a connection is found out (<see cref="SocketOwner"/>), and the
/// <see cref="LinkProxy"/> between the two carries it. A connection of anybody else is broken.
/// </summary>
public sealed class SharedDoor : IAsyncDisposable
{
    /// <summary>A process may connect before whoever started it knows its id.</summary>
    private const int Looks = 20;

    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(20);

    private readonly LinkDoor _door;
    private readonly Func<int, LinkProxy?> _linkOf;
    private readonly Func<IReadOnlyList<int>> _processes;
    private int _target;

    /// <param name="processes">The ids of the processes that may connect.</param>
    /// <param name="linkOf">What carries the connections of one of them; null: nothing does.</param>
    public SharedDoor(Func<IReadOnlyList<int>> processes, Func<int, LinkProxy?> linkOf)
    {
        _processes = processes;
        _linkOf = linkOf;
        _door = new(caller => Task.Run(() => ServeAsync(caller)));
    }

    public int Port => _door.Port;

    /// <summary>Lets connections through to a port of this machine.</summary>
    public void Open(int target)
    {
        _target = target;
        _door.Open();
    }

    /// <summary>Refuses connections from now on. Those that are open are the links' to break.</summary>
    public Task CloseAsync() => _door.CloseAsync();

    public ValueTask DisposeAsync() => _door.DisposeAsync();

    private async Task ServeAsync(Socket caller)
    {
        try
        {
            var (from, to) = ((IPEndPoint)caller.RemoteEndPoint!, (IPEndPoint)caller.LocalEndPoint!);
            for (var look = 0; look < Looks; look++)
            {
                if (SocketOwner.Find(from, to, _processes()) is { } process)
                {
                    if (_linkOf(process) is { } link)
                    {
                        await link.CarryAsync(caller, _target);
                        return;
                    }

                    break;
                }

                await Task.Delay(LookInterval);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It broke off before anybody saw whose it is.
        }

        LinkProxy.Break(caller);
    }
}
