using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Clients;

/// <summary>Runs commands of the program under test, each as a process of its own.</summary>
internal sealed class CommandLine(string program)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    /// <summary>Runs a command whose output is JSON.</summary>
    /// <exception cref="CommandException">It failed, took over two minutes, or printed something else.</exception>
    public async Task<JsonElement> JsonAsync(IEnumerable<string> arguments, string? input = null, string? database = null, CancellationToken cancellation = default)
    {
        var command = arguments.ToList();
        var text = await RunAsync(command, input, database, cancellation);
        try
        {
            return JsonDocument.Parse(text).RootElement;
        }
        catch (JsonException exception)
        {
            throw new CommandException($"om {command[0]} printed no JSON: {exception.Message}");
        }
    }

    /// <param name="database">Given in the environment: anybody can read the arguments of a process.</param>
    /// <returns>Standard output.</returns>
    /// <exception cref="CommandException">It failed, or took over two minutes.</exception>
    public async Task<string> RunAsync(IReadOnlyList<string> arguments, string? input = null, string? database = null, CancellationToken cancellation = default)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        var key = Environment.GetEnvironmentVariable(Traffic.KeyVariable);
        NodeProcess.ForgetSettings(start);
        if (key is not null)
        {
            start.Environment[Traffic.KeyVariable] = key;
        }

        if (database is not null)
        {
            start.Environment["OM_DB"] = database;
        }

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(Patience);
        using var process = Start(start);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            var errors = process.StandardError.ReadToEndAsync(deadline.Token);
            try
            {
                await process.StandardInput.WriteAsync((input ?? "").AsMemory(), deadline.Token);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It reads no input, or has ended.
            }

            await process.WaitForExitAsync(deadline.Token);
            return process.ExitCode == 0 ? await output : throw new CommandException($"om {arguments[0]} ended with status {process.ExitCode}: {(await errors).Trim()}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new CommandException($"om {arguments[0]} took longer than {Patience.TotalSeconds} s");
        }
        finally
        {
            try
            {
                process.Kill(entireProcessTree: true);
            }
            catch (Exception exception) when (exception is InvalidOperationException or Win32Exception)
            {
                // It has ended.
            }
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw new GateException($"{start.FileName} cannot be started: {exception.Message}");
        }
    }
}

/// <summary>A command of the program under test failed; the text says how.</summary>
internal sealed class CommandException(string message) : Exception(message);
