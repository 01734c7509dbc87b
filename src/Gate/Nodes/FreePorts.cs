using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Gate.Nodes;

/// <summary>
/// Ports for nodes that must know each other's before they start. Not from the range of the system's own choice: a node that is
/// down would soon find its port taken by somebody's outgoing connection.
/// </summary>
public static class FreePorts
{
    private const int Lowest = 10_000;
    private const int DefaultEphemeral = 32_768;
    private const int Tries = 1_000;

    /// <exception cref="GateException">There are none.</exception>
    public static int[] Take(int count)
    {
        var limit = FirstEphemeral();
        var held = new List<TcpListener>(count);
        try
        {
            for (var tries = 0; held.Count < count; tries++)
            {
                // Which port it is decides nothing.
#pragma warning disable CA5394
                var port = limit > Lowest + Tries ? Random.Shared.Next(Lowest, limit) : 0;
#pragma warning restore CA5394
                if (Hold(port) is { } listener)
                {
                    held.Add(listener);
                }
                else if (tries == Tries)
                {
                    throw new GateException("found no free ports on the loopback address");
                }
            }

            return [.. held.Select(static listener => ((IPEndPoint)listener.LocalEndpoint).Port)];
        }
        finally
        {
            held.ForEach(static listener => listener.Dispose());
        }
    }

    /// <summary>The first of them that somebody listens on; null when they are free.</summary>
    public static int? FirstTaken(IEnumerable<int> ports)
    {
        foreach (var port in ports)
        {
            using var listener = Hold(port);
            if (listener is null)
            {
                return port;
            }
        }

        return null;
    }

    private static TcpListener? Hold(int port)
    {
        var listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            listener.Start();
            return listener;
        }
        catch (SocketException)
        {
            listener.Dispose();
            return null;
        }
    }

    private static int FirstEphemeral()
    {
        const string Range = "/proc/sys/net/ipv4/ip_local_port_range";
        return File.Exists(Range) && int.TryParse(File.ReadAllText(Range).Split('\t', ' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            ? first
            : DefaultEphemeral;
    }
}
