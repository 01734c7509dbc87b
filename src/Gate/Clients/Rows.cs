using System.Text.Json;
using OrleansMemory.Gate.Ledgers;

namespace OrleansMemory.Gate.Clients;

/// <summary>All rows of a store as its own export and archive list tell them: a hash over all fields of each.</summary>
internal static class Rows
{
    private const int MostArchived = 1_000;

    /// <param name="place">Options that name a node, or none.</param>
    /// <param name="database">A store; null with a node.</param>
    /// <returns>By kind and what identifies it: <c>memory ID</c>, <c>link SOURCE TARGET RELATION</c>, <c>archived ID</c>.</returns>
    public static async Task<IReadOnlyDictionary<string, string>> ReadAsync(CommandLine om, IReadOnlyList<string> place, string? database, CancellationToken cancellation)
    {
        var rows = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var export = await om.JsonAsync(["export", .. place], database: database, cancellation: cancellation);
        Add(export.GetProperty("memories"), static memory => $"memory {memory.GetProperty("id").GetString()}");
        Add(export.GetProperty("links"), static link => $"link {link.GetProperty("source_id").GetString()} {link.GetProperty("target_id").GetString()} {link.GetProperty("relation").GetString()}");
        var archive = await om.JsonAsync(["archive", "list", "--json", "--limit", $"{MostArchived}", .. place], database: database, cancellation: cancellation);
        Add(archive.GetProperty("archived"), static memory => $"archived {memory.GetProperty("id").GetString()}");
        return rows;

        void Add(JsonElement list, Func<JsonElement, string> name)
        {
            foreach (var row in list.EnumerateArray())
            {
                rows.Add(name(row), Contents.Hash(Canonical(row)));
            }
        }
    }

    /// <summary>Members by name, so that their order says nothing.</summary>
    private static string Canonical(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => $"{{{string.Join(',', element.EnumerateObject().OrderBy(static member => member.Name, StringComparer.Ordinal).Select(static member => $"{JsonSerializer.Serialize(member.Name)}:{Canonical(member.Value)}"))}}}",
        JsonValueKind.Array => $"[{string.Join(',', element.EnumerateArray().Select(Canonical))}]",
        _ => element.GetRawText(),
    };
}
