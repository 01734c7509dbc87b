using System.ComponentModel;
using System.Diagnostics;

namespace OrleansMemory.Gate.Nodes;

/// <summary>
/// A shell that sets something up, and takes it back when it is disposed or this process ends, however that ends: it waits at its
/// standard input, which closes then. Signals of a terminal pass it by. What was set up by half, or when nobody was left to hear
/// of it, is taken back too.
/// </summary>
internal sealed class Guard : IAsyncDisposable
{
    private static readonly TimeSpan BeginDeadline = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan EndDeadline = TimeSpan.FromSeconds(60);

    private readonly Process _shell;
    private readonly Task<string> _error;

    private Guard(Process shell)
    {
        _shell = shell;
        _error = shell.StandardError.ReadToEndAsync();
    }

    /// <summary>The line that said that all is set up.</summary>
    public string Said { get; private set; } = "";

    /// <param name="begin">A command that sets it up and then prints a line.</param>
    /// <param name="end">A command that takes it back.</param>
    /// <param name="arguments">What the commands know as <c>$1</c> and so on.</param>
    /// <exception cref="GateException">It failed: what it said. Or it took longer than 90 s.</exception>
    public static async Task<Guard> StartAsync(string begin, string end, params string[] arguments)
    {
        var start = new ProcessStartInfo("sh", ["-c", $"trap '' INT HUP TERM PIPE\n{begin} && read -r _\nexec 2>/dev/null\n{end}", "sh", .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment["OM_NO_CONFIG"] = "1";
        Guard guard;
        try
        {
            guard = new(Process.Start(start)!);
        }
        catch (Win32Exception exception)
        {
            throw new GateException($"sh cannot be started: {exception.Message}", exception);
        }

        try
        {
            if (await guard._shell.StandardOutput.ReadLineAsync().WaitAsync(BeginDeadline) is { } line)
            {
                guard.Said = line;
                return guard;
            }
        }
        catch (TimeoutException exception)
        {
            guard._shell.StandardInput.Close();
            throw new GateException($"'{begin}' did not end within {BeginDeadline.TotalSeconds} s", exception);
        }

        throw new GateException((await guard._error).Trim());
    }

    /// <exception cref="TimeoutException">It was not taken back within a minute.</exception>
    public async ValueTask DisposeAsync()
    {
        _shell.StandardInput.Close();
        await _shell.WaitForExitAsync().WaitAsync(EndDeadline);
        _shell.Dispose();
    }
}
