using Microsoft.Extensions.Configuration;
using Orleans.Configuration;

namespace OrleansMemory.Silo;

/// <summary>
/// How silos watch each other: one whose connections break is declared dead in less than 3 s, one that falls silent in 4 to 5 s, by two
/// others where there are two. That is less than a write waits that may be sent again.
/// </summary>
internal static class MembershipSettings
{
    /// <summary>A silo on a machine that is gone takes no connection and refuses none.</summary>
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What silos ask each other of members and of where grains are. A question that was lost with its connection is given up so late,
    /// and all calls of a grain wait behind the one for its place.
    /// </summary>
    public static readonly TimeSpan SystemTimeout = TimeSpan.FromSeconds(4);

    /// <summary>
    /// How long a probe waits, by what was measured; and nobody votes against a silo that something came from within twice the longer. Read
    /// by name: a version of Orleans that does not know them waits as long as is set below, and votes without that.
    /// </summary>
    private static readonly IConfiguration Adaptive =
        new ConfigurationBuilder().AddInMemoryCollection([new("MinProbeTimeout", "00:00:00.5"), new("MaxProbeTimeout", "00:00:02")]).Build();

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

        // Last: the defaults that it reads hang on what is set above.
        Adaptive.Bind(options);
    }
}
