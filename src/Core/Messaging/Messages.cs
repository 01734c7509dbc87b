using System.Text.Json;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Messaging;

/// <summary>What one agent says to another.</summary>
/// <param name="Priority">1 to 10.</param>
/// <param name="Tier">How long it is kept, as a memory of that tier.</param>
/// <param name="MemoryId">What it is about; null: nothing that is stored.</param>
/// <param name="Payload">Any JSON; null: none.</param>
public sealed record MessageDraft(
    string To, string Subject, string Text, int Priority = MessageDraft.StandardPriority, Tier Tier = Tier.Mid, string? MemoryId = null, JsonElement? Payload = null)
{
    public const int StandardPriority = 5;

    /// <exception cref="MemoryException"/>
    public MessageDraft Check()
    {
        _ = MemoryId is null ? null : MemoryRules.Id(MemoryId);
        if (Payload is { } payload)
        {
            Metadata.From(payload);
        }

        return this with
        {
            To = MemoryRules.AgentId(To),
            Subject = MemoryRules.Title(Subject),
            Text = MemoryRules.Content(Text),
            Priority = Math.Clamp(Priority, MemoryLimits.MinPriority, MemoryLimits.MaxPriority),
        };
    }
}

/// <summary>A message as its recipient sees it.</summary>
public sealed record Message(
    string Id, string From, string To, string Subject, string Text, int Priority, Tier Tier, Timestamp CreatedAt, Timestamp? ExpiresAt, string? MemoryId, JsonElement? Payload, Timestamp? ReadAt)
{
    public static Message Of(EntryState entry, Timestamp? readAt)
    {
        var body = EntryBodies.Decode(entry.Body, EntryJson.Default.MessageBody);
        return new(
            entry.Key.Key, body.From, entry.Owner, body.Subject, body.Text, body.Priority, body.Tier, new(body.CreatedAt), body.ExpiresAt is { } end ? new(end) : null, body.MemoryId,
            body.Payload, readAt);
    }
}

/// <summary>Which of an agent's messages: the most urgent first, then the latest.</summary>
/// <param name="AgentId">Null: the caller.</param>
/// <param name="Since">Sent at or after.</param>
public sealed record InboxQuery(string? AgentId, bool UnreadOnly = false, int Limit = InboxQuery.DefaultRows, Timestamp? Since = null)
{
    public const int DefaultRows = 50;
    public const int MostRows = 500;
}

/// <param name="Unread">Of all that match but for having been read.</param>
public sealed record Inbox(string AgentId, IReadOnlyList<Message> Messages, long Unread);

/// <summary>Sends a message. Each is a row of its own, whatever it is called.</summary>
/// <param name="Id">Null draws one.</param>
public sealed record NotifyCommand(string? Id, string From, MessageDraft Draft) : NamespaceCommand
{
    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var session = decision.Session;
        var key = EntryBodies.MessageKey(Id ?? session.NewId());
        if (await session.FindEntryAsync(key) is { } held)
        {
            // A repetition, also of what was taken away since.
            return decision.Done(held, count: 0);
        }

        var body = new MessageBody(
            From, Draft.Subject, Draft.Text, Draft.Priority, Draft.Tier, session.Now.Nanoseconds, decision.Engine.ExpiryOf(Draft.Tier, session.Now)?.Nanoseconds, Draft.MemoryId, Draft.Payload);
        return decision.Done(await decision.PutAsync(key, Draft.To, body, EntryJson.Default.MessageBody));
    }
}

/// <summary>Notes that messages were read, or takes them away.</summary>
/// <param name="Take">They are shown no more.</param>
public sealed record ReadMessagesCommand(string AgentId, IReadOnlyList<string> Ids, bool Take) : NamespaceCommand
{
    internal override ReadHints Hints => new([], [], [.. Ids.SelectMany(static id => new[] { EntryBodies.MessageKey(id), EntryBodies.MessageReadKey(id) })]);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        long changed = 0;
        foreach (var id in Ids)
        {
            if (await decision.Session.FindEntryAsync(EntryBodies.MessageKey(id)) is not { Live: true } held || held.Owner != AgentId)
            {
                continue;
            }

            var message = EntryBodies.Decode(held.Body, EntryJson.Default.MessageBody);
            if (Take)
            {
                // What it said goes with it.
                await decision.PutAsync(held.Key, AgentId, message with { Text = "", Subject = "", Payload = null }, EntryJson.Default.MessageBody, live: false);
                changed++;
            }
            else if (await decision.Session.FindEntryAsync(EntryBodies.MessageReadKey(id)) is not { Live: true })
            {
                await decision.PutAsync(EntryBodies.MessageReadKey(id), AgentId, new MessageReadBody(decision.Session.Now.Nanoseconds), EntryJson.Default.MessageReadBody);
                changed++;
            }
        }

        return decision.Done(count: changed);
    }
}
