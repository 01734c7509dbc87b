namespace OrleansMemory.Grains;

/// <summary>
/// Key: the name of a backfill step. Records which versions of the step each node completed, for whoever wants to see it in one
/// place. It grants nothing: the truth stands beside the rows, in each node's own store, and this record can be made again from there.
/// </summary>
[Alias("om.IStartupTaskGrain")]
public interface IStartupTaskGrain : IGrainWithStringKey
{
    /// <summary>A node says how far its ledger is. The newest report of a node holds, also when it says less: its store may be an older copy.</summary>
    [Alias("Report")]
    Task ReportAsync(StartupTaskReport report);

    /// <summary>The newest report of each node, by node id.</summary>
    [Alias("Read")]
    Task<IReadOnlyList<StartupTaskReport>> ReadAsync();
}

/// <param name="Version">Of the step; above 0.</param>
/// <param name="At">When the node said so, Unix milliseconds.</param>
[GenerateSerializer, Immutable, Alias("om.StartupTaskReport")]
public sealed record StartupTaskReport([property: Id(0)] string Node, [property: Id(1)] int Version, [property: Id(2)] bool IsComplete, [property: Id(3)] long At);

/// <summary>What is kept of a step.</summary>
[GenerateSerializer, Alias("om.StartupTaskRecord")]
public sealed record StartupTaskRecord
{
    /// <summary>By node id.</summary>
    [Id(0)]
    public Dictionary<string, StartupTaskReport> Reports { get; init; } = [];
}
