using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Peers.Tests;

internal static class Ports
{
    private const int Lowest = 10_000;

    /// <summary>Where the system's own choice begins at the earliest: a node that is down would lose a port of those to somebody's outgoing connection.</summary>
    private const int Limit = 32_768;

    /// <summary>Ports that were free a moment ago: nodes must know each other's before they start.</summary>
    public static int[] Take(int count)
    {
        var listeners = new List<TcpListener>(count);
        try
        {
            while (listeners.Count < count)
            {
                var listener = new TcpListener(IPAddress.Loopback, Random.Shared.Next(Lowest, Limit));
                try
                {
                    listener.Start();
                    listeners.Add(listener);
                }
                catch (SocketException)
                {
                    // Somebody has it.
                    listener.Dispose();
                }
            }

            return [.. listeners.Select(static listener => ((IPEndPoint)listener.LocalEndpoint).Port)];
        }
        finally
        {
            listeners.ForEach(static listener => listener.Dispose());
        }
    }
}
