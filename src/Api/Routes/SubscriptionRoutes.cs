using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;

namespace OrleansMemory.Api.Routes;

/// <summary>Who is told of which changes, and where.</summary>
internal sealed class SubscriptionRoutes(CallerServices callers)
{
    private const string Path = "/api/v1/subscriptions";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<SubscriptionRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", Path, routes.SubscribeAsync, new("subscribe", "Subscriptions", "Be told of changes; the caller must be registered")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "SubscriptionRequest",
            Answers = [new(201, "Subscription", "It is made."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable],
        });
        endpoints.MapRead(Path, routes.ListAsync, new("listSubscriptions", "Subscriptions", "The caller's subscriptions, latest first; of a caller that is not named, all")
        {
            Headers = [SharedFields.Agent],
            Answers = [new(200, "Subscriptions", "With what was delivered, and what could not be."), SharedFields.BadRequest],
        });
        endpoints.MapWrite("DELETE", Path + "/{id}", routes.UnsubscribeAsync, new("unsubscribe", "Subscriptions", "End a subscription of the caller's")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Answers = [new(200, "Unsubscribed", "Whether there was one."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.Unavailable],
        });
    }

    private async Task SubscribeAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var subscription = await callers.NodeOf(context).SubscribeAsync(Read(body), Caller.Writes(context, body.TextOrNull("agent_id")));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status201Created, subscription, static (writer, subscription) => Write(writer, subscription));
    }

    /// <summary>In the words of every client; events as a list, or in a text with commas.</summary>
    internal static SubscriptionDraft Read(BodyFields body) => new(
        body.TextOrNull("url") ?? body.TextOrNull("callback_url") ?? throw JsonFields.Missing("url"),
        body.Find("events") switch
        {
            null => [],
            { ValueKind: JsonValueKind.String } => body.Text("events").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
            _ => body.Texts("events")!,
        },
        body.TextOrNull("secret"),
        body.TextOrNull("namespace_filter") ?? body.TextOrNull("namespace"),
        body.TextOrNull("agent_filter"));

    private async Task ListAsync(HttpContext context)
    {
        var subscriptions = await callers.NodeOf(context).SubscriptionsAsync(Caller.Agent(context), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, subscriptions, static (writer, subscriptions) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("count"u8, subscriptions.Count);
            writer.WriteStartArray("subscriptions"u8);
            foreach (var subscription in subscriptions)
            {
                Write(writer, subscription);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    private async Task UnsubscribeAsync(HttpContext context)
    {
        if (!await callers.NodeOf(context).UnsubscribeAsync(PathId.Of(context), Caller.Agent(context), Caller.Writes(context)))
        {
            throw new MemoryException(ErrorKind.NotFound, "no such subscription of this caller");
        }

        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, 0, static (writer, _) =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("deleted"u8, true);
            writer.WriteBoolean("removed"u8, true);
            writer.WriteEndObject();
        });
    }

    /// <summary>In the words of every client; the secret never.</summary>
    /// <param name="listsEvents">Else they stand in one text, with commas between them.</param>
    internal static void Write(Utf8JsonWriter writer, Subscription subscription, bool listsEvents = true)
    {
        var body = subscription.Body;
        writer.WriteStartObject();
        writer.WriteString("agent_filter"u8, body.AgentFilter);
        writer.WriteString("agent_id"u8, subscription.CreatedBy);
        writer.WriteString("callback_url"u8, body.Url);
        writer.WriteString("created_at"u8, new Timestamp(body.CreatedAt).ToString());
        writer.WriteString("created_by"u8, subscription.CreatedBy);
        writer.WriteStartArray("dead_letters"u8);
        foreach (var letter in subscription.DeadLetters)
        {
            writer.WriteStartObject();
            writer.WriteString("at"u8, new Timestamp(letter.At).ToString());
            writer.WriteString("error"u8, letter.Error);
            writer.WriteString("event"u8, letter.Event);
            writer.WriteString("event_id"u8, letter.Position);
            writer.WriteString("memory_id"u8, letter.MemoryId);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteNumber("dispatch_count"u8, subscription.Delivered);
        if (listsEvents)
        {
            writer.WriteStartArray("events"u8);
            foreach (var name in body.Events)
            {
                writer.WriteStringValue(name);
            }

            writer.WriteEndArray();
        }
        else
        {
            writer.WriteString("events"u8, string.Join(',', body.Events));
        }

        writer.WriteNumber("failure_count"u8, subscription.Dead);
        writer.WriteString("id"u8, subscription.Id);
        if (subscription.LastDeliveredAt is { } last)
        {
            writer.WriteString("last_dispatched_at"u8, last.ToString());
        }

        writer.WriteString("namespace"u8, body.NamespaceFilter);
        writer.WriteString("namespace_filter"u8, body.NamespaceFilter);
        writer.WriteString("url"u8, body.Url);
        writer.WriteEndObject();
    }
}
