using System.Diagnostics;
using OrleansMemory.Cli.Cluster;

namespace OrleansMemory.Silo.Tests;

/// <summary>A front end as a process of its own.</summary>
internal sealed class FrontEndProcess : IAsyncDisposable
{
    private readonly Process _process;

    private FrontEndProcess(Process process, Uri address)
    {
        _process = process;
        Address = address;
    }

    public Uri Address { get; }

    /// <summary>It listens when the task completes.</summary>
    public static async Task<FrontEndProcess> StartAsync(string clusterDatabase)
    {
        string[] arguments = ["--role", "frontend", "--port", "0", "--cluster-nodes", string.Join(',', Enumerable.Range(0, SiloCluster.Count).Select(ClusterProcess.NameOf)), "--exit-on-stdin-close"];
        var start = new ProcessStartInfo(SiloProgram.Require(), arguments) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["OM_NO_CONFIG"] = "1";
        start.Environment["OM_CLUSTER_DB"] = clusterDatabase;
        var process = Process.Start(start)!;
        try
        {
            var line = await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
            Assert.NotNull(line);
            return new(process, new(line[(line.LastIndexOf(' ') + 1)..]));
        }
        catch
        {
            process.Kill();
            process.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        _process.Dispose();
    }
}
