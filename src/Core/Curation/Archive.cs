using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Curation;

/// <summary>A memory that was put away, when and why.</summary>
/// <param name="Reason">As <see cref="Replication.ArchiveMark"/> has it.</param>
public sealed record ArchivedMemory(Memory Memory, Timestamp ArchivedAt, string Reason);

/// <summary>Which archived memories, latest first.</summary>
/// <param name="Namespace">Null: any.</param>
/// <param name="Offset">Rows to pass over; costs as much as reading them.</param>
public sealed record ArchiveQuery(string? Namespace = null, int Limit = ArchiveQuery.DefaultRows, long Offset = 0)
{
    public const int DefaultRows = 50;
    public const int MostRows = 1_000;
}

/// <param name="ByNamespace">Most first.</param>
public sealed record ArchiveStatistics(long Total, IReadOnlyList<NamespaceCount> ByNamespace);

internal static class Archive
{
    public static MemoryException NotFound() => new(ErrorKind.NotFound, "not found in archive");
}
