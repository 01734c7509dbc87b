using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Routes;

internal sealed class BulkRoutes(CallerServices callers, ApiInstruments instruments)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<BulkRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/memories/bulk", routes.StoreManyAsync, new("createMemories", "Memories", "Store up to 1,000 memories, each judged alone")
        {
            Headers = [SharedFields.Agent, SharedFields.IdempotencyKey, SharedFields.Quorum],
            Body = "MemoryDrafts",
            Answers =
            [
                new(200, "BulkResult", "What became of each row, in order."),
                SharedFields.BadRequest, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
    }

    private async Task StoreManyAsync(HttpContext context)
    {
        var bodies = await RequestBody.ReadAsync(context, DraftReader.ReadMany);
        var caller = Caller.Agent(context);
        var key = Caller.IdempotencyKey(context);
        var author = caller ?? Caller.Anonymous(key);

        var rows = new (string Title, RowOutcome? Outcome)[bodies.Count];
        var drafts = new List<MemoryDraft>(bodies.Count);
        for (var index = 0; index < bodies.Count; index++)
        {
            var (draft, broken) = bodies[index];
            broken ??= BrokenAgent(draft.AgentId);
            rows[index] = (draft.Title, broken is null ? null : new(null, broken));
            if (broken is null)
            {
                drafts.Add(draft.AgentId is null ? draft with { AgentId = author } : draft);
            }
        }

        // A retry must meet the same rows in the same places, so the engine gets the good ones in their order.
        var outcomes = drafts.Count == 0 ? [] : await callers.Of(context).StoreManyAsync(drafts, new(caller, key, Quorum: Caller.Quorum(context)));
        var next = 0;
        for (var index = 0; index < rows.Length; index++)
        {
            var outcome = rows[index].Outcome ??= outcomes[next++];
            instruments.CountStore(bodies[index].Draft.Tier, outcome.Receipt is not null);
        }

        if (outcomes.LastOrDefault(outcome => outcome.Receipt is not null) is { } last)
        {
            MemoryTokens.Answer(context, last.Receipt!.Position);
        }

        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, rows, static (writer, rows) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("created"u8, rows.Count(row => row.Outcome!.Receipt is not null));
            writer.WriteStartArray("errors"u8);
            foreach (var (title, outcome) in rows)
            {
                if (outcome!.Error is { } error)
                {
                    writer.WriteStringValue($"{title}: {error.Message}");
                }
            }

            writer.WriteEndArray();
            writer.WriteStartArray("ids"u8);
            foreach (var (_, outcome) in rows)
            {
                if (outcome!.Receipt is { } receipt)
                {
                    writer.WriteStringValue(receipt.Memory.Id);
                }
            }

            writer.WriteEndArray();
            writer.WriteStartArray("results"u8);
            foreach (var (_, outcome) in rows)
            {
                writer.WriteStartObject();
                if (outcome!.Receipt is { } receipt)
                {
                    writer.WriteBoolean("created"u8, receipt.Created);
                    QuorumJson.Write(writer, receipt);
                }
                else if (outcome.Error is QuorumException quorum)
                {
                    QuorumJson.Write(writer, quorum);
                }
                else
                {
                    writer.WriteString("code"u8, outcome.Error!.Kind.Code);
                    writer.WriteString("error"u8, outcome.Error.Message);
                    if (outcome.Error is PendingException pending)
                    {
                        writer.WriteString("pending_id"u8, pending.PendingId);
                    }
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        });
    }

    private static MemoryException? BrokenAgent(string? agentId)
    {
        try
        {
            _ = agentId is null ? null : MemoryRules.AgentId(agentId, "invalid agent_id: agent_id");
            return null;
        }
        catch (MemoryException exception)
        {
            return exception;
        }
    }
}
