using System.Text.Json;

namespace OrleansMemory.Cli.Mining;

/// <summary>The messages of a <c>mapping</c> of nodes, by time; what the system was told is left out.</summary>
internal static class MessageTree
{
    private const string System = "system";

    public static List<Turn> Turns(JsonElement mapping)
    {
        var turns = new List<(double At, Turn Turn)>();
        foreach (var node in mapping.EnumerateObject())
        {
            if (ExportJson.Object(node.Value, "message") is not { } message)
            {
                continue;
            }

            var role = ExportJson.Object(message, "author") is { } author ? ExportJson.Text(author, "role") : "";
            var text = ExportJson.Object(message, "content") is { } content && ExportJson.Array(content, "parts") is { } parts ? ExportJson.Parts(parts) : "";
            if (role != System && !string.IsNullOrWhiteSpace(text))
            {
                turns.Add((ExportJson.Seconds(message, "create_time") ?? 0, new(role.Length == 0 ? "unknown" : role, text)));
            }
        }

        // Stable: of one time, in the order of the file.
        return turns.OrderBy(static turn => turn.At).Select(static turn => turn.Turn).ToList();
    }
}
