using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// How recall joins words and vectors, with the defaults of ai-memory 0.6.0:
/// <c>(w cosine + (1 - w) score / best score) * 2 ^ (-age_days(created_at) / half-life)</c>, where w falls from <see cref="ShortShare"/> to
/// <see cref="LongShare"/> as the content grows.
/// </summary>
public sealed record HybridWeights
{
    private const double SecondsPerDay = 86_400;

    /// <summary>Days, 0.1 to 36,500.</summary>
    public double HalfLifeShort { get; init; } = 7;

    /// <inheritdoc cref="HalfLifeShort"/>
    public double HalfLifeMid { get; init; } = 30;

    /// <inheritdoc cref="HalfLifeShort"/>
    public double HalfLifeLong { get; init; } = 365;

    /// <summary>False: age does not count.</summary>
    public bool Decay { get; init; } = true;

    /// <summary>The vector's share for a content of at most <see cref="ShortCharacters"/>.</summary>
    public double ShortShare { get; init; } = 0.50;

    /// <summary>The vector's share for a content of at least <see cref="LongCharacters"/>.</summary>
    public double LongShare { get; init; } = 0.15;

    public const int ShortCharacters = 500;
    public const int LongCharacters = 5_000;

    /// <summary>A memory that holds no word of the query is near enough above this cosine.</summary>
    public double LeastCosine { get; init; } = 0.3;

    /// <summary>The share of the words around the query in its vector.</summary>
    public double ContextShare { get; init; } = 0.3;

    /// <summary>How fast a memory of a namespace above the one asked for falls behind, for each level.</summary>
    public double Distance { get; init; } = 0.3;

    /// <summary>UTF-8 bytes, as the reference counts a length.</summary>
    public double Share(int contentBytes) => contentBytes <= ShortCharacters ? ShortShare
        : contentBytes >= LongCharacters ? LongShare
        : ShortShare - ((ShortShare - LongShare) * (contentBytes - ShortCharacters) / (LongCharacters - ShortCharacters));

    public double Aged(Memory memory, Timestamp now)
    {
        if (!Decay)
        {
            return 1;
        }

        var halfLife = memory.Tier switch
        {
            Tier.Long => HalfLifeLong,
            Tier.Mid => HalfLifeMid,
            _ => HalfLifeShort,
        };
        return Math.Pow(2, -Math.Max(0, now.SecondsSince(memory.CreatedAt)) / SecondsPerDay / halfLife);
    }
}
