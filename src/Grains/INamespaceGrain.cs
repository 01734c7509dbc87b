namespace OrleansMemory.Grains;

/// <summary>Key: namespace. One activation in the whole cluster: the place where all writes of the namespace are decided.</summary>
[Alias("om.INamespaceGrain")]
public interface INamespaceGrain : IGrainWithStringKey
{
    /// <summary>Writes that waited at one silo come together. Each is decided by itself, and has its answer in its place.</summary>
    [Alias("Write"), ResponseTimeout(CallTimeouts.Write)]
    Task<AnswerBatch> WriteAsync(WriteBatch writes);
}
