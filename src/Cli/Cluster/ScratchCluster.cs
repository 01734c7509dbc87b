using System.Runtime.InteropServices;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Cli.Cluster;

/// <summary>A cluster with empty data in a folder that goes with it, also when the run is cut short by a signal.</summary>
internal sealed class ScratchCluster : IAsyncDisposable
{
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(15);

    private readonly PosixSignalRegistration[] _signals;

    private ScratchCluster(ClusterProcess cluster)
    {
        Cluster = cluster;
        _signals =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => Abandon(130)),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => Abandon(143)),
        ];
    }

    public ClusterProcess Cluster { get; }

    /// <param name="parent">The folder is made in here.</param>
    /// <param name="name">How its name begins.</param>
    /// <param name="onPostgres">Each node has a PostgreSQL server of its own.</param>
    /// <param name="variables">Set for each node; null: none.</param>
    /// <exception cref="NodeFailedException">A node did not start.</exception>
    public static async Task<ScratchCluster> StartAsync(string parent, string name, int nodes, int? quorumWrites, bool onPostgres, ClusterKind kind, IReadOnlyList<(string Name, string Value)>? variables = null)
    {
        var folder = Path.Combine(parent, $"{name}-{Guid.NewGuid():n}"[..(name.Length + 17)]);
        try
        {
            return new(await ClusterProcess.StartAsync(new(folder, nodes, quorumWrites, OnPostgres: onPostgres, Kind: kind) { Variables = variables ?? [] }));
        }
        catch
        {
            Delete(folder);
            throw;
        }
    }

    /// <summary>Lets the nodes drain.</summary>
    /// <returns>Their exit statuses.</returns>
    public Task<int[]> StopAsync() => Cluster.StopAsync(StopDeadline);

    public async ValueTask DisposeAsync()
    {
        foreach (var signal in _signals)
        {
            signal.Dispose();
        }

        await StopAsync();
        await Cluster.DisposeAsync();
        Delete(Cluster.Folder);
    }

    private void Abandon(int status)
    {
        Cluster.Kill();
        Task.WhenAll(Enumerable.Range(0, Cluster.Count).Select(node => Cluster[node].Ended)).Wait(StopDeadline);
        Delete(Cluster.Folder);
        Environment.Exit(status);
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
