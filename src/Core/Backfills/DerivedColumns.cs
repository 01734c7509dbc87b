using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Backfills;

/// <summary>A value that a node derives from each shown memory and keeps beside it: nothing of it is replicated.</summary>
/// <param name="Name">Of the step that fills it.</param>
/// <param name="Version">Above 0; what <paramref name="Compute"/> does changes only together with it.</param>
/// <param name="Compute">Pure, over namespace, title, tags and content.</param>
public sealed record DerivedColumn(string Name, int Version, Func<Memory, byte[]> Compute)
{
    public string Marker => Version.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A derived value of one memory, by the store's own number of its row.</summary>
/// <param name="Marker">Empty: the value is old.</param>
public readonly record struct DerivedValue(long Row, string Step, string Marker, byte[] Value);

/// <summary>
/// Derived values that are cheap: whoever writes a memory writes them with it, so that only rows of older programs need a backfill.
/// </summary>
public static class DerivedColumns
{
    /// <summary>SHA-256 of the content's UTF-8 bytes: equal contents are found without comparing them.</summary>
    public static readonly DerivedColumn ContentHash = new("content-hash", 1, static memory => SHA256.HashData(Encoding.UTF8.GetBytes(memory.Content)));

    /// <summary>JSON of the namespace's depth (1 at the top) and the namespaces above it, from the top: <c>{"depth":2,"ancestors":["a"]}</c>.</summary>
    public static readonly DerivedColumn NamespacePath = new("namespace-path", 1, static memory => PathOf(memory.Namespace));

    public static IReadOnlyList<DerivedColumn> AtWrite { get; } = [ContentHash, NamespacePath];

    /// <summary>What the present code writes; a store whose last writer wrote otherwise looks at its rows again.</summary>
    public static string Versions { get; } = string.Join(' ', AtWrite.Select(static column => $"{column.Name}={column.Marker}"));

    /// <summary>Derived values of one are those of the other.</summary>
    public static bool HasSameText(Memory one, Memory other) =>
        one.Namespace == other.Namespace && one.Title == other.Title && one.Content == other.Content && one.Tags.SequenceEqual(other.Tags);

    /// <summary>What is wrong with a kept value; null when nothing is.</summary>
    /// <param name="shown">The memory of the row; null when it is not shown.</param>
    public static string? Verify(DerivedValue kept, Memory? shown) =>
        shown is null ? string.Create(CultureInfo.InvariantCulture, $"row {kept.Row} is not shown, and has a derived value of {kept.Step}")
        : AtWrite.FirstOrDefault(column => column.Name == kept.Step && column.Marker == kept.Marker) is { } known && !known.Compute(shown).AsSpan().SequenceEqual(kept.Value)
            ? $"{shown.Id}: the derived value of {kept.Step} is not that of the memory"
        : null;

    private static byte[] PathOf(string @namespace)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteNumber("depth"u8, @namespace.AsSpan().Count('/') + 1);
            writer.WriteStartArray("ancestors"u8);
            for (var end = @namespace.IndexOf('/', StringComparison.Ordinal); end >= 0; end = @namespace.IndexOf('/', end + 1))
            {
                writer.WriteStringValue(@namespace.AsSpan(0, end));
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }
}
