using OrleansMemory.Api.Http;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;

namespace OrleansMemory.Api.Mcp;

/// <summary>What agents say to each other, and who is told of changes.</summary>
internal static class MessageTools
{
    public static IEnumerable<ToolDefinition> All { get; } =
    [
        new(
            "memory_notify",
            "Send a message",
            "Send a message to another agent's inbox.",
            ToolEffect.Adds,
            [
                new("target_agent_id", ToolSchema.Text(most: MemoryLimits.AgentIdBytes), Required: true),
                new("title", ToolSchema.Text(most: MemoryLimits.TitleCharacters), Required: true),
                new("payload", ToolSchema.Text("What the message says."), Required: true),
                new("priority", ToolSchema.Integer(MemoryLimits.MinPriority, MemoryLimits.MaxPriority, MessageDraft.StandardPriority)),
                new("tier", ToolSchema.Tiers("mid")),
            ],
            ToolSchema.Object(
                ["delivered_at", "from", "id", "namespace", "tier", "to"],
                ("delivered_at", ToolSchema.Text()), ("from", ToolSchema.Text()), ("id", ToolSchema.Text()), ("namespace", ToolSchema.Text()), ("sent", ToolSchema.Boolean()), ("tier", ToolSchema.Tiers()), ("to", ToolSchema.Text())),
            NotifyAsync),
        new(
            "memory_inbox",
            "Read the inbox",
            "An agent's messages, the most urgent first, then the latest. Reading them marks none as read.",
            ToolEffect.Reads,
            [
                new("agent_id", ToolSchema.Text("Whose; the caller's when absent.")),
                new("unread_only", ToolSchema.Boolean(standard: false)),
                new("limit", ToolSchema.Integer(0, InboxQuery.MostRows, InboxQuery.DefaultRows)),
            ],
            ToolSchema.Object(
                ["agent_id", "count", "messages", "namespace", "unread_only"],
                ("agent_id", ToolSchema.Text()),
                ("count", ToolSchema.Integer(0)),
                ("messages", ToolSchema.List(ToolSchema.Object(
                    ["access_count", "created_at", "from", "id", "payload", "priority", "read", "tier", "title"],
                    ("access_count", ToolSchema.Integer(0)), ("created_at", ToolSchema.Text()), ("from", ToolSchema.Text()), ("id", ToolSchema.Text()), ("payload", new() { ["type"] = new System.Text.Json.Nodes.JsonArray("string", "object") }),
                    ("priority", ToolSchema.Integer()), ("read", ToolSchema.Boolean()), ("tier", ToolSchema.Tiers()), ("title", ToolSchema.Text())))),
                ("namespace", ToolSchema.Text()),
                ("unread", ToolSchema.Integer(0)),
                ("unread_only", ToolSchema.Boolean())),
            InboxAsync),
        new(
            "memory_subscribe",
            "Subscribe to changes",
            "Have changes told to a URL; the caller must be registered.",
            ToolEffect.Adds,
            [
                new("url", ToolSchema.Text("Absolute, https; http only where that is allowed."), Required: true),
                new("events", ToolSchema.Text($"Names with commas between them: {string.Join(", ", MemoryEvents.Names)}; * for all.", MemoryEvents.Any)),
                new("secret", ToolSchema.Text("Signs what is sent.")),
                new("namespace_filter", ToolSchema.Text("Only this namespace and those below it.")),
                new("agent_filter", ToolSchema.Text("Only memories of this author.")),
            ],
            Subscription(),
            static async call => ToolAnswer.Json(
                await call.Node.SubscribeAsync(SubscriptionRoutes.Read(call.Fields), call.Writes()), static (writer, subscription) => SubscriptionRoutes.Write(writer, subscription, listsEvents: false)))
        { IsOpenWorld = true },
        new(
            "memory_unsubscribe",
            "End a subscription",
            "End a subscription of the caller's.",
            ToolEffect.Destroys,
            [new("id", ToolSchema.Text(), Required: true)],
            ToolSchema.Object(["id", "removed"], ("id", ToolSchema.Text()), ("removed", ToolSchema.Boolean())),
            UnsubscribeAsync)
        { IsIdempotent = true },
        new(
            "memory_list_subscriptions",
            "List subscriptions",
            "The caller's subscriptions, latest first.",
            ToolEffect.Reads,
            [],
            ToolSchema.Object(["count", "subscriptions"], ("count", ToolSchema.Integer(0)), ("subscriptions", ToolSchema.List(Subscription()))),
            ListSubscriptionsAsync),
    ];

    private static async Task<ToolAnswer> NotifyAsync(ToolCall call)
    {
        var fields = call.Fields;
        var draft = new MessageDraft(
            fields.Text("target_agent_id"),
            fields.Text("title"),
            fields.Text("payload"),
            (int)Math.Clamp(fields.Integer("priority") ?? MessageDraft.StandardPriority, MemoryLimits.MinPriority, MemoryLimits.MaxPriority),
            fields.Tier("tier") ?? Tier.Mid);
        return ToolAnswer.Json(await call.Node.NotifyAsync(draft, call.WritesAs(call.Author)), MessageRoutes.WriteSent);
    }

    private static async Task<ToolAnswer> InboxAsync(ToolCall call)
    {
        var unreadOnly = call.Fields.Boolean("unread_only") ?? false;
        var inbox = await call.Node.InboxAsync(
            new(call.AgentId, unreadOnly, ReadFilters.Limit(call.Fields.Integer("limit"), InboxQuery.DefaultRows, InboxQuery.MostRows)), call.WritesAs(call.CallerId), call.Cancellation);
        return ToolAnswer.Json((inbox, unreadOnly), static (writer, answer) => MessageRoutes.Write(writer, answer.inbox, answer.unreadOnly));
    }

    private static async Task<ToolAnswer> UnsubscribeAsync(ToolCall call)
    {
        var id = MemoryRules.Id(call.Fields.Text("id"));
        var removed = await call.Node.UnsubscribeAsync(id, call.AgentId, call.Writes());
        return ToolAnswer.Object(writer =>
        {
            writer.WriteString("id"u8, id);
            writer.WriteBoolean("removed"u8, removed);
        });
    }

    private static async Task<ToolAnswer> ListSubscriptionsAsync(ToolCall call)
    {
        var subscriptions = await call.Node.SubscriptionsAsync(call.AgentId, call.Cancellation);
        return ToolAnswer.Object(writer =>
        {
            writer.WriteNumber("count"u8, subscriptions.Count);
            writer.WriteStartArray("subscriptions"u8);
            foreach (var subscription in subscriptions)
            {
                SubscriptionRoutes.Write(writer, subscription, listsEvents: false);
            }

            writer.WriteEndArray();
        });
    }

    private static System.Text.Json.Nodes.JsonObject Subscription() => ToolSchema.Object(
        ["created_by", "events", "id", "url"],
        ("agent_filter", ToolSchema.OrNull(ToolSchema.Text())), ("created_at", ToolSchema.Text()), ("created_by", ToolSchema.Text()), ("dispatch_count", ToolSchema.Integer(0)), ("events", ToolSchema.Text()),
        ("failure_count", ToolSchema.Integer(0)), ("id", ToolSchema.Text()), ("namespace_filter", ToolSchema.OrNull(ToolSchema.Text())), ("url", ToolSchema.Text()));
}
