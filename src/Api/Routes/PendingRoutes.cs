using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Governance;

namespace OrleansMemory.Api.Routes;

/// <summary>Changes that wait for approval.</summary>
internal sealed class PendingRoutes(CallerServices callers)
{
    private const string Path = "/api/v1/pending";
    internal const int StandardRows = 100;
    internal const int MostRows = 1_000;

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<PendingRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead(Path, routes.ListAsync, new("listPending", "Governance", "Pending actions and what became of them, latest first")
        {
            Query = [new("status", "string", "pending, approved or rejected; without it all."), new("limit", "integer", "Rows; 100 unless told, at most 1000.")],
            Answers = [new(200, "PendingActions", "The actions."), SharedFields.BadRequest],
        });
        endpoints.MapWrite("POST", Path + "/{id}/approve", context => routes.VoteAsync(context, approve: true), new("approvePending", "Governance", "Consent to a pending action; the last consent that is needed carries it out")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Answers =
            [
                new(200, "PendingApproved", "It was carried out."), new(202, "PendingVoted", "More consents are needed."),
                SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.Unavailable,
            ],
        });
        endpoints.MapWrite("POST", Path + "/{id}/reject", context => routes.VoteAsync(context, approve: false), new("rejectPending", "Governance", "Refuse a pending action")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Answers = [new(200, "PendingRejected", "It will not be carried out."), new(202, "PendingVoted", "Another node decides."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.Unavailable],
        });
    }

    private async Task ListAsync(HttpContext context)
    {
        var query = new QueryText(context);
        var pending = await callers.NodeOf(context).PendingAsync(
            query.Text("status"), ReadFilters.Limit(query.Integer("limit"), StandardRows, MostRows), context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, pending, WriteAll);
    }

    internal static void WriteAll(Utf8JsonWriter writer, IReadOnlyList<PendingAction> pending)
    {
        writer.WriteStartObject();
        writer.WriteNumber("count"u8, pending.Count);
        writer.WriteStartArray("pending"u8);
        foreach (var action in pending)
        {
            Write(writer, action);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private async Task VoteAsync(HttpContext context, bool approve)
    {
        var outcome = await callers.NodeOf(context).VoteAsync(PathId.Of(context), approve, Caller.Writes(context));
        var isDecided = outcome.Action.Status != PendingStatuses.Pending;
        await JsonAnswer.WriteAsync(context, isDecided ? StatusCodes.Status200OK : StatusCodes.Status202Accepted, outcome, static (writer, outcome) =>
        {
            writer.WriteStartObject();
            WriteOutcome(writer, outcome);
            writer.WriteEndObject();
        });
    }

    /// <summary>The fields that tell what a vote led to.</summary>
    internal static void WriteOutcome(Utf8JsonWriter writer, VoteOutcome outcome)
    {
        var action = outcome.Action;
        switch (action.Status)
        {
            case PendingStatuses.Approved:
                writer.WriteBoolean("approved"u8, true);
                writer.WriteString("decided_by"u8, action.DecidedBy);
                writer.WriteBoolean("executed"u8, action.Result is not null);
                writer.WriteString("id"u8, action.Id);
                writer.WriteString("memory_id"u8, action.Result);
                break;
            case PendingStatuses.Rejected:
                writer.WriteString("decided_by"u8, action.DecidedBy);
                writer.WriteString("id"u8, action.Id);
                writer.WriteBoolean("rejected"u8, true);
                break;
            default:
                writer.WriteBoolean("approved"u8, false);
                writer.WriteString("id"u8, action.Id);
                writer.WriteNumber("quorum"u8, outcome.Needed);
                writer.WriteString("reason"u8, outcome.IsElsewhere ? "the node that began it decides when it hears of this vote" : "consensus threshold not yet reached");
                writer.WriteString("status"u8, action.Status);
                writer.WriteNumber("votes"u8, outcome.Votes);
                break;
        }
    }

    internal static void Write(Utf8JsonWriter writer, PendingAction action)
    {
        writer.WriteStartObject();
        writer.WriteString("action_type"u8, action.ActionType);
        writer.WriteStartArray("approvals"u8);
        foreach (var (agent, at) in action.Approvals)
        {
            writer.WriteStartObject();
            writer.WriteString("agent_id"u8, agent);
            writer.WriteString("approved_at"u8, at.ToString());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (action.DecidedAt is { } decidedAt)
        {
            writer.WriteString("decided_at"u8, decidedAt.ToString());
            writer.WriteString("decided_by"u8, action.DecidedBy);
        }

        writer.WriteString("id"u8, action.Id);
        writer.WriteString("memory_id"u8, action.Result ?? action.MemoryId);
        writer.WriteString("namespace"u8, action.Namespace);
        writer.WritePropertyName("payload"u8);
        action.Payload.WriteTo(writer);
        writer.WriteString("requested_at"u8, action.RequestedAt.ToString());
        writer.WriteString("requested_by"u8, action.RequestedBy);
        writer.WriteString("status"u8, action.Status);
        writer.WriteEndObject();
    }
}
