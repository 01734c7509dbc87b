using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace OrleansMemory.Cli.Mining;

/// <summary>One conversation for each line, or all of them in one array.</summary>
internal static class ClaudeExport
{
    public static async IAsyncEnumerable<Conversation> ReadAsync(string path, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var number = 0;
        var elements = ExportJson.FirstCharacter(path) == '[' ? ExportJson.ArrayAsync(path, cancellation) : ExportJson.LinesAsync(path, cancellation);
        await foreach (var element in elements)
        {
            yield return ExportJson.In(path, string.Create(CultureInfo.InvariantCulture, $"conversation {++number}"), () => Read(element));
        }
    }

    private static Conversation Read(JsonElement element)
    {
        var turns = ExportJson.Array(element, "chat_messages") is { } messages ? messages.EnumerateArray().Select(Turn).OfType<Turn>().ToList()
            : ExportJson.Object(element, "mapping") is { } mapping ? MessageTree.Turns(mapping)
            : throw new WrongShapeException("neither `chat_messages` nor `mapping` is there");
        var id = ExportJson.Text(element, "uuid");
        return new(id.Length == 0 ? null : id, ExportJson.Text(element, "name"), ExportJson.Instant(element, "created_at"), turns);
    }

    /// <returns>Null: it says nothing.</returns>
    private static Turn? Turn(JsonElement message)
    {
        var role = ExportJson.Text(message, "sender") is { Length: > 0 } sender ? sender : ExportJson.Text(message, "role");
        var text = ExportJson.Text(message, "text");
        if (text.Length == 0 && message.TryGetProperty("content", out var content))
        {
            text = ExportJson.Parts(content);
        }

        return string.IsNullOrWhiteSpace(text) ? null : new(role.Length == 0 ? "unknown" : role, text);
    }
}
