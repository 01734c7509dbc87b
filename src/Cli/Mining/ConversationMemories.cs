using System.Globalization;
using System.Text;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Mining;

/// <summary>
/// Makes memories of conversations. Nothing is left out: what does not fit into one memory goes on in further ones, and conversations of
/// one title get titles of their own. Ids follow from the export, so that a later export of the same conversations changes what the first one made.
/// </summary>
internal sealed class ConversationMemories(ExportFormat format, string @namespace, Tier tier, Timestamp? expiresAt, string agentId, Timestamp now)
{
    private const int TitleBytes = 100;
    private const string Untitled = "Untitled conversation";

    private readonly HashSet<string> _titles = new(StringComparer.Ordinal);

    /// <returns>One memory, or several of which each has a part.</returns>
    public IReadOnlyList<Memory> Of(Conversation conversation)
    {
        var identity = conversation.Id ?? $"{conversation.Title}\n{conversation.StartedAt}\n{conversation.Turns[0].Text}";
        var title = TitleOf(conversation);
        if (!_titles.Add(title))
        {
            title = $"{title} [{Rows.Short(MemoryIds.Derived(format.Source(), identity))}]";
            _titles.Add(title);
        }

        var parts = Parts(conversation.Turns);
        var memories = new List<Memory>(parts.Count);
        for (var part = 0; part < parts.Count; part++)
        {
            memories.Add(new()
            {
                Id = MemoryIds.Derived(format.Source(), string.Create(CultureInfo.InvariantCulture, $"{@namespace}\n{identity}\n{part}")),
                Tier = tier,
                Namespace = @namespace,
                Title = parts.Count == 1 ? title : string.Create(CultureInfo.InvariantCulture, $"{title} ({part + 1} of {parts.Count})"),
                Content = parts[part],
                Tags = [format.Source()],
                Confidence = 0.8,
                Source = format.Source(),
                CreatedAt = conversation.StartedAt is { } started && started < now ? started : now,
                UpdatedAt = now,
                ExpiresAt = expiresAt,
                Metadata = Metadata.Empty.With("agent_id", agentId).With("mined_from", format.Name()).With("conversation_id", conversation.Id is { } id ? TextCut.Bytes(Clean(id), 512) : null),
            });
        }

        return memories;
    }

    /// <summary>Its own, else what the user said first.</summary>
    private static string TitleOf(Conversation conversation)
    {
        var text = string.IsNullOrWhiteSpace(conversation.Title)
            ? (conversation.Turns.FirstOrDefault(static turn => turn.Role is "user" or "human") ?? conversation.Turns[0]).Text
            : conversation.Title;
        var title = TextCut.Bytes(Clean(text).ReplaceLineEndings(" ").Trim(), TitleBytes).TrimEnd();
        return title.Length == 0 ? Untitled : title;
    }

    private static List<string> Parts(IReadOnlyList<Turn> turns)
    {
        var parts = new List<string>();
        var part = new StringBuilder();
        var bytes = 0;
        foreach (var turn in turns)
        {
            var line = Clean($"[{turn.Role}]: {turn.Text}").TrimEnd();
            while (line.Length > 0)
            {
                var size = Encoding.UTF8.GetByteCount(line);
                if (bytes + size + 1 <= MemoryLimits.ContentBytes)
                {
                    part.Append(part.Length == 0 ? "" : "\n").Append(line);
                    bytes += size + 1;
                    break;
                }

                if (part.Length > 0)
                {
                    parts.Add(part.ToString());
                    part.Clear();
                    bytes = 0;
                    continue;
                }

                // A turn that fills a memory alone.
                var start = TextCut.Bytes(line, MemoryLimits.ContentBytes - 1);
                parts.Add(start);
                line = line[start.Length..].TrimStart();
            }
        }

        if (part.Length > 0)
        {
            parts.Add(part.ToString());
        }

        return parts;
    }

    /// <summary>Without the characters that no memory may hold.</summary>
    private static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            if (character != '\r')
            {
                clean.Append(char.IsControl(character) && character is not ('\n' or '\t') ? ' ' : character);
            }
        }

        return clean.ToString();
    }
}
