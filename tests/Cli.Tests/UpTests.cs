using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Cli.Tests;

/// <summary>Clusters of node processes that <c>om up</c> starts.</summary>
public sealed class UpTests : IDisposable
{
    private readonly Om _om = new();

    [Fact]
    [Trait(Campaign.Trait, "smoke")]
    public async Task A_smoke_test_loses_nothing_when_a_node_is_killed()
    {
        var writes = Campaign.Count("smoke", reduced: 400, full: 2_000).ToString(CultureInfo.InvariantCulture);
        (string, string)[] environment = [("TMPDIR", _om.Folder)];
        var outcome = await _om.RunWithAsync(environment, "up", "--cluster", "peers", "--smoke", "--json", "--writes", writes);
        Assert.True(outcome.ExitCode == 0, outcome.Output + outcome.Error);
        var report = outcome.Json;
        var acknowledged = report.GetProperty("acked").GetInt64();
        Assert.True(acknowledged > 300 + long.Parse(writes, CultureInfo.InvariantCulture));
        Assert.Equal([acknowledged, acknowledged, acknowledged], report.GetProperty("present").EnumerateArray().Select(present => present.GetInt64()));
        Assert.Equal(0, report.GetProperty("lost").GetInt64());
        Assert.Equal(10, report.GetProperty("recalled").GetInt32());
        Assert.True(report.GetProperty("retries").GetInt64() > 0, "the kill hit no write");
        Assert.Single(report.GetProperty("digests").EnumerateArray().Select(digest => digest.GetString()).Distinct());
        Assert.Empty(Directory.GetDirectories(_om.Folder, "om-smoke-*"));
        Assert.Empty(NodeProcesses());
        TestContext.Current.TestOutputHelper!.WriteLine(outcome.Output);
    }

    [Fact]
    public async Task Up_starts_three_nodes_that_share_what_they_know_and_stops_them_all()
    {
        List<string> urls;
        using (var up = RunningUp.Start(_om.Start("up", "--cluster", "peers", "--port", "0", "--data", "try")))
        {
            urls = await up.UrlsAsync(3);
            Assert.Equal(3, NodeProcesses().Count);
            Assert.Contains($"curl -s {urls[0]}/api/v1/memories -H 'Content-Type: application/json' -d '", up.Output, StringComparison.Ordinal);
            Assert.Contains($"om recall --url {urls[2]} \"", up.Output, StringComparison.Ordinal);
            Assert.Contains("om backup --db '", up.Output, StringComparison.Ordinal);
            (await _om.RunAsync("store", "--url", urls[0], "-n", "demo", "-T", "Release day", "-c", "We release on Tuesdays at 10:00 UTC.")).Exits(0);
            await Eventually.HoldsAsync("another node recalls what was stored", async () =>
                (await _om.RunAsync("recall", "--url", urls[2], "when do we release")).Exits(0).Output.Contains("Release day", StringComparison.Ordinal));
            Assert.Equal(0, await up.StopAsync(ProcessSignal.Interrupt));
        }

        Assert.Empty(NodeProcesses());

        // Started again, it has its data and takes no second sample set.
        using (var again = RunningUp.Start(_om.Start("up", "--cluster", "peers", "--port", "0", "--data", "try")))
        {
            urls = await again.UrlsAsync(3);
            Assert.DoesNotContain("sample memories loaded", again.Output, StringComparison.Ordinal);
            Assert.Contains("Release day", (await _om.RunAsync("recall", "--url", urls[1], "when do we release")).Exits(0).Output, StringComparison.Ordinal);
            Assert.Equal(0, await again.StopAsync(ProcessSignal.Terminate));
        }

        Assert.Empty(NodeProcesses());
    }

    [Fact]
    public async Task A_node_that_dies_is_started_again()
    {
        using var up = RunningUp.Start(_om.Start("up", "--cluster", "peers", "--port", "0", "--data", "try"));
        var urls = await up.UrlsAsync(3);
        using (var victim = Process.GetProcessById(NodeProcesses("n2.db").Single()))
        {
            victim.Kill();
        }

        await up.SaysAsync("n2 is down: ended by signal 9");
        await up.SaysAsync($"n2 is back at {urls[1]}");
        (await _om.RunAsync("store", "--url", urls[1], "-T", "After", "-c", "c")).Exits(0);
        Assert.Equal(0, await up.StopAsync(ProcessSignal.Terminate));
        Assert.Empty(NodeProcesses());
    }

