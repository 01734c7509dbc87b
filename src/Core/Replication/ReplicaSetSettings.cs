namespace OrleansMemory.Core.Replication;

/// <summary>How many nodes there are and how many must hold a write before it is answered.</summary>
/// <param name="Peers">Other nodes.</param>
/// <param name="RequestedWrites">As configured; null: the majority. 0: do not wait, replicate all the same.</param>
/// <param name="Timeout">How long a write waits for its quorum.</param>
public sealed record ReplicaSetSettings(int Peers, int? RequestedWrites, TimeSpan Timeout)
{
    public static ReplicaSetSettings Single { get; } = new(0, null, TimeSpan.FromSeconds(2));

    /// <summary>How long a delete is remembered at least, also when every node has it.</summary>
    public TimeSpan TombstoneGrace { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How often floors are advanced, tombstones collected, dead letters tried again and digests compared.</summary>
    public TimeSpan UpkeepInterval { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Rows of the own log that are kept for peers that lack them; one that lacks older ones gets them by digest exchange. At least 1.</summary>
    public long RetainedLogRows { get; init; } = 2_000_000;

    /// <summary>N.</summary>
    public int Nodes => Peers + 1;

    /// <summary>floor(N / 2) + 1.</summary>
    public int Majority => (Nodes / 2) + 1;

    /// <summary>W: 1 to N.</summary>
    public int QuorumWrites => Math.Clamp(RequestedWrites ?? Majority, 1, Nodes);

    /// <summary>Replicas of which at least one holds every acknowledged write: N - W + 1.</summary>
    public int QuorumReads => Nodes - QuorumWrites + 1;
}
