using System.ComponentModel;
using System.Diagnostics;

namespace OrleansMemory.Gate.Nodes;

/// <summary>Programs that run to their end.</summary>
internal static class Command
{
    /// <exception cref="GateException">It cannot be started, or failed: what it said.</exception>
    public static void Run(string program, string[] arguments, params ReadOnlySpan<(string Name, string Value)> variables)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        try
        {
            using var process = Process.Start(start)!;
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
            {
                throw new GateException($"{Path.GetFileName(program)} {arguments[0]} failed: {(error.Length > 0 ? error : output.Result).Trim()}");
            }
        }
        catch (Win32Exception exception)
        {
            throw new GateException($"{program} cannot be started: {exception.Message}", exception);
        }
    }
}
