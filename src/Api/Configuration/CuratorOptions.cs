using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Configuration;

/// <summary>The curator in the background: table <c>[curator]</c> of the configuration file. Off unless an interval is set.</summary>
public sealed record CuratorOptions
{
    public const int ShortestSeconds = 60;
    public const int LongestSeconds = 86_400;

    /// <summary>Between two runs; a minute to a day. Null: nothing is curated but on request.</summary>
    public TimeSpan? Interval { get; init; }

    /// <summary>The one node that curates among named peers; null: every node that has an interval. In an Orleans cluster a lease decides.</summary>
    public string? Node { get; init; }

    public CuratorOrder Order { get; init; } = new();

    /// <exception cref="InvalidOptionException"/>
    public void Validate()
    {
        if (Interval is { } interval && (interval.TotalSeconds < ShortestSeconds || interval.TotalSeconds > LongestSeconds))
        {
            throw new InvalidOptionException($"the curator's interval must be between {ShortestSeconds} and {LongestSeconds} seconds, or 0 for none: set curator.interval_secs or OM_CURATOR_INTERVAL_SECS");
        }

        try
        {
            Order.Check();
        }
        catch (MemoryException exception)
        {
            throw new InvalidOptionException($"[curator]: {exception.Message}: set OM_CURATOR_MAX_OPS, OM_CURATOR_INCLUDE or OM_CURATOR_EXCLUDE", exception);
        }
    }
}
