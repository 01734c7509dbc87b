using System.ComponentModel;
using System.Diagnostics;

namespace OrleansMemory.Gate.Nodes;

/// <summary>A private PostgreSQL server, started and stopped with <c>om postgres</c>. It ends with this process, however that ends.</summary>
public sealed class PostgresServer : IAsyncDisposable
{
    /// <summary>Starts the server, names its database, and stops it when its input ends.</summary>
    private const string Guard = """
        trap '' INT HUP TERM
        "$1" postgres start --data "$2" || exit
        read -r _
        exec "$1" postgres stop --data "$2"
        """;

    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(60);

    private readonly Process _guard;

    private PostgresServer(Process guard, string url)
    {
        _guard = guard;
        Url = url;
    }

    /// <summary>Of its database; it has no password, and only this user reaches it.</summary>
    public string Url { get; }

    /// <param name="om">The program <c>om</c>.</param>
    /// <param name="folder">Of its data; made when missing, kept in the end. Every user must be able to enter the folders above it: as root, another user runs the server.</param>
    /// <exception cref="GateException">PostgreSQL is not installed, or does not start.</exception>
    public static async Task<PostgresServer> StartAsync(string om, string folder)
    {
        var start = new ProcessStartInfo("sh", ["-c", Guard, "sh", om, folder]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        start.Environment["OM_NO_CONFIG"] = "1";
        Process guard;
        try
        {
            guard = Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw new GateException($"sh cannot be started: {exception.Message}", exception);
        }

        var error = guard.StandardError.ReadToEndAsync();
        try
        {
            if (await guard.StandardOutput.ReadLineAsync().WaitAsync(StartDeadline) is { } url)
            {
                return new(guard, url);
            }
        }
        catch (TimeoutException exception)
        {
            guard.StandardInput.Close();
            throw new GateException($"PostgreSQL did not start within {StartDeadline.TotalSeconds} s", exception);
        }

        throw new GateException($"PostgreSQL did not start: {(await error).Trim()}");
    }

    public async ValueTask DisposeAsync()
    {
        _guard.StandardInput.Close();
        await _guard.WaitForExitAsync().WaitAsync(StopDeadline);
        _guard.Dispose();
    }
}
