using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using OrleansMemory.Compliance;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Silo.Tests;

/// <summary>Clusters of silos that <c>om up</c> starts.</summary>
[Collection("processes")]
public sealed class UpSiloTests : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-up-").FullName;
    private readonly List<Process> _started = [];

    [Fact]
    public async Task Up_starts_silos_again_that_die_and_stops_them_all()
    {
        var up = Start("up", "--cluster", "silo", "--port", "0", "--data", Path.Combine(_folder, "try"));
        var lines = new List<string>();
        var reading = ReadAsync(up, lines);
        await SaysAsync(lines, "Ctrl-C stops");
        var silos = Silos();
        Assert.Equal(3, silos.Count);
        using (var victim = Process.GetProcessById(silos.Single(static silo => silo.Line.Contains("n2.db", StringComparison.Ordinal)).Id))
        {
            victim.Kill();
        }

        await SaysAsync(lines, "n2 is down: ended by signal 9");
        await SaysAsync(lines, "n2 is back at ");
        ProcessSignal.Terminate(up.Id);
        await up.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        await reading;
        Assert.Equal(0, up.ExitCode);
        Assert.Empty(Silos());
    }

    [Fact]
    public async Task Silos_end_when_their_parent_is_killed()
    {
        var up = Start("up", "--cluster", "silo", "--port", "0", "--data", Path.Combine(_folder, "try"));
        var lines = new List<string>();
        var reading = ReadAsync(up, lines);
        await SaysAsync(lines, "Ctrl-C stops");
        up.Kill();
        await reading;
        await NoSiloIsLeftAsync();
    }

    [Fact]
    public async Task A_smoke_test_of_silos_loses_nothing()
    {
        var up = Start("up", "--smoke", "--cluster", "silo", "--writes", "400", "--json");
        var output = await up.StandardOutput.ReadToEndAsync();
        await up.WaitForExitAsync();
        Assert.True(up.ExitCode == 0, output + await up.StandardError.ReadToEndAsync());
        var report = JsonDocument.Parse(output).RootElement;
        Assert.Equal(0, report.GetProperty("lost").GetInt64());
        Assert.True(report.GetProperty("retries").GetInt64() > 0, "the kill hit no write");
        Assert.Single(report.GetProperty("digests").EnumerateArray().Select(static digest => digest.GetString()).Distinct());
        Assert.Empty(Silos());
    }

    public async ValueTask DisposeAsync()
    {
        // Where a test failed they still run, and silos end a little later than their parent.
        foreach (var process in _started)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        await NoSiloIsLeftAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "om"), arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["OM_NO_CONFIG"] = "1";
        start.Environment["TMPDIR"] = _folder;
        var process = Process.Start(start)!;
        _started.Add(process);
        return process;
    }

    private Task NoSiloIsLeftAsync() => Eventually.HoldsAsync("no silo is left", () => Task.FromResult(Silos().Count == 0));

    private static async Task ReadAsync(Process process, List<string> lines)
    {
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            lock (lines)
            {
                lines.Add(line);
            }
        }
    }

    private static Task SaysAsync(List<string> lines, string text) => Eventually.HoldsAsync($"om up says: {text}", () =>
    {
        lock (lines)
        {
            return Task.FromResult(lines.Exists(line => line.Contains(text, StringComparison.Ordinal)));
        }
    });

    /// <summary>Running silos with a database in this test's folder.</summary>
    private List<(int Id, string Line)> Silos()
    {
        var found = new List<(int, string)>();
        foreach (var folder in Directory.GetDirectories("/proc").Where(static path => int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out _)))
        {
            try
            {
                var line = File.ReadAllText(Path.Combine(folder, "cmdline")).Replace('\0', ' ');
                if (line.Contains("om-silo", StringComparison.Ordinal) && line.Contains(_folder, StringComparison.Ordinal))
                {
                    found.Add((int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture), line));
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // It ended meanwhile.
            }
        }

        return found;
    }
}
