using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    public async Task<Message> NotifyAsync(MessageDraft draft, WriteContext context)
    {
        var clean = draft.Check();
        var from = context.AgentId is { } agent ? MemoryRules.AgentId(agent) : $"{AgentIdentity.AnonymousPrefix}caller";
        var id = context.IdempotencyKey is { } key ? MemoryIds.Derived(context.AgentId, $"message:{MemoryRules.IdempotencyKey(key)}") : null;
        return Message.Of((await Engine(InboxOf(clean.To)).RunAsync(new NotifyCommand(id, from, clean), context)).Entry!, readAt: null);
    }

    public async Task<Inbox> InboxAsync(InboxQuery query, WriteContext context, CancellationToken cancellation = default)
    {
        RequireLimit(query.Limit);
        var agent = MemoryRules.AgentId(query.AgentId ?? context.AgentId ?? throw new MemoryException(ErrorKind.InvalidAgentId, "an inbox is somebody's: name the agent"));
        var read = new Dictionary<string, Timestamp>(StringComparer.Ordinal);
        await foreach (var entry in EntriesAsync(MutationKind.MessageRead, agent, cancellation))
        {
            read[entry.Key.Key] = new(EntryBodies.Decode(entry.Body, EntryJson.Default.MessageReadBody).ReadAt);
        }

        var now = Now();
        var messages = new List<Message>();
        await foreach (var entry in EntriesAsync(MutationKind.Message, agent, cancellation))
        {
            var message = Message.Of(entry, read.TryGetValue(entry.Key.Key, out var at) ? at : null);
            if (!(message.ExpiresAt <= now) && !(query.Since is { } since && message.CreatedAt < since))
            {
                messages.Add(message);
            }
        }

        var shown = messages.Where(message => !query.UnreadOnly || message.ReadAt is null)
            .OrderByDescending(static message => message.Priority).ThenByDescending(static message => message.CreatedAt).ThenBy(static message => message.Id, StringComparer.Ordinal);
        return new(agent, [.. shown.Take(query.Limit)], messages.LongCount(static message => message.ReadAt is null));
    }

    public async Task<long> ReadMessagesAsync(string agentId, IReadOnlyList<string> ids, bool take, WriteContext context)
    {
        RequireBatch(ids.Count);
        foreach (var id in ids)
        {
            MemoryRules.Id(id);
        }

        var agent = MemoryRules.AgentId(agentId);
        return (await Engine(InboxOf(agent)).RunAsync(new ReadMessagesCommand(agent, ids, take), context)).Count;
    }

    /// <summary>Takes away what has ended; every node does, with one result.</summary>
    private async Task CollectMessagesAsync()
    {
        var ended = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        await foreach (var entry in EntriesAsync(MutationKind.Message, owner: null, CancellationToken.None))
        {
            if (Message.Of(entry, readAt: null).ExpiresAt <= Now())
            {
                (ended.TryGetValue(entry.Owner, out var known) ? known : ended[entry.Owner] = []).Add(entry.Key.Key);
            }
        }

        foreach (var (agent, ids) in ended)
        {
            foreach (var batch in ids.Chunk(ForgetRows))
            {
                await Engine(InboxOf(agent)).RunAsync(new ReadMessagesCommand(agent, batch, Take: true), new(Quorum: "1"));
            }
        }
    }

    /// <summary>An agent id may hold what a namespace may not, and more levels; it only names who decides.</summary>
    private static string InboxOf(string agentId) => $"{ReservedNamespaces.Messages}/{agentId.Replace('/', ':')}";
}
