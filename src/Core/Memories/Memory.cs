namespace OrleansMemory.Core.Memories;

/// <summary>A memory as its readers see it: fifteen fields.</summary>
public sealed record Memory
{
    /// <summary>1 to 128 bytes, immutable; new ones are UUIDv4.</summary>
    public required string Id { get; init; }

    public required Tier Tier { get; init; }

    public required string Namespace { get; init; }

    /// <summary>Unique among the live memories of its namespace.</summary>
    public required string Title { get; init; }

    public required string Content { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>1 to 10.</summary>
    public int Priority { get; init; } = 5;

    /// <summary>0 to 1.</summary>
    public double Confidence { get; init; } = 1.0;

    /// <summary>One of <see cref="ClosedSets.Sources"/>.</summary>
    public required string Source { get; init; }

    public long AccessCount { get; init; }

    public required Timestamp CreatedAt { get; init; }

    public required Timestamp UpdatedAt { get; init; }

    public Timestamp? LastAccessedAt { get; init; }

    /// <summary>The instant from which no read shows the memory; null means never.</summary>
    public Timestamp? ExpiresAt { get; init; }

    public Metadata Metadata { get; init; } = Metadata.Empty;

    public bool IsExpired(Timestamp now) => ExpiresAt is { } end && end <= now;
}

/// <summary>A directed, named edge between two memories.</summary>
public sealed record Link(string SourceId, string TargetId, string Relation, Timestamp CreatedAt);

/// <summary>What a caller gives to store a memory. Null means: not given.</summary>
public sealed record MemoryDraft
{
    public required string Title { get; init; }

    public required string Content { get; init; }

    public Tier Tier { get; init; } = Tier.Mid;

    public string Namespace { get; init; } = ClosedSets.DefaultNamespace;

    public IReadOnlyList<string> Tags { get; init; } = [];

    public int Priority { get; init; } = 5;

    public double Confidence { get; init; } = 1.0;

    public string Source { get; init; } = "api";

    /// <summary>RFC 3339, in the future; wins over <see cref="TtlSeconds"/>, which wins over the tier.</summary>
    public string? ExpiresAt { get; init; }

    /// <summary>1 to 31,536,000.</summary>
    public long? TtlSeconds { get; init; }

    public Metadata Metadata { get; init; } = Metadata.Empty;

    /// <summary>The claimed author; kept in <c>metadata.agent_id</c> and never changed afterwards.</summary>
    public string? AgentId { get; init; }

    /// <summary>Kept in <c>metadata.scope</c>.</summary>
    public string? Scope { get; init; }
}

/// <summary>What a caller gives to change a memory. Null means: leave as it is.</summary>
public sealed record MemoryPatch
{
    public string? Title { get; init; }

    public string? Content { get; init; }

    public Tier? Tier { get; init; }

    public string? Namespace { get; init; }

    public IReadOnlyList<string>? Tags { get; init; }

    public int? Priority { get; init; }

    public double? Confidence { get; init; }

    /// <summary>RFC 3339, past allowed. The empty string clears it, as does <see cref="ClearExpiry"/>.</summary>
    public string? ExpiresAt { get; init; }

    public bool ClearExpiry { get; init; }

    /// <summary>Replaces the whole object; the stored <c>agent_id</c> is kept.</summary>
    public Metadata? Metadata { get; init; }
}

