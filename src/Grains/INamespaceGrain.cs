namespace OrleansMemory.Grains;

/// <summary>Key: namespace. One activation in the whole cluster: the place where all writes of the namespace are decided.</summary>
[Alias("om.INamespaceGrain")]
public interface INamespaceGrain : IGrainWithStringKey
{
    [Alias("Write"), ResponseTimeout(CallTimeouts.Write)]
    Task<AnswerMessage> WriteAsync(WriteMessage write);
}
