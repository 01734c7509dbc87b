using Orleans.Configuration;

namespace OrleansMemory.Silo;

/// <summary>How silos watch each other: one that is gone is declared dead in less than 3 s, by two others where there are two.</summary>
internal static class MembershipSettings
{
    /// <summary>A silo on a machine that is gone takes no connection and refuses none.</summary>
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What silos ask each other of members and of where grains are. A question that was lost with its connection is given up so late,
    /// and all calls of a grain wait behind the one for its place.
    /// </summary>
    public static readonly TimeSpan SystemTimeout = TimeSpan.FromSeconds(4);

    public static void Apply(ClusterMembershipOptions options)
    {
        options.ProbeTimeout = TimeSpan.FromSeconds(1);
        options.NumMissedProbesLimit = 2;
        options.NumVotesForDeathDeclaration = 2;

        // What gossip did not bring.
        options.TableRefreshTimeout = TimeSpan.FromSeconds(5);
        options.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(10);

        // A silo that cannot join says so and tries again.
        options.MaxJoinAttemptTime = TimeSpan.FromSeconds(30);
        options.DefunctSiloExpiration = TimeSpan.FromDays(1);
    }
}
