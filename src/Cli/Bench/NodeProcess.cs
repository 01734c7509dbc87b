using System.Diagnostics;
using System.Runtime.InteropServices;

namespace OrleansMemory.Cli.Bench;

/// <summary>CPU time and peak memory of a process at one instant.</summary>
internal readonly record struct ProcessUsage(TimeSpan Cpu, long PeakBytes);

/// <summary>A node of its own for a measurement: this program's <c>serve</c>, a free port, an empty database in a folder that goes with it.</summary>
internal sealed class NodeProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(15);

    private readonly Process _process;
    private readonly Task _drained;
    private readonly PosixSignalRegistration[] _signals;

    private NodeProcess(Process process, Task drained, Uri address, string folder)
    {
        _process = process;
        _drained = drained;
        Address = address;
        Folder = folder;
        _signals =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => Abandon(130)),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => Abandon(143)),
        ];
    }

    public Uri Address { get; }

    public string Folder { get; }

    /// <param name="parent">The node's folder is made in here.</param>
    /// <exception cref="InvalidOperationException">The node ended, or did not listen within 30 s.</exception>
    public static async Task<NodeProcess> StartAsync(string parent)
    {
        var folder = Directory.CreateDirectory(Path.Combine(parent, $"om-bench-{Guid.NewGuid():n}")).FullName;
        Process? process = null;
        try
        {
            process = Process.Start(Command(folder)) ?? throw new InvalidOperationException("cannot start a node");
            var log = process.StandardError.ReadLineAsync();
            var address = await AddressAsync(process.StandardOutput).WaitAsync(StartDeadline)
                ?? throw new InvalidOperationException($"the node ended before it listened: {await log ?? "it said nothing"}");
            return new(process, Task.WhenAll(DrainAsync(process.StandardOutput), DrainAsync(process.StandardError, log)), address, folder);
        }
        catch
        {
            process?.Kill();
            process?.Dispose();
            Directory.Delete(folder, recursive: true);
            throw;
        }
    }

    public ProcessUsage Usage()
    {
        _process.Refresh();
        return new(_process.TotalProcessorTime, _process.PeakWorkingSet64);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var signal in _signals)
        {
            signal.Dispose();
        }

        Signal(_process);
        try
        {
            await _process.WaitForExitAsync().WaitAsync(StopDeadline);
        }
        catch (TimeoutException)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        await _drained;
        _process.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    /// <summary>A measurement that is cut short leaves no node and no data behind.</summary>
    private void Abandon(int status)
    {
        _process.Kill();
        _process.WaitForExit(StopDeadline);
        Directory.Delete(Folder, recursive: true);
        Environment.Exit(status);
    }

    private static ProcessStartInfo Command(string folder)
    {
        var self = Environment.ProcessPath ?? throw new InvalidOperationException("cannot find this program");
        var start = new ProcessStartInfo(self) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };

        // Started as `dotnet om.dll`, the program is the library.
        if (Path.GetFileNameWithoutExtension(self) == "dotnet")
        {
            start.ArgumentList.Add(Environment.GetCommandLineArgs()[0]);
        }

        foreach (var argument in new[] { "serve", "--host", "127.0.0.1", "--port", "0", "--db", Path.Combine(folder, "bench.db") })
        {
            start.ArgumentList.Add(argument);
        }

        // What the caller set up for its own nodes does not apply to this one.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("OM_", StringComparison.Ordinal) || name.StartsWith("AI_MEMORY_", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        start.Environment["OM_NO_CONFIG"] = "1";
        return start;
    }

    private static async Task<Uri?> AddressAsync(StreamReader output)
    {
        const string Marker = "listening on ";
        while (await output.ReadLineAsync() is { } line)
        {
            var at = line.IndexOf(Marker, StringComparison.Ordinal);
            if (at >= 0)
            {
                return new(line[(at + Marker.Length)..].Trim());
            }
        }

        return null;
    }

    /// <summary>An unread pipe would stop the node.</summary>
    private static async Task DrainAsync(StreamReader output, Task<string?>? begun = null)
    {
        for (var line = await (begun ?? output.ReadLineAsync()); line is not null; line = await output.ReadLineAsync())
        {
        }
    }

    private static void Signal(Process process)
    {
        if (OperatingSystem.IsWindows())
        {
            process.Kill();
        }
        else if (!process.HasExited)
        {
            _ = Signals.Kill(process.Id, Signals.Terminate);
        }
    }
}

internal static partial class Signals
{
    public const int Terminate = 15;

    [LibraryImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int Kill(int process, int signal);
}
