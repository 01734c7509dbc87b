namespace OrleansMemory.Grains;

/// <summary>Key: node id. A door to the whole service of that node, without state: what front ends ask.</summary>
[Alias("om.IServiceGrain")]
public interface IServiceGrain : IGrainWithStringKey
{
    [Alias("Ask"), ResponseTimeout(CallTimeouts.Write)]
    Task<ServiceAnswer> AskAsync(ServiceQuestion question);

    /// <summary>Every live memory, oldest first, some at a time.</summary>
    [Alias("ExportMemories")]
    IAsyncEnumerable<ServiceAnswer> ExportMemoriesAsync(ServiceQuestion question);

    /// <summary>Every link whose ends are live, some at a time.</summary>
    [Alias("ExportLinks")]
    IAsyncEnumerable<ServiceAnswer> ExportLinksAsync(ServiceQuestion question);
}
