using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using OrleansMemory.Storage;

namespace OrleansMemory.Cli;

/// <summary>
/// A file beside a database that says which process serves it and where, so that commands which name the file reach the node. It counts
/// only while that very process lives; what a killed node leaves behind misleads nobody.
/// </summary>
internal sealed class ServingNote : IDisposable
{
    /// <summary>The system tells the start of a process by its own clock, which two readers may place a little apart.</summary>
    private const long ClockMilliseconds = 2_000;

    private readonly string _path;

    private ServingNote(string path) => _path = path;

    /// <returns>Removes the note when disposed; null where none is needed: a database of a server, or a node that speaks TLS only, whose name the file does not tell.</returns>
    public static ServingNote? Write(StoreLocation store, IReadOnlyList<Uri> addresses)
    {
        if (store.Path is null || addresses.FirstOrDefault(static address => address.Scheme == Uri.UriSchemeHttp) is not { } address)
        {
            return null;
        }

        if (IPAddress.TryParse(address.DnsSafeHost, out var host) && (host.Equals(IPAddress.Any) || host.Equals(IPAddress.IPv6Any)))
        {
            address = new UriBuilder(address) { Host = "127.0.0.1" }.Uri;
        }

        var path = PathOf(store.Path);
        try
        {
            File.WriteAllText(path, string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId} {StartOf(Process.GetCurrentProcess())} {address.GetLeftPart(UriPartial.Authority)}\n"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Commands then say that the database is in use; the node itself needs no note.
            return null;
        }

        return new(path);
    }

    /// <summary>The address of the node that serves the database now; null when none does, or none that is known.</summary>
    public static Uri? Find(StoreLocation store)
    {
        if (store.Path is null)
        {
            return null;
        }

        try
        {
            if (!File.Exists(PathOf(store.Path)))
            {
                return null;
            }

            var parts = File.ReadAllText(PathOf(store.Path)).Split(' ', StringSplitOptions.TrimEntries);
            return parts is [var process, var start, var address]
                && int.TryParse(process, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && long.TryParse(start, NumberStyles.None, CultureInfo.InvariantCulture, out var startedAt)
                && IsAlive(id, startedAt)
                && Uri.TryCreate(address, UriKind.Absolute, out var found)
                    ? found
                    : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        try
        {
            File.Delete(_path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It no longer counts once the process has ended.
        }
    }

    private static string PathOf(string database) => database + ".node";

    /// <summary>Ids of processes come round again, but not to one that started at the same time.</summary>
    private static bool IsAlive(int id, long startedAt)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return !process.HasExited && Math.Abs(StartOf(process) - startedAt) <= ClockMilliseconds;
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException or Win32Exception)
        {
            return false;
        }
    }

    /// <summary>Milliseconds since 1970.</summary>
    private static long StartOf(Process process) => new DateTimeOffset(process.StartTime.ToUniversalTime()).ToUnixTimeMilliseconds();
}
