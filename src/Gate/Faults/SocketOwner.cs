using System.Buffers.Binary;
using System.Globalization;
using System.Net;

namespace OrleansMemory.Gate.Faults;

/// <summary>Which process of this machine opened a TCP connection, as /proc tells it: Linux only, and processes of this user only, or any as root.</summary>
public static class SocketOwner
{
    private const string Connections = "/proc/self/net/tcp";

    /// <summary>Sockets for both protocols are here.</summary>
    private const string MappedConnections = "/proc/self/net/tcp6";

    // What a line of it has, between spaces.
    private const int Local = 1;
    private const int Remote = 2;
    private const int Inode = 9;

    /// <summary>Why it cannot be told here; null when it can.</summary>
    public static string? WhyNot => File.Exists(Connections) ? null : "which silo opened a connection is told by /proc, which only Linux has";

    /// <param name="from">The end that opened the connection; IPv4, also of a socket for both protocols.</param>
    /// <param name="to">The other end.</param>
    /// <param name="processes">Those that it may be.</param>
    /// <returns>The id of the process; null when it is none of them, or has closed its end.</returns>
    public static int? Find(IPEndPoint from, IPEndPoint to, IReadOnlyList<int> processes)
    {
        var (local, remote) = (Written(from), Written(to));
        foreach (var line in File.ReadLines(Connections).Concat(File.Exists(MappedConnections) ? File.ReadLines(MappedConnections) : []))
        {
            // An address mapped into IPv6 ends with the four bytes of it.
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > Inode && fields[Local].EndsWith(local, StringComparison.Ordinal) && fields[Remote].EndsWith(remote, StringComparison.Ordinal))
            {
                var socket = $"socket:[{fields[Inode]}]";
                foreach (var process in processes)
                {
                    if (Holds(process, socket))
                    {
                        return process;
                    }
                }
            }
        }

        return null;
    }

    /// <summary>The address as the number it is in memory, and the port, in hexadecimal digits.</summary>
    private static string Written(IPEndPoint end)
    {
        var bytes = end.Address.MapToIPv4().GetAddressBytes();
        var number = BitConverter.IsLittleEndian ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : BinaryPrimitives.ReadUInt32BigEndian(bytes);
        return string.Create(CultureInfo.InvariantCulture, $"{number:X8}:{end.Port:X4}");
    }

    private static bool Holds(int process, string socket)
    {
        try
        {
            foreach (var open in new DirectoryInfo(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/fd")).EnumerateFileSystemInfos())
            {
                if (open.LinkTarget == socket)
                {
                    return true;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The process has ended.
        }

        return false;
    }
}
