using System.Diagnostics;
using System.Text;
using System.Text.Json;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Cli.Tests;

/// <summary>What a run of the program left behind.</summary>
internal sealed record Outcome(int ExitCode, string Output, string Error)
{
    /// <summary>The whole of standard output as one JSON document.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    /// <summary>Fails the test with both streams when the status differs.</summary>
    public Outcome Exits(int status)
    {
        Assert.True(ExitCode == status, $"exit status {ExitCode}, expected {status}\nstdout: {Output}\nstderr: {Error}");
        return this;
    }
}

/// <summary>
/// The built program in a folder of its own, which is working directory, home and data folder at once. Nothing of the caller's
/// environment reaches it but PATH.
/// </summary>
internal sealed class Om : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);

    private string? _alias;

    public Om()
    {
        Folder = Directory.CreateTempSubdirectory("om-cli-").FullName;
    }

    /// <summary>The executable, from the build output.</summary>
    public string Program { get; } = Path.Combine(AppContext.BaseDirectory, "om");

    public string Folder { get; }

    /// <summary>The default database of <c>om</c>.</summary>
    public string DataFile => Path.Combine(Folder, ".local", "share", "orleans-memory", "orleans-memory.db");

    public string PathTo(string name) => Path.Combine(Folder, name);

    /// <summary>Runs <c>om</c> to its end.</summary>
    public Task<Outcome> RunAsync(params string[] arguments) => RunAsync(Program, arguments, input: null);

    /// <summary>Runs <c>om</c> with bytes on standard input.</summary>
    public Task<Outcome> FeedAsync(byte[] input, params string[] arguments) => RunAsync(Program, arguments, input);

    public Task<Outcome> FeedAsync(string input, params string[] arguments) => FeedAsync(Encoding.UTF8.GetBytes(input), arguments);

    /// <summary>Runs the program through a symbolic link named <c>ai-memory</c>.</summary>
    public Task<Outcome> RunAsAiMemoryAsync(params string[] arguments) => RunAsync(ProgramAs("ai-memory"), arguments, input: null);

    /// <summary>The program's path, or that of a symbolic link of another name to it.</summary>
    public string ProgramAs(string name)
    {
        if (name == "om")
        {
            return Program;
        }

        if (_alias is null)
        {
            _alias = Path.Combine(Directory.CreateDirectory(PathTo("bin")).FullName, name);
            File.CreateSymbolicLink(_alias, Program);
        }

        return _alias;
    }

    public async Task<Outcome> RunAsync(string program, string[] arguments, byte[]? input, params (string Name, string Value)[] environment)
    {
        using var process = Start(program, arguments, environment);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        try
        {
            if (input is not null)
            {
                await process.StandardInput.BaseStream.WriteAsync(input);
            }

            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The program ended without reading its input.
        }

        try
        {
            await process.WaitForExitAsync().WaitAsync(Deadline);
        }
        catch (TimeoutException exception)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"om {string.Join(' ', arguments)} did not end within {Deadline.TotalSeconds} s\nstdout: {await output}\nstderr: {await error}", exception);
        }

        return new(process.ExitCode, await output, await error);
    }

    public Task<Outcome> RunWithAsync((string Name, string Value)[] environment, params string[] arguments) => RunAsync(Program, arguments, null, environment);

    /// <summary>Starts <c>om</c> and leaves it running.</summary>
    public Process Start(params string[] arguments) => Start(Program, arguments);

    /// <summary>Starts the program under a name and leaves it running.</summary>
    public Process StartAs(string name, params string[] arguments) => Start(ProgramAs(name), arguments);

    public Process StartAs(string name, (string Name, string Value)[] environment, params string[] arguments) => Start(ProgramAs(name), arguments, environment);

    /// <summary>SIGTERM, and waits for the end.</summary>
    /// <returns>The exit status.</returns>
    public static async Task<int> TerminateAsync(Process process)
    {
        ProcessSignal.Terminate(process.Id);
        await process.WaitForExitAsync().WaitAsync(Deadline);
        return process.ExitCode;
    }

    /// <summary>Starts <c>om serve</c> on a free port and waits until it listens.</summary>
    public Task<ServedNode> ServeAsync(params string[] arguments) => ServedNode.StartAsync(Start(["serve", "--port", "0", .. arguments]));

    public Task<ServedNode> ServeWithAsync((string Name, string Value)[] environment, params string[] arguments) =>
        ServedNode.StartAsync(Start(Program, ["serve", "--port", "0", .. arguments], environment));

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private Process Start(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program)
        {
            WorkingDirectory = Folder,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        var path = Environment.GetEnvironmentVariable("PATH");
        var root = Environment.GetEnvironmentVariable("DOTNET_ROOT");
        start.Environment.Clear();
        start.Environment["PATH"] = path;
        start.Environment["DOTNET_ROOT"] = root;
        start.Environment["HOME"] = Folder;
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }
}

/// <summary>A node that runs as its own process.</summary>
internal sealed class ServedNode : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly Task<string> _error;
    private readonly Task<string> _rest;

    private ServedNode(Process process, string url, string introduction, Task<string> error)
    {
        _process = process;
        _error = error;
        _rest = process.StandardOutput.ReadToEndAsync();
        Url = url;
        Introduction = introduction;
    }

    public string Url { get; }

    /// <summary>Standard output up to the line that names the address.</summary>
    public string Introduction { get; }

    /// <summary>The most that was resident so far.</summary>
    public long PeakMemoryBytes
    {
        get
        {
            _process.Refresh();
            return _process.PeakWorkingSet64;
        }
    }

    public static async Task<ServedNode> StartAsync(Process process)
    {
        const string Marker = "listening on ";
        var error = process.StandardError.ReadToEndAsync();
        var introduction = new StringBuilder();
        while (await process.StandardOutput.ReadLineAsync().WaitAsync(Deadline) is { } line)
        {
            introduction.AppendLine(line);
            var at = line.IndexOf(Marker, StringComparison.Ordinal);
            if (at >= 0)
            {
                return new(process, line[(at + Marker.Length)..], introduction.ToString(), error);
            }
        }

        throw new InvalidOperationException($"the node ended before it listened: {await error}");
    }

    /// <summary>Sends a signal and waits for the end.</summary>
    public async Task<Outcome> StopAsync(bool interrupt = false)
    {
        if (!_process.HasExited)
        {
            if (interrupt)
            {
                ProcessSignal.Interrupt(_process.Id);
            }
            else
            {
                ProcessSignal.Terminate(_process.Id);
            }
        }

        await _process.WaitForExitAsync().WaitAsync(Deadline);
        return new(_process.ExitCode, Introduction + await _rest, await _error);
    }

    /// <summary>SIGSTOP: it runs no more, and its connections stay open.</summary>
    public void Suspend() => ProcessSignal.Suspend(_process.Id);

    /// <summary>SIGCONT.</summary>
    public void Resume() => ProcessSignal.Resume(_process.Id);

    /// <summary>SIGKILL: the process has no say in it.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(Deadline);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await KillAsync();
        }

        _process.Dispose();
    }
}
