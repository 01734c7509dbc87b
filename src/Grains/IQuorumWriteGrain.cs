namespace OrleansMemory.Grains;

/// <summary>
/// Key: node id. A door to that node's writer and quorum, without state: a write is answered when W nodes hold it, while the node's
/// pumps, which no grain owns, go on to all of them.
/// </summary>
[Alias("om.IQuorumWriteGrain")]
public interface IQuorumWriteGrain : IGrainWithStringKey
{
    /// <summary>Makes the node the one that decides for a namespace.</summary>
    [Alias("TakeEpoch"), ResponseTimeout(CallTimeouts.Write)]
    Task<EpochAnswer> TakeEpochAsync(string @namespace);

    /// <summary>Decides on the node, for the activation that the write names.</summary>
    [Alias("Write"), ResponseTimeout(CallTimeouts.Write)]
    Task<AnswerMessage> WriteAsync(WriteMessage write);
}
