using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Tests.Nodes;

namespace OrleansMemory.Gate.Tests;

/// <summary>The gate as its users start it.</summary>
public sealed class GateRunTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(8);

    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task A_quick_campaign_of_this_build_is_green_and_its_evidence_holds_together()
    {
        var evidence = Path.Combine(_scratch.Path, "run");
        var run = await RunAsync("gate", "run", "--quick", "--out", evidence);
        Assert.True(run.Status == 0, run.Errors + run.Output);
        TestContext.Current.TestOutputHelper?.WriteLine(run.Output);
        var summary = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(evidence, "campaign-summary.json")))!;
        Assert.Equal("Pass", (string?)summary["verdict"]);
        Assert.Equal(0, (int)summary["lost"]!);
        Assert.All(summary["canaries"]!.AsArray(), static canary => Assert.True((string?)canary!["verdict"] is "Pass" or "NotRun", canary.ToJsonString()));
        Assert.False((bool)summary["certifies"]!);

        var verified = await RunAsync("gate", "verify", evidence);
        Assert.True(verified.Status == 0, verified.Output);
        Assert.Equal(1, (await RunAsync("gate", "verify", evidence, "--release")).Status);
        Assert.Equal(1, (await RunAsync("gate", "verify", evidence, "--commit", "0000000")).Status);
        Assert.Contains("Pass", (await RunAsync("gate", "list", _scratch.Path)).Output, StringComparison.Ordinal);

        var phase = Path.Combine(evidence, "phase2.json");
        await File.WriteAllTextAsync(phase, (await File.ReadAllTextAsync(phase)).Replace("\"ok\": 200", "\"ok\": 199", StringComparison.Ordinal));
        var edited = await RunAsync("gate", "verify", evidence);
        Assert.Equal(1, edited.Status);
        Assert.Contains("phase2.json: ok is stated as 199, and the evidence gives 200", edited.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_campaign_that_is_interrupted_keeps_what_ran_and_leaves_no_process_behind()
    {
        var evidence = Path.Combine(_scratch.Path, "run");
        using var gate = Start("gate", "run", "--phases", "2,4", "--no-canaries", "--out", evidence);
        _ = gate.StandardOutput.ReadToEndAsync();
        await SaysAsync(gate, "phase 4");
        var errors = gate.StandardError.ReadToEndAsync();
        ProcessSignal.Interrupt(gate.Id);
        await gate.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Deadline);
        Assert.Equal(1, gate.ExitCode);
        Assert.Contains("interrupted: what ran is kept", await errors, StringComparison.Ordinal);
        var verified = await RunAsync("gate", "verify", evidence, "--json");
        Assert.Equal(1, verified.Status);
        var told = JsonNode.Parse(verified.Output)!;
        Assert.Equal("HarnessError", (string?)told["verdict"]);
        Assert.Empty(told["problems"]!.AsArray());
        Assert.True((bool)JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(evidence, "phase2.json")))!["pass"]!);
        Assert.Contains("interrupted", await File.ReadAllTextAsync(Path.Combine(evidence, "phase4.json")), StringComparison.Ordinal);
        Assert.Empty(Left());
    }

    [Fact]
    public async Task A_gate_that_is_killed_leaves_no_process_and_no_file_system_behind()
    {
        // At its worst moment: one node is suspended, and does not see that its input ends.
        string[] faults = SmallDisk.WhyNot is null ? ["pause", "disk_full"] : ["pause"];
        using var gate = Start("gate", "run", "--phases", "4", "--faults", string.Join(',', faults), "--no-canaries", "--out", Path.Combine(_scratch.Path, "run"));
        _ = gate.StandardOutput.ReadToEndAsync();
        _ = gate.StandardError.ReadToEndAsync();
        await Eventually.HoldsAsync("a node is suspended, and another has a small disk", () => Task.FromResult(
            Left().Any(static process => StateOf(process) == 'T') && (faults.Length == 1 || Mounts().Any())));
        gate.Kill();
        await Eventually.HoldsAsync("nothing is left behind", () => Task.FromResult(!Left().Any() && !Mounts().Any()));
    }

    [Fact]
    public async Task A_port_that_somebody_takes_makes_the_campaign_red_with_the_reason_and_keeps_what_ran()
    {
        var evidence = Path.Combine(_scratch.Path, "run");
        using var gate = Start("gate", "run", "--phases", "4", "--faults", "kill_follower", "--no-canaries", "--out", evidence);
        var output = gate.StandardOutput.ReadToEndAsync();
        await SaysAsync(gate, "kill_follower 1/");
        _ = gate.StandardError.ReadToEndAsync();
        using var taker = await TakePortOfNodeAsync(gate.Id);
        await gate.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Deadline);
        Assert.Equal(1, gate.ExitCode);
        Assert.Contains("verdict=HarnessError", await output, StringComparison.Ordinal);
        var phase = await File.ReadAllTextAsync(Path.Combine(evidence, "phase4.json"));
        Assert.Contains(((IPEndPoint)taker.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture), phase, StringComparison.Ordinal);
        Assert.Contains("address already in use", phase, StringComparison.Ordinal);
        var summary = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(evidence, "campaign-summary.json")))!;
        Assert.InRange((int)summary["acked"]!, 100, int.MaxValue);
        Assert.Empty(JsonNode.Parse((await RunAsync("gate", "verify", evidence, "--json")).Output)!["problems"]!.AsArray());
        Assert.Empty(Left());
    }

    [Fact]
    public async Task What_cannot_begin_is_refused_with_what_to_do()
    {
        await File.WriteAllTextAsync(Path.Combine(_scratch.Path, "taken"), "");
        foreach (var (arguments, words) in (((string[], string)[])
        [
            (["gate", "run", "--out", _scratch.Path], "is not empty: name another folder with --out"),
            (["gate", "run", "--faults", "sunshine"], "there is no fault class 'sunshine'"),
            (["gate", "run", "--phases", "5"], "there is no phase 5"),
            (["gate", "run", "--nodes", "http://user:secret@127.0.0.1:1"], "without a password"),
            (["gate", "run", "--nodes", "http://127.0.0.1:1", "--phases", "4"], "phases 3 and 4 start and kill nodes of their own"),
            (["gate", "verify", _scratch.Path], "holds no campaign"),
        ]))
        {
            var refused = await RunAsync(arguments);
            Assert.NotEqual(0, refused.Status);
            Assert.Contains(words, refused.Errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Nodes_that_do_not_answer_make_the_campaign_red()
    {
        var evidence = Path.Combine(_scratch.Path, "run");
        var run = await RunAsync("gate", "run", "--nodes", "http://127.0.0.1:1", "--phases", "2", "--out", evidence);
        Assert.Equal(1, run.Status);
        Assert.Contains("HarnessError: phase2.acked", run.Output, StringComparison.Ordinal);
        Assert.Contains("http://127.0.0.1:1/ is not ready", run.Output, StringComparison.Ordinal);
    }

    /// <summary>A program whose processes <see cref="Left"/> finds.</summary>
    private Process Start(params string[] arguments)
    {
        var command = Command(arguments);
        command.Environment["TMPDIR"] = _scratch.Path;
        return Process.Start(command)!;
    }

    /// <summary>Ends with the line that contains a text, or with the program.</summary>
    private static async Task SaysAsync(Process gate, string text)
    {
        while (await gate.StandardError.ReadLineAsync() is { } line && !line.Contains(text, StringComparison.Ordinal))
        {
        }
    }

    /// <summary>Ends a node while the gate stands still, and listens in its place.</summary>
    private async Task<TcpListener> TakePortOfNodeAsync(int gate)
    {
        TcpListener? taker = null;
        await Eventually.HoldsAsync("a node runs", async () =>
        {
            ProcessSignal.Suspend(gate);
            try
            {
                if (Left().FirstOrDefault(static process => Read(process, "cmdline").Contains("n1.db", StringComparison.Ordinal)) is { } node)
                {
                    var arguments = Read(node, "cmdline").Split('\0');
                    taker = new(IPAddress.Loopback, int.Parse(arguments[Array.IndexOf(arguments, "--port") + 1], CultureInfo.InvariantCulture));
                    using (var process = Process.GetProcessById(int.Parse(Path.GetFileName(node), CultureInfo.InvariantCulture)))
                    {
                        process.Kill();
                    }

                    await Eventually.HoldsAsync("its port is free", () => Task.FromResult(Listens(taker)));
                }
            }
            finally
            {
                ProcessSignal.Resume(gate);
            }

            return taker is not null;
        });
        return taker!;
    }

    private static bool Listens(TcpListener listener)
    {
        try
        {
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Processes of the gate, by their folders.</summary>
    private IEnumerable<string> Left() => Directory.GetDirectories("/proc").Where(path => int.TryParse(Path.GetFileName(path), out _) && Read(path, "cmdline").Contains(_scratch.Path, StringComparison.Ordinal));

    private IEnumerable<string> Mounts() => File.ReadLines("/proc/mounts").Where(line => line.Contains(_scratch.Path, StringComparison.Ordinal));

    private static char StateOf(string process) => Read(process, "stat") is { Length: > 0 } stat ? stat[stat.LastIndexOf(')') + 2] : ' ';

    private static string Read(string process, string name)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, name));
        }
        catch (IOException)
        {
            // It has ended.
            return "";
        }
    }

    private static ProcessStartInfo Command(params string[] arguments) =>
        new(Programs.Om, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = Path.GetTempPath() };

    private static async Task<(int Status, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        using var process = Process.Start(Command(arguments))!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Deadline);
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }

        return (process.ExitCode, await output, await errors);
    }
}
