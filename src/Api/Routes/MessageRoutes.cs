using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;

namespace OrleansMemory.Api.Routes;

/// <summary>What agents say to each other.</summary>
internal sealed class MessageRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<MessageRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/notify", routes.NotifyAsync, new("notify", "Messages", "Send a message to an agent")
        {
            Headers = [SharedFields.Agent, SharedFields.IdempotencyKey, SharedFields.Quorum],
            Body = "MessageRequest",
            Answers = [new(201, "MessageSent", "It is in the inbox."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable],
        });
        endpoints.MapRead("/api/v1/inbox", routes.InboxAsync, new("inbox", "Messages", "An agent's messages, the most urgent first, then the latest; reading them here marks none as read")
        {
            Headers = [SharedFields.Agent],
            Query =
            [
                new("agent_id", "string", "Whose; the caller's without it."), new("unread_only", "string", "true: only those that are not marked as read; unread means the same."),
                new("limit", "integer", "Rows; 50 unless told, at most 500."), new("since", "string", "Sent at or after; RFC 3339."),
            ],
            Answers = [new(200, "Inbox", "The messages."), SharedFields.BadRequest, SharedFields.Forbidden],
        });
        endpoints.MapWrite("POST", "/api/v1/inbox/read", routes.ReadAsync, new("readMessages", "Messages", "Mark messages as read")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "MessagesRequest",
            Answers = [new(200, "MessagesRead", "How many were not before."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable],
        });
        endpoints.MapWrite("DELETE", "/api/v1/inbox/{id}", routes.TakeAsync, new("deleteMessage", "Messages", "Take a message away")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Answers = [new(200, "MessageDeleted", "It is gone."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.Unavailable],
        });
    }

    private async Task NotifyAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var draft = new MessageDraft(
            body.TextOrNull("to") ?? body.TextOrNull("target_agent_id") ?? throw JsonFields.Missing("to"),
            body.TextOrNull("subject") ?? body.TextOrNull("title") ?? throw JsonFields.Missing("subject"),
            body.TextOrNull("body") ?? (body.Find("payload") is { ValueKind: JsonValueKind.String } ? body.TextOrNull("payload") : null) ?? throw JsonFields.Missing("body"),
            (int)Math.Clamp(body.Integer("priority") ?? MessageDraft.StandardPriority, MemoryLimits.MinPriority, MemoryLimits.MaxPriority),
            body.Tier("tier") ?? Tier.Mid,
            body.TextOrNull("memory_id"),
            body.Find("payload") is { ValueKind: JsonValueKind.Object } payload ? payload : body.Find("metadata") is { ValueKind: JsonValueKind.Object } metadata ? metadata : null);
        var key = Caller.IdempotencyKey(context);
        var agent = Caller.Agent(context, body.TextOrNull("agent_id")) ?? Caller.Anonymous(key);
        var message = await callers.NodeOf(context).NotifyAsync(draft, new(agent, key, Quorum: Caller.Quorum(context)));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status201Created, message, WriteSent);
    }

    internal static void WriteSent(Utf8JsonWriter writer, Message message)
    {
        writer.WriteStartObject();
        writer.WriteString("delivered_at"u8, message.CreatedAt.ToString());
        writer.WriteString("from"u8, message.From);
        writer.WriteString("id"u8, message.Id);
        writer.WriteString("namespace"u8, $"{ReservedNamespaces.Messages}/{message.To}");
        writer.WriteBoolean("sent"u8, true);
        writer.WriteString("tier"u8, message.Tier.Name());
        writer.WriteString("to"u8, message.To);
        writer.WriteEndObject();
    }

    private async Task InboxAsync(HttpContext context)
    {
        var query = new QueryText(context);
        var unreadOnly = query.Flag("unread_only") || query.Flag("unread");
        var inbox = await callers.NodeOf(context).InboxAsync(
            new(query.Text("agent_id"), unreadOnly, ReadFilters.Limit(query.Integer("limit"), InboxQuery.DefaultRows, InboxQuery.MostRows), ReadFilters.Instant("since", query.Text("since"))),
            new(Caller.Agent(context)),
            context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (inbox, unreadOnly), static (writer, answer) => Write(writer, answer.inbox, answer.unreadOnly));
    }

    internal static void Write(Utf8JsonWriter writer, Inbox inbox, bool unreadOnly)
    {
        writer.WriteStartObject();
        writer.WriteString("agent_id"u8, inbox.AgentId);
        writer.WriteNumber("count"u8, inbox.Messages.Count);
        writer.WriteStartArray("messages"u8);
        foreach (var message in inbox.Messages)
        {
            Write(writer, message);
        }

        writer.WriteEndArray();
        writer.WriteString("namespace"u8, $"{ReservedNamespaces.Messages}/{inbox.AgentId}");
        writer.WriteNumber("unread"u8, inbox.Unread);
        writer.WriteBoolean("unread_only"u8, unreadOnly);
        writer.WriteEndObject();
    }

    private async Task ReadAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var changed = await callers.NodeOf(context).ReadMessagesAsync(
            Owner(context, body.TextOrNull("agent_id")), body.Texts("ids") ?? throw JsonFields.Missing("ids"), take: false, Caller.Writes(context));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, changed, static (writer, changed) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("marked"u8, changed);
            writer.WriteEndObject();
        });
    }

    private async Task TakeAsync(HttpContext context)
    {
        if (await callers.NodeOf(context).ReadMessagesAsync(Owner(context, new QueryText(context).Text("agent_id")), [PathId.Of(context)], take: true, Caller.Writes(context)) == 0)
        {
            throw new MemoryException(ErrorKind.NotFound, "no such message in this inbox");
        }

        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, 0, static (writer, _) =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("deleted"u8, true);
            writer.WriteEndObject();
        });
    }

    /// <summary>Whose inbox it is: whom the request names, else the caller.</summary>
    private static string Owner(HttpContext context, string? named) =>
        named ?? CallerServices.PrincipalOf(context)?.AgentId ?? Caller.Agent(context) ?? throw new MemoryException(ErrorKind.InvalidAgentId, "an inbox is somebody's: name the agent");

    /// <summary>In the words of both clients: subject and body, title and payload.</summary>
    internal static void Write(Utf8JsonWriter writer, Message message)
    {
        writer.WriteStartObject();
        writer.WriteNumber("access_count"u8, message.ReadAt is null ? 0 : 1);
        writer.WriteString("body"u8, message.Text);
        writer.WriteString("created_at"u8, message.CreatedAt.ToString());
        writer.WriteString("from"u8, message.From);
        writer.WriteString("id"u8, message.Id);
        if (message.MemoryId is not null)
        {
            writer.WriteString("memory_id"u8, message.MemoryId);
        }

        if (message.Payload is { } payload)
        {
            writer.WritePropertyName("payload"u8);
            payload.WriteTo(writer);
        }
        else
        {
            writer.WriteString("payload"u8, message.Text);
        }

        writer.WriteNumber("priority"u8, message.Priority);
        writer.WriteBoolean("read"u8, message.ReadAt is not null);
        writer.WriteString("received_at"u8, message.CreatedAt.ToString());
        writer.WriteString("subject"u8, message.Subject);
        writer.WriteString("tier"u8, message.Tier.Name());
        writer.WriteString("title"u8, message.Subject);
        writer.WriteString("to"u8, message.To);
        writer.WriteEndObject();
    }
}
