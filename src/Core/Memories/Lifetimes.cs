namespace OrleansMemory.Core.Memories;

/// <summary>Lifetimes and extensions of the tiers, in seconds. Zero or less means: no end. At most ten years.</summary>
public sealed record Lifetimes
{
    private const long TenYears = 315_360_000;

    public long ShortSeconds { get; init; } = 21_600;

    public long MidSeconds { get; init; } = 604_800;

    public long LongSeconds { get; init; }

    /// <summary>A recall keeps a short memory alive for at least this long.</summary>
    public long ShortExtensionSeconds { get; init; } = 3_600;

    /// <summary>A recall keeps a mid memory alive for at least this long.</summary>
    public long MidExtensionSeconds { get; init; } = 86_400;

    /// <summary>Accesses after which a mid memory counts as long.</summary>
    public const int PromotionAccesses = 5;

    /// <summary>Accesses that raise the priority by one.</summary>
    public const int AccessesPerPriority = 10;

    /// <summary>expires_at wins over ttl_secs, which wins over the tier.</summary>
    public Timestamp? ExpiryOf(MemoryDraft draft, Timestamp now) =>
        draft.ExpiresAt is { } text ? MemoryRules.Instant("expires_at", text)
        : draft.TtlSeconds is { } ttl ? now.AddSeconds(ttl)
        : ExpiryOf(draft.Tier, now);

    public Timestamp? ExpiryOf(Tier tier, Timestamp now) => After(now, tier switch
    {
        Tier.Short => ShortSeconds,
        Tier.Mid => MidSeconds,
        _ => LongSeconds,
    });

    /// <summary>What a recall raises the expiry to; null when the tier is not extended. Never shortens a life.</summary>
    public Timestamp? ExtensionOf(Tier tier, Timestamp now) => tier switch
    {
        Tier.Short => After(now, ShortExtensionSeconds),
        Tier.Mid => After(now, MidExtensionSeconds),
        _ => null,
    };

    private static Timestamp? After(Timestamp now, long seconds) => seconds <= 0 ? null : now.AddSeconds(Math.Min(seconds, TenYears));
}
