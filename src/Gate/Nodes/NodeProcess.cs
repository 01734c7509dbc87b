using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace OrleansMemory.Gate.Nodes;

/// <summary>CPU time and peak memory of a process at one instant.</summary>
public readonly record struct ProcessUsage(TimeSpan Cpu, long PeakBytes);

/// <summary>A node that cannot run. The text is its own last word.</summary>
public sealed class NodeFailedException(string message) : IOException(message);

/// <summary>How to start a node.</summary>
/// <param name="Command">The program, and what comes before its options: <c>om serve</c>, or <c>om-silo</c>.</param>
/// <param name="Name">Its node id.</param>
/// <param name="Port">0 takes a free one.</param>
/// <param name="Database">A file, or the URL of a PostgreSQL database.</param>
/// <param name="Options">Of that command, beyond address, name and databases.</param>
/// <param name="Inherits">The node reads the caller's variables and configuration; else it has its defaults.</param>
/// <param name="LogPath">Where its log is added to; null: it goes nowhere.</param>
public sealed record NodePlan(IReadOnlyList<string> Command, string Name, int Port, string Database, IReadOnlyList<string> Options, bool Inherits = false, string? LogPath = null)
{
    /// <summary>Of a silo: a file, or the URL of a PostgreSQL database.</summary>
    public string? ClusterDatabase { get; init; }

    /// <summary>Variables that it has beside those.</summary>
    public IReadOnlyList<(string Name, string Value)> Variables { get; init; } = [];
}

/// <summary>
/// One node as a child on the loopback address. It holds the reading end of a pipe as its standard
/// input and stops when that closes, so it ends when this process does, however that ends.
/// </summary>
public sealed class NodeProcess : IAsyncDisposable
{
    private const int LastLines = 20;
    private const int KilledBySignal = 128;

    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly Queue<string> _lastWords = new();
    private Task _drained = Task.CompletedTask;
    private bool _askedToStop;

    private NodeProcess(NodePlan plan, Process process)
    {
        Plan = plan;
        _process = process;
        ProcessId = process.Id;
        Ended = EndAsync();
    }

    public NodePlan Plan { get; }

    public Uri Address { get; private set; } = null!;

    public int ProcessId { get; }

    /// <summary>Ends with the process; its exit status.</summary>
    public Task<int> Ended { get; }

    /// <summary>How it ended, or what it said last.</summary>
    public string LastWord
    {
        get
        {
            var status = Ended.IsCompletedSuccessfully ? Ended.Result : 0;
            if (status > KilledBySignal)
            {
                return string.Create(CultureInfo.InvariantCulture, $"ended by signal {status - KilledBySignal}");
            }

            lock (_lastWords)
            {
                return _lastWords.FirstOrDefault(static line => line.StartsWith("Error: ", StringComparison.OrdinalIgnoreCase))?["Error: ".Length..]
                    ?? (_lastWords.Count > 0 ? _lastWords.Last() : string.Create(CultureInfo.InvariantCulture, $"exit status {status}"));
            }
        }
    }

    /// <summary>Starts a node; it listens when the task completes.</summary>
    /// <exception cref="NodeFailedException">It ended, or did not listen within 30 s; nothing of it is left running.</exception>
    public static async Task<NodeProcess> StartAsync(NodePlan plan)
    {
        Process? process;
        try
        {
            process = Process.Start(Command(plan));
        }
        catch (Win32Exception exception)
        {
            throw new NodeFailedException($"{plan.Name} cannot be started: {exception.Message}");
        }

        var node = new NodeProcess(plan, process ?? throw new NodeFailedException($"{plan.Name} cannot be started"));
        try
        {
            var log = node.LogAsync();
            node._drained = log;
            var address = await AddressAsync(process.StandardOutput).WaitAsync(StartDeadline);
            if (address is null)
            {
                await node.Ended;
                await log;
                throw new NodeFailedException($"{plan.Name} did not start: {node.LastWord}");
            }

            node.Address = address;
            node._drained = Task.WhenAll(log, DrainAsync(process.StandardOutput));
            return node;
        }
        catch (Exception exception)
        {
            node.Kill();
            await node.DisposeAsync();
            throw exception is TimeoutException
                ? new NodeFailedException(string.Create(CultureInfo.InvariantCulture, $"{plan.Name} did not listen within {StartDeadline.TotalSeconds} s"))
                : exception;
        }
    }

    /// <summary>Of the process that runs now.</summary>
    public ProcessUsage Usage()
    {
        _process.Refresh();
        return new(_process.TotalProcessorTime, _process.PeakWorkingSet64);
    }

    /// <summary>SIGKILL.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (Exception exception) when (exception is InvalidOperationException or Win32Exception)
        {
            // It has ended.
        }
    }

    /// <summary>Asks the node to drain and end; returns at once. Not a signal: a second one, after a terminal's, would end it undrained.</summary>
    public void AskToStop()
    {
        if (_askedToStop)
        {
            return;
        }

        _askedToStop = true;
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended.
        }
    }

    /// <summary>Lets the node drain, and kills it when that takes longer.</summary>
    /// <returns>Its exit status.</returns>
    public async Task<int> StopAsync(TimeSpan atMost)
    {
        AskToStop();
        try
        {
            return await Ended.WaitAsync(atMost);
        }
        catch (TimeoutException)
        {
            Kill();
            return await Ended;
        }
    }

    public async ValueTask DisposeAsync()
    {
        Kill();
        await Ended;
        await _drained;
        _process.Dispose();
    }

    /// <summary>The process is to have its defaults: neither the caller's variables nor a configuration.</summary>
    internal static void ForgetSettings(ProcessStartInfo start)
    {
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("OM_", StringComparison.Ordinal) || name.StartsWith("AI_MEMORY_", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        start.Environment["OM_NO_CONFIG"] = "1";
    }

    private static ProcessStartInfo Command(NodePlan plan)
    {
        var start = new ProcessStartInfo(plan.Command[0]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };

        // A URL may hold a password, and anybody can read the arguments of a process.
        var isUrl = plan.Database.Contains("://", StringComparison.Ordinal);
        string[] place = [.. plan.Command.Skip(1), "--exit-on-stdin-close", "--host", "127.0.0.1", "--port", plan.Port.ToString(CultureInfo.InvariantCulture)];
        foreach (var argument in place.Concat(isUrl ? [] : ["--db", plan.Database]).Concat(["--node-id", plan.Name]).Concat(plan.Options))
        {
            start.ArgumentList.Add(argument);
        }

        if (!plan.Inherits)
        {
            // What the caller set up for its own nodes does not apply to this one.
            ForgetSettings(start);
        }

        if (isUrl)
        {
            start.Environment["OM_DB"] = plan.Database;
        }

        if (plan.ClusterDatabase is { } members)
        {
            start.Environment["OM_CLUSTER_DB"] = members;
        }

        foreach (var (name, value) in plan.Variables)
        {
            start.Environment[name] = value;
        }

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
    private static async Task DrainAsync(StreamReader output)
    {
        while (await output.ReadLineAsync() is not null)
        {
        }
    }

    private async Task LogAsync()
    {
        await using var log = Plan.LogPath is { } path ? new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true } : StreamWriter.Null;
        while (await _process.StandardError.ReadLineAsync() is { } line)
        {
            await log.WriteLineAsync(line);
            lock (_lastWords)
            {
                _lastWords.Enqueue(line);
                if (_lastWords.Count > LastLines)
                {
                    _lastWords.Dequeue();
                }
            }
        }
    }

    private async Task<int> EndAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }
}