    [Fact]
    public async Task Nodes_end_when_their_parent_is_killed()
    {
        using var up = RunningUp.Start(_om.Start("up", "--cluster", "peers", "--port", "0", "--data", "try"));
        await up.UrlsAsync(3);
        Assert.Equal(3, NodeProcesses().Count);
        up.Kill();
        await Eventually.HoldsAsync("no node is left", () => Task.FromResult(NodeProcesses().Count == 0));
    }

    [Fact]
    public async Task A_port_that_is_taken_is_named_and_nothing_is_left()
    {
        // The port before it is free, and stays so: both are below the range that the system gives to clients.
        int port;
        do
        {
            port = FreePorts.Take(1)[0];
        }
        while (FreePorts.FirstTaken([port - 1, port]) is not null);

        using var taken = new TcpListener(IPAddress.Loopback, port);
        taken.Start();
        var outcome = (await _om.RunAsync("up", "--port", (port - 1).ToString(CultureInfo.InvariantCulture), "--data", "try")).Exits(1);
        Assert.Contains($"port {port}", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("in use", outcome.Error, StringComparison.Ordinal);
        Assert.Empty(NodeProcesses());
    }

    [Fact]
    public async Task Options_that_do_not_go_together_are_wrong_usage()
    {
        (await _om.RunAsync("up", "--smoke", "--data", "try")).Exits(2);
        (await _om.RunAsync("up", "--smoke", "--nodes", "2")).Exits(2);
        (await _om.RunAsync("up", "--writes", "100")).Exits(2);
        (await _om.RunAsync("up", "--port", "65534")).Exits(2);
        (await _om.RunAsync("bench", "writes", "--nodes", "3", "--quorum", "4")).Exits(2);
        (await _om.RunAsync("bench", "writes", "--catch-up", "10")).Exits(2);
        (await _om.RunAsync("bench", "convergence", "--nodes", "1")).Exits(2);
        (await _om.RunAsync("bench", "convergence", "--url", "http://127.0.0.1:1")).Exits(2);
    }

    public void Dispose() => _om.Dispose();

    /// <summary>Running nodes with a database in this test's folder.</summary>
    private List<int> NodeProcesses(string database = ".db")
    {
        var found = new List<int>();
        foreach (var folder in Directory.GetDirectories("/proc").Where(path => int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out _)))
        {
            try
            {
                var line = File.ReadAllText(Path.Combine(folder, "cmdline")).Split('\0');
                if (line.Contains("serve") && line.Any(argument => argument.StartsWith(_om.Folder, StringComparison.Ordinal) && argument.EndsWith(database, StringComparison.Ordinal)))
                {
                    found.Add(int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture));
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // It ended meanwhile.
            }
        }

        return found;
    }

    /// <summary>A running <c>om up</c>, its output read as it comes.</summary>
    private sealed class RunningUp : IDisposable
    {
        private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

        private readonly Process _process;
        private readonly List<string> _lines = [];
        private readonly Task<string> _error;
        private readonly Task _reading;

        private RunningUp(Process process)
        {
            _process = process;
            _error = process.StandardError.ReadToEndAsync();
            _reading = ReadAsync();
        }

        public string Output
        {
            get
            {
                lock (_lines)
                {
                    return string.Join('\n', _lines);
                }
            }
        }

        public static RunningUp Start(Process process) => new(process);

        /// <summary>Waits until all is introduced.</summary>
        public async Task<List<string>> UrlsAsync(int nodes)
        {
            const string Marker = " listening on ";
            await SaysAsync("Ctrl-C stops");
            var urls = Output.Split('\n').Where(line => line.Contains(Marker, StringComparison.Ordinal)).Select(line => line[(line.IndexOf(Marker, StringComparison.Ordinal) + Marker.Length)..]).ToList();
            Assert.Equal(nodes, urls.Count);
            return urls;
        }

        public Task SaysAsync(string text) => Eventually.HoldsAsync($"om up says: {text}", async () =>
        {
            if (Output.Contains(text, StringComparison.Ordinal))
            {
                return true;
            }

            Assert.False(_reading.IsCompleted, $"om up ended: {Output}\n{(_reading.IsCompleted ? await _error : "")}");
            return false;
        });

        public async Task<int> StopAsync(Action<int> signal)
        {
            signal(_process.Id);
            await _process.WaitForExitAsync().WaitAsync(Deadline);
            await _reading;
            Assert.Equal("", await _error);
            return _process.ExitCode;
        }

        /// <summary>SIGKILL.</summary>
        public void Kill() => _process.Kill();

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.Dispose();
        }

        private async Task ReadAsync()
        {
            while (await _process.StandardOutput.ReadLineAsync() is { } line)
            {
                lock (_lines)
                {
                    _lines.Add(line);
                }
            }
        }
    }
}
