using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Mining;

/// <summary>A conversation of an export, as far as it is told.</summary>
/// <param name="Id">The export's own name of it; null: it has none.</param>
/// <param name="Title">Empty: it has none.</param>
/// <param name="StartedAt">Null: not told.</param>
internal sealed record Conversation(string? Id, string Title, Timestamp? StartedAt, IReadOnlyList<Turn> Turns);

/// <param name="Role">Who speaks.</param>
internal sealed record Turn(string Role, string Text);

/// <summary>The exports that can be read.</summary>
internal enum ExportFormat
{
    Claude,
    ChatGpt,
    Slack,
}

internal static class ExportFormats
{
    public static IReadOnlyList<string> Names { get; } = ["claude", "chatgpt", "slack"];

    public static string Name(this ExportFormat format) => Names[(int)format];

    /// <summary>What memories made of it have as their source and tag.</summary>
    public static string Source(this ExportFormat format) => $"mine-{format.Name()}";

    /// <returns>Null: no such format.</returns>
    public static ExportFormat? Find(string name)
    {
        for (var index = 0; index < Names.Count; index++)
        {
            if (Names[index] == name)
            {
                return (ExportFormat)index;
            }
        }

        return null;
    }

    /// <summary>The conversations of an export, one after the other.</summary>
    /// <exception cref="MemoryException">The path or what it holds is not such an export; the message says where.</exception>
    public static IAsyncEnumerable<Conversation> ReadAsync(this ExportFormat format, string path) => format switch
    {
        ExportFormat.Claude => ClaudeExport.ReadAsync(path),
        ExportFormat.ChatGpt => ChatGptExport.ReadAsync(path),
        _ => SlackExport.ReadAsync(path),
    };
}
