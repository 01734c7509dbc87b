namespace OrleansMemory.Grains;

/// <summary>One key, <see cref="Key"/>: who may run the curation that only one node at a time may run.</summary>
[Alias("om.ICuratorGrain")]
public interface ICuratorGrain : IGrainWithStringKey
{
    const string Key = "curator";

    /// <summary>Takes the lease, or extends the caller's own that has not expired.</summary>
    /// <returns>Null when another node has it.</returns>
    [Alias("Take")]
    Task<CuratorLease?> TakeAsync(string node, TimeSpan duration);

    /// <summary>Gives a lease back; one that is not held any more is no matter.</summary>
    [Alias("Release")]
    Task ReleaseAsync(CuratorLease lease);
}

/// <param name="Epoch">Rises with each change of the holder: work under an older one is void.</param>
/// <param name="ExpiresAt">Unix milliseconds, by the clock of the silo that granted it.</param>
[GenerateSerializer, Immutable, Alias("om.CuratorLease")]
public sealed record CuratorLease([property: Id(0)] string Node, [property: Id(1)] long Epoch, [property: Id(2)] long ExpiresAt);

/// <summary>What is kept of the lease.</summary>
[GenerateSerializer, Alias("om.CuratorRecord")]
public sealed record CuratorRecord
{
    [Id(0)]
    public CuratorLease? Lease { get; set; }

    /// <summary>Of the lease that was granted last.</summary>
    [Id(1)]
    public long Epoch { get; set; }
}
