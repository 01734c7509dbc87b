namespace OrleansMemory.Core.Memories;

/// <summary>How long a memory lives unless it says otherwise. Ordered: a tier never goes down.</summary>
public enum Tier
{
    /// <summary>6 hours by default.</summary>
    Short = 0,

    /// <summary>7 days by default.</summary>
    Mid = 1,

    /// <summary>No end.</summary>
    Long = 2,
}

public static class TierNames
{
    public static string Name(this Tier tier) => tier switch
    {
        Tier.Short => "short",
        Tier.Mid => "mid",
        Tier.Long => "long",
        _ => throw new ArgumentOutOfRangeException(nameof(tier)),
    };

    public static bool TryParse(string? text, out Tier tier)
    {
        (var known, tier) = text switch
        {
            "short" => (true, Tier.Short),
            "mid" => (true, Tier.Mid),
            "long" => (true, Tier.Long),
            _ => (false, default),
        };
        return known;
    }

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidTier"/></exception>
    public static Tier Parse(string? text) =>
        TryParse(text, out var tier) ? tier : throw new MemoryException(ErrorKind.InvalidTier, $"invalid tier: {text} (use short, mid, long)");
}
