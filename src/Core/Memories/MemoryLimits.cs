namespace OrleansMemory.Core.Memories;

/// <summary>Every limit of the domain, in one place. Bytes are UTF-8; characters are Unicode scalars.</summary>
public static class MemoryLimits
{
    public const int TitleCharacters = 512;
    public const int ContentBytes = 65_536;
    public const int Tags = 50;
    public const int TagBytes = 128;
    public const int MetadataBytes = 65_536;
    public const int MetadataDepth = 32;
    public const int NamespaceCharacters = 512;
    public const int NamespaceDepth = 8;
    public const int IdBytes = 128;
    public const int AgentIdBytes = 128;
    public const int AgentTypeBytes = 64;
    public const int SourceBytes = 64;
    public const int RelationBytes = 64;
    public const int IdempotencyKeyBytes = 255;
    public const int MinPriority = 1;
    public const int MaxPriority = 10;
    public const int MaxTtlSeconds = 31_536_000;
    public const long MaxAccessCount = 1_000_000;
    public const int BatchRows = 1_000;
    public const int RequestBytes = 2 * 1024 * 1024;
    public const int ListRows = 200;
    public const int DefaultListRows = 20;
    public const int RecallRows = 50;
    public const int DefaultRecallRows = 10;
    public const int AmbiguousIdsShown = 10;

    /// <summary>Agents that a policy may ask the consent of.</summary>
    public const int ConsensusVoters = 1_000;

    /// <summary>Namespaces in a chain of standards that name each other as parents.</summary>
    public const int StandardParents = 8;

    /// <summary>Memories with a pattern that a dry run counts; more are told as so many.</summary>
    public const int CountedMatches = 10_000;

    /// <summary>Numbers of a vector.</summary>
    public const int VectorDimensions = 8_192;

    /// <summary>Matches that a recall may rank as parts of their passages.</summary>
    public const int PassagePool = 100_000;

    /// <summary>Words of a query that are used; the rest are ignored.</summary>
    public const int QueryWords = 64;
}
