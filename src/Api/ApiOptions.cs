using OrleansMemory.Api.Configuration;

namespace OrleansMemory.Api;

/// <summary>What the front end needs to know of its node.</summary>
public sealed record ApiOptions
{
    /// <summary>Null or empty: no key is asked for.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Keys that are bound to a role and an agent.</summary>
    public IReadOnlyList<KeyOptions> Keys { get; init; } = [];

    /// <summary>Client certificates were checked when the connection was made, and say who calls.</summary>
    public bool TakesCertificates { get; init; }

    /// <summary>Shown by the health route: what is unsafe about the set-up.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}
