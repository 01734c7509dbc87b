using System.Runtime.InteropServices;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>What ranking and filtering need of a shown memory, small enough to be kept for all of them.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly struct RankInputs
{
    /// <summary>A number that the index gave the namespace; <see cref="ITextReader.NamespaceName"/> names it.</summary>
    public required int Namespace { get; init; }

    /// <summary>Tokens over all indexed columns.</summary>
    public required int Length { get; init; }

    public required int AccessCount { get; init; }

    /// <summary><see cref="Hash"/> of the agent id; 0 without one.</summary>
    public required uint Agent { get; init; }

    /// <summary><see cref="TagBit"/> of each tag.</summary>
    public required ulong Tags { get; init; }

    public required double Confidence { get; init; }

    public required Timestamp CreatedAt { get; init; }

    public required Timestamp UpdatedAt { get; init; }

    /// <summary>The largest instant when there is no end.</summary>
    public required Timestamp ExpiresAt { get; init; }

    public required byte Priority { get; init; }

    public required Tier Tier { get => (Tier)_tier; init => _tier = (byte)value; }

    public required MemoryScope Scope { get => (MemoryScope)_scope; init => _scope = (byte)value; }

    private readonly byte _tier;
    private readonly byte _scope;

    public static Timestamp Never { get; } = new(long.MaxValue);

    /// <summary>FNV-1a over the UTF-16 units: the same in every process.</summary>
    public static uint Hash(string text)
    {
        var hash = 2_166_136_261u;
        foreach (var unit in text)
        {
            hash = (hash ^ unit) * 16_777_619u;
        }

        return hash;
    }

    /// <summary>One of 64 bits: a memory without the bit surely lacks the tag.</summary>
    public static ulong TagBit(string tag)
    {
        var hash = Hash(tag);
        return 1UL << (int)((hash ^ (hash >> 16)) & 63);
    }

    public RankInputs WithLength(int length) => new()
    {
        Namespace = Namespace,
        Length = length,
        AccessCount = AccessCount,
        Agent = Agent,
        Tags = Tags,
        Confidence = Confidence,
        CreatedAt = CreatedAt,
        UpdatedAt = UpdatedAt,
        ExpiresAt = ExpiresAt,
        Priority = Priority,
        Tier = Tier,
        Scope = Scope,
    };
}
