using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Cli;

/// <summary>
/// Where the node that holds a database file serves it: a note beside the file, for programs of this machine that find the file held. It counts only while
/// the file is held and the node that wrote it answers.
/// </summary>
internal sealed class ServedAddress : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly string _path;

    private ServedAddress(string path) => _path = path;

    /// <returns>Takes the note away when it is disposed. Null: the database is no file, or the note cannot be written.</returns>
    public static ServedAddress? Announce(DatabaseLocation database, Uri address)
    {
        if (NoteOf(database) is not { } path)
        {
            return null;
        }

        var reachable = new UriBuilder(address);
        if (IPAddress.TryParse(address.Host.Trim('[', ']'), out var any) && (any.Equals(IPAddress.Any) || any.Equals(IPAddress.IPv6Any)))
        {
            reachable.Host = any.AddressFamily == AddressFamily.InterNetwork ? "127.0.0.1" : "[::1]";
        }

        try
        {
            File.WriteAllText(path, string.Create(CultureInfo.InvariantCulture, $"{reachable.Uri.GetLeftPart(UriPartial.Authority)}\n{Environment.ProcessId}\n"));
            return new(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <returns>Null: no node serves the database, or it says nothing of itself.</returns>
    public static async Task<Uri?> FindAsync(DatabaseLocation database)
    {
        if (NoteOf(database) is not { } path || !File.Exists(path) || !IsHeld(database.Store.Path!))
        {
            return null;
        }

        try
        {
            if (await File.ReadAllLinesAsync(path) is not [var url, var process, ..] || !Uri.TryCreate(url, UriKind.Absolute, out var address) || !IsRunning(process))
            {
                return null;
            }

            using var http = new HttpClient { Timeout = Patience };
            using var answer = await http.GetAsync(new Uri(address, "/livez"));
            return answer.IsSuccessStatusCode ? address : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or HttpRequestException or TaskCanceledException)
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
            // Nobody believes it once the file is free.
        }
    }

    private static string? NoteOf(DatabaseLocation database) => database.Store.Path is { } path ? path + ".url" : null;

    /// <summary>The holder has the lock to itself.</summary>
    private static bool IsHeld(string database)
    {
        try
        {
            using var held = new FileStream(database + ".lock", FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static bool IsRunning(string process)
    {
        try
        {
            using var found = Process.GetProcessById(int.Parse(process, CultureInfo.InvariantCulture));
            return !found.HasExited;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException or InvalidOperationException)
        {
            return false;
        }
    }
}
