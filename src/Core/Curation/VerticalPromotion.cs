using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Curation;

/// <summary>Takes a memory up its namespace tree.</summary>
public static class VerticalPromotion
{
    private const string Relation = "derived_from";

    /// <summary>
    /// A copy in an ancestor, linked <c>derived_from</c> to the original, which stays as it is. Two writes; both are idempotent, so one that was cut short
    /// is finished by doing it again.
    /// </summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.NamespaceInvalid"/>: it is no ancestor of the memory's namespace.</exception>
    public static async Task<(Memory Source, WriteReceipt Copy)> CopyUpAsync(this IMemoryService service, string idOrPrefix, string ancestor, WriteContext context)
    {
        ancestor = MemoryRules.Namespace(ancestor);
        var source = (await service.GetAsync(idOrPrefix)).Memory;
        if (!source.Namespace.StartsWith(ancestor + "/", StringComparison.Ordinal))
        {
            throw new MemoryException(ErrorKind.NamespaceInvalid, $"namespace '{ancestor}' is not an ancestor of '{source.Namespace}'");
        }

        var copy = await service.StoreAsync(
            new()
            {
                Title = source.Title,
                Content = source.Content,
                Tier = source.Tier,
                Namespace = ancestor,
                Tags = source.Tags,
                Priority = source.Priority,
                Confidence = source.Confidence,
                Source = source.Source,
                ExpiresAt = source.ExpiresAt?.ToString(),
                Metadata = source.Metadata,
            },
            context);
        await service.LinkAsync(copy.Memory.Id, source.Id, Relation, context);
        return (source, copy);
    }
}
