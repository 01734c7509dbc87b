namespace OrleansMemory.Grains;

/// <summary>Key: node id. A door to that node's replica, without state: what <see cref="GrainReplicaLink"/> asks.</summary>
[Alias("om.IReplicaGrain")]
public interface IReplicaGrain : IGrainWithStringKey
{
    [Alias("Greet"), ResponseTimeout(CallTimeouts.Greet)]
    Task<LinkMessage> GreetAsync(LinkMessage greeting);

    [Alias("Apply"), ResponseTimeout(CallTimeouts.Link)]
    Task<LinkMessage> ApplyAsync(LinkMessage batch);

    [Alias("ReadDigests"), ResponseTimeout(CallTimeouts.Link)]
    Task<LinkMessage> ReadDigestsAsync(LinkMessage floor);

    [Alias("ReadHashes"), ResponseTimeout(CallTimeouts.Link)]
    Task<LinkMessage> ReadHashesAsync(LinkMessage question);

    [Alias("ReadRows"), ResponseTimeout(CallTimeouts.Link)]
    Task<LinkMessage> ReadRowsAsync(LinkMessage keys);
}
