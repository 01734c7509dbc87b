using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Peers.Tests;

internal static class Ports
{
    /// <summary>Ports that were free a moment ago: nodes must know each other's before they start.</summary>
    public static int[] Take(int count)
    {
        var listeners = new TcpListener[count];
        for (var index = 0; index < count; index++)
        {
            listeners[index] = new(IPAddress.Loopback, 0);
            listeners[index].Start();
        }

        var ports = Array.ConvertAll(listeners, listener => ((IPEndPoint)listener.LocalEndpoint).Port);
        Array.ForEach(listeners, listener => listener.Stop());
        return ports;
    }
}
