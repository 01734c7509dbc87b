using System.Globalization;

namespace OrleansMemory.Compliance;

/// <summary>
/// How often a test repeats: a reduced count in every run, the full figure when the run was asked for its campaign
/// (<c>./test --campaign NAME</c>).
/// </summary>
public static class Campaign
{
    /// <summary>The trait that puts a test into a campaign.</summary>
    public const string Trait = "Campaign";

    /// <summary>An override of every count, for a quick look.</summary>
    private const string CountVariable = "OM_CAMPAIGN_COUNT";

    public static int Count(string campaign, int reduced, int full)
    {
        if (int.TryParse(Environment.GetEnvironmentVariable(CountVariable), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
        {
            return count;
        }

        return Environment.GetEnvironmentVariable("OM_CAMPAIGN") == campaign ? full : reduced;
    }
}
