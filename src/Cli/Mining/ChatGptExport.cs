using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace OrleansMemory.Cli.Mining;

/// <summary>All conversations in one array, each a tree of messages.</summary>
internal static class ChatGptExport
{
    public static async IAsyncEnumerable<Conversation> ReadAsync(string path, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        if (ExportJson.FirstCharacter(path) != '[')
        {
            throw ExportJson.Malformed(path, "not a JSON array");
        }

        var number = 0;
        await foreach (var element in ExportJson.ArrayAsync(path, cancellation))
        {
            yield return ExportJson.In(path, string.Create(CultureInfo.InvariantCulture, $"conversation {++number}"), () => Read(element));
        }
    }

    private static Conversation Read(JsonElement element)
    {
        var id = ExportJson.Text(element, "id") is { Length: > 0 } own ? own : ExportJson.Text(element, "conversation_id");
        var turns = ExportJson.Object(element, "mapping") is { } mapping ? MessageTree.Turns(mapping) : throw new WrongShapeException("`mapping` is not there");
        return new(id.Length == 0 ? null : id, ExportJson.Text(element, "title"), ExportJson.Instant(ExportJson.Seconds(element, "create_time")), turns);
    }
}
