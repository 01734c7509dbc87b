using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Mining;

/// <summary>A folder with a folder for each channel, and in it a file for each day. A channel is one conversation.</summary>
internal static class SlackExport
{
    public static async IAsyncEnumerable<Conversation> ReadAsync(string path, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        if (!Directory.Exists(path))
        {
            throw new MemoryException(ErrorKind.NotFound, $"{path} is not a folder: a Slack export is one, with a folder for each channel");
        }

        foreach (var channel in Directory.GetDirectories(path).Order(StringComparer.Ordinal))
        {
            var turns = new List<(double At, Turn Turn)>();
            foreach (var day in Directory.GetFiles(channel, "*.json").Order(StringComparer.Ordinal))
            {
                if (ExportJson.FirstCharacter(day) is not '[')
                {
                    throw ExportJson.Malformed(day, "not a JSON array");
                }

                var number = 0;
                await foreach (var message in ExportJson.ArrayAsync(day, cancellation))
                {
                    if (ExportJson.In(day, string.Create(CultureInfo.InvariantCulture, $"message {++number}"), () => Read(message)) is { } turn)
                    {
                        turns.Add(turn);
                    }
                }
            }

            var name = Path.GetFileName(channel);
            yield return new(
                name, $"#{name}", turns.Count == 0 ? null : ExportJson.Instant(turns.Min(static turn => turn.At)),
                turns.OrderBy(static turn => turn.At).Select(static turn => turn.Turn).ToList());
        }
    }

    /// <returns>Null: it says nothing.</returns>
    private static (double At, Turn Turn)? Read(JsonElement message)
    {
        var text = ExportJson.Text(message, "text");
        var user = ExportJson.Text(message, "user") is { Length: > 0 } id ? id : ExportJson.Text(message, "username");
        var at = ExportJson.Seconds(message, "ts") ?? 0;
        return string.IsNullOrWhiteSpace(text) ? null : (at, new(user.Length == 0 ? "unknown" : user, text));
    }
}
