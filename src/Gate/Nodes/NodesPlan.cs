namespace OrleansMemory.Gate.Nodes;

/// <summary>Which host the nodes run in.</summary>
public enum NodesKind
{
    /// <summary><c>om serve</c>, named peers.</summary>
    Peers,

    /// <summary><c>om-silo</c>, an Orleans cluster.</summary>
    Silo,
}

/// <summary>Nodes of one cluster, to be started as processes of their own on the loopback address.</summary>
/// <param name="Folder">Of their databases and logs; made when missing, kept in the end.</param>
/// <param name="Om">The program <c>om</c>: its path.</param>
/// <param name="Silo">The program <c>om-silo</c>; silos need it.</param>
public sealed record NodesPlan(string Folder, NodesKind Kind, string Om, string? Silo = null)
{
    /// <summary>N.</summary>
    public int Count { get; init; } = 3;

    /// <summary>W.</summary>
    public int QuorumWrites { get; init; } = 2;

    /// <summary>The bug that all nodes have; only a fault-injection build knows any.</summary>
    public string? FaultName { get; init; }

    /// <summary>The nodes forget deletes and old log rows within seconds, and not after a day and millions of rows; only a fault-injection build does.</summary>
    public bool WithShortMemory { get; init; }

    /// <summary>Options of the nodes, beyond address, name, databases and members.</summary>
    public IReadOnlyList<string> ServeOptions { get; init; } = [];

    /// <summary>Every node reaches every other through a <see cref="Faults.LinkProxy"/>.</summary>
    public bool WithLinks { get; init; }

    /// <summary>Each node has a wall clock of its own, a <see cref="Faults.FakeClock"/>.</summary>
    public bool WithClocks { get; init; }

    /// <summary>Each database is on a file system of its own, a <see cref="SmallDisk"/>.</summary>
    public bool WithSmallDisks { get; init; }

    /// <summary>Where silos keep who is a member, each set of nodes as a cluster of its own: the URL of a PostgreSQL database; null: a file in the folder.</summary>
    public string? MembershipUrl { get; init; }
}
