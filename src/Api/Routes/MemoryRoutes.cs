using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

/// <summary>One memory at a time, and the list of them.</summary>
internal sealed class MemoryRoutes(CallerServices callers, SimilarTitles similarTitles, TimeProvider time, ApiInstruments instruments)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<MemoryRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/memories", routes.CreateAsync, new("createMemory", "Memories", "Store a memory, or update the one with its title in its namespace")
        {
            Headers = [SharedFields.Agent, SharedFields.IdempotencyKey, SharedFields.Quorum],
            Body = "MemoryDraft",
            Answers =
            [
                new(201, "StoredMemory", "Durable. X-Memory-Token holds its place in the log, ETag its version."),
                SharedFields.Pending, SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.Conflict, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapRead("/api/v1/memories", routes.ListAsync, new("listMemories", "Memories", "By priority, then by update time, both descending")
        {
            Query =
            [
                SharedFields.Namespace, SharedFields.Tier, SharedFields.ListLimit, SharedFields.Offset, SharedFields.Cursor,
                SharedFields.MinPriority, SharedFields.Since, SharedFields.Until, SharedFields.Tags, SharedFields.AgentId,
            ],
            Answers = [new(200, "MemoryPage", "A page."), SharedFields.BadRequest],
        });
        endpoints.MapRead("/api/v1/memories/{id}", routes.GetAsync, new("getMemory", "Memories", "A memory and its links, by id or by a prefix that only it has")
        {
            Query = [new("consistency", "string", "local, or quorum: no older than any write that was answered before.")],
            Answers =
            [
                new(200, "MemoryWithLinks", "Found. Not counted as an access."),
                SharedFields.BadRequest, SharedFields.NotFound, SharedFields.Unavailable,
            ],
        });
        endpoints.MapWrite("PUT", "/api/v1/memories/{id}", routes.UpdateAsync, new("updateMemory", "Memories", "Change the fields that are given")
        {
            Headers = [SharedFields.Agent, SharedFields.IfMatch, SharedFields.Quorum],
            Body = "MemoryPatch",
            Answers =
            [
                new(200, "UpdatedMemory", "The memory after the change."),
                SharedFields.Pending, SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.Conflict, SharedFields.PreconditionFailed,
                SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
        endpoints.MapWrite("DELETE", "/api/v1/memories/{id}", routes.DeleteAsync, new("deleteMemory", "Memories", "Delete for good: the id never comes back")
        {
            Headers = [SharedFields.Agent, SharedFields.IfMatch, SharedFields.Quorum],
            Answers = [new(200, "Deleted", "Gone."), SharedFields.Pending, SharedFields.Forbidden, SharedFields.BadRequest, SharedFields.NotFound, SharedFields.PreconditionFailed, SharedFields.Unavailable],
        });
        endpoints.MapWrite("POST", "/api/v1/memories/{id}/promote", routes.PromoteAsync, new("promoteMemory", "Memories", "Make a memory long-lived")
        {
            Headers = [SharedFields.Agent, SharedFields.IfMatch, SharedFields.Quorum],
            Answers = [new(200, "PromotedMemory", "The memory, now long."), SharedFields.Pending, SharedFields.Forbidden, SharedFields.BadRequest, SharedFields.NotFound, SharedFields.PreconditionFailed, SharedFields.Unavailable],
        });
    }

    private async Task CreateAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, DraftReader.Read);
        var agentId = Caller.Agent(context, body.Draft.AgentId);
        var key = Caller.IdempotencyKey(context);
        var draft = body.Draft with { AgentId = agentId ?? Caller.Anonymous(key) };
        WriteReceipt receipt;
        IReadOnlyList<string>? similar;
        var stored = false;
        try
        {
            body.RequireMetadata(draft, time);
            (receipt, similar) = await similarTitles.StoreAsync(callers.Of(context), draft, new(agentId, key, Quorum: Caller.Quorum(context)));
            stored = true;
        }
        finally
        {
            instruments.CountStore(draft.Tier, stored);
        }

        EntityTags.Set(context, receipt);

        // The author is the first one to have stored it, who need not be this caller.
        var author = receipt.Memory.Metadata.Text("agent_id") ?? (receipt.Created ? draft.AgentId : null);
        await JsonAnswer.WriteAsync(
            context, StatusCodes.Status201Created, (receipt, author, similar), static (writer, stored) =>
                MemoryJson.Write(writer, stored.receipt.Memory, new(AgentId: stored.author, Receipt: stored.receipt, Similar: new(stored.similar))));
    }

    private async Task ListAsync(HttpContext context)
    {
        var query = new QueryText(context);
        var page = await callers.Of(context).ListAsync(
            new()
            {
                Namespace = query.Text("namespace"),
                Tier = query.Tier(),
                MinPriority = ReadFilters.MinPriority(query.Integer("min_priority")),
                Since = ReadFilters.Instant("since", query.Text("since")),
                Until = ReadFilters.Instant("until", query.Text("until")),
                Tag = query.Text("tags"),
                AgentId = ReadFilters.AgentId(query.Text("agent_id")),
                Limit = ReadFilters.Limit(query.Integer("limit"), MemoryLimits.DefaultListRows, MemoryLimits.ListRows),
                Offset = ReadFilters.Offset(query.Integer("offset")),
                Cursor = query.Text("cursor"),
            },
            context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, page, static (writer, page) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("count"u8, page.Memories.Count);
            writer.WritePropertyName("memories"u8);
            MemoryJson.WriteAll(writer, page.Memories);
            if (page.NextCursor is { } cursor)
            {
                writer.WriteString("next_cursor"u8, cursor);
            }

            writer.WriteEndObject();
        });
    }

    private async Task GetAsync(HttpContext context)
    {
        var id = PathId.Of(context);
        var found = new QueryText(context).Text("consistency") switch
        {
            null or "local" => await callers.Of(context).GetAsync(id, context.RequestAborted),
            "quorum" when callers.Of(context) is INodeService node => await node.GetAtQuorumAsync(id, context.RequestAborted),
            "quorum" => await callers.Of(context).GetAsync(id, context.RequestAborted),
            _ => throw new MemoryException(ErrorKind.InvalidQuery, "query parameter `consistency` must be local or quorum"),
        };
        EntityTags.Set(context, found.Version);
        await JsonAnswer.WriteAsync(
            context, StatusCodes.Status200OK, found, static (writer, found) => MemoryJson.Write(writer, found.Memory, new(Whole: found)));
    }

    private async Task UpdateAsync(HttpContext context)
    {
        var id = PathId.Of(context);
        var body = await RequestBody.ReadAsync(context, PatchReader.Read);
        body.RequireMetadata();
        var receipt = await callers.Of(context).UpdateAsync(id, body.Patch, await WriteContextAsync(context, id, body.AgentId));
        EntityTags.Set(context, receipt);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, receipt, static (writer, receipt) => MemoryJson.Write(writer, receipt.Memory, new(Receipt: receipt)));
    }

    private async Task DeleteAsync(HttpContext context)
    {
        var id = PathId.Of(context);
        var receipt = await callers.Of(context).DeleteAsync(id, await WriteContextAsync(context, id));
        MemoryTokens.Answer(context, receipt.Position);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, receipt, WriteDeleted);
    }

    internal static void WriteDeleted(Utf8JsonWriter writer, WriteReceipt receipt)
    {
        writer.WriteStartObject();
        writer.WriteBoolean("deleted"u8, true);
        QuorumJson.Write(writer, receipt);
        writer.WriteEndObject();
    }

    private async Task PromoteAsync(HttpContext context)
    {
        var id = PathId.Of(context);
        var receipt = await callers.Of(context).PromoteAsync(id, await WriteContextAsync(context, id));
        EntityTags.Set(context, receipt);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, receipt, static (writer, receipt) => MemoryJson.Write(writer, receipt.Memory, new(Promoted: true, Receipt: receipt)));
    }

    private async ValueTask<WriteContext> WriteContextAsync(HttpContext context, string id, string? agentId = null) =>
        new(Caller.Agent(context, agentId), IfMatch: await EntityTags.IfMatchAsync(context, callers.Of(context), id), Quorum: Caller.Quorum(context));
}
